"""A history: which mails are asked for, and what goes wrong meanwhile. Made from a seed, or written by hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random

from tests.simulation.faults import AWS_FAULTS, PROVIDER_FAULTS, Fault
from tests.simulation.scheduler import Interruption

__all__ = ["CHAINS", "CODES", "History", "Mail", "generate"]

# The provider chain of each tenant. `broken` has texts of its own that cannot be filled in; `slow` has a relay that
# hangs whenever a history lets it.
CHAINS = {
    "default": ("resend",),
    "acme": ("resend.acme",),
    "globex": ("ses",),
    "initech": ("smtp", "resend"),
    "umbrella": ("postmark",),
    "hooli": ("sendgrid", "postmark"),
    "broken": ("resend",),
    "slow": ("smtp.slow",),
    "stark": ("resend", "ses"),
    "wayne": ("ses", "resend"),
}
RESCUE_AFTER = {"wayne": 25.0}  # seconds, by tenant
# Of a hundred mails to a group of domains, those whose delivery an account has reported, and within how many seconds.
HABITS = {("resend", "other"): (100, 10), ("ses", "other"): (100, 10)}
CODES = ("sign-in-code", "password-reset", "sign-up-code", "mfa-code")
NOTICES = ("organization-invitation",)
LOGTO_TYPES = {
    "sign-in-code": "SignIn",
    "password-reset": "ForgotPassword",
    "sign-up-code": "Register",
    "mfa-code": "MfaVerification",
    "organization-invitation": "OrganizationInvitation",
}
LENGTH = 240.0  # seconds in which mails are asked for


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail that somebody asks for."""

    number: int
    at: float
    tenant: str = "default"
    to: str = ""
    kind: str = "sign-in-code"
    route: str = "webhook"  # or rendered; or inline, queued, batch: the ways of the send API
    with_kind: bool = True  # stated by the caller of a rendered mail
    expires_in: float = 0.0  # seconds, over the send API only; 0: the default
    supersedes: bool | None = None  # over the send API only; None: it replaces codes that are older by 30 s
    with_key: bool = False  # the caller gives an idempotency key, and asks again if no answer comes
    repeats: tuple[float, ...] = ()  # asked for once more, so many seconds later, as a double click does
    events: tuple[tuple[str, float], ...] = ()  # what its provider reports, seconds after it took the mail
    later_events: tuple[tuple[str, float], ...] | None = None  # of the copies after the first; None: the same
    is_suppressed: bool = False

    @property
    def recipient(self) -> str:
        return self.to or f"reader-{self.number}@example.net"

    @property
    def code(self) -> str:
        """The code or token that nobody but the recipient may see, unique in its history."""
        return f"H{(self.number * 7919 + 4729) % 9973:04}QZ"

    @property
    def is_code(self) -> bool:
        return self.kind in CODES

    def __str__(self) -> str:
        extra = [f"key {self.number}"] if self.with_key else []
        extra += [f"again after {seconds:g} s" for seconds in self.repeats]
        extra += [f"{what} {seconds:g} s after it was taken" for what, seconds in self.events]
        extra += [f"a later copy {what} after {seconds:g} s" for what, seconds in self.later_events or ()]
        extra += [] if self.supersedes is None else [f"replaces {'all' if self.supersedes else 'none'} before it"]
        extra += [f"expires in {self.expires_in:g} s"] if self.expires_in else []
        extra += ["suppressed"] if self.is_suppressed else []
        return f"mail {self.number}: {self.kind} for {self.recipient} of {self.tenant} by {self.route}" + (
            f" ({', '.join(extra)})" if extra else ""
        )


@dataclass(frozen=True, slots=True)
class History:
    """Everything that one run is made of."""

    seed: int | str
    mails: tuple[Mail, ...]
    faults: tuple[Fault, ...] = ()
    interruptions: tuple[Interruption, ...] = ()
    duplicates: float = 0.0  # the share of receives after which SQS hands a message out once more
    requests_per_second: int = 0  # what Resend allows; 0: anything
    providers: str = "resend"  # the stack's default chain; in front of it stands what may pack a burst
    chains: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: CHAINS)  # by tenant
    rescue_after: Mapping[str, float] = field(default_factory=lambda: RESCUE_AFTER)
    habits: Mapping[tuple[str, str], tuple[int, int]] = field(default_factory=lambda: HABITS)

    @property
    def is_healthy(self) -> bool:
        """Whether all of our infrastructure works throughout; a tenant's own relay may hang."""
        shared = [fault for fault in self.faults if fault.target != "smtp.slow"]
        return not (shared or self.interruptions or self.duplicates or self.requests_per_second)

    @property
    def healed_at(self) -> float:
        """When the last fault has ended."""
        return max((fault.end for fault in self.faults if fault.target != "smtp.slow"), default=0.0)


