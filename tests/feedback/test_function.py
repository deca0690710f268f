"""The feedback function: each request gets an answer of ours, and log and metrics contain nothing private."""

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.feedback.app import build
from mailroom.aws.client import Aws
from mailroom.feedback.intake import Intake
from mailroom.ledger.table import Ledger
from mailroom.model.event import EventType
from mailroom.model.message import Message
from mailroom_ops.sandbox import reports
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.reports.resend import sign_resend
from mailroom_ops.sandbox.reports.sendgrid import sign_sendgrid
from tests.cloud import put
from tests.factories import KEY, message, sent
from tests.lambda_function import LambdaFunction

FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ODD = st.text(max_size=40) | st.integers() | st.floats(allow_nan=False) | st.none() | st.booleans()
JSON = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
)


EVENTS = Path(__file__).parents[2] / "events"
HEADERS = (
    *("svix-id", "svix-timestamp", "svix-signature", "authorization", "content-type"),
    *("x-twilio-email-event-webhook-signature", "x-twilio-email-event-webhook-timestamp"),
)


@pytest.fixture
def feedback(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> LambdaFunction:
    environment = {
        "ENVIRONMENT": "staging",
        "TABLE_NAME": "ledger",
        "POWERTOOLS_METRICS_NAMESPACE": "mailroom-staging",
        "POWERTOOLS_SERVICE_NAME": "feedback",
    }
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    for name, value in {**reports.settings(), "ledger/address_key": KEY}.items():
        put(aws, name, value, "staging")
    return LambdaFunction(partial(build, Intake.from_env(aws)), aws)


def captured(mail: Message, provider: str = "resend") -> Captured:
    return Captured(mail.id, mail.to, "a@example.com", "", "Hello", "", "", {}, provider, mail.tenant, mail.kind)


def request(posting: reports.Posting, method: str = "POST") -> dict[str, Any]:
    _, _, provider, *secret = posting.path.split("/")
    return {
        "requestContext": {"http": {"method": method, "sourceIp": "192.0.2.1"}, "timeEpoch": time.time() * 1000},
        "pathParameters": {"provider": provider, **({"secret": secret[0]} if secret else {})},
        "headers": dict(posting.headers),
        "body": posting.body.decode("utf-8", "surrogateescape"),
    }


def report(mail: Message, type_: EventType, provider: str = "resend") -> dict[str, Any]:
    posting = reports.report(captured(mail, provider), type_)
    assert posting
    return request(posting)


def metrics(capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, ...], float]:
    """Return the sum of each metric, by its name and the values of its dimensions."""
    sums: dict[tuple[str, ...], float] = {}
    for line in filter(None, capsys.readouterr().out.splitlines()):
        written = json.loads(line)
        for group in written["_aws"]["CloudWatchMetrics"]:
            assert group["Namespace"] == "mailroom-staging"
            for dimensions in group["Dimensions"]:
                for metric in group["Metrics"]:
                    key = (metric["Name"], *(written[name] for name in sorted(dimensions)))
                    sums[key] = sums.get(key, 0) + written[metric["Name"]]
    return sums


