"""The sandbox is as strict as the providers, and injects faults."""

import json
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, TemporaryFailure
from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.providers import Receipt, load
from mailroom.providers.resend import Resend
from mailroom_ops.sandbox.faults import Kind
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.server import Sandbox

OVER_HTTP = ["resend", "sendgrid", "mailgun", "postmark", "http"]


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.url, timeout=10.0) as opened:
        yield opened


@pytest.fixture
def resend(sandbox: Sandbox) -> Resend:
    return Resend.from_settings(sandbox.settings("resend"))


def test_the_inbox_has_the_documented_fields(
    sandbox: Sandbox, client: httpx.Client, resend: Resend, email: Email
) -> None:
    resend.send(email, "1")

    [mail] = client.get("/inbox.json").json()
    assert set(mail) == {
        *("id", "message_id", "to", "from", "reply_to", "subject", "text", "html"),
        *("headers", "provider", "tenant", "kind", "locale", "received_at"),
    }
    assert client.delete("/inbox.json").status_code == 204
    assert client.get("/inbox.json").json() == []


def test_the_inbox_is_newest_first_and_calls_its_subscribers(sandbox: Sandbox, resend: Resend, email: Email) -> None:
    received: list[Captured] = []
    unsubscribe = sandbox.inbox.subscribe(received.append)
    resend.send(replace(email, subject="one"), "1")
    resend.send(replace(email, subject="two"), "2")
    unsubscribe()
    resend.send(replace(email, subject="three"), "3")

    assert [mail.subject for mail in sandbox.inbox.all()] == ["three", "two", "one"]
    assert [mail.subject for mail in received] == ["one", "two"]


@pytest.mark.parametrize("name", OVER_HTTP)
def test_a_rotated_key_is_refused(name: str, sandbox: Sandbox, email: Email) -> None:
    settings = sandbox.settings(name)
    [secret] = settings.keys() & {"api_key", "server_token", "secret"}
    other = "whsec_" + b64encode(b"x" * 24).decode() if name == "http" else "re_SG.key-other"

    with pytest.raises(ConfigurationError) as refusal:
        load(name, {**settings, secret: other}).send(email, "1")

    assert refusal.value.code == "bad_key"
    assert sandbox.inbox.all() == []


@pytest.mark.parametrize("name", ["resend", "sendgrid", "mailgun", "postmark"])
def test_a_sender_whose_domain_is_not_verified_is_refused(name: str, sandbox: Sandbox, email: Email) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load(name, sandbox.settings(name)).send(replace(email, from_=Mailbox("a@unverified.example")), "1")

    assert refusal.value.code == "unverified_sender"


def test_the_postmark_stub_refuses_a_recipient_that_bounced(sandbox: Sandbox, email: Email) -> None:
    with pytest.raises(PermanentFailure) as refusal:
        load("postmark", sandbox.settings("postmark")).send(replace(email, to="suppressed@example.com"), "1")

    assert refusal.value.code == "suppressed"


@pytest.mark.parametrize("name", OVER_HTTP)
def test_a_name_in_any_script_arrives_unchanged(name: str, sandbox: Sandbox, email: Email) -> None:
    provider = load(name, sandbox.settings(name))
    for key, shown in enumerate(
        ("Žluťoučký kůň, s.r.o.", "株式会社メール (東京)", 'Back\\slash; "quoted"', "مرحبا", "🦄 & Co.")
    ):
        provider.send(replace(email, from_=Mailbox("no-reply@example.com", shown), reply_to=None), str(key))

        assert sandbox.inbox.all()[0].from_ == f"{shown} <no-reply@example.com>"


@pytest.mark.parametrize("name", OVER_HTTP[:4])
def test_an_international_domain_is_sent_in_ascii(name: str, sandbox: Sandbox, email: Email) -> None:
    load(name, sandbox.settings(name)).send(replace(email, to="ada@bücher.example"), "1")

    assert sandbox.inbox.all()[0].to == "ada@xn--bcher-kva.example"


def test_the_resend_stub_takes_a_key_once(sandbox: Sandbox, resend: Resend, email: Email) -> None:
    first = resend.send(email, "1")

    assert resend.send(email, "1") == first
    assert resend.send(replace(email, subject="other"), "1") == Receipt("", repeated=True)
    assert len(sandbox.inbox.all()) == 1


