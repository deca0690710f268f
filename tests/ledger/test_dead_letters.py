"""Dead letters by the hundreds: each mail ends with the right status, and no recipient gets it twice."""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice
from typing import Any

import pytest

from mailroom.aws.dynamodb import encode
from mailroom.delivery.batch import Batch
from mailroom.delivery.seal import seal
from mailroom.ledger.hashes import keyed_hash
from mailroom.model.email import Email
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import Mailbox
from mailroom.model.message import Message, Parcel, new_id
from mailroom.model.outcome import Outcome, Status
from mailroom_ops.errors import InvalidInput
from mailroom_ops.ledger.dead_letters import DeadLetters, Verdict
from mailroom_ops.ledger.queries import LedgerQueries
from mailroom_ops.ledger.stats import stats, total
from mailroom_ops.ledger.suppressions import add
from tests.factories import message
from tests.reports import FeedbackEndpoint
from tests.thorough import times

# Two hundred at a time, because moto counts the whole queue for each message that it returns.
ROUNDS = times(2, 5)
READY, EXPIRED, SUPPRESSED, SETTLED, DOUBTFUL = 30, 58, 10, 100, 2


@pytest.fixture
def letters(endpoint: FeedbackEndpoint) -> Iterator[DeadLetters]:
    queue = dead_letters(endpoint, Lane.NOTICES)
    yield queue
    list(queue.drop(queue.read()))


def dead_letters(endpoint: FeedbackEndpoint, lane: Lane) -> DeadLetters:
    queries = LedgerQueries(endpoint.stack.aws("dynamodb"), endpoint.table, 1, endpoint.key())
    blueprint = endpoint.stack.stack.blueprint
    name = lane.title()
    urls = blueprint.queue_url(f"{name}DeadLetterQueue"), blueprint.queue_url(f"{name}Queue")
    return DeadLetters(endpoint.stack.aws("sqs"), queries, lane, *urls, wait_seconds=0)


def recorded(
    endpoint: FeedbackEndpoint, run: str, number: int, status: Status = Status.FAILED, **changes: Any
) -> Parcel:
    """Return a rendered parcel that ended with a status, recorded in the ledger."""
    return record(endpoint, [attempted(run, number, **changes)], status)[0]


def attempted(run: str, number: int, **changes: Any) -> Parcel:
    now = time.time()
    times = {"created_at": now - 600, "expires_at": now + 3600}
    mail = message(kind="security-notice", to=f"r{number}-{run}@example.com", **{**times, **changes})
    tags = {"message_id": mail.id}
    email = Email(Mailbox("no-reply@example.com"), mail.to, "Hello", "<p>Hello</p>", "Hello", tags=tags)
    return Parcel.of(mail).next_attempt(email)


def record(endpoint: FeedbackEndpoint, parcels: list[Parcel], status: Status) -> list[Parcel]:
    """Write the rows of parcels that ended with a status: the first through the ledger, the others like it."""
    first, now, key = parcels[0].message, time.time(), endpoint.key()
    endpoint.ledger.claim(parcels[0], key, "token", now)
    if status is not Status.ACCEPTED:
        endpoint.ledger.finish(first.id, "token", Outcome(status, "rate_limited"), now)
    row = endpoint.row(first.id)
    rows = [
        {**row, "pk": f"message#{mail.id}", "recipient": keyed_hash(key, mail.to), "lease": 0}
        for mail in (parcel.message for parcel in parcels)
    ]
    puts = [{"PutRequest": {"Item": {name: encode(value) for name, value in row.items()}}} for row in rows]
    for start in range(0, len(puts), 25):
        endpoint.aws.call("dynamodb", "BatchWriteItem", {"RequestItems": {endpoint.table: puts[start : start + 25]}})
    return [seal(parcel, key) for parcel in parcels]


def enqueue(letters: DeadLetters, bodies: list[str]) -> None:
    for start in range(0, len(bodies), 10):
        batch = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start : start + 10])]
        letters.sqs.send_message_batch(QueueUrl=letters.url, Entries=batch)  # type: ignore[arg-type]


def statuses(endpoint: FeedbackEndpoint, messages: list[Message]) -> Counter[str]:
    rows = dead_letters(endpoint, Lane.NOTICES).queries.rows([f"message#{mail.id}" for mail in messages])
    return Counter(f"{row['status']} {row.get('reason', '')}".strip() for row in rows)


