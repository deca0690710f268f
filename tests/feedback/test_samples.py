"""The samples of the providers' own documentation, posted to the running stack: each becomes the right event."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mailroom.errors import RequestError
from mailroom.feedback import resend, sendgrid
from mailroom.request import Request
from mailroom.webhooks.standard_webhooks import require_signature
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.reports import PATH_SECRET, Posting
from mailroom_ops.sandbox.reports.mailgun import MAILGUN_KEY
from mailroom_ops.sandbox.reports.resend import sign_resend
from mailroom_ops.sandbox.reports.sendgrid import sign_sendgrid
from tests.reports import FeedbackEndpoint

NOTHING = ()

# The recorded event of each documented one: its type, how final it is, and its reason.
RESEND = {
    "email.delivered": ("delivered", "", ""),
    "email.delivery_delayed": ("deferred", "", ""),
    "email.bounced": ("bounced", "", "no_mailbox"),
    "email.complained": ("complained", "", ""),
    "email.suppressed": ("suppressed", "", "previous_complaint"),
    "email.failed": ("failed", "", "quota"),
    "email.opened": ("opened", "", ""),
    "email.clicked": ("clicked", "", ""),
}
SENDGRID = {
    "deferred": ("deferred", "", ""),
    "delivered": ("delivered", "", ""),
    "open": ("opened", "", ""),
    "click": ("clicked", "", ""),
    "bounce": ("bounced", "", "other"),
    "blocked": ("bounced", "transient", "blocked"),
    "dropped": ("suppressed", "", "previous_bounce"),
    "spamreport": ("complained", "", ""),
    "unsubscribe": ("unsubscribed", "", ""),
    "group_unsubscribe": ("unsubscribed", "", ""),
}
MAILGUN = {
    "Delivered": ("delivered", "", ""),
    "Failed (Permanent)": ("suppressed", "", "previous_bounce"),
    "Failed (Temporary)": ("deferred", "", ""),
    "Opened": ("opened", "", ""),
    "Clicked": ("clicked", "", ""),
    "Unsubscribed": ("unsubscribed", "", ""),
    "Complained": ("complained", "", ""),
    "Rejected": ("rejected", "", "other"),
}
SES = {
    "Bounce": ("bounced", "", "no_mailbox"),
    "Bounce notification without a DSN": ("bounced", "", "other"),
    "Complaint": ("complained", "", ""),
    "Delivery": ("delivered", "", ""),
    "Reject": ("rejected", "", "content"),
    "Open": ("opened", "", ""),
    "Click": ("clicked", "", ""),
    "Rendering Failure": ("failed", "", "other"),
    "DeliveryDelay": ("deferred", "", ""),
}
POSTMARK_BOUNCES = {
    "HardBounce": ("bounced", "", "no_mailbox"),
    "BadEmailAddress": ("bounced", "", "no_mailbox"),
    "SoftBounce": ("bounced", "transient", "other"),
    "Transient": ("deferred", "", ""),
    "DnsError": ("bounced", "transient", "unreachable"),
    "Blocked": ("bounced", "transient", "blocked"),
    "DMARCPolicy": ("bounced", "transient", "blocked"),
    "SpamNotification": ("bounced", "transient", "blocked"),
    "VirusNotification": ("bounced", "transient", "content"),
    "AutoResponder": ("delivered", "", "auto_reply"),
    "SpamComplaint": ("complained", "", ""),
    "Unsubscribe": ("unsubscribed", "", ""),
    "ManuallyDeactivated": ("suppressed", "", "other"),
    "SMTPApiError": ("failed", "", "other"),
    "TemplateRenderingFailed": ("failed", "", "other"),
}


def recorded(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    return entry["event"], entry.get("how", ""), entry.get("reason", "")


def assert_recorded(endpoint: FeedbackEndpoint, mail: Captured, posting: Posting, expected: tuple[str, ...]) -> None:
    """Post a report twice; expect one recorded event, or none."""
    for _ in range(2):
        answer = endpoint.post(posting)
        assert answer.status == 200, answer.text
        assert [recorded(entry) for entry in endpoint.events(mail.message_id)] == ([expected] if expected else [])


def tags(mail: Captured) -> dict[str, str]:
    return {"message_id": mail.message_id, "tenant": mail.tenant, "kind": mail.kind}


# ---- Resend ----
def resend_events(contracts: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield an event of each type in Resend's OpenAPI document, made from its schema."""
    spec = json.loads((contracts / "resend/resend.json").read_text())
    known = {"suppressed": {"reason": "previous_complaint"}, "failed": {"reason": "reached_daily_quota"}}
    known["bounce"] = {"type": "Permanent", "subType": "General", "diagnosticCode": ["smtp; 550 5.1.1 <a@b.c> gone"]}  # type: ignore[dict-item]
    for name, hook in spec["webhooks"].items():
        schema = hook["post"]["requestBody"]["content"]["application/json"]["schema"]
        event = example(spec, schema)
        for part, values in known.items():
            if isinstance(event["data"], dict) and part in event["data"]:
                event["data"][part] |= values
        yield name, event


