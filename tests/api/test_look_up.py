"""Look-ups of a message's status and timeline."""

import json
import re
import time
from typing import Any

import pytest

from mailroom.ledger.table import Ledger
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.smtp import SmtpSandbox
from tests.api.client import Client, code, notice

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_a_look_up_returns_the_timeline_and_nothing_private(client: Client) -> None:
    client.sandbox.faults.add("resend", Fault(Kind.STATUS, 503))
    sent = client.send(**code(to="ada.lovelace@reader.example"))

    answer = client.http("GET", f"/v1/emails/{sent.body['message_id']}")

    assert answer.status == 200
    facts = dict(answer.body)
    timeline, created_at = facts.pop("timeline"), facts.pop("created_at")
    assert facts == sent.body | {"tenant": "default", "kind": "sign-in-code", "to": "a•••@reader.example"}
    assert all(MOMENT.fullmatch(moment) for moment in (created_at, *(entry["at"] for entry in timeline)))
    received, first, second = timeline
    assert (received["event"], received["detail"], received["at"]) == ("received", "from direct", created_at)
    assert (first["provider"], first["answer"]) == ("resend", "http_503")
    assert (second["provider"], second["answer"], second["status"]) == ("resend", "accepted", "sent")
    assert "KX4242" not in repr(answer)
    assert "lovelace" not in repr(answer)


@pytest.mark.parametrize("provider", ["resend", "smtp", "http"])
@pytest.mark.parametrize(
    "quote", ["body was 'Your code is K7QX-9P'", "K7QX9P or 482-913", "app.example/r?token=S3cret"]
)
def test_what_a_provider_quotes_of_a_mail_is_in_no_timeline_and_no_log(
    client: Client, relay: SmtpSandbox, provider: str, quote: str
) -> None:
    settings = relay.settings() if provider == "smtp" else client.sandbox.settings(provider)
    for name, value in settings.items():
        client.put(f"providers/{provider}/{name}", value)
    client.put("senders/default/auth", json.dumps({"from": "no-reply@example.com", "providers": [provider]}))
    refusal = f"4.7.1 {quote}" if provider == "smtp" else json.dumps({"message": quote})
    status = 451 if provider == "smtp" else 429
    client.sandbox.faults.add(provider, Fault(Kind.REPLY, status, body=refusal), count=50)  # all retries as well

    sent = client.send(**code("K7QX9P", data={"code": "K7QX9P", "link": "https://app.example/r?token=S3cret"}))
    answer = client.http("GET", f"/v1/emails/{sent.body['message_id']}")

    details = [entry["detail"] for entry in answer.body["timeline"] if "answer" in entry]
    assert len(details) > 1
    assert all("…" in detail for detail in details)
    for shown in (repr(answer), client.log, repr(client.rows())):
        assert [part for part in ("K7QX", "482-913", "app.example", "S3cret") if part in shown] == []


def test_a_queued_mail_can_be_looked_up_before_it_is_delivered(client: Client) -> None:
    queued = client.send(**notice(mode="queued"))
    path = f"/v1/emails/{queued.body['message_id']}"
    assert client.http("GET", path).body["status"] == "accepted"

    for parcel in client.queued("notices"):
        client.service.delivery.deliver(parcel, time.time() + 20)

    assert client.http("GET", path).body["status"] == "sent"


def test_a_look_up_of_a_failed_mail_returns_the_reason(client: Client) -> None:
    client.put("providers/resend/api_key", "wrong")
    failed = client.send(**code())
    answer = client.http("GET", f"/v1/emails/{failed.body['message_id']}")
    assert (answer.body["status"], answer.body["reason"]) == ("failed", "bad_key")


@pytest.mark.parametrize(
    "id_", ["0" * 32, "x", "%20", "batch", "message#1", "a" * 500, "0" * 31 + "G", "0" * 32 + "\n"]
)
def test_an_unknown_id_is_one_plain_sentence(client: Client, id_: str) -> None:
    answer = client.http("GET", f"/v1/emails/{id_}")
    assert answer.status == 404
    assert answer.body == {"status": "refused", "errors": [{"field": "id", "message": "There is no such email."}]}


def test_a_crash_is_answered_without_its_details(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "KX4242"

    def crash(*_: Any) -> None:
        raise ZeroDivisionError(secret)

    monkeypatch.setattr(Ledger, "read", crash)
    answer = client.http("GET", "/v1/emails/" + "0" * 32)

    assert (answer.status, answer.headers["retry-after"]) == (500, "5")
    assert answer.body["status"] == "refused"
    assert client.logged("Request not completed: unexpected error")[0]["error"] == "ZeroDivisionError"
    assert secret not in client.log + repr(answer)


def test_without_its_ledger_a_look_up_is_a_503(client: Client) -> None:
    client.aws.call("dynamodb", "DeleteTable", {"TableName": "ledger"})
    answer = client.http("GET", "/v1/emails/" + "0" * 32)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