@pytest.mark.thorough
def test_many_letters_each_end_with_the_right_status(endpoint: FeedbackEndpoint, letters: DeadLetters) -> None:
    run, now = new_id(), time.time()
    numbers = count()
    outcomes: defaultdict[str, list[Parcel]] = defaultdict(list)

    def create(outcome: str, number: int, status: Status, **changes: Any) -> list[Parcel]:
        parcels = record(endpoint, [attempted(run, next(numbers), **changes) for _ in range(number)], status)
        outcomes[outcome] += parcels
        return parcels

    enqueue(letters, ['{"message": "poison KX4829"}'])
    for number in range(1, ROUNDS + 1):
        batch = create("sent", READY, Status.FAILED)
        batch += create("skipped expired", EXPIRED, Status.ACCEPTED, expires_at=now - 1)
        batch += (suppressed := create("skipped suppressed", SUPPRESSED, Status.FAILED))
        batch += create("sent rate_limited", SETTLED, Status.SENT)
        doubtful = create("unknown rate_limited", DOUBTFUL, Status.UNKNOWN)
        batch += [replace(parcel, doubts=("sendgrid",)) for parcel in doubtful]
        for parcel in suppressed:
            add(letters.queries, parcel.message.tenant, parcel.message.to, {Lane.NOTICES: 30})
        enqueue(letters, [parcel.to_json() for parcel in batch])

        plan = list(letters.read())
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
        messages = [parcel.message for parcel in parcels]
        endpoint.stack.until(lambda: statuses(endpoint, messages) == {outcome: len(messages)}, timeout=60)  # noqa: B023
    mails = Counter(mail.to for mail in endpoint.stack.sandbox.inbox.all() if mail.to.endswith(f"-{run}@example.com"))
    assert mails == Counter(parcel.message.to for parcel in outcomes["sent"])
    left = Counter(letter.verdict for letter in letters.read())
    assert left == {Verdict.DOUBTFUL: ROUNDS * DOUBTFUL, Verdict.UNREADABLE: 1}


def test_a_doubtful_letter_is_sent_only_on_request(endpoint: FeedbackEndpoint, letters: DeadLetters) -> None:
    parcel = replace(recorded(endpoint, new_id(), 1, Status.UNKNOWN), doubts=("resend",))
    enqueue(letters, [parcel.to_json()])
    assert [letter.verdict for letter in letters.replay(letters.read())] == [Verdict.DOUBTFUL]
    list(letters.replay(letters.read(), doubtful=True))
    assert endpoint.stack.mail_to(parcel.message.to).message_id == parcel.message.id


def test_the_lifetime_of_a_notice_can_be_extended_and_not_that_of_a_code(
    endpoint: FeedbackEndpoint, letters: DeadLetters
) -> None:
    parcel = recorded(endpoint, new_id(), 1, expires_at=time.time() - 60)
    enqueue(letters, [parcel.to_json()])
    plan = list(letters.read())
    assert [letter.verdict for letter in plan] == [Verdict.EXPIRED]
    assert [letter.verdict for letter in letters.replay(plan, extend=3600)] == [Verdict.READY]
    assert endpoint.stack.mail_to(parcel.message.to).message_id == parcel.message.id
    with pytest.raises(InvalidInput, match="code"):
        next(dead_letters(endpoint, Lane.CODES).replay([], extend=60))


def test_the_failed_mails_of_a_batch_are_sent_by_a_replay(endpoint: FeedbackEndpoint, letters: DeadLetters) -> None:
    run = new_id()
    messages = [replace(recorded(endpoint, run, n).message, data={"title": "Hello"}) for n in range(3)]
    parcels = [seal(Parcel.of(message), endpoint.key()) for message in messages]
    enqueue(letters, [Batch(new_id(), tuple(parcels), Lane.NOTICES).to_json()])
    (letter,) = letters.read()
    assert {mail.id for mail in letter.mails} == {parcel.message.id for parcel in parcels}
    assert letter.verdict is Verdict.READY
    assert letter.delivery == "3 failed (rate_limited)"
    list(letters.replay([letter]))
    for mail in messages:
        assert endpoint.stack.mail_to(mail.to).message_id == mail.id
    endpoint.stack.until(lambda: statuses(endpoint, messages) == {"sent": 3})


