"""The rules about arrival: codes that are requested again, and rescue."""

from collections import defaultdict
from collections.abc import Iterator

from mailroom.model.domain_groups import group_of
from tests.simulation import wiring
from tests.simulation.accounts import Copy
from tests.simulation.findings import (
    Case,
    Findings,
    Rule,
    Violation,
    code_groups,
    neighbors,
    replaces,
    successors,
    violation_of,
)
from tests.simulation.history import History
from tests.simulation.scheduler import START

__all__ = ["ARRIVAL_RULES"]

NEVER = float("inf")
RESCUE_SLACK = 15.0  # after it is due, a code is rescued within so many seconds
REPORT_PROCESSED = 2.0  # a provider's report is in the ledger after so many seconds
IN_FLIGHT = 2.0  # seconds between the last look at the ledger and the request
SLOW_LEDGER = 10.0  # ... while the ledger answers late
FROZEN = 20.0  # ... in a process that was frozen
HABIT_SHARE = 90  # of a hundred mails
NOT_JSON = ("smtp", "smtp.slow")  # accounts that get the whole letter, and not its text


def a_code_that_is_requested_again_goes_to_the_next_provider(findings: Findings) -> Iterator[Violation]:
    """Without faults, a code starts behind the account that took its predecessor and has not reported delivery.

    Any other code starts with the first account of its chain.
    """
    if not findings.world.history.is_healthy:
        return
    first_of_kind = {cases[0].mail.number for cases in code_groups(findings)}
    # Codes that are requested at the same time may overtake each other: the older one then finds the newer one.
    crossing = {
        case.mail.number
        for pair in successors(findings)
        if pair[1].created_at - pair[0].created_at < IN_FLIGHT
        for case in pair
    }
    pairs = [(None, case) for case in findings.cases.values() if case.mail.number in first_of_kind]
    for older, newer in (*pairs, *neighbors(findings)):
        chain = findings.world.history.chains[newer.mail.tenant]
        if len(chain) < 2 or not newer.offers or newer.mail.repeats or newer.mail.number in crossing:
            continue
        first = min(newer.offers, key=lambda offer: offer.started_at)
        expected = _expected(older, newer, chain, first.started_at)
        if expected and first.account != expected:
            before = f"after {older.copies[0].offer.account} had its predecessor" if older else "though it is the first"
            cases = (older, newer) if older else (newer,)
            yield violation_of("wrong provider first", f"went to {first.account} first, {before}", *cases)


def _expected(older: Case | None, newer: Case, chain: tuple[str, ...], started_at: float) -> str:
    """Return the account that a code must go to first; empty where both are right."""
    if older is None:
        return chain[0]
    if not older.copies or older.mail.repeats or older.copies[0].offer.started_at + IN_FLIGHT > started_at:
        return ""
    lifetime = newer.expires_at - newer.created_at
    if not replaces(newer, older) or newer.created_at - older.created_at >= lifetime:
        return chain[0]
    delivered = [report.at for report in older.reports if report.event in ("delivered", "complained")]
    reported_at = min(delivered, default=NEVER)
    if reported_at + REPORT_PROCESSED < newer.created_at:
        return chain[0]
    return _following(chain, older.copies[0].offer.account)[0] if reported_at > started_at else ""