def example(spec: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        return example(spec, spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "allOf" in schema:
        return {name: value for part in schema["allOf"] for name, value in example(spec, part).items()}
    if "const" in schema or "example" in schema or "enum" in schema:
        return schema.get("const", schema.get("example", schema.get("enum", [None])[0]))
    match schema.get("type"):
        case "object":
            return {name: example(spec, part) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [example(spec, schema["items"])]
        case "string":
            return "2026-11-20T19:13:28.250Z" if schema.get("format") == "date-time" else "text"
        case "integer" | "number":
            return 1
        case "boolean":
            return True
    return None


def test_every_webhook_that_resend_documents(endpoint: FeedbackEndpoint, contracts: Path) -> None:
    events = dict(resend_events(contracts))
    assert set(RESEND) <= set(events)
    for name, body in events.items():
        mail = endpoint.mail("resend")
        body["data"] |= {"email_id": mail.id, "tags": tags(mail), "to": [mail.to]}
        assert_recorded(endpoint, mail, sign_resend(json.dumps(body).encode(), time.time()), RESEND.get(name, NOTHING))


@pytest.mark.parametrize("number", [0, 1], ids=["standard-webhooks", "svix"])
def test_the_test_vectors_of_standard_webhooks(contracts: Path, number: int) -> None:
    vector = json.loads((contracts / "standard-webhooks/vectors.json").read_text())[number]
    signed = {"id": vector["msg_id"], "timestamp": vector["timestamp"], "signature": vector["signature"]}
    headers = {f"svix-{name}": value for name, value in signed.items()}
    body, at = vector["payload"].encode(), float(vector["timestamp"])
    request = Request("POST", {"provider": "resend"}, headers, body, "192.0.2.1", at)
    assert require_signature(request, [vector["secret"]], "secret") == vector["msg_id"]
    assert resend.read(request, "resend", {"secret": ["whsec_b3RoZXI=", vector["secret"]]}).events == []
    with pytest.raises(RequestError):
        resend.read(request, "resend", {"secret": ["whsec_b3RoZXI="]})


def test_an_asymmetric_signature_of_standard_webhooks_is_ignored(contracts: Path) -> None:
    vector = json.loads((contracts / "standard-webhooks/vectors.json").read_text())[2]
    headers = {
        "svix-id": vector["msg_id"],
        "svix-timestamp": vector["timestamp"],
        "svix-signature": vector["signature"],
    }
    at = float(vector["timestamp"])
    request = Request("POST", {}, headers, vector["payload"].encode(), "192.0.2.1", at)
    with pytest.raises(RequestError) as refused:
        resend.read(request, "resend", {"secret": ["whsec_b3RoZXI="]})
    assert refused.value.status == 401


# ---- SendGrid ----
def test_every_event_that_sendgrid_documents(endpoint: FeedbackEndpoint, contracts: Path) -> None:
    samples = json.loads((contracts / "sendgrid/event-webhook-samples-from-docs.json").read_text())
    seen = set()
    for event in (event for sample in samples for event in (sample if isinstance(sample, list) else [sample])):
        mail = endpoint.mail("sendgrid")
        name = "blocked" if event.get("type") == "blocked" else event.get("event")
        seen.add(name)
        body = json.dumps([{**event, **tags(mail)}]).encode() + b"\r\n"
        assert_recorded(endpoint, mail, sign_sendgrid(body, time.time()), SENDGRID.get(name, NOTHING))
    assert seen >= set(SENDGRID)


def test_one_post_of_sendgrid_contains_events_of_many_mails(endpoint: FeedbackEndpoint, contracts: Path) -> None:
    samples = json.loads((contracts / "sendgrid/event-webhook-samples-from-docs.json").read_text())[0]
    mails = [endpoint.mail("sendgrid") for _ in samples]
    body = [{**event, **tags(mail)} for event, mail in zip(samples, mails, strict=True)]
    answer = endpoint.post(sign_sendgrid(json.dumps(body).encode() + b"\r\n", time.time()))
    assert (answer.status, answer.json()["events"]) == (200, sum(event["event"] in SENDGRID for event in samples))
    for event, mail in zip(samples, mails, strict=True):
        expected = SENDGRID.get(event["event"])
        assert [recorded(entry) for entry in endpoint.events(mail.message_id)] == ([expected] if expected else [])


def vector_request(vector: Mapping[str, str], **changes: str) -> Request:
    changed = {**vector, **changes}
    headers = {sendgrid.SIGNATURE: changed["signature"], sendgrid.TIMESTAMP: changed["timestamp"]}
    at = float(vector["timestamp"])
    return Request("POST", {"provider": "sendgrid"}, headers, changed["body"].encode(), "192.0.2.1", at)


def test_a_recorded_post_of_sendgrid_is_accepted(contracts: Path) -> None:
    vector = json.loads((contracts / "sendgrid/signature-vector.json").read_text())
    keys = {"secret": [vector["wrong_public_key"], vector["public_key"]]}
    (event,) = sendgrid.read(vector_request(vector), "sendgrid", keys).events
    assert (event.type, event.reason, event.provider_id) == ("suppressed", "previous_bounce", "LRzXl_NHStOGhQ4kofSm_A")


@pytest.mark.parametrize(
    "change",
    [
        lambda vector: {"body": vector["body"].rstrip("\r\n")},
        lambda vector: {"body": vector["body"].replace("dropped", "delivered")},
        lambda vector: {"signature": vector["wrong_signature"]},
        lambda vector: {"signature": ""},
        lambda vector: {"signature": "garbage"},
        lambda vector: {"timestamp": str(int(vector["timestamp"]) + 1)},
        lambda vector: {"timestamp": f"{vector['timestamp']} "},
        lambda vector: {"timestamp": ""},
    ],
    ids=["no line break", "other words", "other signature", "none", "garbage", "a second later", "a space", "no time"],
)
def test_a_recorded_post_of_sendgrid_with_a_change_is_refused(
    contracts: Path, change: Callable[[Mapping[str, str]], dict[str, str]]
) -> None:
    vector = json.loads((contracts / "sendgrid/signature-vector.json").read_text())
    with pytest.raises(RequestError) as refused:
        sendgrid.read(vector_request(vector, **change(vector)), "sendgrid", {"secret": [vector["public_key"]]})
    assert refused.value.status == 401


def test_a_recorded_post_of_sendgrid_is_too_old_today(endpoint: FeedbackEndpoint, contracts: Path) -> None:
    vector = json.loads((contracts / "sendgrid/signature-vector.json").read_text())
    headers = {sendgrid.SIGNATURE: vector["signature"], sendgrid.TIMESTAMP: vector["timestamp"]}
    assert endpoint.post(Posting("/feedback/sendgrid", vector["body"].encode(), headers)).status == 401


# ---- Mailgun ----
def mailgun(data: Mapping[str, Any]) -> Posting:
    timestamp, token = str(int(time.time())), secrets.token_hex(25)
    signature = hmac.digest(MAILGUN_KEY.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hex()
    signed = {"timestamp": timestamp, "token": token, "signature": signature}
    return Posting(f"/feedback/mailgun/{PATH_SECRET}", json.dumps({"signature": signed, "event-data": data}).encode())


def test_every_event_that_mailgun_documents(endpoint: FeedbackEndpoint, contracts: Path) -> None:
    samples = json.loads((contracts / "mailgun/events-samples-from-docs.json").read_text())
    assert {sample["title"] for sample in samples} >= set(MAILGUN)
    for sample in samples:
        mail = endpoint.mail("mailgun")
        data = sample["event-data"] | {"user-variables": tags(mail)}
        assert_recorded(endpoint, mail, mailgun(data), MAILGUN.get(sample["title"], NOTHING))


# ---- Postmark ----
def test_every_bounce_type_of_postmark(endpoint: FeedbackEndpoint, contracts: Path) -> None:
    text = (contracts / "postmark/postmark-server-openapi-original.yml").read_text()
    line = next(
        line for line in text.splitlines() if "enum:" in line and "HardBounce" in line and "DMARCPolicy" in line
    )
    types = [word.strip(" '") for word in line.partition("[")[2].rpartition("]")[0].split(",")]
    assert set(POSTMARK_BOUNCES) <= set(types)
    for kind in types:
        mail = endpoint.mail("postmark")
        body = {"RecordType": "Bounce", "Type": kind, "Email": mail.to, "BouncedAt": "2026-11-20T14:13:28Z"}
        body |= {"MessageID": mail.id, "Metadata": tags(mail)}  # type: ignore[dict-item]
        expected = POSTMARK_BOUNCES.get(kind, ("bounced", "transient", "other"))
        assert_recorded(
            endpoint, mail, Posting(f"/feedback/postmark/{PATH_SECRET}", json.dumps(body).encode()), expected
        )


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"RecordType": "Delivery", "DeliveredAt": "2026-11-20T14:13:28Z"}, ("delivered", "", "")),
        ({"RecordType": "SpamComplaint", "Type": "SpamComplaint"}, ("complained", "", "")),
        ({"RecordType": "Open"}, ("opened", "", "")),
        ({"RecordType": "Click", "OriginalLink": "https://example.com"}, ("clicked", "", "")),
        (
            {"RecordType": "SubscriptionChange", "SuppressSending": True, "SuppressionReason": "HardBounce"},
            ("suppressed", "", "previous_bounce"),
        ),
        (
            {"RecordType": "SubscriptionChange", "SuppressSending": True, "SuppressionReason": "ManualSuppression"},
            ("suppressed", "", "unsubscribed"),
        ),
        ({"RecordType": "SubscriptionChange", "SuppressSending": False, "SuppressionReason": None}, NOTHING),
        ({"RecordType": "Inbound", "From": "a@example.com"}, NOTHING),
    ],
    ids=lambda value: value.get("RecordType") if isinstance(value, dict) else None,
)
def test_every_record_type_of_postmark(
    endpoint: FeedbackEndpoint, record: dict[str, Any], expected: tuple[str, ...]
) -> None:
    mail = endpoint.mail("postmark")
    body = {**record, "Recipient": mail.to, "Email": mail.to, "MessageID": mail.id, "Metadata": tags(mail)}
    assert_recorded(endpoint, mail, Posting(f"/feedback/postmark/{PATH_SECRET}", json.dumps(body).encode()), expected)