def test_a_replayed_mail_counts_once_by_its_new_outcome(endpoint: FeedbackEndpoint, letters: DeadLetters) -> None:
    parcel = recorded(endpoint, new_id(), 0, tenant="counted")
    endpoint.ledger.tally.count_outcome("counted", Outcome(Status.FAILED, "rate_limited"))
    endpoint.ledger.tally.flush()
    enqueue(letters, [parcel.to_json()])

    def counted() -> dict[str, int]:
        now = time.time()
        hours = list(stats(letters.queries, now - 3600, now, "counted"))
        return {name: total(hours).of(name) for name in ("failed", "sent")}

    assert counted() == {"failed": 1, "sent": 0}
    list(letters.replay(letters.read()))
    endpoint.stack.until(lambda: counted() == {"failed": 0, "sent": 1})


def test_an_expired_mail_without_a_row_is_recorded_by_a_replay(
    endpoint: FeedbackEndpoint, letters: DeadLetters
) -> None:
    mail = message(kind="security-notice", expires_at=time.time() - 1)
    enqueue(letters, [seal(Parcel.of(mail), endpoint.key()).to_json()])
    assert [letter.verdict for letter in letters.replay(letters.read())] == [Verdict.READY]
    endpoint.stack.until(lambda: endpoint.row(mail.id).get("reason") == "expired")


def unrecorded(endpoint: FeedbackEndpoint) -> Parcel:
    """Return the parcel of a mail that was sent, of which the ledger has no end, after its lifetime."""
    parcel = recorded(endpoint, new_id(), 1, Status.ACCEPTED, expires_at=time.time() - 1)
    offer(endpoint, parcel, "smtp")
    outcome = Outcome(Status.SENT, "", "smtp", "queued-1")
    return seal(replace(parcel, email=None, settled=outcome, doubts=("smtp",)), endpoint.key())


def test_a_mail_whose_end_was_not_recorded_is_recorded_by_a_replay(
    endpoint: FeedbackEndpoint, letters: DeadLetters
) -> None:
    parcel = unrecorded(endpoint)
    enqueue(letters, [parcel.to_json()])
    (letter,) = letters.read()
    assert letter.delivery == "sent, not recorded in the ledger"
    assert [letter.verdict for letter in letters.replay([letter])] == [Verdict.READY]
    endpoint.stack.until(lambda: endpoint.row(parcel.message.id)["status"] == "sent")
    assert [mail.to for mail in endpoint.stack.sandbox.inbox.all() if mail.to == parcel.message.to] == []


def test_a_dropped_mail_whose_end_was_not_recorded_is_unknown(endpoint: FeedbackEndpoint, letters: DeadLetters) -> None:
    parcel = unrecorded(endpoint)
    enqueue(letters, [parcel.to_json()])
    list(letters.drop(letters.read()))
    assert endpoint.row(parcel.message.id)["status"] == "unknown"


