"""Dead letters of outcome events: listed, queued again for another day, or dropped."""

import time

import boto3
import pytest

from mailroom.aws.client import Aws
from mailroom.callbacks.queue import OutcomeQueue, QueuedEvent
from mailroom_ops.errors import InvalidInput
from mailroom_ops.ledger.dead_letters import Verdict
from mailroom_ops.ledger.outcome_letters import OutcomeLetters
from tests.callbacks.process import outcome_event, queued_events


@pytest.fixture
def queue(aws: Aws, outcomes: pytest.MonkeyPatch) -> OutcomeQueue:
    return OutcomeQueue.from_env(aws)


@pytest.fixture
def letters(queue: OutcomeQueue) -> OutcomeLetters:
    """Two events that no endpoint accepted, and one message that nobody can read."""
    for number in (1, 2):
        queue.dead_letter(QueuedEvent(outcome_event(number), time.time() - 90_000, 100))
    queue.aws.call("sqs", "SendMessage", {"QueueUrl": queue.dead_letter_url, "MessageBody": "not an event"})
    return OutcomeLetters(boto3.client("sqs"), queue.dead_letter_url, queue.url, wait_seconds=0)


def test_a_dead_letter_shows_its_event_and_stays(letters: OutcomeLetters) -> None:
    found = sorted(letters.read(), key=lambda letter: letter.verdict)
    assert [letter.verdict for letter in found] == [Verdict.READY, Verdict.READY, Verdict.UNREADABLE]
    mails = [mail for letter in found for mail in letter.mails]
    assert {(mail.tenant, mail.kind, mail.attempt) for mail in mails} == {("acme", "message.sent", 100)}
    assert len(list(letters.read())) == 3


def test_a_replay_gives_each_event_another_day(aws: Aws, letters: OutcomeLetters) -> None:
    plan = list(letters.read())
    assert len(list(letters.replay(plan))) == 3
    queued = queued_events(aws)
    assert {item.event for item in queued} == {outcome_event(1), outcome_event(2)}
    assert all(item.attempts == 0 and time.time() - item.queued_at < 60 for item in queued)
    assert [letter.verdict for letter in letters.read()] == [Verdict.UNREADABLE]


def test_a_dropped_event_is_gone(aws: Aws, letters: OutcomeLetters) -> None:
    assert len(list(letters.drop(list(letters.read())))) == 3
    assert list(letters.read()) == []
    assert queued_events(aws) == []


def test_an_event_has_no_lifetime_to_extend(letters: OutcomeLetters) -> None:
    with pytest.raises(InvalidInput, match="no lifetime to extend"):
        list(letters.replay([], extend=60))
