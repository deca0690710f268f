"""Authentication of reports: each is changed a little, as an attacker might, and posted to the running stack."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from mailroom.model.event import EventType
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.reports import Posting, report
from mailroom_ops.sandbox.reports.resend import sign_resend
from mailroom_ops.sandbox.reports.sendgrid import sign_sendgrid
from tests.reports import FeedbackEndpoint

SIGNED = ("resend", "sendgrid", "mailgun")
BY_SECRET = ("mailgun", "postmark", "aliyun")
SVIX = ("svix-id", "svix-timestamp", "svix-signature")
TWILIO = ("X-Twilio-Email-Event-Webhook-Timestamp", "X-Twilio-Email-Event-Webhook-Signature")
GARBAGE = (
    *(
        "",
        " ",
        "garbage",
        "v1",
        "v1,",
        ",",
        "v1,a,b",
        "v1,abc",
        "v1,====",
        "v2,AAAA",
        "v1 AAAA",
        "\xff\xfe",
        "a" * 8000,
    ),
    *(
        "0",
        "-1",
        "1e9",
        "NaN",
        "99999999999999999999",
        "1700000000.5",
        "\x7f",
        "{}",
        "[]",
        "null",
        "%00",
        "v1,\xe9\xe9\xe9\xe9",
    ),
)


def bounce(mail: Captured) -> Posting:
    posting = report(mail, EventType.BOUNCED)
    assert posting
    return posting


def stale(posting: Posting, provider: str, seconds: int) -> Posting:
    """Sign the same body properly, at another time."""
    sign: dict[str, Callable[[bytes, float], Posting]] = {"resend": sign_resend, "sendgrid": sign_sendgrid}
    return sign[provider](posting.body, time.time() + seconds)


def headers_of(posting: Posting) -> list[tuple[str, str]]:
    return list(posting.headers.items())


@pytest.mark.parametrize("provider", ["resend", "sendgrid"])
def test_no_byte_of_a_signed_report_can_be_changed(endpoint: FeedbackEndpoint, provider: str) -> None:
    mail = endpoint.mail(provider)
    posting = bounce(mail)
    for position in range(0, len(posting.body), max(1, len(posting.body) // 25)):
        for bit in (1, 0x80):
            changed = bytearray(posting.body)
            changed[position] ^= bit
            assert endpoint.post(replace(posting, body=bytes(changed))).status == 401
    for body in (b"", posting.body[:-1], posting.body.strip() + b" ", posting.body * 2, b"\xff" + posting.body):
        assert endpoint.post(replace(posting, body=body)).status == 401
    assert endpoint.events(mail.message_id) == []
    assert endpoint.post(posting).status == 200


def test_sendgrid_signs_the_line_break_at_the_end_of_the_body(endpoint: FeedbackEndpoint) -> None:
    posting = bounce(endpoint.mail("sendgrid"))
    assert posting.body.endswith(b"\r\n")
    assert endpoint.post(replace(posting, body=posting.body[:-2])).status == 401
    assert endpoint.post(replace(posting, body=posting.body[:-2] + b"\n")).status == 401
    assert endpoint.post(posting).status == 200


@pytest.mark.parametrize("seconds", [-86_400, -301, 310])
@pytest.mark.parametrize("provider", ["resend", "sendgrid"])
def test_a_report_signed_more_than_five_minutes_off_is_refused(
    endpoint: FeedbackEndpoint, provider: str, seconds: int
) -> None:
    assert endpoint.post(stale(bounce(endpoint.mail(provider)), provider, seconds)).status == 401


@pytest.mark.parametrize("seconds", [-290, 290])
@pytest.mark.parametrize("provider", ["resend", "sendgrid"])
def test_a_clock_may_be_almost_five_minutes_off(endpoint: FeedbackEndpoint, provider: str, seconds: int) -> None:
    assert endpoint.post(stale(bounce(endpoint.mail(provider)), provider, seconds)).status == 200


@pytest.mark.parametrize("name", [*SVIX, *TWILIO])
def test_a_malformed_or_missing_signature_header_is_refused(endpoint: FeedbackEndpoint, name: str) -> None:
    provider = "resend" if name in SVIX else "sendgrid"
    posting = bounce(endpoint.mail(provider))
    for value in GARBAGE:
        assert endpoint.post(replace(posting, headers={**posting.headers, name: value})).status == 401, value
    without = [(key, value) for key, value in headers_of(posting) if key != name]
    assert endpoint.post(posting, without).status == 401
    twice = [*headers_of(posting), (name, posting.headers[name])]
    assert endpoint.post(posting, twice).status == 401, "the same header twice is another header"
    assert endpoint.post(posting, list(reversed(headers_of(posting)))).status == 200, "in any order"


def test_resend_signs_the_id(endpoint: FeedbackEndpoint) -> None:
    first, other = bounce(endpoint.mail("resend")), bounce(endpoint.mail("resend"))
    swapped = {**first.headers, "svix-id": other.headers["svix-id"]}
    assert endpoint.post(replace(first, headers=swapped)).status == 401
    assert endpoint.post(replace(first, headers=other.headers)).status == 401


def test_one_valid_signature_among_others_is_enough(endpoint: FeedbackEndpoint) -> None:
    posting = bounce(endpoint.mail("resend"))
    valid = posting.headers["svix-signature"]
    others = f"v1a,AAAA v1,{base64.b64encode(b'other').decode()} junk {valid} v1,"
    assert endpoint.post(replace(posting, headers={**posting.headers, "svix-signature": others})).status == 200


def test_a_valid_signature_under_another_version_is_refused(endpoint: FeedbackEndpoint) -> None:
    posting = bounce(endpoint.mail("resend"))
    valid = posting.headers["svix-signature"]
    for version in ("v2", "v1a", "V1", ""):
        renamed = {**posting.headers, "svix-signature": valid.replace("v1,", f"{version},")}
        assert endpoint.post(replace(posting, headers=renamed)).status == 401, version


@pytest.mark.parametrize("provider", BY_SECRET)
def test_a_wrong_or_missing_secret_is_refused(endpoint: FeedbackEndpoint, provider: str) -> None:
    mail = endpoint.mail(provider)
    posting = bounce(mail)
    bare = Posting(f"/feedback/{provider}", posting.body)
    for path in (f"/feedback/{provider}", f"/feedback/{provider}/wrong", f"/feedback/{provider}/%C3%A9%FF"):
        assert endpoint.post(replace(bare, path=path)).status == 401
    for value in (
        "Basic",
        "Basic !!!",
        "Basic bG9jYWw=",
        "Bearer local-feedback-secret",
        "basic \xff",
        "Basic " + "A" * 5000,
    ):
        assert endpoint.post(replace(bare, headers={"authorization": value})).status == 401
    assert endpoint.events(mail.message_id) == []
    assert endpoint.post(posting).status == 200


def mailgun_changed(posting: Posting, **changes: Any) -> Posting:
    body = json.loads(posting.body)
    body["signature"] |= changes
    return replace(posting, body=json.dumps(body).encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": "0" * 64},
        {"signature": ""},
        {"signature": None},
        {"signature": "é"},
        {"token": "0" * 50},
        {"token": ""},
        {"token": ["a"]},
        {"token": "\ud800"},
        {"timestamp": "1"},
        {"timestamp": 1.5},
        {"timestamp": None},
    ],
    ids=str,
)
def test_nothing_that_mailgun_signs_can_be_changed(endpoint: FeedbackEndpoint, changes: Mapping[str, Any]) -> None:
    answer = endpoint.post(mailgun_changed(bounce(endpoint.mail("mailgun")), **changes))
    assert answer.status in (400, 401)


def test_the_signed_time_of_mailgun_cannot_be_changed(endpoint: FeedbackEndpoint) -> None:
    posting = bounce(endpoint.mail("mailgun"))
    signed = int(json.loads(posting.body)["signature"]["timestamp"])
    assert endpoint.post(mailgun_changed(posting, timestamp=str(signed + 1))).status == 401
    assert endpoint.post(posting).status == 200


def test_a_token_of_mailgun_is_valid_for_one_body(endpoint: FeedbackEndpoint) -> None:
    mail, other = endpoint.mail("mailgun"), endpoint.mail("mailgun")
    posting = bounce(mail)
    assert endpoint.post(posting).status == 200
    body = json.loads(posting.body)
    body["event-data"]["user-variables"]["message_id"] = other.message_id
    assert endpoint.post(replace(posting, body=json.dumps(body).encode())).status == 401
    assert endpoint.events(other.message_id) == []
    assert endpoint.post(posting).status == 200, "Mailgun itself may repeat a post"
    assert len(endpoint.events(mail.message_id)) == 1


@pytest.mark.parametrize("provider", SIGNED)
def test_a_replay_changes_nothing(endpoint: FeedbackEndpoint, provider: str) -> None:
    mail = endpoint.mail(provider)
    posting = bounce(mail)
    for _ in range(3):
        assert endpoint.post(posting).status == 200
    assert len(endpoint.events(mail.message_id)) == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/feedback/nobody", 404),
        ("/feedback/smtp", 404),
        ("/feedback/resend.acme", 401),
        ("/feedback/RESEND", 404),
        ("/feedback/resend%2F..", 404),
        ("/feedback/%00", 404),
        ("/feedback/" + "r" * 3000, 404),
        ("/feedback/resend", 401),
        ("/feedback/ses", 404),
    ],
)
def test_a_refusal_is_one_plain_sentence(endpoint: FeedbackEndpoint, path: str, status: int) -> None:
    answer = endpoint.post(Posting(path, b'{"type": "email.bounced"}'))
    assert (answer.status, answer.headers["content-type"]) == (status, "text/plain; charset=utf-8")
    assert "resend%2F" not in answer.text
    assert len(answer.text) < 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_a_method_other_than_post_is_refused(endpoint: FeedbackEndpoint, method: str) -> None:
    answer = endpoint.post(bounce(endpoint.mail("resend")), method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"1", b'"a"', b"{", b"\xff\xfe", b'{"a":1,"a":2}', b'{"a":NaN}', b"[" * 50_000, b'"\\ud800"'],
    ids=repr,
)
def test_an_authenticated_body_that_is_no_report_is_a_400(endpoint: FeedbackEndpoint, body: bytes) -> None:
    for posting in (sign_resend(body, time.time()), Posting("/feedback/postmark/local-feedback-secret", body)):
        assert endpoint.post(posting).status == 400
    assert endpoint.post(sign_sendgrid(body, time.time())).status == (200 if body == b"[]" else 400)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": None},
        {"type": ["email.bounced"]},
        {"type": "email.bounced"},
        {"type": "email.bounced", "created_at": "yesterday", "data": "text"},
        {"type": "email.bounced", "created_at": 1e400, "data": {"to": [None], "tags": [1], "bounce": []}},
        {"type": "email.bounced", "data": {"tags": {"message_id": {"S": "x"}}, "email_id": 7}},
        {"type": "email.bounced", "data": {"tags": {"message_id": "../" * 100}, "bounce": {"diagnosticCode": [[]]}}},
        {"type": "email.bounced", "created_at": "0001-01-01T00:00:00Z", "data": {"email_id": "x" * 5000}},
        {"type": "email.future", "data": {}},
    ],
    ids=str,
)
def test_an_authenticated_report_with_odd_fields_is_accepted(endpoint: FeedbackEndpoint, body: dict[str, Any]) -> None:
    text = json.dumps(body).replace("Infinity", "1e400").encode()
    assert endpoint.post(sign_resend(text, time.time())).status == 200


def test_a_report_of_two_megabytes_is_refused(endpoint: FeedbackEndpoint) -> None:
    body = json.dumps([{"event": "x" * 2_000_000}]).encode()
    assert endpoint.post(sign_sendgrid(body, time.time())).status == 413
