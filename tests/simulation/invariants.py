"""The rules that must hold in every history."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from itertools import permutations
from typing import Any

from tests.simulation import wiring
from tests.simulation.accounts import Copy, Offer
from tests.simulation.arrival_rules import ARRIVAL_RULES
from tests.simulation.endpoints import CALLBACK_TENANTS
from tests.simulation.faults import AWS_FAULTS
from tests.simulation.findings import (
    IDEMPOTENT,
    Case,
    Findings,
    Rule,
    Violation,
    code_groups,
    replaces,
    successors,
    violation_of,
)
from tests.simulation.history import History
from tests.simulation.scheduler import START
from tests.simulation.world import World

__all__ = ["RULES", "Violation", "violations"]

PROMPT = 15.0  # while all is healthy, every code leaves within so many seconds
RECOVERED = 30.0  # after the last fault has ended
FAILED_OVER = 30.0  # while an account of the chain is well
FREEZE = 19.0  # the longest
CODES_PER_KIND = 5  # for one mailbox, in ten minutes
WINDOW = 540.0  # of them; a minute may pass between the count and the request
SENT_PER_MAIL = 400  # an outage of ten minutes puts a code back thirty times, and ten copies where SQS does not answer
LAST_MOMENT = 3.0  # with less to live there is no further attempt
STORE_PATIENCE = 5.0  # seconds in any 15 that a process may wait for a parameter store whose values it has


def every_accepted_message_has_an_outcome(findings: Findings) -> Iterator[Violation]:
    """Every message we have accepted ends in one final outcome or on a dead-letter queue."""
    for case in findings.cases.values():
        for request in case.accepted:
            row = case.rows.get(request.message_id)
            if request.message_id in findings.waiting:
                yield violation_of("silently gone", f"{request.message_id} is still on a queue after a day", case)
            elif request.message_id not in findings.dead and (row is None or row["status"] not in wiring.FINAL):
                status = row["status"] if row else "no row"
                yield violation_of("silently gone", f"{request.message_id} was accepted and ends as: {status}", case)
        for message_id, row in case.rows.items():
            outcomes = wiring.outcomes_in(row) if row else []
            if len(outcomes) > 1:
                yield violation_of("two outcomes", f"{message_id} has the outcomes {', '.join(outcomes)}", case)


def no_message_dies_of_an_outage(findings: Findings) -> Iterator[Violation]:
    """No message is given up while it lives and its provider would take it, whatever was down before."""
    for case in findings.cases.values():
        if case.mail.tenant in ("broken", "slow") or case.was_rejected or case.mail.is_suppressed:
            continue
        for request in case.accepted:
            row = case.rows.get(request.message_id)
            died_at, by_sqs = findings.dead.get(request.message_id, (0.0, False))
            is_expired = bool(row and row["status"] == "skipped" and row.get("reason") == "expired")
            if not died_at and row and (row["status"] == "failed" or is_expired):
                died_at = row.get("ended", 0.0)
            if not died_at or _copies_of(case, request.message_id):
                continue
            if row and "quota" in row.get("reason", ""):
                continue  # nobody says when it comes back
            left = case.expires_at - died_at
            how = f"{row['status']} as {row.get('reason')}" if row else "buried"
            how = "moved to the dead letters by SQS" if by_sqs else how
            healed = findings.healed_at(case.mail)
            if left > LAST_MOMENT:
                yield violation_of("given up alive", f"{how} with {left:.0f} s to live", case)
            elif case.expires_at > max(healed, request.at) + RECOVERED:
                spare = case.expires_at - max(healed, request.at)
                yield violation_of("given up alive", f"{how}, though all was well for the last {spare:.0f} s", case)


def an_idempotent_provider_leaves_no_doubt(findings: Findings) -> Iterator[Violation]:
    """A message for providers that know our key goes on until its lifetime ends: it is never `unknown` before.

    The exception is one that must not leave any more, because a newer code replaced it or its recipient was suppressed:
    to ask again whether it has left would be to risk that it leaves now.
    """
    for case in findings.cases.values():
        if not set(findings.world.history.chains[case.mail.tenant]) <= set(IDEMPOTENT):
            continue
        for row in case.rows.values():
            if not row or row["status"] != "unknown" or row.get("reason") in ("superseded", "suppressed"):
                continue
            left = case.expires_at - row.get("ended", 0.0)
            if left > RECOVERED:
                yield violation_of("needless doubt", f"ended as unknown with {left:.0f} s to live", case)


def no_recipient_gets_too_many_copies(findings: Findings) -> Iterator[Violation]:
    """One copy through providers that know our key, else at most two."""
    history = findings.world.history
    calm = not history.interruptions and not history.duplicates
    calm = calm and not any(fault.target in ("dynamodb", "sqs", "ssm") for fault in history.faults)
    for case in findings.cases.values():
        accounts = {copy.offer.account for copy in case.copies}
        limit = 1 if accounts <= set(IDEMPOTENT) or (calm and not case.mail.is_code) else 2
        if len(case.copies) > limit:
            through = ", ".join(f"{copy.offer.account} at {copy.at - START:.1f}" for copy in case.copies)
            yield violation_of(
                "too many copies", f"{len(case.copies)} copies where {limit} is allowed: {through}", case
            )


def nothing_leaves_after_it_has_expired(findings: Findings) -> Iterator[Violation]:
    """No copy leaves after its message has expired."""
    for case in findings.cases.values():
        for copy in case.copies:
            if copy.offer.started_at > case.expires_at + 0.5:
                late = copy.offer.started_at - case.expires_at
                yield violation_of("sent after expiry", f"left {late:.1f} s after it had expired", case)


def no_dead_code_leaves_after_its_successor(findings: Findings) -> Iterator[Violation]:
    """No code leaves after a code that replaces it, unless in a batch of which a provider was asked before, in vain.

    Its other members are alive, and to repeat the request without the dead one could send them twice.
    """
    for older, newer in successors(findings):
        if not replaces(newer, older) or not newer.copies:
            continue
        for copy in older.copies:
            is_late = copy.offer.started_at > newer.copies[0].at
            if is_late and not _is_batch_in_doubt(findings, older, copy, newer.copies[0].at):
                after = copy.offer.started_at - newer.copies[0].at
                yield violation_of("dead code sent", f"left {after:.1f} s after its successor", older, newer)


def no_live_code_is_dropped(findings: Findings) -> Iterator[Violation]:
    """Codes for one recipient that do not replace each other are separate sessions: each is sent, the older first."""
    groups = code_groups(findings, with_unanswered=True)
    pairs = [pair for cases in groups for pair in permutations(cases, 2)]  # within the slack, either may be the newer
    replaced = {older.mail.number for older, newer in pairs if replaces(newer, older, slack=0.5)}
    for case in findings.cases.values():
        for row in case.rows.values():
            is_superseded = row and row.get("reason") == "superseded"  # skipped, or in doubt and not tried again
            if is_superseded and case.mail.number not in replaced:
                yield violation_of("live code dropped", "ended as superseded, and no newer code replaces it", case)
    if findings.world.history.is_healthy:
        for older, newer in successors(findings):
            apart = newer.created_at - older.created_at
            both = older.copies and newer.copies
            if both and apart >= 1.0 and not replaces(newer, older) and older.copies[0].at > newer.copies[0].at:
                yield violation_of("out of order", f"the newer code left first, {apart:.1f} s apart", older, newer)


def a_retry_is_the_same_request(findings: Findings) -> Iterator[Violation]:
    """A mail that a provider may have taken is offered again with the same bytes and under the same key."""
    for case in findings.cases.values():
        offers: defaultdict[tuple[str, str], list[Offer]] = defaultdict(list)
        for offer in case.offers:
            offers[offer.message_id, offer.account].append(offer)
        for (_, account), several in offers.items():
            if len({offer.content for offer in several}) > 1:
                yield violation_of("retry differs", f"{account} was offered different bytes", case)
            keys = [offer.key for offer in several if offer.result != "refused"]
            several.sort(key=lambda offer: offer.at)
            open_keys: set[str] = set()
            for offer in several:
                if account in IDEMPOTENT and open_keys and offer.key not in open_keys:
                    yield violation_of("other key", f"{account} may have it as {keys[0]}, gets it as {offer.key}", case)
                    break
                if offer.result != "refused":
                    open_keys.add(offer.key)


def every_code_is_prompt_while_all_is_well(findings: Findings) -> Iterator[Violation]:
    """Neither a burst, nor a poisonous message, nor a provider in trouble of one tenant delays another's code."""
    history = findings.world.history
    troubled = _accounts_in_trouble(history)
    if troubled is None:
        return
    for case in findings.cases.values():
        if not _must_leave(case) or troubled & set(history.chains[case.mail.tenant]):
            continue
        asked_at = case.accepted[0].at
        left_at = case.copies[0].at if case.copies else float("inf")
        if left_at - asked_at > PROMPT:
            when = f"after {left_at - asked_at:.1f} s" if case.copies else "never"
            yield violation_of("delayed by others", f"left {when}, though all it needs is well", case)


