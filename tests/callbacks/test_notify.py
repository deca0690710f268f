"""The notify function: events are posted, signed, retried for a day, and kept in the end."""

from dataclasses import replace

from mailroom.callbacks.queue import QueuedEvent
from mailroom_ops.web.server import Request, Response
from tests.callbacks.process import Notify, outcome_event
from tests.callbacks.receivers import OTHER_SECRET, SECRET, Receiver, receiving

DAY = 24 * 3600.0
CLOSED = "http://127.0.0.1:9/outcomes"


def test_an_event_is_posted_as_the_standard_defines(notify: Notify) -> None:
    event = replace(outcome_event(provider="resend", idempotency_key="order-1"), at=1_800_000_000.5)
    with receiving(Receiver(SECRET)) as receiver:
        notify.set("acme", receiver.url, SECRET)
        assert notify(event) == []
    assert receiver.ids == [event.id]
    assert receiver.events == [
        {
            "type": "message.sent",
            "timestamp": "2027-01-15T08:00:00.500Z",
            "data": {
                "message_id": event.message_id,
                "tenant": "acme",
                "kind": "sign-in-code",
                "recipient": "hash-of-the-address",
                "idempotency_key": "order-1",
                "provider": "resend",
            },
        }
    ]
    assert not notify.put_back
    assert not notify.dead


def test_a_rotation_signs_with_both_keys_so_no_event_is_refused(notify: Notify) -> None:
    with receiving(Receiver(SECRET)) as new, receiving(Receiver(OTHER_SECRET)) as old:
        for receiver in (new, old):
            notify.set("acme", receiver.url, SECRET, OTHER_SECRET)
            notify(outcome_event())
    assert len(new.events) == len(old.events) == 1


def test_the_address_is_posted_only_while_its_tenant_wants_it(notify: Notify) -> None:
    event = outcome_event(address="reader@example.com")
    with receiving(Receiver(SECRET)) as receiver:
        notify.set("acme", receiver.url, SECRET, include_address=True)
        notify(event)
        notify.set("acme", receiver.url, SECRET)
        notify(event)
    assert [event["data"].get("address") for event in receiver.events] == ["reader@example.com", None]


def test_a_retry_has_the_same_id_and_the_same_body(notify: Notify) -> None:
    with receiving(Receiver(SECRET, status=500)) as receiver:
        notify.set("acme", receiver.url, SECRET)
        notify(outcome_event())
        ((queued, _),) = notify.put_back
        notify(queued)
    first, second = receiver.events
    assert first == second
    assert len(set(receiver.ids)) == 1
    assert notify.put_back[-1][0].attempts == 2


def test_an_event_waits_longer_after_each_refusal_and_no_more_than_15_minutes(notify: Notify) -> None:
    waits = []
    with receiving(Receiver(SECRET, status=503)) as receiver:
        notify.set("acme", receiver.url, SECRET)
        for attempts in range(7):
            notify.notifier.breakers.clear()
            notify(QueuedEvent(outcome_event(attempts), notify.clock(), attempts))
            waits.append(notify.put_back[-1][1])
    limits = (5, 30, 120, 300, 900, 900, 900)
    assert all(0.8 * limit <= wait <= limit for wait, limit in zip(waits, limits, strict=True))


def test_the_wait_that_an_endpoint_states_is_kept(notify: Notify) -> None:
    with receiving(Receiver(SECRET, status=429, headers={"retry-after": "77"})) as receiver:
        notify.set("acme", receiver.url, SECRET)
        notify(outcome_event())
    assert notify.put_back[0][1] == 77


def test_an_event_that_is_refused_for_a_day_becomes_a_dead_letter(notify: Notify) -> None:
    notify.set("acme", CLOSED, SECRET)
    queued = QueuedEvent(outcome_event(), notify.clock() - DAY + 60, 90)
    assert notify(queued) == []
    assert notify.dead == [replace(queued, attempts=91)]
    assert notify.put_back == []
    assert notify.logged("Outcome event given up: it is a dead letter")


def test_an_endpoint_that_is_gone_gets_no_second_request(notify: Notify) -> None:
    with receiving(Receiver(SECRET, status=410)) as receiver:
        notify.set("acme", receiver.url, SECRET)
        notify(*(outcome_event(number) for number in range(5)))
    assert len(notify.dead) == len(receiver.events) == 5


