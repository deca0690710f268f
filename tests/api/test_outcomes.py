"""What a caller hears of one mail, and what the log says of it."""

import importlib
import json
import os
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from mailroom.feedback.suppression import Cause, Suppressions
from mailroom.ledger.table import keyed_hash
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import canonical
from mailroom.model.message import Message
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.smtp import SmtpSandbox
from tests.api.conftest import Answer, Desk, code, notice


def test_a_mail_is_sent_before_the_answer_comes(desk: Desk) -> None:
    answer = desk.invoke(code(locale=["de", "en"]))

    (mail,) = desk.mails()
    assert answer == {
        "message_id": mail.message_id,
        "status": "sent",
        "provider": "resend",
        "provider_id": mail.id,
    }
    assert (mail.to, mail.locale) == ("reader@reader.example", "de")
    assert "KX4242" in mail.text
    (line,) = desk.logged("Email sent successfully")
    told = {"level": "INFO", "message_id": mail.message_id, "provider": "resend", "provider_id": mail.id}
    assert line.items() >= told.items()


def test_over_http_the_same_request_has_the_same_answer(desk: Desk) -> None:
    answer = desk.send(**code())

    (mail,) = desk.mails()
    assert answer.status == 200
    assert answer.body == {
        "message_id": mail.message_id,
        "status": "sent",
        "provider": "resend",
        "provider_id": mail.id,
    }


def test_a_queued_mail_is_on_its_lane_when_the_answer_comes(desk: Desk) -> None:
    first = desk.send(**code(mode="queued", tenant="acme", expires_in=90))
    second = desk.send(**notice(mode="queued"))

    assert (first.status, first.body["status"]) == (202, "accepted")
    (parcel,) = desk.queued("codes")
    message = parcel.message
    assert (message.id, message.tenant, message.source) == (first.body["message_id"], "acme", "direct")
    assert message.expires_at - message.created_at == 90
    assert [parcel.message.id for parcel in desk.queued("notices")] == [second.body["message_id"]]
    assert desk.mails() == []
    assert [line["message_id"] for line in desk.logged("Accepted")] == [message.id, second.body["message_id"]]


def test_without_a_provider_the_caller_gets_success_and_the_log_says_why(desk: Desk) -> None:
    desk.remove("providers/resend/api_key")

    answer = desk.send(**code())

    assert answer.status == 200
    assert (answer.body["status"], answer.body["reason"]) == ("skipped", "email_not_configured")
    (line,) = desk.logged("Email skipped")
    assert (line["level"], line["reason"]) == ("WARNING", "email_not_configured")


def test_without_a_from_address_resend_sends_from_its_test_sender_and_the_log_warns(desk: Desk) -> None:
    desk.remove("senders/default/auth")

    assert desk.invoke(code())["status"] == "sent"

    assert "onboarding@resend.dev" in desk.mails()[0].from_
    assert any("looks like spam" in line["message"] and line["level"] == "WARNING" for line in desk.logged())


def suppress(desk: Desk, address: str) -> None:
    """Suppress an address for a day, as a bounce does."""
    recipient = keyed_hash(desk.module.service.delivery.settings.address_key(), canonical(address))
    days = dict.fromkeys(Lane, 1)
    Suppressions(desk.aws, "ledger").add("default", recipient, "", Cause.BOUNCE, days, "test", time.time())


def with_key(desk: Desk, to: str) -> list[Answer]:
    request = notice(to=to, idempotency_key=f"order for {to}")
    answers = [desk.send(**request), desk.send(**request), desk.send(**request | {"data": {"title": "Another"}})]
    assert answers[0].body == answers[1].body
    return answers


def without_key(desk: Desk, to: str) -> list[Answer]:
    return [desk.send(**request) for request in (code(to=to), code(to=to), code("other", to=to), notice(to=to))]


def by_queue(desk: Desk, to: str) -> list[Answer]:
    return [desk.send(**code(to=to, mode="queued")) for _ in range(2)]


def many(desk: Desk, to: str) -> list[Answer]:
    results = desk.invoke({"messages": [code(to=to), notice(to=to)]})["results"]
    return [Answer(0, result, {}) for result in results]


def without_provider(desk: Desk, to: str) -> list[Answer]:
    desk.aws.call("ssm", "DeleteParameters", {"Names": ["/mailroom/development/providers/resend/api_key"]})
    desk.forget()
    return [desk.send(**code(to=to))]


def with_malformed_sender(desk: Desk, to: str) -> list[Answer]:
    desk.put("senders/default/auth", "nobody")
    desk.forget()
    return [desk.send(**code(to=to))]