def every_live_code_leaves_soon_after_recovery(findings: Findings) -> Iterator[Violation]:
    """Once the last fault has ended, every code that lives leaves within 30 s."""
    history = findings.world.history
    slack = RECOVERED if history.requests_per_second else 0.0
    for case in findings.cases.values():
        if not _must_leave(case) or not case.copies:
            continue
        due = max(findings.healed_at(case.mail), case.accepted[0].at) + RECOVERED + slack
        if case.copies[0].at > due:
            late = case.copies[0].at - due + RECOVERED
            yield violation_of("late after recovery", f"left {late:.0f} s after everything was well", case)


def every_code_fails_over(findings: Findings) -> Iterator[Violation]:
    """While one account of its chain is well, a code leaves within 30 s, whatever the others do, and however many.

    Unless two others may have it: no policy allows a third copy. An account that accepts slowly is not left.
    """
    history = findings.world.history
    troubled = _accounts_in_trouble(history)
    if troubled is None:
        return
    slow = {fault.target for fault in history.faults if fault.kind == "slow"}
    for case in findings.cases.values():
        chain = set(history.chains[case.mail.tenant])
        entries = [entry for row in case.rows.values() if row for entry in row["timeline"]]
        in_doubt = {entry["provider"] for entry in entries if entry.get("error") == "ambiguous"}
        if not troubled & chain or chain <= troubled or chain & slow or len(in_doubt) > 1:
            continue
        if not _is_owed(case, ("superseded", "suppressed", "rate_limited")):
            continue
        asked_at = case.accepted[0].at
        left_at = case.copies[0].at if case.copies else float("inf")
        if left_at > min(asked_at + FAILED_OVER, case.expires_at):
            when = f"after {left_at - asked_at:.0f} s" if case.copies else "never"
            yield violation_of("no failover", f"left {when}, though an account of its chain is well", case)