def test_an_event_of_a_tenant_without_a_callback_is_dropped(notify: Notify) -> None:
    assert notify(outcome_event()) == []
    assert not notify.put_back
    assert not notify.dead
    assert notify.logged("Outcome event dropped: its tenant takes none")


def test_an_event_of_a_type_that_is_not_taken_is_dropped(notify: Notify) -> None:
    with receiving(Receiver(SECRET)) as receiver:
        notify.set("acme", receiver.url, SECRET, events=["message.bounced"])
        notify(outcome_event(1), outcome_event(2, type_="message.bounced"))
    assert [event["type"] for event in receiver.events] == ["message.bounced"]


def test_a_malformed_callback_keeps_its_events_until_it_is_corrected(notify: Notify) -> None:
    notify.set("acme", "ftp://example.com", SECRET)
    notify(outcome_event())
    assert [(queued.attempts, queued.event) for queued, _ in notify.put_back] == [(1, outcome_event())]
    (line,) = [line for line in notify.logged() if line.get("code") == "malformed"]
    assert line["detail"].startswith("callbacks/acme is malformed, url must be an https address")


def test_a_dead_endpoint_gets_one_request_for_many_events(notify: Notify) -> None:
    notify.set("acme", CLOSED, SECRET)
    notify(*(outcome_event(number) for number in range(10)))
    assert [line.get("reason") for line in notify.logged() if line["message"].startswith("Outcome event")] == [
        "unreachable (ConnectionRefusedError)",
        *["breaker_open"] * 9,
    ]
    assert [queued.attempts for queued, _ in notify.put_back] == [1, *[0] * 9]


def test_one_refused_event_stops_no_other_of_its_endpoint(notify: Notify) -> None:
    class Picky(Receiver):
        def answer(self, request: Request) -> Response:
            response = super().answer(request)
            return replace(response, status=500 if len(self.events) == 1 else 204)

    with receiving(Picky(SECRET)) as receiver:
        notify.set("acme", receiver.url, SECRET)
        notify(*(outcome_event(number) for number in range(5)))
    assert len(receiver.events) == 5
    assert len(notify.put_back) == 1


def test_a_breaker_lets_one_request_probe_and_opens_for_longer_if_it_fails(notify: Notify) -> None:
    notify.set("acme", CLOSED, SECRET)
    opened = []
    for _ in range(8):
        notify(outcome_event())
        (breaker,) = notify.notifier.breakers.values()
        opened.append(breaker.wait(notify.clock()))
        notify.clock.sleep(opened[-1])
    assert opened == [15, 30, 60, 120, 240, 480, 900, 900]


def test_a_dead_endpoint_delays_no_event_of_another_tenant(notify: Notify) -> None:
    with receiving(Receiver(SECRET)) as receiver:
        notify.set("acme", CLOSED, SECRET)
        notify.set("globex", receiver.url, SECRET)
        notify(*(outcome_event(n, tenant=("acme", "globex")[n % 2]) for n in range(10)))
    assert len(receiver.events) == 5
    assert {queued.event.tenant for queued, _ in notify.put_back} == {"acme"}


def test_events_of_one_tenant_are_posted_in_the_order_of_their_times(notify: Notify) -> None:
    with receiving(Receiver(SECRET)) as receiver:
        notify.set("acme", receiver.url, SECRET)
        notify(*(outcome_event(number) for number in (3, 1, 2)))
    assert receiver.ids == [outcome_event(number).id for number in (1, 2, 3)]


def test_an_event_for_which_no_time_is_left_goes_back_without_an_attempt(notify: Notify) -> None:
    notify.set("acme", CLOSED, SECRET)
    notify.set_seconds_left(10)
    notify(outcome_event())
    assert [(queued.attempts, delay) for queued, delay in notify.put_back] == [(0, 0)]


def test_a_record_that_cannot_be_read_stays_and_stops_no_other(notify: Notify) -> None:
    with receiving(Receiver(SECRET)) as receiver:
        notify.set("acme", receiver.url, SECRET)
        assert notify("not JSON", outcome_event(), '{"event": {}}') == ["0", "2"]
    assert len(receiver.events) == 1


def test_no_log_line_contains_an_address_a_url_or_a_secret(notify: Notify) -> None:
    with receiving(Receiver(SECRET, status=500)) as receiver:
        notify.set("acme", receiver.url, SECRET, include_address=True)
        notify(outcome_event(address="reader@example.com"))
    text = str(notify.logged())
    assert "reader" not in text
    assert "127.0.0.1" not in text
    assert SECRET[6:] not in text