def test_events_are_counted_by_provider_and_failures_are_logged(
    feedback: LambdaFunction, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    mails = [sent(ledger, message(to=f"canary{n}@example.com")) for n in range(4)]
    types = (EventType.DELIVERED, EventType.DELIVERED, EventType.BOUNCED, EventType.COMPLAINED)
    for mail, type_ in zip(mails, types, strict=True):
        assert feedback(report(mail, type_))["statusCode"] == 200
    feedback(report(message(), EventType.BOUNCED))
    counts = metrics(capsys)
    for name, number in {"Delivered": 2, "Bounced": 1, "Complained": 1, "UnknownEvents": 1}.items():
        assert counts[name, "feedback"] == counts[name, "resend", "feedback"] == number
    lines = {line["event"]: line for line in feedback.logged() if "event" in line}
    assert set(lines) == {"bounced", "complained"}, "deliveries are in the ledger only"
    assert lines["complained"]["message_id"] == mails[3].id
    assert [line["message"] for line in feedback.logged()][-1] == "Event ignored: no such message"


def test_a_report_about_another_program_s_mail_leaves_none_of_its_tags_in_the_log(feedback: LambdaFunction) -> None:
    tags = {"message_id": "canary@example.com", "tenant": "canary"}
    bounce = {"RecordType": "Bounce", "Type": "HardBounce", "MessageID": "its id", "Metadata": tags}
    feedback(request(reports.Posting("/feedback/postmark/local-feedback-secret", json.dumps(bounce).encode())))
    (line,) = feedback.logged("Event ignored: no such message")
    assert line["provider_id"] == "its id"
    assert "canary" not in feedback.log.getvalue()


def test_repeated_events_and_soft_bounces_have_metrics_of_their_own(
    feedback: LambdaFunction, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    mail = sent(ledger, message())
    event = report(mail, EventType.DELIVERED)
    feedback(event)
    feedback(event)
    other = sent(ledger, message(), "postmark")
    soft = {"RecordType": "Bounce", "Type": "SoftBounce", "Metadata": {"message_id": other.id}}
    feedback(request(reports.Posting("/feedback/postmark/local-feedback-secret", json.dumps(soft).encode())))
    counts = metrics(capsys)
    assert (counts["Delivered", "feedback"], counts["RepeatedEvents", "feedback"]) == (1, 1)
    assert counts["SoftBounced", "postmark", "feedback"] == 1
    assert ("Bounced", "feedback") not in counts


def test_a_report_of_an_account_that_did_not_send_the_mail_is_logged_and_counted(
    feedback: LambdaFunction, aws: Aws, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    put(aws, "feedback/resend.acme/secret", reports.settings()["feedback/resend/secret"], "staging")
    mail = sent(ledger, message(to="canary@example.com"))
    event = report(mail, EventType.BOUNCED)
    event["pathParameters"]["provider"] = "resend.acme"
    assert feedback(event)["statusCode"] == 200
    counts = metrics(capsys)
    assert counts["UnknownEvents", "feedback"] == counts["UnknownEvents", "resend", "feedback"] == 1
    assert ("Bounced", "feedback") not in counts
    (line,) = feedback.logged()
    assert line["level"] == "WARNING"
    assert line["message"] == "Event ignored: this account did not send the message"
    assert (line["message_id"], line["provider"], line["tenant"]) == (mail.id, "resend.acme", "default")


def test_log_metrics_and_answers_contain_nothing_private(
    feedback: LambdaFunction, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    canaries = (
        "canary-reader@example.com",
        "canary-code-482913",
        "https://example.com/canary-link",
        "whsec_",
        "local-",
    )
    answers = []
    for provider in ("resend", "sendgrid", "mailgun", "postmark", "aliyun"):
        for mail in (sent(ledger, message(to=canaries[0]), provider), message(to=canaries[0])):
            event = report(mail, EventType.BOUNCED, provider)
            answers.append(feedback(event))
            event["body"] = event["body"].replace("user unknown", f"your {canaries[1]} at {canaries[2]}")
            answers.append(feedback(event))
            event["headers"] = {}
            answers.append(feedback(event))
    written = feedback.log.getvalue() + capsys.readouterr().out + json.dumps(answers)
    for canary in canaries:
        assert canary not in written


def test_a_report_gets_a_503_while_the_table_is_unreachable(feedback: LambdaFunction, aws: Aws, ledger: Ledger) -> None:
    mail = sent(ledger, message())
    event = report(mail, EventType.BOUNCED)
    aws.call("dynamodb", "DeleteTable", {"TableName": "ledger"})
    answer = feedback(event)
    assert (answer["statusCode"], answer["headers"]["content-type"]) == (503, "text/plain; charset=utf-8")
    assert "Traceback" not in answer["body"]
    assert feedback.logged()[-1]["level"] == "ERROR"


def test_a_malformed_secret_is_a_503_and_named_in_the_log(
    feedback: LambdaFunction, aws: Aws, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    for provider in ("resend", "sendgrid"):
        put(aws, f"feedback/{provider}/secret", "not base64!", "staging")
    for provider in ("resend", "sendgrid"):
        mail = sent(ledger, message(), provider)
        assert feedback(report(mail, EventType.DELIVERED, provider))["statusCode"] == 503
        assert f"feedback/{provider}/secret" in feedback.logged()[-1]["detail"]
    assert metrics(capsys)["Misconfigured", "feedback"] == 2


def test_both_values_of_a_secret_are_accepted_while_it_is_rotated(
    feedback: LambdaFunction, aws: Aws, ledger: Ledger
) -> None:
    put(aws, "feedback/postmark.acme/secret", "new secret\nold-secret\n", "staging")
    mail = sent(ledger, message(tenant="acme"), "postmark.acme")
    body = json.dumps({"RecordType": "Delivery", "Metadata": {"message_id": mail.id}}).encode()
    for secret, status in (("older", 401), ("old-secret", 200), ("new secret", 200)):
        posting = reports.Posting(f"/feedback/postmark.acme/{secret}", body)
        assert feedback(request(posting))["statusCode"] == status
    record = ledger.read(mail.id)
    assert record
    assert [entry.provider for entry in record.timeline if entry.event] == ["postmark.acme"]


def test_a_provider_without_settings_is_a_404_with_a_sentence(feedback: LambdaFunction, aws: Aws) -> None:
    aws.call("ssm", "DeleteParameter", {"Name": "/mailroom/staging/feedback/postmark/secret"})
    answer = feedback(request(reports.Posting("/feedback/postmark/anything", b"{}")))
    assert (answer["statusCode"], answer["body"]) == (404, "Reports of this provider are not set up.")


@pytest.mark.parametrize("provider", ["resend", "sendgrid", "mailgun", "postmark", "aliyun"])
def test_the_account_of_an_unknown_tenant_is_answered_like_a_wrong_secret(
    feedback: LambdaFunction, aws: Aws, provider: str
) -> None:
    for name, value in reports.settings().items():
        put(aws, name.replace(f"feedback/{provider}/", f"feedback/{provider}.acme/"), value, "staging")
    answers = [
        feedback(request(reports.Posting(f"/feedback/{provider}.{tenant}/wrong", b"{}")))
        for tenant in ("acme", "nobody")
    ]
    assert answers[0]["statusCode"] == 401
    assert answers[0] == answers[1]
    assert [line["reason"] for line in feedback.logged()][1] == f"feedback/{provider}.nobody is not set up"


def test_a_stranger_causes_one_parameter_lookup_for_any_account(feedback: LambdaFunction) -> None:
    calls = feedback.record_calls()
    for number in range(20):
        for provider in ("resend", "postmark"):
            feedback(request(reports.Posting(f"/feedback/{provider}.t{number}", b"{}")))
    assert calls == ["ssm GetParametersByPath"]


@FUZZ
@given(
    provider=st.sampled_from(["resend", "sendgrid", "mailgun", "postmark", "aliyun", "ses", "nobody"]),
    body=st.text(max_size=300),
    headers=st.dictionaries(st.sampled_from(HEADERS), st.text(max_size=60)),
    secret=st.none() | st.text(max_size=30),
    encoded=st.booleans(),
)
def test_an_unauthenticated_request_gets_a_4xx(
    feedback: LambdaFunction, provider: str, body: str, headers: dict[str, str], secret: str | None, encoded: bool
) -> None:
    path = {"provider": provider, **({"secret": secret} if secret else {})}
    context = {"http": {"method": "POST", "sourceIp": "192.0.2.1"}, "timeEpoch": time.time() * 1000}
    event = {"requestContext": context, "pathParameters": path, "headers": headers, "body": body}
    answer = feedback({**event, "isBase64Encoded": encoded})
    assert 400 <= answer["statusCode"] < 500


@FUZZ
@given(value=JSON, data=JSON, kind=st.sampled_from(["email.bounced", "email.failed", "email.suppressed", "other"]))
def test_an_authenticated_report_of_any_shape_is_processed(
    feedback: LambdaFunction, value: Any, data: Any, kind: str
) -> None:
    bodies = (
        ("/feedback/resend", value),
        ("/feedback/resend", {"type": kind, "created_at": value, "data": data}),
        ("/feedback/resend", {"type": kind, "data": {"bounce": data, "to": [value], "tags": data, "email_id": value}}),
        ("/feedback/sendgrid", [{"event": "bounce", "timestamp": value, "reason": data, "message_id": data}, value]),
        ("/feedback/postmark", {"RecordType": "Bounce", "Type": value, "Details": data, "Metadata": value}),
        ("/feedback/aliyun", {"type": "dm:Deliver:Fail", "time": value, "data": data}),
    )
    for path, body in bodies:
        text, now = json.dumps(body).encode(), time.time()
        match path.rpartition("/")[2]:
            case "resend":
                posting = sign_resend(text, now)
            case "sendgrid":
                posting = sign_sendgrid(text, now)
            case _:
                posting = reports.Posting(f"{path}/local-feedback-secret", text)
        assert feedback(request(posting))["statusCode"] in (200, 400)


@FUZZ
@given(mail=JSON, bounce=JSON, kind=st.sampled_from(["Bounce", "Complaint", "Delivery", "Open", "Reject"]))
def test_an_event_of_ses_of_any_shape_is_processed(feedback: LambdaFunction, mail: Any, bounce: Any, kind: str) -> None:
    particulars = {"Bounce": "bounce", "Complaint": "complaint"}.get(kind, "delivery")
    event = {"eventType": kind, "mail": mail, particulars: {"bouncedRecipients": bounce, "timestamp": mail}}
    assert feedback({"source": "aws.ses", "detail": event})["events"] >= 1
    assert feedback({"source": "aws.ses", "detail": mail})["events"] == 0


@pytest.mark.parametrize("path", sorted(EVENTS.glob("feedback-*.json")), ids=lambda path: path.stem)
def test_the_sample_events_of_the_repository_are_processed(
    feedback: LambdaFunction, ledger: Ledger, path: Path
) -> None:
    mail = sent(ledger, message(id="01a1fad716a3febae9f7600d82e2dad8"), path.stem.split("-")[1])
    answer = feedback(json.loads(path.read_text()))
    assert (json.loads(answer["body"]) if "body" in answer else answer) == {"events": 1}
    record = ledger.read(mail.id)
    assert record
    assert record.status in ("delivered", "bounced")