def no_gate_outlives_its_cause(findings: Findings) -> Iterator[Violation]:
    """No message fails because we hold back from a provider that has been well for a while."""
    for case in findings.cases.values():
        for row in case.rows.values():
            if row and row["status"] == "failed" and row.get("reason") == "holding_back":
                healed_at = findings.healed_at(case.mail)
                since = row.get("ended", 0.0) - max(healed_at, case.created_at)
                if not healed_at or since > RECOVERED:
                    cause = f"{since:.0f} s after its cause" if healed_at else "without any cause"
                    yield violation_of("gate shut", f"failed as holding_back, {cause}", case)


def the_ledger_is_true(findings: Findings) -> Iterator[Violation]:
    """`sent` means that a copy left; a message that left is never `skipped` or `failed`; ids are the provider's."""
    for case in findings.cases.values():
        for message_id, row in case.rows.items():
            if row is None:
                continue
            copies, status = _copies_of(case, message_id), row["status"]
            if status in ("sent", "delivered", "bounced", "complained") and not copies:
                yield violation_of("sent and never left", f"{message_id} is {status}, and no copy left", case)
            if status in ("skipped", "failed") and copies:
                reason = row.get("reason", "")
                yield violation_of("untrue outcome", f"{status} ({reason}), and {copies[0].offer.account} has it", case)
            name = row.get("provider_id", "")
            if name and copies and not any(copy.id.startswith(name) for copy in copies):
                yield violation_of("wrong provider id", f"{name!r} is the name of no copy", case)
        for request in case.requests:
            row = case.rows.get(request.message_id) or {}
            is_concealed = row.get("reason") in ("suppressed", "rate_limited")  # its caller must not learn that
            if request.body.get("status") == "sent" and not case.copies and not is_concealed:
                yield violation_of("sent and never left", "its caller got the status sent, and no copy left", case)