@pytest.mark.parametrize(
    "ask",
    [with_key, without_key, by_queue, many, without_provider, with_malformed_sender],
    ids=lambda ask: ask.__name__,
)
def test_a_suppressed_recipient_gets_nothing_and_is_answered_like_any_other(
    desk: Desk, ask: Callable[[Desk, str], list[Answer]]
) -> None:
    suppress(desk, "suppressed@reader.example")
    ordinary, suppressed = (list(map(shape, ask(desk, f"{name}@reader.example"))) for name in ("other", "suppressed"))
    assert suppressed == ordinary
    assert {mail.to for mail in desk.mails()} <= {"other@reader.example"}


def shape(answer: Answer) -> tuple[int, dict[str, str], set[str]]:
    """Return what a stranger could learn from an answer: of ids, only their form."""
    forms = {
        name: re.sub("[0-9a-f]", "x", answer.body[name])
        for name in ("message_id", "provider_id")
        if name in answer.body
    }
    return answer.status, answer.body | forms, set(answer.headers)


def test_the_log_names_a_suppressed_recipient_as_the_reason(desk: Desk) -> None:
    suppress(desk, "reader@reader.example")
    desk.send(**code())
    (line,) = desk.logged("Email skipped")
    assert (line["reason"], "provider" in line) == ("suppressed", False)


def test_who_looks_a_mail_up_hears_that_its_reader_is_suppressed(desk: Desk) -> None:
    suppress(desk, "reader@reader.example")

    found = desk.http("GET", f"/v1/emails/{desk.send(**notice()).body['message_id']}")

    assert (found.body["status"], found.body["reason"]) == ("skipped", "suppressed")


def test_a_notification_has_a_sender_of_its_own_and_a_tenants_code_falls_back_to_the_default(desk: Desk) -> None:
    desk.put("senders/default/notification", '{"from": "News <news@example.com>"}')
    desk.put("senders/acme/notification", '{"from": "Acme news <news@acme.example>"}')

    for request in (notice(), notice(tenant="acme"), code(tenant="acme")):
        assert desk.invoke(request)["status"] == "sent"

    assert [mail.from_ for mail in reversed(desk.mails())] == [
        "News <news@example.com>",
        "Acme news <news@acme.example>",
        "Mailroom <no-reply@example.com>",
    ]


@pytest.mark.parametrize("records", [False, True], ids=["recording off", "recording on"])
def test_a_refused_recipient_is_a_failure_the_caller_can_work_with(
    desk: Desk, records: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk.module, "records_codes", records)
    refused = {"statusCode": 422, "name": "validation_error", "message": "Invalid `to` field: reader@reader.example"}
    desk.sandbox.faults.add("resend", Fault(Kind.REPLY, 422, body=json.dumps(refused)), 2)

    answer, invoked = desk.send(**code()), desk.invoke(code(value="KX5353"))

    assert answer.status == 502
    for body in (answer.body, invoked):
        assert (body["status"], body["reason"], body["provider"]) == ("failed", "invalid_recipient", "resend")
    failures = desk.logged("Email failed")
    assert [line["level"] for line in failures] == ["WARNING", "WARNING"]
    recorded = [line.get("code") for line in desk.logged("Recorded, because RecordCodeOnFailure is on")]
    assert recorded == (["KX4242", "KX5353"] if records else [])
    assert ("KX4242" in desk.log.getvalue()) == records


@pytest.mark.parametrize(
    ("environment_name", "setting", "records"),
    [("development", "true", True), ("development", "false", False), ("production", "true", False)],
)
def test_codes_are_recorded_in_development_only(
    environment: pytest.MonkeyPatch, desk: Desk, environment_name: str, setting: str, records: bool
) -> None:
    environment.setenv("ENVIRONMENT", environment_name)
    environment.setenv("RECORD_CODE_ON_FAILURE", setting)
    assert importlib.reload(desk.module).records_codes is records


def test_a_link_is_recorded_where_a_code_would_be(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.module, "records_codes", True)
    desk.sandbox.faults.add("resend", Fault(Kind.STATUS, 422))

    desk.invoke({"kind": "email-confirmation", "to": "a@example.com", "data": {"link": "https://example.com/c?t=1"}})

    assert desk.logged("Recorded, because RecordCodeOnFailure is on")[0]["link"] == "https://example.com/c?t=1"


def test_a_hiccup_of_the_provider_is_waited_out(desk: Desk) -> None:
    desk.sandbox.faults.add("resend", Fault(Kind.STATUS, 503))

    answer = desk.invoke(code())

    assert answer["status"] == "sent"
    assert sum(desk.slept) >= 1
    assert len(desk.mails()) == 1
    timeline = desk.http("GET", f"/v1/emails/{answer['message_id']}").body["timeline"]
    assert [entry.get("answer") or entry["status"] for entry in timeline][-2:] == ["accepted", "sent"]
    assert len(timeline) == 3


