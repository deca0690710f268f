"""Repeated requests: one request is one mail, in spite of retries, concurrency and crashes."""

import threading
import time
from typing import Any

import pytest

from mailroom.ledger.table import LEASE_SECONDS
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.smtp import SmtpSandbox
from tests.api.client import Client, code, notice

DAY = 24 * 3600


class Clock:
    """A clock that a test can put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock(client: Client) -> Clock:
    clock = Clock()
    client.service.clock = client.service.delivery.clock = clock
    return clock


def test_the_same_key_and_request_get_the_same_response(client: Client) -> None:
    request = code(idempotency_key="order-1")
    first = client.send(**request)

    assert client.send(**dict(reversed(request.items()))) == first
    assert client.invoke(request) == first.body
    assert len(client.mails()) == 1
    assert len(client.logged("Idempotent replay")) == 2


def test_the_idempotency_key_may_be_a_header(client: Client) -> None:
    first = client.http("POST", "/v1/emails", code(), idempotency_key="order-1")

    assert client.send(**code(idempotency_key="order-1")).body == first.body
    assert client.http("POST", "/v1/emails", code(idempotency_key="order-1"), idempotency_key="order-1") == first
    assert client.http("POST", "/v1/emails", code(idempotency_key=None), idempotency_key="order-1") == first
    both = client.http("POST", "/v1/emails", code(idempotency_key="order-1"), idempotency_key="order-2")
    assert (both.status, both.body["errors"][0]["field"]) == (422, "idempotency-key")


@pytest.mark.parametrize(
    "change",
    [{"to": "other@reader.example"}, {"kind": "sign-up-code"}, {"data": {"code": "1"}}, {"mode": "queued"}],
    ids=lambda change: next(iter(change)),
)
def test_the_same_key_for_another_mail_is_refused(client: Client, change: dict[str, Any]) -> None:
    client.send(**code(idempotency_key="order-1"))

    answer = client.send(**(code(idempotency_key="order-1") | change))

    assert answer.status == 409
    assert "retry-after" not in answer.headers
    assert [error["field"] for error in answer.body["errors"]] == ["idempotency_key"]
    assert len(client.mails()) == 1


def test_a_key_belongs_to_its_tenant(client: Client) -> None:
    default = client.send(**code(idempotency_key="order-1"))
    acme = client.send(**code(idempotency_key="order-1", tenant="acme"))

    assert default.body["message_id"] != acme.body["message_id"]
    assert len(client.mails()) == 2


def test_a_key_is_kept_for_a_day(client: Client, clock: Clock) -> None:
    first = client.send(**notice(idempotency_key="order-1"))
    clock.ahead = DAY - 60
    assert client.send(**notice(idempotency_key="order-1")) == first

    clock.ahead = DAY + 60
    second = client.send(**notice(idempotency_key="order-1"))

    assert second.body["message_id"] != first.body["message_id"]
    assert len(client.mails()) == 2


def test_a_repeated_request_does_not_reveal_a_later_bounce(client: Client) -> None:
    first = client.send(**code(idempotency_key="order-1"))
    key = {"pk": {"S": f"message#{first.body['message_id']}"}}
    update = {
        "UpdateExpression": "SET #status = :status, #reason = :reason",
        "ExpressionAttributeNames": {"#status": "status", "#reason": "reason"},
        "ExpressionAttributeValues": {":status": {"S": "bounced"}, ":reason": {"S": "mailbox_full"}},
    }
    client.aws.call("dynamodb", "UpdateItem", {"TableName": "ledger", "Key": key, **update})

    assert client.send(**code(idempotency_key="order-1")) == first
    assert client.http("GET", f"/v1/emails/{first.body['message_id']}").body["status"] == "bounced"


def test_a_failed_mail_is_sent_when_its_request_is_repeated(client: Client) -> None:
    client.sandbox.faults.add("resend", Fault(Kind.STATUS, 422))
    first = client.send(**code(idempotency_key="order-1"))

    second, third = client.send(**code(idempotency_key="order-1")), client.send(**code(idempotency_key="order-1"))

    assert (first.status, second.status) == (502, 200)
    assert first.body["message_id"] != second.body["message_id"]
    assert third == second
    assert len(client.mails()) == 1


def test_a_failed_mail_keeps_its_key_from_another_mail(client: Client) -> None:
    client.sandbox.faults.add("resend", Fault(Kind.STATUS, 422))
    client.send(**code(idempotency_key="order-1"))
    assert client.send(**code(value="KX5353", idempotency_key="order-1")).status == 409


def deliver_queued(client: Client, queue: str) -> None:
    """Deliver what is on a queue, as the deliver function does."""
    for parcel in client.queued(queue):
        client.service.delivery.deliver(parcel, client.service.clock() + 20)


@pytest.mark.thorough
@pytest.mark.parametrize("request_", [code(idempotency_key="order-1"), notice(idempotency_key="order-1")])
def test_during_an_outage_a_key_is_accepted_and_afterwards_sent(client: Client, request_: dict[str, Any]) -> None:
    client.sandbox.faults.add("resend", Fault(Kind.STATUS, 503), 50)
    first, repeated = client.send(**request_), client.send(**request_)
    assert (first.status, first.body["status"]) == (202, "accepted")
    assert repeated == first
    assert client.mails() == []

    client.sandbox.faults.clear()
    deliver_queued(client, "codes")
    deliver_queued(client, "notices")
    afterwards = client.send(**request_)

    (mail,) = client.mails()
    sent = {"message_id": first.body["message_id"], "status": "sent", "provider": "resend", "provider_id": mail.id}
    assert afterwards[:2] == (200, sent)
    assert client.queued("codes") == client.queued("notices") == []


@pytest.mark.thorough
def test_after_an_outage_beyond_its_lifetime_a_mail_is_unknown(client: Client, clock: Clock) -> None:
    client.sandbox.faults.add("resend", Fault(Kind.STATUS, 503), 50)
    request = code(idempotency_key="order-1", expires_in=120)
    first = client.send(**request)

    clock.ahead = 121
    deliver_queued(client, "codes")
    client.sandbox.faults.clear()
    afterwards = client.send(**request)

    assert (afterwards.status, afterwards.body["status"]) == (504, "unknown")
    assert afterwards.body["message_id"] == first.body["message_id"]
    assert client.mails() == []


@pytest.mark.parametrize("mode", ["inline", "queued"])
def test_a_skipped_mail_stays_skipped_when_its_request_is_repeated(client: Client, clock: Clock, mode: str) -> None:
    client.remove("providers/resend/api_key")
    request = code(idempotency_key="order-1", mode=mode)
    first = client.send(**request)
    deliver_queued(client, "codes")

    repeated = client.send(**request)

    skipped = {"message_id": first.body["message_id"], "status": "skipped", "reason": "email_not_configured"}
    assert repeated[:2] == (200, skipped)


def test_a_mail_that_may_have_been_sent_is_not_sent_again(client: Client, relay: SmtpSandbox) -> None:
    client.put("senders/default/auth", '{"from": "no-reply@example.com", "providers": ["smtp"]}')
    for name, value in relay.settings().items():
        client.put(f"providers/smtp/{name}", value)
    client.sandbox.faults.add("smtp", Kind.RESET_AFTER_ACCEPT)
    first = client.send(**notice(idempotency_key="order-1"))
    assert (first.status, first.body["status"]) == (504, "unknown")

    assert client.send(**notice(idempotency_key="order-1")) == first
    assert len(client.mails()) == 1


def test_a_request_repeated_while_the_first_one_runs_is_a_conflict(client: Client) -> None:
    request = code(idempotency_key="order-1")
    client.sandbox.faults.add("resend", Kind.HOLD)
    running = threading.Thread(target=client.function, args=(request,))
    running.start()
    client.sandbox.faults.wait_paused()

    concurrent = client.new_process().send(**request)

    client.sandbox.faults.release()
    running.join()
    assert (concurrent.status, concurrent.headers["retry-after"]) == (409, "1")
    after = client.send(**request)
    assert (after.status, after.body["status"]) == (200, "sent")
    assert len(client.mails()) == 1


def die(*_: Any, **__: Any) -> None:
    raise SystemExit


def test_a_repeated_request_finishes_the_message_of_a_crashed_process(
    client: Client, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies after the provider took the mail and before that was written down."""
    request = code(idempotency_key="order-1")
    with monkeypatch.context() as dying:
        dying.setattr(client.service.delivery.ledger, "finish", die)
        with pytest.raises(SystemExit):
            client.invoke(request)
    (mail,) = client.mails()
    assert client.send(**request).status == 409

    clock.ahead = LEASE_SECONDS + 1
    answer = client.send(**request)

    assert (answer.status, answer.body["status"]) == (200, "sent")
    assert answer.body["message_id"] == mail.message_id
    assert len(client.mails()) == 1