def every_outcome_is_reported(findings: Findings) -> Iterator[Violation]:
    """Each outcome of a tenant with a callback reaches its endpoint, or ends as a dead letter; none is invented.

    Where SQS fails, events wait in a process, and may end with it.
    """
    reported = findings.world.reported()
    is_sqs_sound = not any(fault.target == "sqs" for fault in findings.world.history.faults)
    for case in findings.cases.values():
        if case.mail.tenant not in CALLBACK_TENANTS:
            continue
        for message_id, row in case.rows.items():
            for status in wiring.outcomes_in(row) if row and is_sqs_sound else ():
                is_suppressed = row and (status, row.get("reason")) == ("skipped", "suppressed")
                if f"{message_id}-{'suppressed' if is_suppressed else status}" not in reported:
                    yield violation_of("outcome not reported", f"{message_id} is {status}, and has no event", case)
            if f"{message_id}-sent" in reported and not _copies_of(case, message_id):
                yield violation_of("untrue event", f"{message_id} is reported as sent, and no copy left", case)


def a_suppressed_recipient_gets_nothing(findings: Findings) -> Iterator[Violation]:
    """Nothing leaves for a recipient on the list of suppressed addresses, and nobody else is on it."""
    bad = {
        case.mail.recipient
        for case in findings.cases.values()
        if any(report.event != "delivered" for report in case.reports)
    }
    for case in findings.cases.values():
        reasons = {row.get("reason") for row in case.rows.values() if row}
        if "suppressed" in reasons and not case.mail.is_suppressed and case.mail.recipient not in bad:
            yield violation_of("wrongly suppressed", "skipped as suppressed, and nothing has bounced", case)
        if case.mail.is_suppressed and case.copies:
            yield violation_of("sent though suppressed", "a suppressed recipient got a copy", case)


def values_in_hand_are_used(findings: Findings) -> Iterator[Violation]:
    """A process that has read its parameters does not wait, again and again, for a parameter store that is away."""
    world = findings.world
    known: defaultdict[str, set[str]] = defaultdict(set)
    waits: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    reported, lacking = set(), set()  # processes; those that lacked a value and were not answered
    frozen = world.scheduler.interrupted
    for process, start, end, names, answered in world.network.ssm_calls:
        if answered:
            known[process] |= names
        elif any(start <= moment <= end + FREEZE for moment in frozen):
            continue  # it was frozen before its call
        elif not names <= known[process]:
            lacking.add(process)
        elif process not in reported:
            waits[process] = [wait for wait in waits[process] if wait[0] > start - 15.0] + [(start, end)]
            total = sum(until - since for since, until in waits[process])
            if total > STORE_PATIENCE:
                reported.add(process)
                yield Violation("values not used", f"{process} waited {total:.1f} s for parameters that it had")
    if {fault.target for fault in world.history.faults} != {"ssm"} or world.history.interruptions:
        return
    for name, function in world.functions.items():
        for _, end, process, how in function.log:
            if how == "timed_out" and known[process] and process not in lacking:
                yield Violation(
                    "values not used", f"{process} of {name} timed out at {end - START:.1f}, values in hand"
                )
    ended = {(round(end, 6), name): process for _, end, process, _ in world.functions["webhook"].log for name in ("",)}
    for request in world.requests:
        process = ended.get((round(request.answered_at, 6), ""), "")
        before = any(
            p == process and answered and end < request.at for p, _, end, _, answered in world.network.ssm_calls
        )
        if request.mail.route == "webhook" and request.status != 200 and before:
            yield violation_of(
                "values not used", f"refused with {request.status}, though {process} had its values",
                findings.cases[request.mail.number],
            )  # fmt: skip