def test_a_replayed_letter_belongs_to_its_tenant_in_the_queue(
    endpoint: FeedbackEndpoint, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    parcels = [recorded(endpoint, new_id(), n, Status.ACCEPTED, tenant=tenant) for n, tenant in enumerate("ab")]
    enqueue(letters, [parcel.to_json() for parcel in parcels])
    groups: list[str] = []
    calls = letters.sqs.meta.events
    calls.register(
        "provide-client-params.sqs.SendMessageBatch",
        lambda params, **_: groups.extend(entry.get("MessageGroupId", "") for entry in params["Entries"]),
        unique_id="groups",
    )
    list(letters.replay(letters.read()))
    calls.unregister("provide-client-params.sqs.SendMessageBatch", unique_id="groups")
    assert sorted(groups) == ["a", "b"]


def offer(endpoint: FeedbackEndpoint, parcel: Parcel, account: str) -> None:
    """Record what deliver records before a request to an account."""
    key, value = {"pk": {"S": f"message#{parcel.message.id}"}}, {":offered": encode([account])}
    update = {"UpdateExpression": "SET offered = :offered", "ExpressionAttributeValues": value}
    endpoint.aws.call("dynamodb", "UpdateItem", {"TableName": endpoint.table, "Key": key, **update})


def test_a_mail_that_no_provider_was_asked_to_send_was_never_sent(
    endpoint: FeedbackEndpoint, letters: DeadLetters
) -> None:
    """SQS moves a message after ten receives, whatever the ledger knows of it by then."""
    run = new_id()
    unrecorded, accepted = attempted(run, 1), recorded(endpoint, run, 2, Status.ACCEPTED)
    enqueue(letters, [unrecorded.to_json(), accepted.to_json()])
    plan = {letter.mails[0].id: letter for letter in letters.read()}
    assert plan[unrecorded.message.id].delivery == "never sent, not in the ledger"
    assert plan[accepted.message.id].delivery == "never sent"
    assert {letter.verdict for letter in plan.values()} == {Verdict.READY}


def test_a_mail_that_a_provider_may_have_sent_is_doubtful(endpoint: FeedbackEndpoint, letters: DeadLetters) -> None:
    run = new_id()
    accepted, failed = recorded(endpoint, run, 1, Status.ACCEPTED), recorded(endpoint, run, 2)
    for parcel in (accepted, failed):
        offer(endpoint, parcel, "smtp")
    enqueue(letters, [accepted.to_json(), failed.to_json()])
    plan = {letter.mails[0].id: letter for letter in letters.read()}
    assert plan[accepted.message.id].delivery == "may have been sent by smtp"
    assert plan[failed.message.id].delivery == "failed (rate_limited), may have been sent by smtp"
    assert {letter.verdict for letter in letters.replay(plan.values())} == {Verdict.DOUBTFUL}
    assert len(list(letters.read())) == 2


def test_a_mail_that_was_sent_in_spite_of_an_offer_is_settled(endpoint: FeedbackEndpoint, letters: DeadLetters) -> None:
    parcel = recorded(endpoint, new_id(), 1, Status.SENT)
    offer(endpoint, parcel, "smtp")
    enqueue(letters, [parcel.to_json()])
    (letter,) = letters.read()
    assert letter.verdict is Verdict.SETTLED
    assert letter.delivery == "sent (rate_limited)"


@pytest.mark.parametrize("action", ["drop", "replay"])
def test_a_mail_that_may_have_been_sent_ends_as_unknown(
    endpoint: FeedbackEndpoint, letters: DeadLetters, action: str
) -> None:
    parcel = recorded(endpoint, new_id(), 1, Status.ACCEPTED, expires_at=time.time() - 1)
    offer(endpoint, parcel, "smtp")
    enqueue(letters, [parcel.to_json()])
    list(getattr(letters, action)(letters.read()))
    row = endpoint.row(parcel.message.id)
    assert (row["status"], row["reason"]) == ("unknown", {"drop": "dropped", "replay": "expired"}[action])
    assert list(letters.read()) == []


def test_an_offer_after_the_plan_counts(endpoint: FeedbackEndpoint, letters: DeadLetters) -> None:
    """Another copy of the parcel may be on its way while an operator decides."""
    parcel = recorded(endpoint, new_id(), 1, Status.ACCEPTED)
    enqueue(letters, [parcel.to_json()])
    judge = DeadLetters._judge

    def judge_too_early(queue: DeadLetters, batch: list[Any], extend: float = 0) -> Iterator[Any]:
        judged = list(judge(queue, batch, extend))
        offer(endpoint, parcel, "smtp")
        yield from judged

    plan = list(letters.read())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeadLetters, "_judge", judge_too_early)
        list(letters.drop(plan))
    assert endpoint.row(parcel.message.id)["status"] == "unknown"


def test_a_doubtful_batch_of_the_old_form_stays_doubtful(endpoint: FeedbackEndpoint, letters: DeadLetters) -> None:
    parcels = [json.loads(recorded(endpoint, new_id(), n, Status.ACCEPTED).to_json()) for n in range(2)]
    body = {"crate": new_id(), "lane": "notices", "attempt": 1, "doubted": True, "parcels": parcels}
    enqueue(letters, [json.dumps(body)])
    (letter,) = letters.read()
    assert letter.verdict is Verdict.DOUBTFUL


def test_only_the_letters_of_a_plan_are_dropped(endpoint: FeedbackEndpoint, letters: DeadLetters) -> None:
    run = new_id()
    first, second = recorded(endpoint, run, 1, Status.ACCEPTED), recorded(endpoint, run, 2, Status.ACCEPTED)
    enqueue(letters, [first.to_json()])
    plan = list(letters.read())
    enqueue(letters, [second.to_json()])
    assert [letter.mails[0].id for letter in letters.drop(plan)] == [first.message.id]
    row = endpoint.row(first.message.id)
    assert (row["status"], row["reason"]) == ("failed", "dropped")
    assert [letter.mails[0].id for letter in letters.read()] == [second.message.id]