@pytest.mark.parametrize("request_", [code(idempotency_key="order-1"), code()], ids=["with a key", "without"])
def test_a_process_that_crashed_before_sending_loses_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch, request_: dict[str, Any]
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(client.service.delivery.ledger, "claim", die)
        with pytest.raises(SystemExit):
            client.invoke(request_)
    assert client.mails() == []

    assert client.send(**request_).body["status"] == "sent"
    assert len(client.mails()) == 1


def test_a_message_of_a_crashed_process_is_not_sent_after_it_expired(
    client: Client, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = code(idempotency_key="order-1", expires_in=30)
    with monkeypatch.context() as dying:
        dying.setattr(client.service.delivery.ledger, "claim", die)
        with pytest.raises(SystemExit):
            client.invoke(request)
    clock.ahead = 31

    answer = client.send(**request)

    assert (answer.status, answer.body["status"], answer.body["reason"]) == (200, "skipped", "expired")
    assert client.mails() == []


def test_without_a_key_the_same_content_within_a_minute_is_one_mail(client: Client, clock: Clock) -> None:
    first = client.send(**code())
    second = client.send(**code(locale="de"))

    assert second.body == {"message_id": first.body["message_id"], "status": "skipped", "reason": "duplicate"}
    clock.ahead = 61
    assert client.send(**code()).body["status"] == "sent"
    assert len(client.mails()) == 2


def test_without_a_key_other_content_is_another_mail(client: Client) -> None:
    for request in (code(), code(value="KX5353"), notice(), notice(title="Your receipt"), code(to="b@reader.example")):
        assert client.invoke(request)["status"] == "sent"
    assert len(client.mails()) == 5


def test_without_a_key_a_failed_mail_is_sent_when_its_request_is_repeated(client: Client) -> None:
    client.sandbox.faults.add("resend", Fault(Kind.STATUS, 422))
    first = client.send(**code())
    second = client.send(**code())

    assert (first.body["status"], second.body["status"]) == ("failed", "sent")
    assert first.body["message_id"] != second.body["message_id"]


def test_without_a_key_an_unconfigured_mail_is_sent_once_a_provider_is_set_up(client: Client) -> None:
    key = client.sandbox.settings("resend")["api_key"]
    client.remove("providers/resend/api_key")
    assert client.invoke(code())["reason"] == "email_not_configured"

    client.put("providers/resend/api_key", key)
    client.refresh()

    assert client.invoke(code())["status"] == "sent"


def test_an_older_code_is_not_sent_after_a_newer_one(client: Client, clock: Clock) -> None:
    clock.ahead = 31
    assert client.invoke(code(value="222222"))["status"] == "sent"
    clock.ahead = 0
    assert client.invoke(code(value="111111"))["reason"] == "superseded"


def test_a_caller_states_whether_a_code_replaces_earlier_ones(client: Client, clock: Clock) -> None:
    older, newer = code(value="111111"), code(value="222222")
    clock.ahead = 5
    client.invoke(newer | {"supersedes": True})
    clock.ahead = 0
    assert client.invoke(older)["reason"] == "superseded"
    clock.ahead = 3600
    client.invoke(newer | {"supersedes": False, "idempotency_key": "keeps older ones"})
    clock.ahead = 3540
    assert client.invoke(older | {"idempotency_key": "older"})["status"] == "sent"


def test_a_queued_mail_whose_request_is_repeated_is_sent_once(client: Client) -> None:
    request = code(mode="queued", idempotency_key="order-1")
    first, second = client.send(**request), client.send(**request)

    assert first == second
    outcomes = [client.service.delivery.deliver(parcel, time.time() + 20) for parcel in client.queued("codes")]
    assert [outcome.status for outcome in outcomes if outcome] == ["sent"]
    (mail,) = client.mails()
    current = {"message_id": mail.message_id, "status": "sent", "provider": "resend", "provider_id": mail.id}
    assert client.send(**request)[:2] == (200, current)
    assert client.queued("codes") == []
    assert len(client.mails()) == 1


def test_without_a_key_a_repeated_queued_request_is_a_duplicate(client: Client) -> None:
    first = client.send(**code(mode="queued"))
    deliver_queued(client, "codes")

    assert client.send(**code(mode="queued")).body == {
        "message_id": first.body["message_id"],
        "status": "skipped",
        "reason": "duplicate",
    }


def test_deduplication_rows_contain_nothing_private(client: Client) -> None:
    client.send(**code(idempotency_key="reader@reader.example-KX4242"))
    client.send(**code(value="KX5353"))

    rows = [row for row in client.rows() if row["pk"].startswith("asked#")]
    assert len(rows) == 2
    assert {name for row in rows for name in row} == {"pk", "message", "said", "created", "ttl"}
    for secret in ("KX4242", "KX5353", "reader@"):
        assert secret not in repr(client.rows())


def test_a_request_is_deduplicated_across_processes(client: Client) -> None:
    first = client.send(**code(idempotency_key="order-1"))
    assert client.new_process().send(**code(idempotency_key="order-1")) == first


def test_two_repetitions_of_a_failed_request_become_one_new_message(client: Client) -> None:
    """Two callers without a key ask again after the same failure: they get one mail."""
    client.sandbox.faults.add("resend", Fault(Kind.STATUS, 422))
    client.send(**code())
    second, third = client.send(**code()), client.send(**code())

    assert second.body["status"] == "sent"
    assert (third.body["status"], third.body["message_id"]) == ("skipped", second.body["message_id"])
    assert len(client.mails()) == 1
