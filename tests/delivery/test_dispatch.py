"""The order and the number of attempts along a chain, with providers that answer as a test defines."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace

import pytest

from mailroom.delivery.dispatch import MAX_REQUEST_SECONDS, Dispatch
from mailroom.delivery.gate import CLOSED_SECONDS, FAILURES_IN_A_ROW
from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import Mailbox
from mailroom.model.message import Message, Parcel
from mailroom.model.outcome import Outcome, Status
from mailroom.providers import Receipt
from mailroom.settings import Settings
from tests.factories import NOW, Clock

EMAIL = Email(Mailbox("no-reply@example.com"), "ada@example.com", "s", "<p>h</p>", "t")
FAR = NOW + 1000


class Speaker:
    """A provider that answers from a script, the last line for ever, and records the requests."""

    def __init__(self, name: str, *script: DeliveryError | Receipt, idempotent: bool = False) -> None:
        self.name, self.script, self.idempotent = name, list(script), idempotent
        self.asked: list[str] = []

    def send(self, email: Email, key: str) -> Receipt:
        self.asked.append(key)
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, DeliveryError):
            raise answer
        return answer


class NoSettings(Settings):
    """Settings in which every provider has nothing set; counts how often it was told to read anew."""

    def __init__(self) -> None:
        self.refreshed = 0

    def provider(self, name: str) -> dict[str, str]:
        return {}

    def refresh(self) -> None:
        self.refreshed += 1


def dispatch(*speakers: Speaker, clock: Clock | None = None) -> Dispatch:
    clock = clock or Clock()
    values: Mapping[str, str] = {}
    return Dispatch(NoSettings(), clock, clock.sleep, {}, {speaker.name: (values, speaker) for speaker in speakers})


def parcel(lane: Lane = Lane.CODES, *, attempt: int = 0, doubts: tuple[str, ...] = ()) -> Parcel:
    kind = "sign-in-code" if lane is Lane.CODES else "notification"
    message = Message("id-1", "default", kind, "ada@example.com", {}, NOW, NOW + 600, "logto")
    return Parcel(message, EMAIL, attempt, doubts, lane, requests=attempt)


def send(parcel: Parcel, *speakers: Speaker) -> tuple[Outcome, tuple[str, ...]]:
    return dispatch(*speakers).send(parcel, EMAIL, [speaker.name for speaker in speakers], FAR)


def down(wait: float | None = None) -> TemporaryFailure:
    return TemporaryFailure("p", "down", retry_after=wait)


silent = UnknownOutcome("p", "no_answer")
bad_key = ConfigurationError("p", "bad_key")
refused = PermanentFailure("p", "invalid_recipient")
taken = Receipt("provider-id")


def test_an_attempt_is_recorded_under_the_name_of_its_account() -> None:
    failing = Speaker("smtp", TemporaryFailure("smtp", "busy"))
    chain = dispatch()
    chain.providers["smtp.acme"] = ({}, failing)
    outcome, _ = chain.send(parcel(), EMAIL, ["smtp.acme"], FAR)
    assert [attempt.provider for attempt in outcome.tries] == ["smtp.acme"]


def test_the_first_provider_takes_it_and_the_second_is_never_asked() -> None:
    first, second = Speaker("first", taken), Speaker("second", taken)
    outcome, doubts = send(parcel(), first, second)
    assert (outcome.status, outcome.provider, outcome.provider_id, doubts) == (Status.SENT, "first", "provider-id", ())
    assert (first.asked, second.asked) == (["id-1"], [])


def test_an_id_that_is_too_long_for_an_index_is_cut() -> None:
    outcome, _ = send(parcel(), Speaker("first", Receipt("x" * 3000)))
    assert outcome.provider_id == "x" * 512


def test_no_request_starts_for_which_the_ledger_has_left_no_time() -> None:
    clock, first = Clock(), Speaker("first", taken)

    def permit(account: str, offered: tuple[str, ...]) -> str:
        clock.sleep(6.0)
        return ""

    deadline = clock() + MAX_REQUEST_SECONDS + 5.0
    outcome, doubts = dispatch(first, clock=clock).send(parcel(), EMAIL, ["first"], deadline, permit)
    assert (outcome.status, outcome.reason, doubts, first.asked) == (Status.ACCEPTED, "no_time_left", (), [])


def test_an_account_that_may_have_the_mail_from_a_batch_is_not_asked_again() -> None:
    first, second = Speaker("first", taken, idempotent=True), Speaker("second", down())
    doubtful = replace(parcel(doubts=("first",)), batch_account="first")
    outcome, doubts = send(doubtful, first, second)
    assert (outcome.status, doubts, first.asked) == (Status.ACCEPTED, ("first",), [])


def test_a_rejected_mail_is_offered_to_nobody_else() -> None:
    second = Speaker("second", taken)
    outcome, _ = send(parcel(), Speaker("first", refused), second)
    assert (outcome.status, outcome.reason, second.asked) == (Status.FAILED, "invalid_recipient", [])


@pytest.mark.parametrize("error", [down(), down(3600.0), bad_key])
def test_a_code_goes_to_the_next_provider_at_once(error: DeliveryError) -> None:
    outcome, _ = send(parcel(), Speaker("first", error), Speaker("second", taken))
    assert (outcome.status, outcome.provider) == (Status.SENT, "second")
    assert [(t.provider if t.answer == "accepted" else "", t.answer) for t in outcome.tries] == [
        ("", error.code),
        ("second", "accepted"),
    ]


def test_a_notice_waits_for_its_own_provider_first_and_then_takes_the_next() -> None:
    second = Speaker("second", taken)
    outcome, _ = send(parcel(Lane.NOTICES), Speaker("first", down()), second)
    assert (outcome.status, outcome.retry_in, second.asked) == (Status.ACCEPTED, 1, [])
    outcome, _ = send(parcel(Lane.NOTICES, attempt=3), Speaker("first", down()), second)
    assert outcome.status is Status.SENT


@pytest.mark.parametrize("error", [down(3600.0), bad_key])
def test_a_notice_does_not_wait_for_a_quota_or_an_operator(error: DeliveryError) -> None:
    outcome, _ = send(parcel(Lane.NOTICES), Speaker("first", error), Speaker("second", taken))
    assert outcome.status is Status.SENT


@pytest.mark.parametrize(
    ("lane", "expected"),
    [(Lane.CODES, [1, 3, 10, 20, 20, 20]), (Lane.NOTICES, [1, 3, 10, 30, 60, 900])],
)
def test_retries_come_soon_first_and_then_more_slowly(lane: Lane, expected: list[float]) -> None:
    delays = [send(parcel(lane, attempt=n), Speaker("only", down()))[0].retry_in for n in (0, 1, 2, 3, 4, 50)]
    assert delays == expected


def test_the_wait_that_a_provider_states_is_kept() -> None:
    assert send(parcel(), Speaker("only", down(42.0)))[0].retry_in == 42.0
    assert [send(parcel(attempt=n), Speaker("only", down(2.0)))[0].retry_in for n in (0, 1, 3, 50)] == [2, 3, 10, 10]


def test_the_soonest_of_several_waits_counts() -> None:
    outcome, _ = send(parcel(), Speaker("first", down(3600.0)), Speaker("second", down(5.0)))
    assert outcome.retry_in == 5.0


def test_a_bad_key_is_read_anew_and_tried_once_more() -> None:
    only = Speaker("only", bad_key, taken)
    post = dispatch(only)
    outcome, _ = post.send(parcel(), EMAIL, ["only"], FAR)
    assert outcome.status is Status.SENT
    assert isinstance(post.settings, NoSettings)
    assert post.settings.refreshed == 1


def test_a_mail_that_may_not_leave_any_more_is_not_offered_again_after_a_bad_key() -> None:
    only, reasons = Speaker("only", bad_key, taken), ["", "superseded"]
    outcome, _ = dispatch(only).send(parcel(), EMAIL, ["only"], FAR, lambda account, offered: reasons.pop(0))
    assert (outcome.status, outcome.reason, only.asked) == (Status.SKIPPED, "superseded", ["id-1"])


def test_a_key_that_is_rejected_slowly_is_read_anew_for_the_next_attempt_only() -> None:
    clock, asked = Clock(), list[float]()

    class Slow(Speaker):
        def send(self, email: Email, key: str) -> Receipt:
            asked.append(clock())
            clock.now += 5.0
            return super().send(email, key)

    post = dispatch(Slow("only", bad_key, taken), clock=clock)
    outcome, _ = post.send(parcel(), EMAIL, ["only"], FAR)
    assert (outcome.status, outcome.reason, asked) == (Status.ACCEPTED, "bad_key", [NOW])
    assert isinstance(post.settings, NoSettings)
    assert post.settings.refreshed == 1


@pytest.mark.parametrize(("seconds", "is_repeated"), [(0.5, True), (5.0, False)], ids=["quickly", "slowly"])
def test_a_batch_whose_key_is_rejected_slowly_is_not_repeated_at_once(seconds: float, *, is_repeated: bool) -> None:
    clock = Clock()

    class Batches(Speaker):
        def send_batch(self, emails: Sequence[Email], key: str) -> list[Receipt]:
            clock.now += seconds
            return [self.send(email, key) for email in emails]

    only = Batches("only", bad_key, taken)
    post = dispatch(only, clock=clock)
    with nullcontext() if is_repeated else pytest.raises(ConfigurationError):
        post.send_batch("only", [EMAIL, EMAIL], "key")
    assert len(only.asked) == (3 if is_repeated else 1)
    assert isinstance(post.settings, NoSettings)
    assert post.settings.refreshed == 1


def test_silence_from_one_that_knows_our_key_is_asked_again_before_anyone_else() -> None:
    first, second = Speaker("first", silent, idempotent=True), Speaker("second", taken)
    outcome, doubts = send(parcel(), first, second)
    assert (outcome.status, outcome.retry_in, doubts, second.asked) == (Status.ACCEPTED, 1, ("first",), [])


def test_silence_twice_lets_a_code_go_to_the_next_but_not_a_notice() -> None:
    first, second = Speaker("first", silent, idempotent=True), Speaker("second", taken)
    assert send(parcel(doubts=("first",)), first, second)[0].provider == "second"
    outcome, _ = send(parcel(Lane.NOTICES, doubts=("first",)), first, second)
    assert (outcome.status, outcome.retry_in) == (Status.ACCEPTED, 1)


def test_the_one_in_doubt_is_asked_first_wherever_it_stands_in_the_chain() -> None:
    first, second = Speaker("first", taken), Speaker("second", taken, idempotent=True)
    assert send(parcel(doubts=("second",)), first, second)[0].provider == "second"


def test_without_idempotency_a_code_gets_one_more_copy_and_a_notice_none() -> None:
    only = Speaker("only", silent)
    outcome, doubts = send(parcel(), only)
    assert (outcome.status, doubts) == (Status.ACCEPTED, ("only",))
    outcome, _ = send(parcel(doubts=doubts), only)
    assert (outcome.status, len(only.asked)) == (Status.UNKNOWN, 2)
    outcome, _ = send(parcel(Lane.NOTICES), Speaker("only", silent))
    assert outcome.status is Status.UNKNOWN


def test_two_silent_providers_are_enough() -> None:
    first, second, third = Speaker("first", silent), Speaker("second", silent), Speaker("third", taken)
    outcome, _ = send(parcel(), first, second, third)
    assert (outcome.status, third.asked) == (Status.UNKNOWN, [])


def test_a_dead_provider_is_left_alone_for_a_while_and_then_asked_once() -> None:
    clock = Clock()
    dead = Speaker("dead", down())
    post = dispatch(dead, Speaker("alive", taken), clock=clock)
    for _ in range(FAILURES_IN_A_ROW + 10):
        assert post.send(parcel(), EMAIL, ["dead", "alive"], FAR)[0].provider == "alive"
    assert len(dead.asked) == FAILURES_IN_A_ROW
    clock.now += CLOSED_SECONDS + 1
    post.send(parcel(), EMAIL, ["dead", "alive"], FAR)
    assert len(dead.asked) == FAILURES_IN_A_ROW + 1


def test_a_short_wait_that_a_provider_states_is_slept_through() -> None:
    clock = Clock()
    post = dispatch(Speaker("only", Receipt("1", wait=1.0), taken), clock=clock)
    post.send(parcel(), EMAIL, ["only"], FAR)
    assert post.send(parcel(), EMAIL, ["only"], FAR)[0].status is Status.SENT
    assert clock.now == NOW + 1.0


def test_no_try_is_begun_that_could_not_end_in_time() -> None:
    only = Speaker("only", taken)
    outcome, _ = dispatch(only).send(parcel(), EMAIL, ["only"], NOW + 5)
    assert (outcome.status, outcome.reason, only.asked) == (Status.ACCEPTED, "no_time_left", [])
