"""Who may report: each report changed a little in a way that somebody might try, through the real door."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from mailroom.model.event import What
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.reports import Posting, report, sign_resend, sign_sendgrid
from tests.reports import Door

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
    posting = report(mail, What.BOUNCED)
    assert posting
    return posting


def stale(posting: Posting, provider: str, seconds: int) -> Posting:
    """Sign the same words properly, but at another time."""
    sign: dict[str, Callable[[bytes, float], Posting]] = {"resend": sign_resend, "sendgrid": sign_sendgrid}
    return sign[provider](posting.body, time.time() + seconds)


def headers_of(posting: Posting) -> list[tuple[str, str]]:
    return list(posting.headers.items())


@pytest.mark.parametrize("provider", ["resend", "sendgrid"])
def test_no_byte_of_a_signed_report_can_be_changed(door: Door, provider: str) -> None:
    mail = door.mail(provider)
    posting = bounce(mail)
    for position in range(0, len(posting.body), max(1, len(posting.body) // 25)):
        for bit in (1, 0x80):
            changed = bytearray(posting.body)
            changed[position] ^= bit
            assert door.post(replace(posting, body=bytes(changed))).status == 401
    for body in (b"", posting.body[:-1], posting.body.strip() + b" ", posting.body * 2, b"\xff" + posting.body):
        assert door.post(replace(posting, body=body)).status == 401
    assert door.events(mail.message_id) == []
    assert door.post(posting).status == 200


def test_the_line_break_at_the_end_is_part_of_what_sendgrid_signs(door: Door) -> None:
    posting = bounce(door.mail("sendgrid"))
    assert posting.body.endswith(b"\r\n")
    assert door.post(replace(posting, body=posting.body[:-2])).status == 401
    assert door.post(replace(posting, body=posting.body[:-2] + b"\n")).status == 401
    assert door.post(posting).status == 200


@pytest.mark.parametrize("seconds", [-86_400, -301, 310])
@pytest.mark.parametrize("provider", ["resend", "sendgrid"])
def test_a_report_signed_too_long_ago_or_in_the_future_is_refused(door: Door, provider: str, seconds: int) -> None:
    assert door.post(stale(bounce(door.mail(provider)), provider, seconds)).status == 401


@pytest.mark.parametrize("seconds", [-290, 290])
@pytest.mark.parametrize("provider", ["resend", "sendgrid"])
def test_a_clock_may_be_some_minutes_off(door: Door, provider: str, seconds: int) -> None:
    assert door.post(stale(bounce(door.mail(provider)), provider, seconds)).status == 200


@pytest.mark.parametrize("name", [*SVIX, *TWILIO])
def test_a_signature_header_that_is_none_is_refused_and_never_breaks_us(door: Door, name: str) -> None:
    provider = "resend" if name in SVIX else "sendgrid"
    posting = bounce(door.mail(provider))
    for value in GARBAGE:
        assert door.post(replace(posting, headers={**posting.headers, name: value})).status == 401, value
    without = [(key, value) for key, value in headers_of(posting) if key != name]
    assert door.post(posting, without).status == 401
    twice = [*headers_of(posting), (name, posting.headers[name])]
    assert door.post(posting, twice).status == 401, "the same header twice is another header"
    assert door.post(posting, list(reversed(headers_of(posting)))).status == 200, "in any order"


def test_the_id_is_part_of_what_resend_signs(door: Door) -> None:
    one, other = bounce(door.mail("resend")), bounce(door.mail("resend"))
    swapped = {**one.headers, "svix-id": other.headers["svix-id"]}
    assert door.post(replace(one, headers=swapped)).status == 401
    assert door.post(replace(one, headers=other.headers)).status == 401


def test_one_good_signature_among_others_is_enough(door: Door) -> None:
    posting = bounce(door.mail("resend"))
    good = posting.headers["svix-signature"]
    others = f"v1a,AAAA v1,{base64.b64encode(b'other').decode()} junk {good} v1,"
    assert door.post(replace(posting, headers={**posting.headers, "svix-signature": others})).status == 200


def test_a_good_signature_under_another_version_is_refused(door: Door) -> None:
    posting = bounce(door.mail("resend"))
    good = posting.headers["svix-signature"]
    for version in ("v2", "v1a", "V1", ""):
        renamed = {**posting.headers, "svix-signature": good.replace("v1,", f"{version},")}
        assert door.post(replace(posting, headers=renamed)).status == 401, version


@pytest.mark.parametrize("provider", BY_SECRET)
def test_who_does_not_know_the_secret_is_refused(door: Door, provider: str) -> None:
    mail = door.mail(provider)
    posting = bounce(mail)
    bare = Posting(f"/feedback/{provider}", posting.body)
    for path in (f"/feedback/{provider}", f"/feedback/{provider}/wrong", f"/feedback/{provider}/%C3%A9%FF"):
        assert door.post(replace(bare, path=path)).status == 401
    for value in (
        "Basic",
        "Basic !!!",
        "Basic bG9jYWw=",
        "Bearer local-feedback-secret",
        "basic \xff",
        "Basic " + "A" * 5000,
    ):
        assert door.post(replace(bare, headers={"authorization": value})).status == 401
    assert door.events(mail.message_id) == []
    assert door.post(posting).status == 200


def mailgun_changed(posting: Posting, **changes: Any) -> Posting:
    said = json.loads(posting.body)
    said["signature"] |= changes
    return replace(posting, body=json.dumps(said).encode())


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
def test_what_mailgun_signs_cannot_be_changed(door: Door, changes: Mapping[str, Any]) -> None:
    answer = door.post(mailgun_changed(bounce(door.mail("mailgun")), **changes))
    assert answer.status in (400, 401)


def test_what_mailgun_signed_cannot_be_made_younger(door: Door) -> None:
    posting = bounce(door.mail("mailgun"))
    signed = int(json.loads(posting.body)["signature"]["timestamp"])
    assert door.post(mailgun_changed(posting, timestamp=str(signed + 1))).status == 401
    assert door.post(posting).status == 200


def test_a_token_of_mailgun_is_good_for_one_body(door: Door) -> None:
    mail, other = door.mail("mailgun"), door.mail("mailgun")
    posting = bounce(mail)
    assert door.post(posting).status == 200
    said = json.loads(posting.body)
    said["event-data"]["user-variables"]["message_id"] = other.message_id
    assert door.post(replace(posting, body=json.dumps(said).encode())).status == 401
    assert door.events(other.message_id) == []
    assert door.post(posting).status == 200, "Mailgun itself may repeat what it said"
    assert len(door.events(mail.message_id)) == 1


@pytest.mark.parametrize("provider", SIGNED)
def test_a_replay_changes_nothing(door: Door, provider: str) -> None:
    mail = door.mail(provider)
    posting = bounce(mail)
    for _ in range(3):
        assert door.post(posting).status == 200
    assert len(door.events(mail.message_id)) == 1


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
def test_a_stranger_gets_a_plain_sentence(door: Door, path: str, status: int) -> None:
    answer = door.post(Posting(path, b'{"type": "email.bounced"}'))
    assert (answer.status, answer.headers["content-type"]) == (status, "text/plain; charset=utf-8")
    assert "resend%2F" not in answer.text
    assert len(answer.text) < 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_a_report_is_posted(door: Door, method: str) -> None:
    answer = door.post(bounce(door.mail("resend")), method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"1", b'"a"', b"{", b"\xff\xfe", b'{"a":1,"a":2}', b'{"a":NaN}', b"[" * 50_000, b'"\\ud800"'],
    ids=repr,
)
def test_what_is_proven_and_yet_no_report_is_refused_in_words(door: Door, body: bytes) -> None:
    for posting in (sign_resend(body, time.time()), Posting("/feedback/postmark/local-feedback-secret", body)):
        assert door.post(posting).status == 400
    assert door.post(sign_sendgrid(body, time.time())).status == (200 if body == b"[]" else 400)


@pytest.mark.parametrize(
    "said",
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
def test_what_is_proven_and_odd_is_taken_in_as_far_as_it_goes(door: Door, said: dict[str, Any]) -> None:
    body = json.dumps(said).replace("Infinity", "1e400").encode()
    assert door.post(sign_resend(body, time.time())).status == 200


def test_a_report_may_not_be_endless(door: Door) -> None:
    body = json.dumps([{"event": "x" * 2_000_000}]).encode()
    assert door.post(sign_sendgrid(body, time.time())).status == 413