def a_code_that_does_not_arrive_is_rescued_once(findings: Findings) -> Iterator[Violation]:
    """Without faults, a code goes to the next account too, once, if no report of its delivery comes in time.

    That is where its tenant has rescue, and a report is missing or bad; else it exists once.
    """
    history = findings.world.history
    if not history.is_healthy:
        return
    dead_at = defaultdict[int, float](lambda: NEVER)
    for older, newer in successors(findings):
        if replaces(newer, older) and newer.copies:  # a limited one replaces none
            dead_at[older.mail.number] = min(dead_at[older.mail.number], newer.created_at)
    for case in findings.cases.values():
        is_repeated = case.mail.repeats or case.mail.with_key or len(case.accepted) != 1
        if not case.copies or is_repeated or not case.mail.is_code:
            continue
        chain, (first, *others) = history.chains[case.mail.tenant], case.copies
        wait = history.rescue_after.get(case.mail.tenant)
        if not wait or len(chain) < 2:
            if others:
                yield violation_of("needless copy", f"{len(case.copies)} copies, though all is well", case)
            continue
        trouble = min(_reported(case, first, "deferred", "soft"), default=NEVER)
        is_missed = _reports_in_time(history, first.offer.account, case.mail.recipient, wait)
        due = min(first.at + wait if is_missed else NEVER, trouble)
        end = min([case.expires_at, *_reported(case, first, "delivered", "bounced", "complained")])
        end = min(end, dead_at[case.mail.number])
        certain = min([end, *(at for at in _suppressions(findings, case, is_certain=True) if at > first.at)])
        possible = min([end, *_suppressions(findings, case, is_certain=False)])  # also while the mail was on its way
        if len(others) > 1 or any(copy.at < due for copy in others) or (others and certain + REPORT_PROCESSED < due):
            when = f"one was due at {due - START:.1f}" if due < NEVER else "none was due"
            yield violation_of("needless rescue", f"{len(others)} copies more; {when}", case)
        elif not others and due + RESCUE_SLACK < min(possible, case.expires_at - RESCUE_SLACK):
            yield violation_of("not rescued", f"no other copy, though one was due at {due - START:.1f}", case)
        for copy in others:
            expected = _following(chain, first.offer.account)[0]
            if copy.offer.account != expected:
                yield violation_of("wrong rescuer", f"{copy.offer.account} rescued it, not {expected}", case)


def every_rescue_has_a_cause(findings: Findings) -> Iterator[Violation]:
    """Each rescue in the ledger has the cause that it names, and no report of a delivery or final bounce before it."""
    history, world = findings.world.history, findings.world
    slack = _slack(history)
    for case in findings.cases.values():
        for message_id, row in case.rows.items():
            for entry in row["timeline"] if row else ():
                if entry.get("answer") != "rescue":
                    continue
                at, cause = entry["at"], entry["detail"]
                wait = history.rescue_after.get(case.mail.tenant, 0.0)
                reported = [report for report in case.reports if report.copy.offer.message_id == message_id]
                if not wait or not case.mail.is_code:
                    yield violation_of("needless rescue", "its tenant or kind has no rescue", case)
                elif cause == "no_report":
                    account = row["provider"] if row else ""
                    early = at - min(copy.at for copy in case.copies) < wait
                    if early or not _reports_in_time(history, account, case.mail.recipient, wait):
                        how = "too early" if early else f"though {account} normally reports nothing in time"
                        yield violation_of("needless rescue", f"for want of a report, {how}", case)
                elif not any(report.event in (cause, "soft") and report.at <= at for report in reported):
                    yield violation_of("needless rescue", f"for a report, {cause}, that nobody made", case)
                ends = [report.accepted_at for report in reported if report.event == "delivered"]
                ends += _suppressions(findings, case, is_certain=True)
                if any(end + slack < at and not _is_frozen(world.scheduler.interrupted, end, at) for end in ends):
                    yield violation_of("needless rescue", f"at {at - START:.1f}, though it was too late", case)


def nothing_leaves_that_is_known_to_be_delivered(findings: Findings) -> Iterator[Violation]:
    """No copy of a mail leaves after the ledger has the report that another one was delivered."""
    world = findings.world
    slack = _slack(world.history)
    for case in findings.cases.values():
        if len(case.copies) < 2:
            continue
        for report in case.reports:
            if report.event != "delivered":
                continue
            for copy in case.copies:
                is_same_message = copy.offer.message_id == report.copy.offer.message_id
                start = copy.offer.started_at
                is_late = is_same_message and copy is not report.copy and start > report.accepted_at + slack
                if is_late and not _is_frozen(world.scheduler.interrupted, report.accepted_at, start):
                    late = start - report.accepted_at
                    yield violation_of("sent though delivered", f"left {late:.1f} s after the report", case)


