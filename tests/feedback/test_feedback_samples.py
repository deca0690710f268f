"""What providers really send, from their own documentation, through the real door: each becomes the right event."""

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
from mailroom.feedback._authentication import require_standard_webhook
from mailroom.request import Request
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.reports import MAILGUN_KEY, PATH_SECRET, Posting, sign_resend, sign_sendgrid
from tests.reports import Door

NOTHING = ()

# What each documented event is to us: what, how final, why. Kept by the provider's own words.
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


def told(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    return entry["event"], entry.get("how", ""), entry.get("reason", "")


def check(door: Door, mail: Captured, posting: Posting, expected: tuple[str, ...]) -> None:
    """Post a report twice: the first time it is news, the second time it changes nothing."""
    for _ in range(2):
        answer = door.post(posting)
        assert answer.status == 200, answer.text
        assert [told(entry) for entry in door.events(mail.message_id)] == ([expected] if expected else [])


def tags(mail: Captured) -> dict[str, str]:
    return {"message_id": mail.message_id, "tenant": mail.tenant, "kind": mail.kind}


# ---- Resend ----
def resend_events(contracts: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Make an event of each type that Resend's own description has, as it describes them."""
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


def test_every_webhook_that_resend_describes(door: Door, contracts: Path) -> None:
    events = dict(resend_events(contracts))
    assert set(RESEND) <= set(events)
    for name, said in events.items():
        mail = door.mail("resend")
        said["data"] |= {"email_id": mail.id, "tags": tags(mail), "to": [mail.to]}
        check(door, mail, sign_resend(json.dumps(said).encode(), time.time()), RESEND.get(name, NOTHING))


@pytest.mark.parametrize("number", [0, 1], ids=["standard-webhooks", "svix"])
def test_the_vectors_of_standard_webhooks(contracts: Path, number: int) -> None:
    vector = json.loads((contracts / "standard-webhooks/vectors.json").read_text())[number]
    signed = {"id": vector["msg_id"], "timestamp": vector["timestamp"], "signature": vector["signature"]}
    headers = {f"svix-{name}": value for name, value in signed.items()}
    body, at = vector["payload"].encode(), float(vector["timestamp"])
    request = Request("POST", {"provider": "resend"}, headers, body, "192.0.2.1", at)
    assert require_standard_webhook(request, [vector["secret"]], "secret", "svix") == vector["msg_id"]
    assert resend.read(request, "resend", {"secret": ["whsec_b3RoZXI=", vector["secret"]]}).events == []
    with pytest.raises(RequestError):
        resend.read(request, "resend", {"secret": ["whsec_b3RoZXI="]})


def test_a_signature_of_a_kind_we_do_not_speak_is_passed_over(contracts: Path) -> None:
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
def test_every_event_that_sendgrid_documents(door: Door, contracts: Path) -> None:
    samples = json.loads((contracts / "sendgrid/event-webhook-samples-from-docs.json").read_text())
    seen = set()
    for said in (event for sample in samples for event in (sample if isinstance(sample, list) else [sample])):
        mail = door.mail("sendgrid")
        name = "blocked" if said.get("type") == "blocked" else said.get("event")
        seen.add(name)
        body = json.dumps([{**said, **tags(mail)}]).encode() + b"\r\n"
        check(door, mail, sign_sendgrid(body, time.time()), SENDGRID.get(name, NOTHING))
    assert seen >= set(SENDGRID)


def test_one_post_of_sendgrid_holds_many_events_of_many_mails(door: Door, contracts: Path) -> None:
    samples = json.loads((contracts / "sendgrid/event-webhook-samples-from-docs.json").read_text())[0]
    mails = [door.mail("sendgrid") for _ in samples]
    said = [{**event, **tags(mail)} for event, mail in zip(samples, mails, strict=True)]
    answer = door.post(sign_sendgrid(json.dumps(said).encode() + b"\r\n", time.time()))
    assert (answer.status, answer.json()["events"]) == (200, sum(event["event"] in SENDGRID for event in samples))
    for event, mail in zip(samples, mails, strict=True):
        expected = SENDGRID.get(event["event"])
        assert [told(entry) for entry in door.events(mail.message_id)] == ([expected] if expected else [])


def vector_request(vector: Mapping[str, str], **changes: str) -> Request:
    told = {**vector, **changes}
    headers = {sendgrid.SIGNATURE: told["signature"], sendgrid.TIMESTAMP: told["timestamp"]}
    at = float(vector["timestamp"])
    return Request("POST", {"provider": "sendgrid"}, headers, told["body"].encode(), "192.0.2.1", at)


def test_the_post_that_sendgrid_recorded(contracts: Path) -> None:
    vector = json.loads((contracts / "sendgrid/signature-vector.json").read_text())
    keys = {"secret": [vector["wrong_public_key"], vector["public_key"]]}
    (event,) = sendgrid.read(vector_request(vector), "sendgrid", keys).events
    assert (event.what, event.reason, event.provider_id) == ("suppressed", "previous_bounce", "LRzXl_NHStOGhQ4kofSm_A")


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
def test_the_post_that_sendgrid_recorded_changed_a_little(
    contracts: Path, change: Callable[[Mapping[str, str]], dict[str, str]]
) -> None:
    vector = json.loads((contracts / "sendgrid/signature-vector.json").read_text())
    with pytest.raises(RequestError) as refused:
        sendgrid.read(vector_request(vector, **change(vector)), "sendgrid", {"secret": [vector["public_key"]]})
    assert refused.value.status == 401


def test_the_post_that_sendgrid_recorded_is_too_old_today(door: Door, contracts: Path) -> None:
    vector = json.loads((contracts / "sendgrid/signature-vector.json").read_text())
    headers = {sendgrid.SIGNATURE: vector["signature"], sendgrid.TIMESTAMP: vector["timestamp"]}
    assert door.post(Posting("/feedback/sendgrid", vector["body"].encode(), headers)).status == 401


# ---- Mailgun ----
def mailgun(data: Mapping[str, Any]) -> Posting:
    timestamp, token = str(int(time.time())), secrets.token_hex(25)
    signature = hmac.digest(MAILGUN_KEY.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hex()
    signed = {"timestamp": timestamp, "token": token, "signature": signature}
    return Posting(f"/feedback/mailgun/{PATH_SECRET}", json.dumps({"signature": signed, "event-data": data}).encode())


def test_every_event_that_mailgun_documents(door: Door, contracts: Path) -> None:
    samples = json.loads((contracts / "mailgun/events-samples-from-docs.json").read_text())
    assert {sample["title"] for sample in samples} >= set(MAILGUN)
    for sample in samples:
        mail = door.mail("mailgun")
        data = sample["event-data"] | {"user-variables": tags(mail)}
        check(door, mail, mailgun(data), MAILGUN.get(sample["title"], NOTHING))


# ---- Postmark ----
def test_every_bounce_that_postmark_knows(door: Door, contracts: Path) -> None:
    text = (contracts / "postmark/postmark-server-openapi-original.yml").read_text()
    line = next(
        line for line in text.splitlines() if "enum:" in line and "HardBounce" in line and "DMARCPolicy" in line
    )
    types = [word.strip(" '") for word in line.partition("[")[2].rpartition("]")[0].split(",")]
    assert set(POSTMARK_BOUNCES) <= set(types)
    for kind in types:
        mail = door.mail("postmark")
        said = {"RecordType": "Bounce", "Type": kind, "Email": mail.to, "BouncedAt": "2026-11-20T14:13:28Z"}
        said |= {"MessageID": mail.id, "Metadata": tags(mail)}  # type: ignore[dict-item]
        expected = POSTMARK_BOUNCES.get(kind, ("bounced", "transient", "other"))
        check(door, mail, Posting(f"/feedback/postmark/{PATH_SECRET}", json.dumps(said).encode()), expected)


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
def test_every_record_of_postmark(door: Door, record: dict[str, Any], expected: tuple[str, ...]) -> None:
    mail = door.mail("postmark")
    said = {**record, "Recipient": mail.to, "Email": mail.to, "MessageID": mail.id, "Metadata": tags(mail)}
    check(door, mail, Posting(f"/feedback/postmark/{PATH_SECRET}", json.dumps(said).encode()), expected)


# ---- Aliyun ----
def test_the_event_that_aliyun_documents(door: Door, contracts: Path) -> None:
    said = json.loads((contracts / "aliyun/event-deliver-fail-from-docs.json").read_text())
    mail = door.mail("aliyun")
    said["data"]["header"] = {
        f"X-User-Notify-{name.replace('_', '-').title()}": value for name, value in tags(mail).items()
    }
    posting = Posting(f"/feedback/aliyun/{PATH_SECRET}", json.dumps(said).encode())
    check(door, mail, posting, ("bounced", "", "no_mailbox"))


def test_an_event_of_aliyun_without_our_headers_is_found_by_its_envelope(door: Door, contracts: Path) -> None:
    said = json.loads((contracts / "aliyun/event-deliver-fail-from-docs.json").read_text())
    mail = door.mail("aliyun")
    said["data"]["env_id"] = mail.id
    posting = Posting(f"/feedback/aliyun/{PATH_SECRET}", json.dumps(said).encode())
    check(door, mail, posting, ("bounced", "", "no_mailbox"))


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
def test_every_event_that_ses_documents_straight_from_aws(door: Door, contracts: Path, how: str) -> None:
    path = "/2015-03-31/functions/feedback/invocations"
    seen = set()
    for sample in ses_samples(contracts):
        mail, said = door.mail("ses"), sample["event"]
        said["mail"] |= {"messageId": mail.id}
        if (
            "eventType" in said
        ):  # a notification set up on an identity has no tags: its mail is found by SES's name for it
            said["mail"].setdefault("tags", {}).update({name: [value] for name, value in tags(mail).items()})
        kind = said.get("eventType") or said["notificationType"]
        seen.add(kind)
        expected = SES.get(sample["title"], SES.get(kind, NOTHING))
        recipients = len(said.get("bounce", {}).get("bouncedRecipients", [1]))
        for _ in range(2):
            answer = door.post(Posting(path, json.dumps(wrapped(said, how)).encode()))
            assert answer.json() == {"events": recipients if expected else 0}
            found = [told(entry) for entry in door.events(mail.message_id)]
            assert found == ([expected] * recipients if expected else []), sample["title"]
    assert seen >= set(SES) - {"Bounce notification without a DSN"}


def test_what_straight_from_aws_is_no_event_of_ses_is_an_error_that_lambda_repeats(door: Door) -> None:
    path = "/2015-03-31/functions/feedback/invocations"
    answer = door.post(Posting(path, json.dumps({"Records": [{"Sns": {"Message": 1}}]}).encode()))
    assert answer.headers["x-amz-function-error"] == "Unhandled"
    assert door.post(Posting(path, b"{}")).json() == {"events": 0}


def test_basic_credentials_are_as_good_as_a_secret_in_the_address(door: Door) -> None:
    mail = door.mail("postmark")
    said = {"RecordType": "Delivery", "Recipient": mail.to, "Metadata": tags(mail)}
    basic = base64.b64encode(f"anyone:{PATH_SECRET}".encode()).decode()
    for headers in ({"authorization": f"Basic {basic}"}, {"x-mailroom-secret": PATH_SECRET}):
        assert door.post(Posting("/feedback/postmark", json.dumps(said).encode(), headers)).status == 200
    assert [told(entry) for entry in door.events(mail.message_id)] == [("delivered", "", "")]


@pytest.mark.parametrize("provider", ["resend", "ses"])
def test_a_mail_that_went_through_a_relay_is_known_by_our_header(door: Door, provider: str) -> None:
    mail = door.mail("smtp")
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
    assert door.post(posting).status == 200
    assert [told(entry) for entry in door.events(mail.message_id)] == [("delivered", "", "")]