def no_function_crashes(findings: Findings) -> Iterator[Violation]:
    """Every invocation that is not ended from outside returns an answer.

    `feedback` is left out: where AWS itself invokes it, it raises so that AWS repeats the event.
    """
    for name in ("webhook", "rendered", "send", "deliver", "notify"):
        function = findings.world.functions[name]
        crashes = [(end, process) for _, end, process, how in function.log if how == "crashed"]
        if crashes:
            end, process = crashes[0]
            yield Violation("function crashed", f"{process} of {name} at {end - START:.2f}, {len(crashes)} times")


def no_batch_of_records_runs_out_of_time(findings: Findings) -> Iterator[Violation]:
    """`deliver` ends before its timeout, unless it was frozen: else its records wait for their visibility timeout."""
    interrupted = findings.world.scheduler.interrupted
    for started, end, process, how in findings.world.functions["deliver"].log:
        if how == "timed_out" and not any(started <= moment <= end + FREEZE for moment in interrupted):
            yield Violation("timed out", f"{process}, invoked at {started - START:.2f}")


def no_message_multiplies(findings: Findings) -> Iterator[Violation]:
    """An outage puts each message back now and then; it does not make more and more of them.

    Unless SQS does: a message that it hands out twice is put back twice. One in five, as here, it does nowhere else.
    """
    if findings.world.history.duplicates:
        return
    sent = sum(queue.sent for queue in findings.world.queues.values())
    if sent > SENT_PER_MAIL * len(findings.cases):
        yield Violation("message storm", f"{sent} messages were put on the queues for {len(findings.cases)} mails")


def limits_hold_and_catch_nobody_else(findings: Findings) -> Iterator[Violation]:
    """A mailbox gets five codes of a kind in ten minutes, and a code is limited only where it asked for as many.

    Unless the ledger fails: a batch whose checks were cut short is repeated with all of its members.
    """
    groups: defaultdict[tuple[str, str, str], list[Case]] = defaultdict(list)
    for case in findings.cases.values():
        if case.mail.is_code:
            mailbox = re.sub(r"\+[^@]*", "", case.mail.recipient)
            groups[case.mail.tenant, mailbox, case.mail.kind].append(case)
    is_ledger_away = any(fault.target == "dynamodb" for fault in findings.world.history.faults)
    for cases in groups.values():
        times = sorted(case.copies[0].at for case in cases if case.copies)
        if not is_ledger_away and any(
            later - earlier < WINDOW for earlier, later in zip(times, times[CODES_PER_KIND:], strict=False)
        ):
            yield violation_of("limit exceeded", f"{len(times)} codes of a kind for one mailbox", cases[-1])
        limited = [case for case in cases if any(map(_is_limited, case.rows.values()))]
        if limited and len(cases) <= CODES_PER_KIND:
            yield violation_of("limited too early", f"one of {len(cases)} codes for one mailbox", limited[0])


def _is_limited(row: Mapping[str, Any] | None) -> bool:
    return row is not None and (row["status"], row.get("reason")) == ("skipped", "rate_limited")