def generate(seed: int) -> History:
    """Make up the history of a seed."""
    random = Random(f"history {seed}")  # noqa: S311 - it has to be repeatable
    mails: list[Mail] = []

    def add(at: float, **facts: object) -> Mail:
        mail = Mail(len(mails) + 1, round(at, 2), **facts)  # type: ignore[arg-type]
        mails.append(mail)
        return mail

    tenants = ("default", "default", "acme", "globex", "initech", "umbrella", "hooli")
    with_poison, with_slow = random.random() < 0.25, random.random() < 0.25
    burst = random.random() < 0.3
    while len(mails) < (4 if burst else 20):
        at = random.uniform(0.0, LENGTH)
        tenant = random.choice(tenants)
        match random.random():
            case chance if chance < 0.10:  # two tabs, or a phone and a laptop: both codes live
                kind = random.choice(CODES)
                first = add(at, tenant=tenant, kind=kind, to=f"tabs-{len(mails)}@example.net")
                add(at + random.choice((0.0, 0.4, 2.0, 9.0, 25.0)), tenant=tenant, kind=kind, to=first.to)
            case chance if chance < 0.20:  # the same person again: the older code is dead
                kind = random.choice(CODES)
                first = add(at, tenant=tenant, kind=kind, to=f"again-{len(mails)}@example.net")
                add(at + random.choice((31.0, 61.0, 90.0)), tenant=tenant, kind=kind, to=first.to)
            case chance if chance < 0.26:
                add(at, tenant=tenant, kind=random.choice(CODES), repeats=(random.choice((0.05, 1.0, 20.0)),))
            case chance if chance < 0.30:
                add(at, tenant=tenant, kind=random.choice((*CODES, *NOTICES)), is_suppressed=True)
            case chance if chance < 0.50:
                route = random.choice(("inline", "inline", "queued"))
                expires_in = random.choice((0.0, 0.0, 30.0, 120.0))
                kind = random.choice((*CODES, *NOTICES))
                add(at, tenant=tenant, kind=kind, route=route, expires_in=expires_in, with_key=random.random() < 0.5)
            case chance if chance < 0.55:
                for _ in range(random.choice((2, 5))):
                    add(at, tenant=tenant, kind=random.choice(CODES), route="batch", with_key=True)
            case _:
                add(at, tenant=tenant, kind=random.choice((*CODES, *CODES, *NOTICES)))
    if with_poison:
        at = random.uniform(0.0, LENGTH)
        add(at, tenant="broken")
    if with_slow:
        at = random.uniform(0.0, LENGTH)
        for _ in range(random.choice((1, 4))):
            add(at, tenant="slow")
    if burst:
        at, tenant = random.uniform(0.0, LENGTH / 2), random.choice(("default", "acme", "globex"))
        mixed = (tenant, random.choice(tenants)) if random.random() < 0.5 else (tenant,)
        spread = random.choice((0.02, 0.2, 1.0))
        for _ in range(random.choice((10, 20, 40, 60))):
            add(at + random.uniform(0.0, spread), tenant=random.choice(mixed))
        if with_poison:
            add(at + 0.5, tenant="broken")
        if random.random() < 0.5:
            add(at + 0.6, tenant=tenant, to=f"burst-{seed}@example.net")
            add(at + 0.6 + random.choice((0.3, 5.0, 31.0)), tenant=tenant, to=f"burst-{seed}@example.net")
    statements = Random(f"statements {seed}")  # noqa: S311 - as above; apart, so that other seeds stay as they are
    if statements.random() < 0.15:
        for number, mail in enumerate(mails):
            if mail.to and mail.route == "webhook":
                stated = statements.choice((True, False, None))
                mails[number] = replace(mail, route=statements.choice(("inline", "queued")), supersedes=stated)
    rendering = Random(f"rendered {seed}")  # noqa: S311 - as above
    for number, mail in enumerate(mails):
        if mail.route == "webhook" and mail.tenant != "broken" and rendering.random() < 0.2:
            with_kind = bool(mail.to) or not mail.is_code or rendering.random() < 0.5
            mails[number] = replace(mail, route="rendered", with_kind=with_kind)
    if statements.random() < 0.1:
        at, kind, route = (
            statements.uniform(0.0, LENGTH),
            statements.choice(CODES),
            statements.choice(("webhook", "queued")),
        )
        for number in range(statements.choice((4, 7, 12))):
            add(at + 3.0 * number, to=f"flood+{number % 3}@example.net", kind=kind, route=route)
    arrival = Random(f"arrival {seed}")  # noqa: S311 - as above
    if arrival.random() < 0.3:
        mails = [replace(mail, tenant="stark") if mail.tenant == "default" else mail for mail in mails]
    if arrival.random() < 0.3:
        mails = [replace(mail, tenant="wayne") if mail.tenant == "globex" else mail for mail in mails]
    failover = Random(f"failover {seed}")  # noqa: S311 - as above
    outage: tuple[Fault, ...] = ()
    if failover.random() < 0.12:  # a burst, and trouble at the first of its two accounts
        at, spread = failover.uniform(0.0, LENGTH / 2), failover.choice((0.02, 0.2, 1.0))
        for _ in range(failover.choice((3, 6, 15, 40))):
            add(at + failover.uniform(0.0, spread), tenant="stark", kind=failover.choice((*CODES, *NOTICES)))
        outage = (_provider_fault(failover, at + failover.uniform(-5.0, 1.0), "resend"),)
    for number, mail in enumerate(mails):
        if random.random() < 0.5:
            events = [("delivered", random.choice((0.01, 0.1, 2.0, 60.0)))]
            if random.random() < 0.3:
                events.append((events[0][0], events[0][1] + random.choice((0.0, 5.0))))  # reported twice
            if random.random() < 0.15:
                events.append(("complained", random.choice((0.02, 300.0))))
            elif random.random() < 0.1:
                events = [("bounced", random.choice((0.02, 30.0)))]
            mails[number] = replace(mail, events=tuple(events))
    for number, mail in enumerate(mails):
        if mail.tenant in RESCUE_AFTER and arrival.random() < 0.3:
            trouble = (arrival.choice(("deferred", "deferred", "soft")), arrival.choice((0.05, 3.0, 15.0, 40.0)))
            mails[number] = replace(mail, events=(trouble, *mail.events[:1]))
    faults: list[Fault] = []
    if with_slow:
        faults.append(Fault("smtp.slow", "hang", 0.0, LENGTH + random.choice((0.0, 120.0))))
    history = History(seed, tuple(mails), tuple(faults), providers=random.choice(("resend", "resend", "resend", "ses")))
    if random.random() < 0.2:
        return history
    if outage and failover.random() < 0.5:
        return replace(history, faults=(*faults, *outage))
    return replace(
        history,
        faults=(*faults, *outage, *_faults(random, mails)),
        interruptions=tuple(
            replace(interruption, function="rendered")
            if interruption.function == "webhook" and rendering.random() < 0.5
            else interruption
            for interruption in _interruptions(random, mails)
        ),
        duplicates=random.choice((0.0, 0.0, 0.02, 0.2)),
        requests_per_second=random.choice((0, 0, 0, 10)),
    )