def a_bounce_beside_a_delivery_suppresses_nobody(findings: Findings) -> Iterator[Violation]:
    """Without faults, the recipient of a mail whose one copy was delivered is not suppressed for the other's bounce."""
    if not findings.world.history.is_healthy:
        return
    for case in findings.cases.values():
        mail, others = case.mail, [other for other in findings.cases.values() if other is not case]
        accounts = defaultdict[str, set[str]](set)
        for report in case.reports:
            if report.event != "bounced" or report.at > case.copies[-1].at + REPORT_PROCESSED:  # before, it is alone
                accounts[report.event].add(report.copy.offer.account)
        beside = [report for other in others if other.mail.recipient == mail.recipient for report in other.reports]
        is_possible = mail.is_suppressed or any(report.event == "bounced" for report in beside)
        if len(case.copies) == 2 and accounts["delivered"] - accounts["soft"] and not is_possible:
            key, _ = wiring.suppress(mail.tenant, mail.recipient, START)
            entry = {name: value.get("S", "") for name, value in findings.world.table.items.get(key, {}).items()}
            source, is_bounce = entry.get("source"), entry.get("cause") == "bounce"
            if is_bounce and source in accounts["bounced"] - accounts["delivered"]:
                yield violation_of("wrongly suppressed", f"{source} has bounced, and another copy arrived", case)


def each_copy_is_the_same_mail(findings: Findings) -> Iterator[Violation]:
    """All accounts that are offered a message get the same text."""
    for case in findings.cases.values():
        texts: dict[str, str] = {}
        for offer in case.offers:
            if offer.account in NOT_JSON:
                continue
            if texts.setdefault(offer.message_id, offer.text) != offer.text:
                yield violation_of("another text", f"{offer.account} got another text than the account before", case)


ARRIVAL_RULES: tuple[Rule, ...] = (
    a_code_that_is_requested_again_goes_to_the_next_provider,
    a_code_that_does_not_arrive_is_rescued_once,
    every_rescue_has_a_cause,
    nothing_leaves_that_is_known_to_be_delivered,
    a_bounce_beside_a_delivery_suppresses_nobody,
    each_copy_is_the_same_mail,
)


def _slack(history: History) -> float:
    """Return the seconds that may pass between the last look at the ledger and what follows from it."""
    return SLOW_LEDGER if any(fault.target == "dynamodb" for fault in history.faults) else IN_FLIGHT


def _reported(case: Case, copy: Copy, *names: str) -> list[float]:
    """Return when a copy was reported as one of these events."""
    return [report.at for report in case.reports if report.copy is copy and report.event in names]


def _reports_in_time(history: History, account: str, address: str, seconds: float) -> bool:
    """Return whether an account normally reports its deliveries to the group of an address in so many seconds."""
    number, limit = history.habits.get((account, group_of(address)), (0, 0))
    return number >= HABIT_SHARE and limit <= seconds


def _suppressions(findings: Findings, case: Case, *, is_certain: bool) -> list[float]:
    """Return when the recipient of a mail became suppressed, because one of the mails to it had bounced.

    It is certain only where no other copy of that mail may have arrived.
    """
    mail, moments = case.mail, []
    for other in findings.cases.values():
        if (other.mail.tenant, other.mail.recipient) != (mail.tenant, mail.recipient):
            continue
        for report in other.reports:
            reports = [r for r in other.reports if r.accepted_at <= report.accepted_at]
            ended = [r.copy for r in reports if r.event in ("bounced", "soft")]
            has_arrived = any(r.event == "delivered" for r in other.reports)
            has_ended = not has_arrived and all(copy in ended for copy in other.copies)
            if report.event == "bounced" and (has_ended or not is_certain):
                moments.append(report.accepted_at)
    return moments


def _is_frozen(interrupted: list[float], start: float, end: float) -> bool:
    return any(start - FROZEN <= moment <= end + FROZEN for moment in interrupted)


def _following(chain: tuple[str, ...], account: str) -> tuple[str, ...]:
    place = chain.index(account) + 1
    return (*chain[place:], *chain[:place])