# ---- Aliyun ----
def test_the_event_that_aliyun_documents(endpoint: FeedbackEndpoint, contracts: Path) -> None:
    body = json.loads((contracts / "aliyun/event-deliver-fail-from-docs.json").read_text())
    mail = endpoint.mail("aliyun")
    body["data"]["header"] = {
        f"X-User-Notify-{name.replace('_', '-').title()}": value for name, value in tags(mail).items()
    }
    posting = Posting(f"/feedback/aliyun/{PATH_SECRET}", json.dumps(body).encode())
    assert_recorded(endpoint, mail, posting, ("bounced", "", "no_mailbox"))


def test_an_event_of_aliyun_without_our_headers_is_matched_by_its_id(
    endpoint: FeedbackEndpoint, contracts: Path
) -> None:
    body = json.loads((contracts / "aliyun/event-deliver-fail-from-docs.json").read_text())
    mail = endpoint.mail("aliyun")
    body["data"]["env_id"] = mail.id
    posting = Posting(f"/feedback/aliyun/{PATH_SECRET}", json.dumps(body).encode())
    assert_recorded(endpoint, mail, posting, ("bounced", "", "no_mailbox"))


# ---- SES ----
def ses_samples(contracts: Path) -> list[dict[str, Any]]:
    samples: list[dict[str, Any]] = json.loads((contracts / "ses/ses-event-samples-from-aws-docs.json").read_text())
    return samples


