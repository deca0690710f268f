"""The deliver function by its face: a parcel from a queue in, a mail at the provider and a truthful row out."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.model.message import Parcel
from mailroom.model.stored_files import pack
from mailroom.rendering.renderer import Renderer
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.server import Sandbox
from tests.cloud import put, waiting
from tests.delivery.process import Process
from tests.factories import code

ROOT = Path(__file__).parents[2]


def test_a_code_is_sent_in_the_readers_language_and_recorded(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    message = code()
    assert deliver.receive(Parcel.of(message)) == []
    (mail,) = sandbox.inbox.all()
    assert (mail.to, mail.message_id, mail.locale) == ("reader@reader.example", message.id, "de")
    assert "424242" in mail.text
    assert "424242" in mail.html
    found = deliver.row(message)
    assert (found["status"], found["provider"], found["provider_id"]) == ("sent", "resend", mail.id)
    (line,) = deliver.logged("Email sent successfully")
    facts = {"message_id": message.id, "provider": "resend", "provider_id": mail.id, "kind": "sign-in-code"}
    assert line.items() >= (facts | {"tenant": "default"}).items()
    assert line["duration_ms"] >= 0


def test_a_parcel_that_comes_twice_is_sent_once(deliver: Process, sandbox: Sandbox) -> None:
    parcel = Parcel.of(code())
    assert deliver.receive(parcel, parcel) == []
    assert deliver.receive(parcel) == []
    assert len(sandbox.inbox.all()) == 1


def test_an_expired_code_is_not_sent(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    message = code(age=601)
    assert deliver.receive(Parcel.of(message)) == []
    assert (deliver.row(message)["status"], deliver.row(message)["reason"]) == ("skipped", "expired")
    assert sandbox.inbox.all() == []


def test_an_older_code_is_not_sent_after_a_newer_one(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    older, newer = code("111111", age=40), code("222222")
    deliver.receive(Parcel.of(newer))
    deliver.receive(Parcel.of(older))
    assert [mail.message_id for mail in sandbox.inbox.all()] == [newer.id]
    assert (deliver.row(older)["status"], deliver.row(older)["reason"]) == ("skipped", "superseded")


def test_a_request_repeated_within_a_minute_is_one_mail(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    first, second = code(age=5), code()
    deliver.receive(Parcel.of(first), Parcel.of(second))
    assert [mail.message_id for mail in sandbox.inbox.all()] == [first.id]
    assert deliver.row(second)["reason"] == "duplicate"


def test_without_a_provider_nothing_is_sent_and_the_log_has_the_reason(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    aws.call("ssm", "DeleteParameter", {"Name": "/mailroom/development/providers/resend/api_key"})
    message = code()
    assert deliver.receive(Parcel.of(message)) == []
    assert deliver.row(message)["reason"] == "email_not_configured"
    (line,) = deliver.logged("Email skipped")
    assert (line["level"], line["reason"]) == ("WARNING", "email_not_configured")


def test_without_a_from_address_resend_sends_from_its_test_sender_and_the_log_warns(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    aws.call("ssm", "DeleteParameter", {"Name": "/mailroom/development/senders/default/auth"})
    deliver.receive(Parcel.of(code()))
    assert "onboarding@resend.dev" in sandbox.inbox.all()[0].from_
    assert "looks like spam" in deliver.log.getvalue()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Kind.STATUS, 429),
        Fault(Kind.STATUS, 500),
        Fault(Kind.STATUS, 503),
        Fault(Kind.GARBAGE),
        Fault(Kind.RESET_BEFORE_BODY),
        Fault(Kind.RESET_AFTER_ACCEPT),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_what_went_wrong_at_the_provider_is_tried_again_with_the_same_mail(
    deliver: Process, aws: Aws, sandbox: Sandbox, fault: Fault
) -> None:
    sandbox.faults.add("resend", fault)
    message = code()
    assert deliver.receive(Parcel.of(message)) == []
    assert deliver.row(message)["status"] == "accepted"
    (again,) = waiting(aws, "codes")
    assert (again.attempt, again.message.data) == (1, {})
    assert deliver.receive(again) == []
    (mail,) = sandbox.inbox.all()
    assert mail.message_id == message.id
    assert deliver.row(message)["status"] == "sent"
    assert len(deliver.row(message)["timeline"]) == 3


def test_a_refused_recipient_ends_at_once_and_truthfully(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    body = {"statusCode": 422, "name": "validation_error", "message": "Invalid `to` field: reader@reader.example"}
    sandbox.faults.add("resend", Fault(Kind.REPLY, 422, body=json.dumps(body)))
    message = code()
    assert deliver.receive(Parcel.of(message)) == []
    assert deliver.row(message)["status"] == "failed"
    assert waiting(aws, "codes") == []
    assert deliver.logged("Email failed")


def test_a_mail_that_was_not_sent_in_its_lifetime_is_a_dead_letter(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    sandbox.faults.add("resend", Fault(Kind.RATE_LIMIT, seconds=900))
    message = code(age=598)
    assert deliver.receive(Parcel.of(message)) == []
    assert deliver.row(message)["status"] == "failed"
    assert [parcel.message.id for parcel in waiting(aws, "codes_dead_letter")] == [message.id]


def test_a_stated_wait_of_an_hour_is_not_the_end_of_a_code(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    sandbox.faults.add("resend", Fault(Kind.RATE_LIMIT, seconds=3600))
    message = code()
    deliver.receive(Parcel.of(message))
    assert deliver.row(message)["status"] == "accepted"
    assert waiting(aws, "codes_dead_letter") == []


def test_a_malformed_setting_is_named_in_the_log_and_the_mail_waits(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    put(aws, "senders/default/auth", "{")
    message = code()
    assert deliver.receive(Parcel.of(message)) == []
    assert deliver.row(message)["status"] == "accepted"
    assert "senders/default/auth is malformed" in deliver.log.getvalue()


def test_a_parcel_nobody_can_read_stays_and_does_not_hold_up_the_next(deliver: Process, sandbox: Sandbox) -> None:
    good = Parcel.of(code())
    event = {
        "Records": [
            {"messageId": "bad", "receiptHandle": "h", "body": '{"code": "KX9876', "eventSourceARN": "x:codes"},
            {"messageId": "good", "receiptHandle": "h", "body": good.to_json(), "eventSourceARN": "x:codes"},
        ]
    }
    assert deliver.handler(event, deliver.context) == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    assert len(sandbox.inbox.all()) == 1
    assert "KX9876" not in deliver.log.getvalue()


def test_no_log_line_and_no_row_holds_anything_private(
    deliver: Process, aws: Aws, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    for fault in (Fault(Kind.STATUS, 422), Fault(Kind.STATUS, 500)):
        sandbox.faults.add("resend", fault)
    messages = [code("KX9876"), code("KX8765", kind="mfa-code"), code("KX7654", kind="bind-mfa-code")]
    deliver.receive(*map(Parcel.of, messages))
    written = deliver.log.getvalue() + capsys.readouterr().out + json.dumps([deliver.row(m) for m in messages])
    for canary in ("KX9876", "KX8765", "KX7654", "reader@reader.example", sandbox.settings("resend")["api_key"]):
        assert canary not in written


def test_a_broken_template_of_a_tenant_is_reported_and_the_mail_goes_out_in_ours(
    deliver: Process, aws: Aws, sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    templates = tmp_path / "templates"
    shutil.copytree(ROOT / "layers/templates", templates)
    own = templates / "tenants" / "acme" / "emails"
    own.mkdir(parents=True)
    (own / "sign-in-code.html").write_text("<p>{{ code }")
    deliver.delivery.renderer = Renderer(templates)
    message = code(tenant="acme")
    assert deliver.receive(Parcel.of(message)) == []
    assert "424242" in sandbox.inbox.all()[0].html
    (line,) = deliver.logged("Tenant template not usable, built-in template used instead")
    assert (line["tenant"], "sign-in-code.html" in line["why"]) == ("acme", True)
    assert '"reason":"template"' in capsys.readouterr().out


@pytest.fixture
def stored_texts(aws: Aws) -> None:
    """Acme's texts in the parameter store, with the switch of its brand."""
    put(aws, "brands/acme", '{"name": "Acme", "stored_templates": true}')
    put(aws, "templates/acme", pack({"texts.toml": '[sign-in-code]\nsubject = "Come in, {app}"'}))