def _moment(random: Random, mails: list[Mail]) -> float:
    """Return a moment at which something may go wrong: mostly while a mail is on its way."""
    if random.random() < 0.3:
        return random.uniform(0.0, LENGTH)
    return max(0.0, random.choice(mails).at + random.uniform(-1.0, 1.0))


def _provider_fault(random: Random, start: float, target: str) -> Fault:
    kind, length = random.choice(tuple(PROVIDER_FAULTS)), random.choice((5.0, 20.0, 60.0, 150.0, 300.0))
    share, seconds = random.choice((1.0, 1.0, 0.5, 0.1)), 0.0
    if kind in ("rate_limit", "slow"):
        seconds = random.choice((1.0, 5.0, 30.0) if kind == "rate_limit" else (1.0, 4.0, 5.5))
    start = max(0.0, start)
    return Fault(target, kind, round(start, 1), round(start + length, 1), share, seconds)


def _faults(random: Random, mails: list[Mail]) -> list[Fault]:
    faults = []
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        start = _moment(random, mails)
        length = random.choice((1.0, 5.0, 20.0, 60.0, 150.0, 300.0))
        if random.random() < 0.5:
            target, kind = random.choice(("dynamodb", "dynamodb", "ssm", "sqs")), random.choice(tuple(AWS_FAULTS))
            if kind == "denied" and target != "ssm":
                kind = "error"
        else:
            target = random.choice(("resend", "resend", "resend", "resend.acme", "ses", "smtp", "postmark", "sendgrid"))
            kind = random.choice(tuple(PROVIDER_FAULTS))
        seconds = {
            "rate_limit": random.choice((1.0, 5.0, 30.0, 120.0)),
            "slow": random.choice((1.0, 4.0, 5.5)),
        }.get(kind, 0.0)
        share = random.choice((1.0, 1.0, 0.5, 0.1))
        faults.append(Fault(target, kind, round(start, 1), round(start + length, 1), share, seconds))
    return faults


def _interruptions(random: Random, mails: list[Mail]) -> tuple[Interruption, ...]:
    interruptions = []
    for _ in range(random.choice((0, 0, 1, 2, 4))):
        function = random.choice(("deliver", "deliver", "deliver", "send", "webhook", "feedback"))
        operation = random.choice(("", "", "dynamodb", "sqs", "resend", "ses", "smtp", "postmark"))
        action = random.choice(("kill", "kill", "freeze"))
        seconds = random.choice((1.0, 8.0, 19.0)) if action == "freeze" else 0.0
        interruptions.append(
            Interruption(
                function,
                round(_moment(random, mails), 1),
                action,
                random.choice(("before", "after")),
                random.choice((1, 1, 2, 3, 5, 8)),
                operation,
                seconds,
            )
        )
    return tuple(interruptions)