def nothing_secret_is_written(findings: Findings) -> Iterator[Violation]:
    """No code, link or address in a log line; no code or link in the ledger."""
    lines = wiring.Logger.lines or []
    for case in findings.cases.values():
        for line in lines:
            if case.mail.code in line or case.mail.recipient in line:
                yield violation_of("leak", f"a log line holds a code or an address: {line[:200]}", case)
                break
    if wiring.Logger.lines is not None:
        rows = str(findings.world.table.items)
        for case in findings.cases.values():
            if case.mail.code in rows:
                yield violation_of("leak", "the ledger holds a code", case)


RULES: tuple[Rule, ...] = (
    every_accepted_message_has_an_outcome,
    no_message_dies_of_an_outage,
    an_idempotent_provider_leaves_no_doubt,
    no_recipient_gets_too_many_copies,
    nothing_leaves_after_it_has_expired,
    no_dead_code_leaves_after_its_successor,
    no_live_code_is_dropped,
    a_retry_is_the_same_request,
    every_code_is_prompt_while_all_is_well,
    every_live_code_leaves_soon_after_recovery,
    every_code_fails_over,
    no_gate_outlives_its_cause,
    the_ledger_is_true,
    every_outcome_is_reported,
    a_suppressed_recipient_gets_nothing,
    values_in_hand_are_used,
    no_function_crashes,
    no_batch_of_records_runs_out_of_time,
    no_message_multiplies,
    limits_hold_and_catch_nobody_else,
    *ARRIVAL_RULES,
    nothing_secret_is_written,
)


def violations(world: World) -> list[Violation]:
    """Return every violation of every rule."""
    findings = Findings.of(world)
    return [violation for rule in RULES for violation in rule(findings)]


def _copies_of(case: Case, message_id: str) -> list[Copy]:
    return [copy for copy in case.copies if copy.offer.message_id == message_id]


def _is_batch_in_doubt(findings: Findings, case: Case, copy: Copy, moment: float) -> bool:
    """Return whether the request of a copy is one for many mails that was, or may have been, made before `moment`.

    The ledger knows a batch by its claims, so one whose claims were written and whose request never left is in doubt,
    too: where an answer of the ledger was lost or late.
    """
    if copy.offer.key in ("", copy.offer.message_id):
        return False
    was_asked = any(offer.key == copy.offer.key and offer.started_at < moment for offer in case.offers)
    faults = (fault for fault in findings.world.history.faults if fault.target == "dynamodb")
    return was_asked or any(AWS_FAULTS[fault.kind] and START + fault.start < moment for fault in faults)


def _accounts_in_trouble(history: History) -> set[str] | None:
    """Return the accounts that fail in a history, or limit their rate; None where more than accounts fails."""
    targets = {fault.target for fault in history.faults}
    if targets & {"dynamodb", "sqs", "ssm"} or history.interruptions or history.duplicates:
        return None
    return targets | ({"resend"} if history.requests_per_second else set())


def _must_leave(case: Case) -> bool:
    """Return whether a copy of this mail must leave: it was accepted, and nothing but our own fault keeps it back."""
    # `suppressed`: an earlier mail to the same recipient has bounced; see a_suppressed_recipient_gets_nothing.
    is_owed = _is_owed(case, ("superseded", "expired", "suppressed", "rate_limited"))
    return is_owed and not any(row["status"] == "unknown" for row in case.rows.values() if row)


def _is_owed(case: Case, excuses: Collection[str]) -> bool:
    """Return whether a code was accepted, is for nobody who refuses it, and was not skipped for one of `excuses`."""
    mail = case.mail
    if not mail.is_code or mail.is_suppressed or mail.tenant in ("broken", "slow") or not case.accepted:
        return False
    skipped = {row.get("reason") for row in case.rows.values() if row and row["status"] == "skipped"}
    return not skipped & set(excuses) and not case.was_rejected