def test_a_tenants_stored_texts_are_used_and_nobody_elses(
    deliver: Process, sandbox: Sandbox, stored_texts: None
) -> None:
    deliver.receive(Parcel.of(code("111111", tenant="acme")), Parcel.of(code("222222")))
    subjects = {mail.tenant: mail.subject for mail in sandbox.inbox.all()}
    assert (subjects["acme"], "Come in" in subjects["default"]) == ("Come in, Acme", False)


@pytest.mark.parametrize(
    ("stored", "headline", "detail"),
    [
        ("no files", "Cached settings stay in use", "templates/acme is malformed, it was not written by"),
        ("1:bm90IHppcHBlZA==", "Cached settings stay in use", "templates/acme is malformed, it is damaged"),
        (None, "Cached settings stay in use", "templates/acme is not set: mailroom templates push --tenant acme"),
        (pack({"emails/sign-in-code.html": "<p>{{ code }"}), "Tenant template not usable", "sign-in-code.html"),
        (pack({"emails/sign-in-code.html": "<p>No code</p>"}), "Tenant template not usable", "does not show the code"),
        (pack({"texts.toml": "[sign-in-code"}), "Tenant template not usable", "texts.toml"),
    ],
)
def test_broken_stored_texts_are_reported_and_every_mail_goes_out(
    deliver: Process,
    aws: Aws,
    sandbox: Sandbox,
    stored_texts: None,
    capsys: pytest.CaptureFixture[str],
    stored: str | None,
    headline: str,
    detail: str,
) -> None:
    if stored is None:
        aws.call("ssm", "DeleteParameter", {"Name": "/mailroom/development/templates/acme"})
    else:
        put(aws, "templates/acme", stored)
    assert deliver.receive(Parcel.of(code("111111", tenant="acme")), Parcel.of(code("222222"))) == []
    assert {mail.tenant: "111111" in mail.html for mail in sandbox.inbox.all()} == {"acme": True, "default": False}
    lines = [json.loads(line) for line in deliver.log.getvalue().splitlines()]
    (line,) = [line for line in lines if line["message"].startswith(headline)]
    assert detail in line.get("why", line.get("detail", ""))
    assert "Misconfigured" in capsys.readouterr().out


def test_texts_that_are_stored_cost_no_call_where_there_are_none(
    deliver: Process, aws: Aws, stored_texts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    call = Aws.call

    def record(self: Aws, service: str, operation: str, payload: dict[str, Any], **options: Any) -> Any:
        names.extend(payload.get("Names", ()))
        return call(self, service, operation, payload, **options)

    monkeypatch.setattr(Aws, "call", record)
    deliver.receive(Parcel.of(code("222222")), Parcel.of(code("333333", tenant="globex")))
    assert not [name for name in names if "templates/" in name]
    deliver.receive(*(Parcel.of(code(number, tenant="acme")) for number in ("111111", "444444")))
    assert [name for name in names if "templates/" in name] == ["/mailroom/development/templates/acme"]