def test_resend_delays_a_second_request_while_the_first_is_in_progress(
    sandbox: Sandbox, resend: Resend, email: Email
) -> None:
    sandbox.faults.add("resend", Kind.HOLD)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(resend.send, email, "1")
        sandbox.faults.wait_paused()
        with pytest.raises(TemporaryFailure) as busy:
            resend.send(email, "1")
        sandbox.faults.release()

        assert busy.value.code == "busy" and busy.value.retry_after
        assert first.result() == resend.send(email, "1")
    assert len(sandbox.inbox.all()) == 1


def test_the_resend_stub_takes_all_mails_of_a_batch_or_none(sandbox: Sandbox, resend: Resend, email: Email) -> None:
    mails = [replace(email, to=f"user{number}@example.com") for number in range(100)]
    receipts = resend.send_batch(mails, "batch-1")

    assert [mail.id for mail in reversed(sandbox.inbox.all())] == [receipt.id for receipt in receipts]
    assert [mail.to for mail in reversed(sandbox.inbox.all())] == [mail.to for mail in mails]
    assert resend.send_batch(mails, "batch-1") == receipts
    assert resend.send_batch(mails[:3], "batch-1") == [Receipt("", repeated=True)] * 3

    with pytest.raises(PermanentFailure):
        resend.send_batch([email, replace(email, subject="")], "batch-2")
    assert len(sandbox.inbox.all()) == 100
    assert sandbox.requests["resend"] == 4


def test_a_rate_limit_is_exact_and_described_in_headers(email: Email) -> None:
    with Sandbox(rates={"resend": 3}) as sandbox:
        resend = Resend.from_settings(sandbox.settings("resend"))
        waits: list[float] = []
        refusals: list[DeliveryError] = []
        while not refusals:
            try:
                waits.append(resend.send(email, f"{len(waits)}").wait)
            except TemporaryFailure as refusal:
                refusals.append(refusal)

    assert refusals[0].code == "rate_limited" and refusals[0].retry_after == 1.0
    assert waits[-1] == 1.0, "the last answer within the limit has the time to wait"


@pytest.mark.parametrize("name", OVER_HTTP)
def test_each_stub_sends_the_time_to_wait_in_its_providers_format(name: str, email: Email) -> None:
    with Sandbox(rates={name: 0}) as sandbox, pytest.raises(TemporaryFailure) as refusal:
        load(name, sandbox.settings(name)).send(email, "1")

    assert refusal.value.code == "rate_limited"
    assert refusal.value.retry_after and refusal.value.retry_after <= 3.0
    assert sandbox.inbox.all() == []


def test_faults_are_added_counted_and_cleared_over_http(
    sandbox: Sandbox, client: httpx.Client, resend: Resend, email: Email
) -> None:
    fault = {"provider": "resend", "kind": "status", "status": 503, "count": 2}
    assert client.post("/faults", json=fault).status_code == 204
    with pytest.raises(DeliveryError, match="http_503"):
        resend.send(email, "1")

    assert client.get("/faults").json() == {"pending": {"resend": ["status"]}, "requests": {"resend": 1}}
    assert client.delete("/faults").status_code == 204
    assert resend.send(email, "1").id


@pytest.mark.parametrize(
    "fault", [{}, [], {"provider": "resend", "kind": "?"}, {"provider": "?", "kind": "hang"}, {"kind": "hang"}]
)
def test_a_malformed_fault_is_refused_with_the_valid_values(client: httpx.Client, fault: Any) -> None:
    answer = client.post("/faults", json=fault)

    assert answer.status_code == 400
    assert "kind is one of" in answer.text or "unknown provider" in answer.text


def test_the_resend_stub_answers_as_specified(contracts: Path, sandbox: Sandbox, client: httpx.Client) -> None:
    whole = json.loads((contracts / "resend" / "resend.json").read_text())
    mail = {"from": "a@example.com", "to": "b@example.com", "subject": "s", "text": "t"}
    headers = {"Authorization": "Bearer re_sandbox"}

    for path, body in (("/emails", mail), ("/emails/batch", [mail, mail])):
        schema = whole["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        answer = client.post(f"/resend{path}", json=body, headers=headers).json()
        assert not list(Draft202012Validator({**schema, "components": whole["components"]}).iter_errors(answer))


def test_the_mailgun_stub_accepts_the_form_of_the_specification(sandbox: Sandbox, client: httpx.Client) -> None:
    form = {"from": (None, "Ü <a@example.com>"), "to": (None, "b@example.com"), "text": (None, "žluť")}
    answer = client.post("/mailgun/v3/example.com/messages", files=form, auth=("api", "key-sandbox"))

    assert answer.json()["message"] == "Queued. Thank you."
    assert (sandbox.inbox.all()[0].from_, sandbox.inbox.all()[0].text) == ("Ü <a@example.com>", "žluť")
