"""Responses to a single request, and their log lines."""

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import RFC_4122, UUID

import pytest

from mailroom.feedback.suppression import Cause, Suppressions
from mailroom.ledger.hashes import keyed_hash
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import canonical
from mailroom.model.message import Message
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.smtp import SmtpSandbox
from tests.api.client import Client, Response, code, notice
from tests.cloud import ROOT

RECORDED = "Code logged because RecordCodeOnFailure is enabled"


def test_an_inline_mail_is_sent_before_the_response(client: Client) -> None:
    answer = client.invoke(code(locale=["de", "en"]))

    (mail,) = client.mails()
    assert answer == {
        "message_id": mail.message_id,
        "status": "sent",
        "provider": "resend",
        "provider_id": mail.id,
    }
    assert (mail.to, mail.locale) == ("reader@reader.example", "de")
    assert "KX4242" in mail.text
    (line,) = client.logged("Email sent successfully")
    facts = {"level": "INFO", "message_id": mail.message_id, "provider": "resend", "provider_id": mail.id}
    assert line.items() >= facts.items()


@pytest.mark.parametrize(
    ("file", "before", "after", "place"),
    [
        ("locales/en.toml", "[common]\n", "[common]\noops = = 1\n", "locales/en.toml, line {}: Invalid value"),
        ("brand.toml", "\n", "\noops = = 1\n", "brand.toml, line {}: Invalid value"),
        ("layout.txt", "\n", "\n{{ oops }}\n", "layout.txt, line 2: cannot be rendered"),
    ],
)
def test_a_broken_template_or_text_file_is_named_with_its_line(
    client: Client, environment: pytest.MonkeyPatch, tmp_path: Path, file: str, before: str, after: str, place: str
) -> None:
    templates = shutil.copytree(ROOT / "layers" / "templates", tmp_path / "templates")
    environment.setenv("TEMPLATES_DIR", str(templates))
    text = (templates / file).read_text("utf-8")
    broken = text.replace(before, after, 1)
    (templates / file).write_text(broken, "utf-8")
    line = broken.partition("oops")[0].count("\n") + 1
    developer = client.new_process()

    answer = developer.invoke(code())

    assert (answer["status"], answer["reason"]) == ("failed", "malformed")
    (logged,) = developer.logged("Email failed")
    (attempt,) = logged["tries"]
    assert place.format(line) in attempt
    timeline = developer.http("GET", f"/v1/emails/{answer['message_id']}").body["timeline"]
    assert any(place.format(line) in entry.get("detail", "") for entry in timeline)
    (templates / file).write_text(text, "utf-8")
    assert developer.new_process().invoke(code())["status"] == "sent"


def test_a_request_over_http_gets_the_same_status(client: Client) -> None:
    answer = client.send(**code())

    (mail,) = client.mails()
    assert answer.status == 200
    assert answer.body == {
        "message_id": mail.message_id,
        "status": "sent",
        "provider": "resend",
        "provider_id": mail.id,
    }


def test_a_queued_mail_is_on_its_queue_when_the_response_arrives(client: Client) -> None:
    first = client.send(**code(mode="queued", tenant="acme", expires_in=90))
    second = client.send(**notice(mode="queued"))

    assert (first.status, first.body["status"]) == (202, "accepted")
    (parcel,) = client.queued("codes")
    message = parcel.message
    assert (message.id, message.tenant, message.source) == (first.body["message_id"], "acme", "direct")
    assert message.expires_at - message.created_at == 90
    assert [parcel.message.id for parcel in client.queued("notices")] == [second.body["message_id"]]
    assert client.mails() == []
    assert [line["message_id"] for line in client.logged("Accepted")] == [message.id, second.body["message_id"]]


def test_without_a_provider_the_caller_gets_success_and_the_log_a_warning(client: Client) -> None:
    client.remove("providers/resend/api_key")

    answer = client.send(**code())

    assert answer.status == 200
    assert (answer.body["status"], answer.body["reason"]) == ("skipped", "email_not_configured")
    (line,) = client.logged("Email skipped")
    assert (line["level"], line["reason"]) == ("WARNING", "email_not_configured")


def test_without_a_from_address_resend_uses_its_test_sender_with_a_warning(client: Client) -> None:
    client.remove("senders/default/auth")

    assert client.invoke(code())["status"] == "sent"

    assert "onboarding@resend.dev" in client.mails()[0].from_
    assert any("looks like spam" in line["message"] and line["level"] == "WARNING" for line in client.logged())


def suppress(client: Client, address: str) -> None:
    """Suppress an address for a day, as a bounce does."""
    recipient = keyed_hash(client.service.delivery.settings.address_key(), canonical(address))
    days = dict.fromkeys(Lane, 1)
    Suppressions(client.aws, "ledger").add("default", recipient, "", Cause.BOUNCE, days, "test", time.time())


