"""Short histories about arrival: codes that are requested again, providers that hold mail back, and rescue.

One to three readers request two to six codes of a tenant with rescue, through a chain of up to four accounts. Each
account reports, holds mail back, reports late, twice or never; it defers, bounces, refuses. A history is as short as it
can be, because what matters is their number: a million of them take two hours of one processor.
"""

from dataclasses import replace
from random import Random

from tests.simulation.faults import AWS_FAULTS, PROVIDER_FAULTS, Fault
from tests.simulation.history import CODES, History, Mail
from tests.simulation.scheduler import Interruption

__all__ = ["generate"]

ACCOUNTS = ("resend", "resend", "ses", "ses", "postmark", "sendgrid", "smtp")
TENANTS = ("stark", "stark", "stark", "globex")  # globex has a callback
DOMAINS = ("example.net", "example.net", "yahoo.example", "outlook.example")
GROUPS = ("other", "yahoo", "outlook")
RESCUE_AFTER = (10.0, 10.0, 12.0, 15.0, 20.0, 25.0, 25.0, 40.0)
GAPS = (0.4, 2.0, 9.0, 25.0, 31.0, 31.0, 35.0, 61.0, 61.0, 90.0, 140.0)
HABITS = ((0, 10), (80, 5), (89, 10), (91, 10), (95, 20), (100, 5), (100, 5), (100, 10), (100, 60), (100, 300))
SOON, LATE = (0.01, 0.1, 0.4, 1.0, 4.0, 9.5), (10.5, 14.0, 26.0, 45.0, 100.0, 400.0)
IN_DOUBT = ("no_answer", "error_after", "reset", "garbage")  # faults after which a provider may have the mail

Reports = tuple[tuple[str, float], ...]


def generate(seed: int) -> History:
    """Make up the short history of a seed."""
    random = Random(f"arrival {seed}")  # noqa: S311 - it has to be repeatable
    tenant = random.choice(TENANTS)
    chain = tuple(dict.fromkeys(random.choice(ACCOUNTS) for _ in range(random.choice((2, 3, 3, 4)))))
    mails, rescue_after = _mails(random, tenant), random.choice(RESCUE_AFTER)
    habits = {(account, group): random.choice(HABITS) for account in chain for group in GROUPS}
    is_healthy = random.random() < 0.3
    return History(
        seed,
        mails,
        () if is_healthy else _faults(random, mails, chain, rescue_after),
        () if is_healthy else _interruptions(random, mails, chain, rescue_after),
        duplicates=0.0 if is_healthy else random.choice((0.0, 0.0, 0.05, 0.3)),
        chains={tenant: chain},
        rescue_after={tenant: rescue_after},
        habits=habits,
    )


def _mails(random: Random, tenant: str) -> tuple[Mail, ...]:
    count = random.choice((2, 2, 2, 3, 3, 4, 6))
    kind, readers = (
        random.choice(CODES),
        [f"reader-{n}@{random.choice(DOMAINS)}" for n in range(random.choice((1, 1, 2, 3)))],
    )
    moments, suppressed = dict.fromkeys(readers, 0.0), {reader for reader in readers if random.random() < 0.02}
    mails = []
    for number in range(1, count + 1):
        reader = random.choice(readers)
        moments[reader] += random.choice(GAPS)
        route, expires_in, supersedes = "rendered", 0.0, None  # the quickest of all ways
        if (chance := random.random()) < 0.2:
            route = "webhook"
        elif chance < 0.4:
            route = random.choice(("inline", "queued"))
            expires_in = random.choice((0.0, 30.0, 60.0, 120.0))
            supersedes = random.choice((None, None, True, False))
        mails.append(
            Mail(
                number,
                round(moments[reader], 2),
                tenant,
                reader,
                kind if random.random() < 0.85 else random.choice(CODES),
                route,
                expires_in=expires_in,
                supersedes=supersedes,
                events=_reports(random),
                later_events=_reports(random) if random.random() < 0.6 else None,
                is_suppressed=reader in suppressed,
            )
        )
    alone = [mail for mail in mails if sum(other.to == mail.to for other in mails) == 1]
    if alone and random.random() < 0.1:
        repeated = random.choice(alone)
        mails[repeated.number - 1] = replace(repeated, repeats=(random.choice((0.05, 1.0, 20.0)),))
    return tuple(mails)


def _reports(random: Random) -> Reports:
    """Return what an account reports about a mail that it took."""
    soon, late = random.choice(SOON), random.choice(LATE)
    match random.choice(
        ("soon", "soon", "never", "never", "late", "twice", "deferred", "soft", "bounced", "complained")
    ):
        case "soon":
            return (("delivered", soon),)
        case "late":
            return (("delivered", late),)
        case "twice":
            return (("delivered", soon), ("delivered", soon + random.choice((0.0, 5.0, 20.0))))
        case "deferred" | "soft" as trouble:
            follows = random.choice(((), (("delivered", late + soon),), (("deferred", late),), (("bounced", late),)))
            return ((trouble, soon), *follows)
        case "bounced":
            return (("bounced", random.choice((soon, late))),)
        case "complained":
            return (("delivered", soon), ("complained", soon + random.choice((0.02, 30.0))))
    return ()


def _moment(random: Random, mails: tuple[Mail, ...], rescue_after: float) -> float:
    """Return a moment at which something may go wrong: as a mail is requested, checked or rescued."""
    return max(0.0, random.choice(mails).at + random.choice((-1.0, 0.0, 0.0, 9.5, rescue_after)) + random.random())


def _faults(random: Random, mails: tuple[Mail, ...], chain: tuple[str, ...], rescue_after: float) -> tuple[Fault, ...]:
    faults = []
    for _ in range(random.choice((0, 1, 1, 2))):
        start, length = _moment(random, mails, rescue_after), random.choice((1.0, 5.0, 20.0, 60.0))
        target = (
            random.choice(chain) if random.random() < 0.6 else random.choice(("dynamodb", "dynamodb", "sqs", "ssm"))
        )
        kind = random.choice((*PROVIDER_FAULTS, *IN_DOUBT) if target in chain else tuple(AWS_FAULTS))
        if kind == "denied" and target != "ssm":
            kind = "error"
        seconds = {"rate_limit": random.choice((1.0, 5.0, 30.0)), "slow": random.choice((1.0, 4.0, 5.5))}.get(kind, 0.0)
        share = random.choice((1.0, 1.0, 0.5, 0.1))
        faults.append(Fault(target, kind, round(start, 1), round(start + length, 1), share, seconds))
    return tuple(faults)


def _interruptions(
    random: Random, mails: tuple[Mail, ...], chain: tuple[str, ...], rescue_after: float
) -> tuple[Interruption, ...]:
    interruptions = []
    for _ in range(random.choice((0, 0, 1, 1, 2))):
        action = random.choice(("kill", "kill", "freeze"))
        interruptions.append(
            Interruption(
                random.choice(("deliver", "deliver", "deliver", "send", "feedback")),
                round(_moment(random, mails, rescue_after), 1),
                action,
                random.choice(("before", "after")),
                random.choice((1, 1, 2, 3, 5)),
                random.choice(("", "", "dynamodb", "sqs", *chain)),
                random.choice((1.0, 8.0, 19.0)) if action == "freeze" else 0.0,
            )
        )
    return tuple(interruptions)