def test_a_provider_that_stays_away_is_a_failure_before_the_caller_gives_up(desk: Desk) -> None:
    desk.sandbox.faults.add("resend", Fault(Kind.STATUS, 503), 20)

    answer = desk.send(**code())

    assert answer.status in (502, 504)
    assert answer.body["status"] in ("failed", "unknown")
    assert sum(desk.slept) < 20
    assert desk.queued("codes") == []
    assert desk.queued("codes_dead_letter") == []


def test_a_bad_key_is_not_tried_for_long(desk: Desk) -> None:
    desk.put("providers/resend/api_key", "wrong")

    answer = desk.send(**code())

    assert (answer.status, answer.body["status"], answer.body["reason"]) == (502, "failed", "bad_key")
    assert sum(desk.slept) == 0


def test_a_malformed_setting_fails_the_mail_and_is_named_in_the_log(desk: Desk) -> None:
    desk.put("senders/default/auth", "{")

    answer = desk.send(**code())

    assert (answer.status, answer.body["reason"]) == (502, "malformed")
    assert "senders/default/auth is malformed" in desk.log.getvalue()


def test_a_provider_that_never_says_whether_it_took_the_mail_is_unknown(desk: Desk, relay: SmtpSandbox) -> None:
    desk.put("senders/default/auth", '{"from": "no-reply@example.com", "providers": ["smtp"]}')
    for name, value in relay.settings().items():
        desk.put(f"providers/smtp/{name}", value)
    desk.sandbox.faults.add("smtp", Kind.RESET_AFTER_ACCEPT, 5)

    answer = desk.send(**notice())

    assert (answer.status, answer.body["status"], answer.body["provider"]) == (504, "unknown", "smtp")
    assert len(desk.mails()) == 1
    assert desk.logged("Email may have been sent, the provider never said so")[0]["level"] == "WARNING"


def test_while_aws_is_away_nothing_is_taken_and_the_caller_hears_so(desk: Desk) -> None:
    desk.aws.call("dynamodb", "DeleteTable", {"TableName": "ledger"})

    answer, invoked = desk.send(**code()), desk.invoke(code())

    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert answer.body == invoked
    assert invoked["status"] == "refused"
    assert "try again" in invoked["errors"][0]["message"]
    assert {line["party"] for line in desk.logged("Something that send depends on did not do its part")} == {"dynamodb"}


def test_a_lost_queue_is_told_and_asking_again_mends_it(desk: Desk) -> None:
    desk.aws.call("sqs", "DeleteQueue", {"QueueUrl": os.environ["CODES_QUEUE_URL"]})
    request = code(mode="queued", idempotency_key="k")

    first = desk.send(**request)

    assert (first.status, first.body["status"], first.body["reason"]) == (503, "unknown", "unavailable")
    assert desk.logged("Something that send depends on did not do its part")[0]["party"] == "sqs"
    desk.aws.call("sqs", "CreateQueue", {"QueueName": "codes"})
    second = desk.send(**request)
    assert (second.status, second.body["message_id"]) == (202, first.body["message_id"])
    assert len(desk.queued("codes")) == 1


def test_what_breaks_on_the_way_is_told_without_a_word_of_the_mail(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any, message: Message, *__: Any) -> Any:
        raise ZeroDivisionError(f"{message.data} for {message.to}")

    monkeypatch.setattr(type(desk.module.service.delivery.renderer), "compose", broken)
    answer = desk.send(**code())

    assert (answer.status, answer.body["status"], answer.body["reason"]) == (500, "unknown", "crashed")
    (line,) = desk.logged("Stopped on the way")
    assert line["error"] == "ZeroDivisionError"
    assert "KX4242" not in desk.log.getvalue()
    assert "reader@reader.example" not in desk.log.getvalue()


def test_no_log_line_and_no_row_holds_anything_private(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    for fault in (Fault(Kind.STATUS, 422), Fault(Kind.STATUS, 500), Fault(Kind.RATE_LIMIT, seconds=900)):
        desk.sandbox.faults.add("resend", fault)
    link = "https://example.com/reset?token=canary-token"
    desk.invoke(code(value="KX9876", idempotency_key="canary-key"))
    desk.invoke(code(value="KX8765"))
    desk.send(kind="password-reset", to="canary@reader.example", data={"link": link, "user": "canary-user"})
    desk.send(**code(value="KX7654", to="canary@reader.example, second@reader.example", canary_field="1"))
    desk.send(**code(value="KX6543", mode="queued"))
    desk.invoke([code(value="KX5432"), "canary-word", {"canary_field": 1}])
    desk.http("POST", "/v1/emails", '{"canary-json": "KX4321"', key="canary-api-key")

    written = desk.log.getvalue() + capsys.readouterr().out + repr(desk.rows())
    for canary in ("KX9876", "KX8765", "KX7654", "KX6543", "KX5432", "KX4321", "canary", "reader@reader"):
        assert canary not in written, canary