def with_key(client: Client, to: str) -> list[Response]:
    request = notice(to=to, idempotency_key=f"order for {to}")
    answers = [client.send(**request), client.send(**request), client.send(**request | {"data": {"title": "Another"}})]
    assert answers[0].body == answers[1].body
    return answers


def without_key(client: Client, to: str) -> list[Response]:
    return [client.send(**request) for request in (code(to=to), code(to=to), code("other", to=to), notice(to=to))]


def by_queue(client: Client, to: str) -> list[Response]:
    return [client.send(**code(to=to, mode="queued")) for _ in range(2)]


def many(client: Client, to: str) -> list[Response]:
    results = client.invoke({"messages": [code(to=to), notice(to=to)]})["results"]
    return [Response(0, result, {}) for result in results]


def without_provider(client: Client, to: str) -> list[Response]:
    client.aws.call("ssm", "DeleteParameters", {"Names": ["/mailroom/development/providers/resend/api_key"]})
    client.refresh()
    return [client.send(**code(to=to))]


def with_malformed_sender(client: Client, to: str) -> list[Response]:
    client.put("senders/default/auth", "nobody")
    client.refresh()
    return [client.send(**code(to=to))]


@pytest.mark.parametrize(
    "ask",
    [with_key, without_key, by_queue, many, without_provider, with_malformed_sender],
    ids=lambda ask: ask.__name__,
)
def test_a_suppressed_recipient_gets_nothing_and_is_answered_like_any_other(
    client: Client, ask: Callable[[Client, str], list[Response]]
) -> None:
    suppress(client, "suppressed@reader.example")
    ordinary, suppressed = (list(map(shape, ask(client, f"{name}@reader.example"))) for name in ("other", "suppressed"))
    assert suppressed == ordinary
    assert {mail.to for mail in client.mails()} <= {"other@reader.example"}


def test_no_id_in_an_answer_shows_that_its_mail_was_not_sent(client: Client) -> None:
    suppress(client, "suppressed@reader.example")
    for to in ("other@reader.example", "suppressed@reader.example"):
        answer = client.send(**code(to=to)).body
        provider_id = UUID(answer["provider_id"])
        assert (provider_id.version, provider_id.variant) == (4, RFC_4122), "as Resend's"
        assert provider_id.hex != answer["message_id"]


def shape(answer: Response) -> tuple[int, dict[str, str], set[str]]:
    """Return what a stranger could learn from an answer: of ids, only their form."""
    forms = {
        name: re.sub("[0-9a-f]", "x", answer.body[name])
        for name in ("message_id", "provider_id")
        if name in answer.body
    }
    return answer.status, answer.body | forms, set(answer.headers)


def test_the_log_names_a_suppressed_recipient_as_the_reason(client: Client) -> None:
    suppress(client, "reader@reader.example")
    client.send(**code())
    (line,) = client.logged("Email skipped")
    assert (line["reason"], "provider" in line) == ("suppressed", False)


def test_a_look_up_reveals_that_the_recipient_is_suppressed(client: Client) -> None:
    suppress(client, "reader@reader.example")

    look_up = client.http("GET", f"/v1/emails/{client.send(**notice()).body['message_id']}")

    assert (look_up.body["status"], look_up.body["reason"]) == ("skipped", "suppressed")


def test_notifications_have_their_own_sender_and_codes_fall_back_to_the_default(client: Client) -> None:
    client.put("senders/default/notification", '{"from": "News <news@example.com>"}')
    client.put("senders/acme/notification", '{"from": "Acme news <news@acme.example>"}')

    for request in (notice(), notice(tenant="acme"), code(tenant="acme")):
        assert client.invoke(request)["status"] == "sent"

    assert [mail.from_ for mail in reversed(client.mails())] == [
        "News <news@example.com>",
        "Acme news <news@acme.example>",
        "Mailroom <no-reply@example.com>",
    ]


