"""Hundreds of dead letters, in CI a thousand: each comes to the right end, and nobody gets a mail twice."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice
from typing import Any

import pytest

from mailroom.aws.dynamodb import encode
from mailroom.delivery.batches import Batch
from mailroom.ledger.table import keyed_hash
from mailroom.model.email import Email
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import Mailbox
from mailroom.model.message import Message, Parcel, new_id
from mailroom.model.outcome import Outcome, Status
from mailroom_ops.errors import InvalidInput
from mailroom_ops.ledger.dead_letters import DeadLetters, Verdict
from mailroom_ops.ledger.queries import LedgerQueries
from mailroom_ops.ledger.suppressions import add
from tests.factories import message
from tests.reports import Door
from tests.thorough import times

# Two hundred at a time: moto counts the whole queue for each message that it hands out.
ROUNDS = times(2, 5)
READY, EXPIRED, SUPPRESSED, SETTLED, DOUBTFUL = 30, 58, 10, 100, 2


@pytest.fixture
def letters(door: Door) -> Iterator[DeadLetters]:
    found = dead_letters(door, Lane.NOTICES)
    yield found
    list(found.drop(found.look()))


def dead_letters(door: Door, lane: Lane) -> DeadLetters:
    queries = LedgerQueries(door.stack.aws("dynamodb"), door.table, 1, door.key())
    blueprint = door.stack.stack.blueprint
    name = lane.title()
    urls = blueprint.queue_url(f"{name}DeadLetterQueue"), blueprint.queue_url(f"{name}Queue")
    return DeadLetters(door.stack.aws("sqs"), queries, lane, *urls, patience=0)


def buried(door: Door, run: str, number: int, status: Status = Status.FAILED, **changes: Any) -> Parcel:
    """Return a rendered parcel that deliver gave up, and what it wrote down of it."""
    return bury_in_ledger(door, [given_up(run, number, **changes)], status)[0]


def given_up(run: str, number: int, **changes: Any) -> Parcel:
    now = time.time()
    times = {"created_at": now - 600, "expires_at": now + 3600}
    said = message(kind="security-notice", to=f"r{number}-{run}@example.com", **{**times, **changes})
    tags = {"message_id": said.id}
    email = Email(Mailbox("no-reply@example.com"), said.to, "Hello", "<p>Hello</p>", "Hello", tags=tags)
    return Parcel.of(said).again(email)


def bury_in_ledger(door: Door, parcels: list[Parcel], status: Status) -> list[Parcel]:
    """Write the rows that deliver leaves behind: the first through the ledger, the others like it."""
    first, now, key = parcels[0].message, time.time(), door.key()
    door.ledger.claim(parcels[0], key, "token", now)
    if status is not Status.ACCEPTED:
        door.ledger.finish(first.id, "token", Outcome(status, "rate_limited"), now)
    row = door.row(first.id)
    rows = [
        {**row, "pk": f"message#{said.id}", "recipient": keyed_hash(key, said.to), "lease": 0}
        for said in (parcel.message for parcel in parcels)
    ]
    puts = [{"PutRequest": {"Item": {name: encode(value) for name, value in row.items()}}} for row in rows]
    for start in range(0, len(puts), 25):
        door.aws.call("dynamodb", "BatchWriteItem", {"RequestItems": {door.table: puts[start : start + 25]}})
    return parcels


def bury(letters: DeadLetters, bodies: list[str]) -> None:
    for start in range(0, len(bodies), 10):
        batch = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start : start + 10])]
        letters.sqs.send_message_batch(QueueUrl=letters.url, Entries=batch)  # type: ignore[arg-type]


def ended(door: Door, said: list[Message]) -> Counter[str]:
    rows = dead_letters(door, Lane.NOTICES).queries.rows([f"message#{one.id}" for one in said])
    return Counter(f"{row['status']} {row.get('reason', '')}".strip() for row in rows)


def test_hundreds_of_letters_each_come_to_the_right_end(door: Door, letters: DeadLetters) -> None:
    run, now = new_id(), time.time()
    numbers = count()
    outcomes: defaultdict[str, list[Parcel]] = defaultdict(list)

    def some(outcome: str, number: int, status: Status, **changes: Any) -> list[Parcel]:
        made = bury_in_ledger(door, [given_up(run, next(numbers), **changes) for _ in range(number)], status)
        outcomes[outcome] += made
        return made

    bury(letters, ['{"message": "poison KX4829"}'])
    for number in range(1, ROUNDS + 1):
        batch = some("sent", READY, Status.FAILED)
        batch += some("skipped expired", EXPIRED, Status.ACCEPTED, expires_at=now - 1)
        batch += (suppressed := some("skipped suppressed", SUPPRESSED, Status.FAILED))
        batch += some("sent rate_limited", SETTLED, Status.SENT)
        doubtful = some("unknown rate_limited", DOUBTFUL, Status.UNKNOWN)
        batch += [replace(parcel, doubts=("sendgrid",)) for parcel in doubtful]
        for parcel in suppressed:
            add(letters.queries, parcel.message.tenant, parcel.message.to, {Lane.NOTICES: 30})
        bury(letters, [parcel.to_json() for parcel in batch])

        plan = list(letters.look())
        assert Counter(letter.verdict for letter in plan) == {
            Verdict.READY: READY + SUPPRESSED,
            Verdict.EXPIRED: EXPIRED,
            Verdict.SETTLED: SETTLED,
            Verdict.DOUBTFUL: DOUBTFUL * number,
            Verdict.UNREADABLE: 1,
        }
        assert "KX4829" not in repr(plan)
        assert run not in repr(plan), "addresses are masked"
        if number == 1:
            list(islice(letters.replay(plan), 35))  # and there the operator loses the connection
        list(letters.replay(plan))

    for outcome, parcels in outcomes.items():
        said = [parcel.message for parcel in parcels]
        door.stack.until(lambda: ended(door, said) == {outcome: len(said)}, timeout=60)  # noqa: B023
    mails = Counter(mail.to for mail in door.stack.sandbox.inbox.all() if mail.to.endswith(f"-{run}@example.com"))
    assert mails == Counter(parcel.message.to for parcel in outcomes["sent"])
    left = Counter(letter.verdict for letter in letters.look())
    assert left == {Verdict.DOUBTFUL: ROUNDS * DOUBTFUL, Verdict.UNREADABLE: 1}


def test_a_doubtful_one_goes_if_asked_for_and_is_sent_as_policy_allows(door: Door, letters: DeadLetters) -> None:
    parcel = replace(buried(door, new_id(), 1, Status.UNKNOWN), doubts=("resend",))
    bury(letters, [parcel.to_json()])
    assert [letter.verdict for letter in letters.replay(letters.look())] == [Verdict.DOUBTFUL]
    list(letters.replay(letters.look(), doubtful=True))
    assert door.stack.mail_to(parcel.message.to).message_id == parcel.message.id


def test_a_notice_can_be_given_more_time_and_a_code_cannot(door: Door, letters: DeadLetters) -> None:
    parcel = buried(door, new_id(), 1, expires_at=time.time() - 60)
    bury(letters, [parcel.to_json()])
    plan = list(letters.look())
    assert [letter.verdict for letter in plan] == [Verdict.EXPIRED]
    assert [letter.verdict for letter in letters.replay(plan, extend=3600)] == [Verdict.READY]
    assert door.stack.mail_to(parcel.message.to).message_id == parcel.message.id
    with pytest.raises(InvalidInput, match="code"):
        next(dead_letters(door, Lane.CODES).replay([], extend=60))


def test_a_crate_is_looked_into_and_goes_back_as_it_is(door: Door, letters: DeadLetters) -> None:
    run = new_id()
    parcels = [replace(buried(door, run, n), email=None) for n in range(3)]
    parcels = [replace(parcel, message=replace(parcel.message, data={"title": "Hello"})) for parcel in parcels]
    bury(letters, [Batch(new_id(), tuple(parcels), Lane.NOTICES).to_json()])
    (letter,) = letters.look()
    assert ({mail.id for mail in letter.mails}, letter.verdict) == (
        {parcel.message.id for parcel in parcels},
        Verdict.READY,
    )
    list(letters.replay([letter]))
    for parcel in parcels:
        assert door.stack.mail_to(parcel.message.to).message_id == parcel.message.id


def test_a_mail_the_ledger_never_heard_of_is_written_down_even_if_it_is_too_late(
    door: Door, letters: DeadLetters
) -> None:
    said = message(kind="security-notice", expires_at=time.time() - 1)
    bury(letters, [Parcel.of(said).to_json()])
    assert [letter.verdict for letter in letters.replay(letters.look())] == [Verdict.READY]
    door.stack.until(lambda: door.row(said.id).get("reason") == "expired")


def test_what_is_dropped_has_failed_and_what_was_not_meant_stays(door: Door, letters: DeadLetters) -> None:
    run = new_id()
    first, second = buried(door, run, 1, Status.ACCEPTED), buried(door, run, 2, Status.ACCEPTED)
    bury(letters, [first.to_json()])
    plan = list(letters.look())
    bury(letters, [second.to_json()])
    assert [letter.mails[0].id for letter in letters.drop(plan)] == [first.message.id]
    assert (door.row(first.message.id)["status"], door.row(first.message.id)["reason"]) == ("failed", "dropped")
    assert [letter.mails[0].id for letter in letters.look()] == [second.message.id]