def wrapped(event: Mapping[str, Any], how: str) -> dict[str, Any]:
    if how == "EventBridge":
        return {"version": "0", "id": "e1", "source": "aws.ses", "detail-type": "Email", "detail": event}
    record = {"MessageId": "m1", "Type": "Notification", "Subject": None, "Message": json.dumps(event)}
    return {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": record}]}


@pytest.mark.parametrize("how", ["EventBridge", "SNS"])
def test_every_event_that_ses_documents(endpoint: FeedbackEndpoint, contracts: Path, how: str) -> None:
    path = "/2015-03-31/functions/feedback/invocations"
    seen = set()
    for sample in ses_samples(contracts):
        mail, body = endpoint.mail("ses"), sample["event"]
        body["mail"] |= {"messageId": mail.id}
        # A notification that is set up on an identity has no tags: it is matched by SES's own id.
        if "eventType" in body:
            body["mail"].setdefault("tags", {}).update({name: [value] for name, value in tags(mail).items()})
        kind = body.get("eventType") or body["notificationType"]
        seen.add(kind)
        expected = SES.get(sample["title"], SES.get(kind, NOTHING))
        recipients = len(body.get("bounce", {}).get("bouncedRecipients", [1]))
        for _ in range(2):
            answer = endpoint.post(Posting(path, json.dumps(wrapped(body, how)).encode()))
            assert answer.json() == {"events": recipients if expected else 0}
            events = [recorded(entry) for entry in endpoint.events(mail.message_id)]
            assert events == ([expected] * recipients if expected else []), sample["title"]
    assert seen >= set(SES) - {"Bounce notification without a DSN"}


def test_an_invocation_that_is_no_event_of_ses_fails_so_that_lambda_retries(endpoint: FeedbackEndpoint) -> None:
    path = "/2015-03-31/functions/feedback/invocations"
    answer = endpoint.post(Posting(path, json.dumps({"Records": [{"Sns": {"Message": 1}}]}).encode()))
    assert answer.headers["x-amz-function-error"] == "Unhandled"
    assert endpoint.post(Posting(path, b"{}")).json() == {"events": 0}


def test_a_secret_may_be_a_basic_password_or_a_header(endpoint: FeedbackEndpoint) -> None:
    mail = endpoint.mail("postmark")
    body = {"RecordType": "Delivery", "Recipient": mail.to, "Metadata": tags(mail)}
    basic = base64.b64encode(f"anyone:{PATH_SECRET}".encode()).decode()
    for headers in ({"authorization": f"Basic {basic}"}, {"x-mailroom-secret": PATH_SECRET}):
        assert endpoint.post(Posting("/feedback/postmark", json.dumps(body).encode(), headers)).status == 200
    assert [recorded(entry) for entry in endpoint.events(mail.message_id)] == [("delivered", "", "")]


@pytest.mark.parametrize("provider", ["resend", "ses"])
def test_a_mail_through_a_relay_is_matched_by_our_header(endpoint: FeedbackEndpoint, provider: str) -> None:
    mail = endpoint.mail("smtp")
    headers = [{"name": "Subject", "value": "x"}, {"name": "X-Mailroom-Message-Id", "value": mail.message_id}]
    if provider == "resend":
        data = {"email_id": "unknown", "to": [mail.to], "headers": headers}
        posting = sign_resend(json.dumps({"type": "email.delivered", "data": data}).encode(), time.time())
    else:
        event = {
            "eventType": "Delivery",
            "mail": {"messageId": "unknown", "headers": headers, "tags": {}},
            "delivery": {},
        }
        posting = Posting("/2015-03-31/functions/feedback/invocations", json.dumps(wrapped(event, "SNS")).encode())
    assert endpoint.post(posting).status == 200
    assert [recorded(entry) for entry in endpoint.events(mail.message_id)] == [("delivered", "", "")]