@pytest.mark.parametrize("records", [False, True], ids=["recording off", "recording on"])
def test_a_rejected_recipient_is_a_failure_with_its_reason(
    client: Client, records: bool, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("RECORD_CODE_ON_FAILURE", str(records).lower())
    client = client.new_process()
    refused = {"statusCode": 422, "name": "validation_error", "message": "Invalid `to` field: reader@reader.example"}
    client.sandbox.faults.add("resend", Fault(Kind.REPLY, 422, body=json.dumps(refused)), 2)

    answer, invoked = client.send(**code()), client.invoke(code(value="KX5353"))

    assert answer.status == 502
    for body in (answer.body, invoked):
        assert (body["status"], body["reason"], body["provider"]) == ("failed", "invalid_recipient", "resend")
    failures = client.logged("Email failed")
    assert [line["level"] for line in failures] == ["WARNING", "WARNING"]
    recorded = [line.get("code") for line in client.logged(RECORDED)]
    assert recorded == (["KX4242", "KX5353"] if records else [])
    assert ("KX4242" in client.log) == records


@pytest.mark.parametrize(
    ("environment_name", "setting", "records"),
    [("development", "true", True), ("development", "false", False), ("production", "true", False)],
)
def test_codes_are_logged_in_development_only(
    environment: pytest.MonkeyPatch, client: Client, environment_name: str, setting: str, records: bool
) -> None:
    environment.setenv("ENVIRONMENT", environment_name)
    environment.setenv("RECORD_CODE_ON_FAILURE", setting)
    client.aws.call("sqs", "DeleteQueue", {"QueueUrl": os.environ["CODES_QUEUE_URL"]})

    process = client.new_process()
    process.invoke(code(mode="queued"))

    assert [line.get("code") for line in process.logged(RECORDED)] == (["KX4242"] if records else [])


def test_the_code_of_a_sent_mail_is_not_logged(client: Client, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RECORD_CODE_ON_FAILURE", "true")
    process = client.new_process()
    assert process.invoke(code())["status"] == "sent"
    assert "KX4242" not in process.log


def test_the_link_of_a_failed_mail_is_logged_like_a_code(client: Client, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RECORD_CODE_ON_FAILURE", "true")
    client = client.new_process()
    client.sandbox.faults.add("resend", Fault(Kind.STATUS, 422))

    client.invoke({"kind": "email-confirmation", "to": "a@example.com", "data": {"link": "https://example.com/c?t=1"}})

    assert client.logged(RECORDED)[0]["link"] == "https://example.com/c?t=1"


def test_a_short_outage_of_the_provider_is_bridged(client: Client) -> None:
    client.sandbox.faults.add("resend", Fault(Kind.STATUS, 503))

    answer = client.invoke(code())

    assert answer["status"] == "sent"
    assert sum(client.slept) >= 1
    assert len(client.mails()) == 1
    timeline = client.http("GET", f"/v1/emails/{answer['message_id']}").body["timeline"]
    assert [entry.get("status") or entry.get("event") or entry["answer"] for entry in timeline] == [
        *("received", "http_503", "sent")
    ]


def test_a_provider_outage_is_answered_before_the_function_times_out(client: Client) -> None:
    client.sandbox.faults.add("resend", Fault(Kind.STATUS, 429), 20)
    delivery = client.service.delivery
    delivery.clock = delivery.dispatch.clock = lambda: time.time() + sum(client.slept)

    answer = client.send(**code())

    assert (answer.status, answer.body["status"]) == (502, "failed")
    assert sum(client.slept) < 20
    assert client.queued("codes") == []
    assert client.queued("codes_dead_letter") == []


@pytest.mark.thorough
def test_a_mail_that_its_provider_may_have_goes_on_by_queue(client: Client) -> None:
    client.sandbox.faults.add("resend", Fault(Kind.STATUS, 503), 20)

    answer = client.send(**code())

    assert (answer.status, answer.body["status"]) == (202, "accepted")
    assert len(client.queued("codes")) == 1


def test_a_bad_provider_key_fails_at_once(client: Client) -> None:
    client.put("providers/resend/api_key", "wrong")

    answer = client.send(**code())

    assert (answer.status, answer.body["status"], answer.body["reason"]) == (502, "failed", "bad_key")
    assert sum(client.slept) == 0


def test_a_malformed_setting_fails_the_mail_and_is_named_in_the_log(client: Client) -> None:
    client.put("senders/default/auth", "{")

    answer = client.send(**code())

    assert (answer.status, answer.body["reason"]) == (502, "malformed")
    assert "senders/default/auth is malformed" in client.log


def test_a_mail_that_its_provider_did_not_confirm_is_unknown(client: Client, relay: SmtpSandbox) -> None:
    client.put("senders/default/auth", '{"from": "no-reply@example.com", "providers": ["smtp"]}')
    for name, value in relay.settings().items():
        client.put(f"providers/smtp/{name}", value)
    client.sandbox.faults.add("smtp", Kind.RESET_AFTER_ACCEPT, 5)

    answer = client.send(**notice())

    assert (answer.status, answer.body["status"], answer.body["provider"]) == (504, "unknown", "smtp")
    assert len(client.mails()) == 1
    assert client.logged("Email may have been sent: the provider did not confirm it")[0]["level"] == "WARNING"


def test_without_its_ledger_the_function_accepts_nothing(client: Client) -> None:
    client.aws.call("dynamodb", "DeleteTable", {"TableName": "ledger"})

    answer, invoked = client.send(**code()), client.invoke(code())

    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert answer.body == invoked
    assert invoked["status"] == "refused"
    assert "try again" in invoked["errors"][0]["message"]
    assert {line["party"] for line in client.logged("Request not completed: a dependency failed")} == {"dynamodb"}


def test_a_repeated_request_enqueues_what_a_missing_queue_lost(client: Client) -> None:
    client.aws.call("sqs", "DeleteQueue", {"QueueUrl": os.environ["CODES_QUEUE_URL"]})
    request = code(mode="queued", idempotency_key="k")

    first = client.send(**request)

    assert (first.status, first.body["status"], first.body["reason"]) == (503, "unknown", "unavailable")
    assert client.logged("Request not completed: a dependency failed")[0]["party"] == "sqs"
    client.aws.call("sqs", "CreateQueue", {"QueueName": "codes"})
    second = client.send(**request)
    assert (second.status, second.body["message_id"]) == (202, first.body["message_id"])
    assert len(client.queued("codes")) == 1


def test_a_crash_is_logged_without_the_content_of_the_mail(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any, message: Message, *__: Any) -> Any:
        raise ZeroDivisionError(f"{message.data} for {message.to}")

    monkeypatch.setattr(type(client.service.delivery.renderer), "compose", broken)
    answer = client.send(**code())

    assert (answer.status, answer.body["status"], answer.body["reason"]) == (500, "unknown", "crashed")
    (line,) = client.logged("Request not completed: unexpected error")
    assert line["error"] == "ZeroDivisionError"
    assert "KX4242" not in client.log
    assert "reader@reader.example" not in client.log


def test_log_lines_hold_the_ids_of_invocation_and_request(client: Client) -> None:
    client.send(**code())
    client.invoke(code(value="KX5353"))

    over_http, invoked = client.logged("Email sent successfully")
    assert over_http["request_id"] == "HfKx1h0MDoEEJ9A="
    assert "request_id" not in invoked
    assert over_http["function_request_id"] != invoked["function_request_id"]
    assert invoked["cold_start"] is False


def test_an_invocation_cannot_choose_the_request_id_of_its_log_lines(client: Client) -> None:
    client.invoke(code(requestContext={"requestId": "KX4242"}))
    imitation = {
        "version": "2.0",
        "routeKey": "POST /v1/emails",
        "requestContext": {"requestId": "to KX4242@reader.example"},
    }
    client.function(imitation)
    assert len(client.logged("Refused")) == 2
    assert "KX4242" not in client.log


def test_no_log_line_and_no_row_contains_anything_private(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    for fault in (Fault(Kind.STATUS, 422), Fault(Kind.STATUS, 500), Fault(Kind.RATE_LIMIT, seconds=900)):
        client.sandbox.faults.add("resend", fault)
    link = "https://example.com/reset?token=canary-token"
    client.invoke(code(value="KX9876", idempotency_key="canary-key"))
    client.invoke(code(value="KX8765"))
    client.send(kind="password-reset", to="canary@reader.example", data={"link": link, "user": "canary-user"})
    client.send(**code(value="KX7654", to="canary@reader.example, second@reader.example", canary_field="1"))
    client.send(**code(value="KX6543", mode="queued"))
    client.invoke([code(value="KX5432"), "canary-word", {"canary_field": 1}])
    client.http("POST", "/v1/emails", '{"canary-json": "KX4321"', key="canary-api-key")

    written = client.log + capsys.readouterr().out + repr(client.rows())
    for canary in ("KX9876", "KX8765", "KX7654", "KX6543", "KX5432", "KX4321", "canary", "reader@reader"):
        assert canary not in written, canary


def test_a_mail_that_is_not_sent_is_answered_as_late_as_one_that_is(client: Client) -> None:
    suppress(client, "suppressed@reader.example")
    client.invoke(code(to="suppressed@reader.example"))
    assert 0 <= client.slept.pop() < 0.4, "nothing was sent yet"

    for number in range(5):
        client.invoke(code(value=f"{number:06}"))
    assert not client.slept
    client.service.pace.times["resend"].extend([60.0] * 50)  # fifty mails that took a minute
    client.invoke(code(value="777777"))
    client.invoke(code(value="777777", to="suppressed@reader.example"))
    client.function.seconds_left = 15
    client.invoke(code(value="888888", to="suppressed@reader.example"))

    limited, suppressed, late = client.slept
    assert 15 < limited < 60
    assert 15 < suppressed < 60
    assert 10 < late < 15, "the function must end in time"


def test_a_limited_mail_is_answered_like_any_other_and_looked_up_truthfully(client: Client) -> None:
    answers = [client.invoke(code(value=f"{number:06}")) for number in range(6)]
    assert {(answer["status"], answer["provider"], tuple(answer)) for answer in answers} == {
        ("sent", "resend", tuple(answers[0]))
    }
    assert len(client.mails()) == 5
    found = client.http("GET", f"/v1/emails/{answers[5]['message_id']}").body
    assert (found["status"], found["reason"]) == ("skipped", "rate_limited")
