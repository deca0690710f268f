"""The function by its face: whatever comes gets an answer of ours, and no log or metric tells what is private."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.feedback.app import build
from mailroom.aws.client import Aws
from mailroom.ledger.table import Ledger
from mailroom.model.event import What
from mailroom.model.message import Message
from mailroom_ops.sandbox import reports
from mailroom_ops.sandbox.inbox import Captured
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
    return LambdaFunction(build, aws)


def mail(said: Message, provider: str = "resend") -> Captured:
    return Captured(said.id, said.to, "a@example.com", "", "Hello", "", "", {}, provider, said.tenant, said.kind)


def request(posting: reports.Posting, method: str = "POST") -> dict[str, Any]:
    _, _, provider, *secret = posting.path.split("/")
    return {
        "requestContext": {"http": {"method": method, "sourceIp": "192.0.2.1"}, "timeEpoch": time.time() * 1000},
        "pathParameters": {"provider": provider, **({"secret": secret[0]} if secret else {})},
        "headers": dict(posting.headers),
        "body": posting.body.decode("utf-8", "surrogateescape"),
    }


def report(said: Message, what: What, provider: str = "resend") -> dict[str, Any]:
    posting = reports.report(mail(said, provider), what)
    assert posting
    return request(posting)


def metrics(capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, ...], float]:
    """Return each metric with its dimensions, and how much was counted."""
    found: dict[tuple[str, ...], float] = {}
    for line in filter(None, capsys.readouterr().out.splitlines()):
        written = json.loads(line)
        for group in written["_aws"]["CloudWatchMetrics"]:
            assert group["Namespace"] == "mailroom-staging"
            for dimensions in group["Dimensions"]:
                for metric in group["Metrics"]:
                    key = (metric["Name"], *(written[name] for name in sorted(dimensions)))
                    found[key] = found.get(key, 0) + sum(written[metric["Name"]])
    return found


def test_what_is_heard_is_counted_by_provider_and_logged_where_it_matters(
    feedback: LambdaFunction, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    mails = [sent(ledger, message(to=f"canary{n}@example.com")) for n in range(4)]
    whats = (What.DELIVERED, What.DELIVERED, What.BOUNCED, What.COMPLAINED)
    for said, what in zip(mails, whats, strict=True):
        assert feedback(report(said, what))["statusCode"] == 200
    feedback(report(message(), What.BOUNCED))
    found = metrics(capsys)
    for name, number in {"Delivered": 2, "Bounced": 1, "Complained": 1, "UnknownEvents": 1}.items():
        assert found[name, "feedback"] == found[name, "resend", "feedback"] == number
    lines = {line["event"]: line for line in feedback.logged() if "event" in line}
    assert set(lines) == {"bounced", "complained"}, "what went well is in the ledger"
    assert lines["complained"]["message_id"] == mails[3].id
    assert [line["message"] for line in feedback.logged()][-1] == "Event ignored: no such message"


def test_a_repeated_event_and_a_soft_bounce_are_counted_apart(
    feedback: LambdaFunction, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    said = sent(ledger, message())
    event = report(said, What.DELIVERED)
    feedback(event)
    feedback(event)
    other = sent(ledger, message(), "postmark")
    soft = {"RecordType": "Bounce", "Type": "SoftBounce", "Metadata": {"message_id": other.id}}
    feedback(request(reports.Posting("/feedback/postmark/local-feedback-secret", json.dumps(soft).encode())))
    found = metrics(capsys)
    assert (found["Delivered", "feedback"], found["RepeatedEvents", "feedback"]) == (1, 1)
    assert found["SoftBounced", "postmark", "feedback"] == 1
    assert ("Bounced", "feedback") not in found


def test_a_report_of_an_account_that_did_not_send_the_mail_is_logged_and_counted(
    feedback: LambdaFunction, aws: Aws, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    put(aws, "feedback/resend.acme/secret", reports.settings()["feedback/resend/secret"], "staging")
    said = sent(ledger, message(to="canary@example.com"))
    event = report(said, What.BOUNCED)
    event["pathParameters"]["provider"] = "resend.acme"
    assert feedback(event)["statusCode"] == 200
    found = metrics(capsys)
    assert found["UnknownEvents", "feedback"] == found["UnknownEvents", "resend.acme", "feedback"] == 1
    assert ("Bounced", "feedback") not in found
    (line,) = feedback.logged()
    assert line["level"] == "WARNING"
    assert line["message"] == "Event ignored: this account did not send the message"
    assert (line["message_id"], line["provider"], line["tenant"]) == (said.id, "resend.acme", "default")


def test_neither_log_nor_metric_nor_answer_tells_anything_private(
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
        for said in (sent(ledger, message(to=canaries[0]), provider), message(to=canaries[0])):
            event = report(said, What.BOUNCED, provider)
            answers.append(feedback(event))
            event["body"] = event["body"].replace("user unknown", f"your {canaries[1]} at {canaries[2]}")
            answers.append(feedback(event))
            event["headers"] = {}
            answers.append(feedback(event))
    written = feedback.log.getvalue() + capsys.readouterr().out + json.dumps(answers)
    for canary in canaries:
        assert canary not in written


def test_when_the_table_is_out_of_reach_the_provider_is_asked_to_come_again(
    feedback: LambdaFunction, aws: Aws, ledger: Ledger
) -> None:
    said = sent(ledger, message())
    event = report(said, What.BOUNCED)
    aws.call("dynamodb", "DeleteTable", {"TableName": "ledger"})
    answer = feedback(event)
    assert (answer["statusCode"], answer["headers"]["content-type"]) == (503, "text/plain; charset=utf-8")
    assert "Traceback" not in answer["body"]
    assert feedback.logged()[-1]["level"] == "ERROR"


def test_a_malformed_secret_is_ours_to_mend_and_says_so_in_the_log(
    feedback: LambdaFunction, aws: Aws, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    for provider in ("resend", "sendgrid"):
        put(aws, f"feedback/{provider}/secret", "not base64!", "staging")
    for provider in ("resend", "sendgrid"):
        said = sent(ledger, message(), provider)
        assert feedback(report(said, What.DELIVERED, provider))["statusCode"] == 503
        assert f"feedback/{provider}/secret" in feedback.logged()[-1]["detail"]
    assert metrics(capsys)["Misconfigured", "feedback"] == 2


def test_both_values_of_a_secret_are_accepted_while_it_is_rotated(
    feedback: LambdaFunction, aws: Aws, ledger: Ledger
) -> None:
    put(aws, "feedback/postmark.acme/secret", "new secret\nold-secret\n", "staging")
    said = sent(ledger, message(tenant="acme"), "postmark.acme")
    body = json.dumps({"RecordType": "Delivery", "Metadata": {"message_id": said.id}}).encode()
    for secret, status in (("older", 401), ("old-secret", 200), ("new secret", 200)):
        posting = reports.Posting(f"/feedback/postmark.acme/{secret}", body)
        assert feedback(request(posting))["statusCode"] == status
    row = ledger.read(said.id)
    assert row
    assert [entry["provider"] for entry in row["timeline"] if "event" in entry] == ["postmark.acme"]


def test_a_provider_that_was_not_set_up_is_told_so(feedback: LambdaFunction, aws: Aws) -> None:
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


def test_a_stranger_causes_one_parameter_lookup_whatever_account_he_names(feedback: LambdaFunction) -> None:
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
def test_a_stranger_gets_a_4xx_whatever_he_says(
    feedback: LambdaFunction, provider: str, body: str, headers: dict[str, str], secret: str | None, encoded: bool
) -> None:
    path = {"provider": provider, **({"secret": secret} if secret else {})}
    context = {"http": {"method": "POST", "sourceIp": "192.0.2.1"}, "timeEpoch": time.time() * 1000}
    event = {"requestContext": context, "pathParameters": path, "headers": headers, "body": body}
    answer = feedback({**event, "isBase64Encoded": encoded})
    assert 400 <= answer["statusCode"] < 500


@FUZZ
@given(said=JSON, data=JSON, kind=st.sampled_from(["email.bounced", "email.failed", "email.suppressed", "other"]))
def test_what_is_proven_is_taken_in_however_odd_it_is(
    feedback: LambdaFunction, said: Any, data: Any, kind: str
) -> None:
    told = (
        ("/feedback/resend", said),
        ("/feedback/resend", {"type": kind, "created_at": said, "data": data}),
        ("/feedback/resend", {"type": kind, "data": {"bounce": data, "to": [said], "tags": data, "email_id": said}}),
        ("/feedback/sendgrid", [{"event": "bounce", "timestamp": said, "reason": data, "message_id": data}, said]),
        ("/feedback/postmark", {"RecordType": "Bounce", "Type": said, "Details": data, "Metadata": said}),
        ("/feedback/aliyun", {"type": "dm:Deliver:Fail", "time": said, "data": data}),
    )
    for path, body in told:
        text, now = json.dumps(body).encode(), time.time()
        match path.rpartition("/")[2]:
            case "resend":
                posting = reports.sign_resend(text, now)
            case "sendgrid":
                posting = reports.sign_sendgrid(text, now)
            case _:
                posting = reports.Posting(f"{path}/local-feedback-secret", text)
        assert feedback(request(posting))["statusCode"] in (200, 400)


@FUZZ
@given(mail=JSON, bounce=JSON, kind=st.sampled_from(["Bounce", "Complaint", "Delivery", "Open", "Reject"]))
def test_whatever_ses_says_of_a_mail_is_taken_in(feedback: LambdaFunction, mail: Any, bounce: Any, kind: str) -> None:
    particulars = {"Bounce": "bounce", "Complaint": "complaint"}.get(kind, "delivery")
    event = {"eventType": kind, "mail": mail, particulars: {"bouncedRecipients": bounce, "timestamp": mail}}
    assert feedback({"source": "aws.ses", "detail": event})["events"] >= 1
    assert feedback({"source": "aws.ses", "detail": mail})["events"] == 0


@pytest.mark.parametrize("path", sorted(EVENTS.glob("feedback-*.json")), ids=lambda path: path.stem)
def test_the_events_that_come_with_the_project_are_taken_in(
    feedback: LambdaFunction, ledger: Ledger, path: Path
) -> None:
    said = sent(ledger, message(id="01a1fad716a3febae9f7600d82e2dad8"), path.stem.split("-")[1])
    answer = feedback(json.loads(path.read_text()))
    assert (json.loads(answer["body"]) if "body" in answer else answer) == {"events": 1}
    row = ledger.read(said.id)
    assert row
    assert row["status"] in ("delivered", "bounced")
