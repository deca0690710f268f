"""The error of each provider's answers: a row for each documented or observed one."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.network.http import Transport
from mailroom.providers import Provider, Receipt
from mailroom.providers._cases import QUOTA_RETRY_SECONDS as HOUR
from mailroom.providers.http import Http
from mailroom.providers.mailgun import Mailgun
from mailroom.providers.postmark import Postmark
from mailroom.providers.resend import Resend
from mailroom.providers.sendgrid import SendGrid
from tests.transports import Answering

NOW = 1_700_000_000.0

MAKE: dict[str, Callable[[Transport], Provider]] = {
    "resend": lambda transport: Resend("re_secret", transport),
    "sendgrid": lambda transport: SendGrid("SG.secret", transport),
    "mailgun": lambda transport: Mailgun("key-secret", transport),
    "postmark": lambda transport: Postmark("secret-token", transport),
    "http": lambda transport: Http("https://mail.example.com/in", [b"secret"], transport),
}


@dataclass(frozen=True)
class Row:
    """An answer, and the error that it means."""

    provider: str
    status: int
    body: Any
    error: type[DeliveryError]
    code: str
    wait: float | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        text = self.body if isinstance(self.body, str) else " ".join(str(value) for value in self.body.values())
        return f"{self.provider} {self.status} {text[:40]}"


def resend(status: int, name: str, message: str, *outcome: Any, headers: dict[str, str] | None = None) -> Row:
    error, code, *wait = outcome
    body = {"statusCode": status, "name": name, "message": message}
    return Row("resend", status, body, error, code, wait[0] if wait else None, headers or {})


def sendgrid(status: int, field: str | None, message: str, *outcome: Any) -> Row:
    return Row("sendgrid", status, {"errors": [{"message": message, "field": field, "help": None}]}, *outcome)


def mailgun(status: int, message: str, *outcome: Any) -> Row:
    return Row("mailgun", status, {"message": message}, *outcome)


def postmark(status: int, code: int, message: str, *outcome: Any) -> Row:
    return Row("postmark", status, {"ErrorCode": code, "Message": message}, *outcome)


WAIT_2 = {"ratelimit-limit": "10", "ratelimit-remaining": "0", "ratelimit-reset": "2"}
ROWS = [
    resend(401, "missing_api_key", "Missing API Key", ConfigurationError, "bad_key"),
    resend(403, "invalid_api_key", "API key is invalid", ConfigurationError, "bad_key"),
    resend(400, "validation_error", "API key is invalid", ConfigurationError, "bad_key"),
    resend(401, "restricted_api_key", "This API key is restricted to only send emails", ConfigurationError, "bad_key"),
    resend(403, "suspended_api_key", "Suspended", ConfigurationError, "bad_key"),
    resend(403, "validation_error", "The x.example domain is not verified.", ConfigurationError, "unverified_sender"),
    resend(
        400,
        "validation_error",
        "The associated domain with your API key is not verified",
        ConfigurationError,
        "unverified_sender",
    ),
    resend(403, "validation_error", "You can only send testing emails to your own", ConfigurationError, "test_mode"),
    resend(422, "validation_error", "Invalid `to` field.", PermanentFailure, "invalid_recipient"),
    resend(422, "invalid_from_address", "Invalid `from` field.", ConfigurationError, "invalid_sender"),
    resend(422, "missing_required_field", "Missing `subject` field.", PermanentFailure, "invalid"),
    resend(400, "validation_error", "Something else", PermanentFailure, "invalid"),
    resend(
        429,
        "rate_limit_exceeded",
        "Too many requests",
        TemporaryFailure,
        "rate_limited",
        7.0,
        headers={"retry-after": "7"},
    ),
    resend(429, "rate_limit_exceeded", "Too many requests", TemporaryFailure, "rate_limited", 2.0, headers=WAIT_2),
    resend(429, "rate_limit_exceeded", "Too many requests", TemporaryFailure, "rate_limited", 1.0),
    resend(429, "daily_quota_exceeded", "Daily quota", TemporaryFailure, "daily_quota", HOUR, headers=WAIT_2),
    resend(429, "monthly_quota_exceeded", "Monthly quota", TemporaryFailure, "monthly_quota", HOUR),
    resend(409, "concurrent_idempotent_requests", "In progress", TemporaryFailure, "busy", 1.0),
    resend(409, "resource_locked", "Locked", TemporaryFailure, "busy", 1.0),
    resend(404, "not_found", "No such path", ConfigurationError, "not_found"),
    resend(418, "a_name_of_tomorrow", "Unknown", TemporaryFailure, "http_418"),
    resend(422, "a_name_of_tomorrow", "Unknown", PermanentFailure, "invalid"),
    resend(500, "application_error", "Oops", UnknownOutcome, "http_500"),
    resend(503, "service_unavailable", "Oops", UnknownOutcome, "http_503", 30.0, headers={"retry-after": "30"}),
    sendgrid(401, None, "The provided authorization grant is invalid", ConfigurationError, "bad_key"),
    sendgrid(401, None, "Authenticated user is not authorized to send mail", ConfigurationError, "forbidden"),
    sendgrid(401, None, "Maximum credits exceeded", TemporaryFailure, "quota", HOUR),
    sendgrid(403, "from", "does not match a verified Sender Identity.", ConfigurationError, "unverified_sender"),
    sendgrid(403, None, "access forbidden", ConfigurationError, "forbidden"),
    sendgrid(400, "from.email", "Does not contain a valid address.", ConfigurationError, "invalid_sender"),
    sendgrid(400, "personalizations.0.to.0.email", "Not a valid address.", PermanentFailure, "invalid_recipient"),
    sendgrid(400, "subject", "The subject is required.", PermanentFailure, "invalid"),
    sendgrid(413, None, "Payload too large", PermanentFailure, "too_large"),
    sendgrid(429, None, "too many requests", TemporaryFailure, "rate_limited", 1.0),
    Row(
        "sendgrid",
        429,
        "",
        TemporaryFailure,
        "rate_limited",
        45.0,
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW) + 45)},
    ),
    sendgrid(500, None, "Oops", UnknownOutcome, "http_500"),
    Row("sendgrid", 200, "<html>It works!</html>", UnknownOutcome, "garbage"),
    Row("mailgun", 401, "Forbidden", ConfigurationError, "bad_key"),
    mailgun(404, "Domain not found: example.com", ConfigurationError, "unknown_domain"),
    mailgun(
        400,
        "Domain example.com is not allowed to send: The domain is unverified and requires DNS",
        ConfigurationError,
        "unverified_sender",
    ),
    mailgun(400, "Sandbox subdomains are for test purposes only.", ConfigurationError, "test_mode"),
    mailgun(400, "Free accounts are for test purposes only.", ConfigurationError, "test_mode"),
    mailgun(400, "'to' parameter is not a valid address.", PermanentFailure, "invalid_recipient"),
    mailgun(400, "from parameter is not a valid address.", ConfigurationError, "invalid_sender"),
    mailgun(403, "Domain example.com is not allowed to send: disabled", ConfigurationError, "forbidden"),
    mailgun(413, "Request Entity Too Large", PermanentFailure, "too_large"),
    mailgun(
        429,
        "account-requests-per-sec limit exceeded, try again after 120 seconds",
        TemporaryFailure,
        "rate_limited",
        120.0,
    ),
    mailgun(
        429,
        "Domain x is not allowed to send: recipient limit exceeded, try again after Tue, 14 Nov 2023 23:13:20 UTC",
        TemporaryFailure,
        "rate_limited",
        3600.0,
    ),
    mailgun(500, "Internal Server Error", UnknownOutcome, "http_500"),
    Row("mailgun", 200, "Mailgun Magnificent API", ConfigurationError, "not_found"),
    mailgun(200, "Something new", UnknownOutcome, "garbage"),
    postmark(401, 10, "Bad or missing API token", ConfigurationError, "bad_key"),
    postmark(422, 300, "Invalid 'To' address: 'ada'.", PermanentFailure, "invalid_recipient"),
    postmark(422, 300, "Invalid 'From' address: not a verified sender signature", ConfigurationError, "invalid_sender"),
    postmark(422, 300, "Invalid metadata content.", PermanentFailure, "invalid"),
    postmark(422, 400, "No sender signature", ConfigurationError, "unverified_sender"),
    postmark(422, 401, "Sender signature not confirmed", ConfigurationError, "unverified_sender"),
    postmark(422, 405, "Out of credits", TemporaryFailure, "quota", HOUR),
    postmark(422, 406, "Found inactive addresses: x.", PermanentFailure, "suppressed"),
    postmark(422, 412, "Account is pending", ConfigurationError, "test_mode"),
    postmark(422, 413, "Account may not send", ConfigurationError, "forbidden"),
    postmark(422, 1235, "The 'MessageStream' provided does not exist", ConfigurationError, "unknown_stream"),
    postmark(429, 429, "Rate limit exceeded", TemporaryFailure, "rate_limited", 1.0),
    Row("postmark", 413, "<html>too large</html>", PermanentFailure, "too_large"),
    Row("postmark", 403, "<html>403 Forbidden</html>", ConfigurationError, "forbidden"),
    postmark(503, 100, "Maintenance", TemporaryFailure, "maintenance", 60.0),
    postmark(500, 0, "Lost", UnknownOutcome, "http_500"),
    postmark(200, 406, "Inactive recipient", PermanentFailure, "suppressed"),
    postmark(200, 300, "Invalid 'To' address", PermanentFailure, "invalid_recipient"),
    Row(
        "postmark",
        200,
        {
            "MessageID": "1",
            "ErrorCode": 0,
            "Message": "Message OK, but will not deliver to these inactive addresses: x.",
        },
        PermanentFailure,
        "suppressed",
    ),
    Row("http", 401, "", ConfigurationError, "bad_key"),
    Row("http", 404, "", ConfigurationError, "not_found"),
    Row("http", 422, {"message": "nobody of that name"}, PermanentFailure, "invalid"),
    Row("http", 429, "", TemporaryFailure, "rate_limited", 9.0, {"retry-after": "9"}),
    Row("http", 429, "", TemporaryFailure, "rate_limited", 60.0, {"retry-after": "Tue, 14 Nov 2023 22:14:20 GMT"}),
    Row("http", 503, "", TemporaryFailure, "maintenance", 5.0, {"retry-after": "5"}),
    Row("http", 308, "", ConfigurationError, "redirected"),
    *(Row(name, 400, "<html>a proxy's page</html>", TemporaryFailure, "http_400") for name in MAKE),
    *(Row(name, 422, "", TemporaryFailure, "http_422") for name in MAKE),
    *(Row(name, 504, "<html>Gateway Timeout</html>", UnknownOutcome, "http_504") for name in MAKE),
    *(Row(name, 200, "[" * 9999, UnknownOutcome, "garbage") for name in MAKE),
    *(Row(name, 200, "<html>It works!</html>", UnknownOutcome, "garbage") for name in MAKE),
]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)


def answered(name: str, status: int, content: bytes, headers: dict[str, str], email: Email) -> Receipt:
    response = httpx.Response(status, content=content, headers=headers)
    return MAKE[name](Answering(lambda _: response)).send(email, "key-1")


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_an_answer_is_the_error_that_its_provider_means(row: Row, email: Email) -> None:
    content = row.body if isinstance(row.body, str) else json.dumps(row.body)

    with pytest.raises(DeliveryError) as failure:
        answered(row.provider, row.status, content.encode(), row.headers, email)

    error = failure.value
    assert (type(error), error.code, error.retry_after) == (row.error, row.code, row.wait)


@pytest.mark.parametrize("name", MAKE)
def test_an_error_repeats_nothing_private_of_an_answer(name: str, email: Email) -> None:
    quoted = (
        "no ada@example.org, key re_secret, SG.secret or key-secret, see https://example.com/?code=000000 or 000000"
    )
    body = {"name": "x", "message": quoted, "Message": quoted, "ErrorCode": 1, "errors": [{"message": quoted}]}

    with pytest.raises(DeliveryError) as failure:
        answered(name, 422, json.dumps(body).encode(), {}, email)

    for private in ("ada@", "re_secret", "SG.secret", "key-secret", "https:", "000000"):
        assert private not in str(failure.value)


ANY_MAIL = Email(Mailbox("no-reply@example.com"), "ada@example.org", "s", "h", "t", tags={"message_id": "1"})
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "data", "name", "message", "errors", "field", "MessageID", "ErrorCode", "Message"]),
            inner,
        )
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=400)
@given(
    name=st.sampled_from(sorted(MAKE)),
    status=st.sampled_from([200, 202, 204, 302, 400, 401, 403, 409, 422, 429, 500, 503]) | st.integers(200, 599),
    content=st.binary(max_size=60) | JSONS.map(lambda value: json.dumps(value).encode()),
    wait=st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
)
def test_any_answer_is_a_receipt_or_a_delivery_error(name: str, status: int, content: bytes, wait: str | None) -> None:
    headers = {} if wait is None else {"retry-after": wait, "ratelimit-remaining": "0", "ratelimit-reset": wait}
    try:
        seconds = answered(name, status, content, headers, ANY_MAIL).wait
    except DeliveryError as error:
        seconds = error.retry_after or 0.0

    assert seconds >= 0.0


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("name", "headers", "wait"),
    [
        ("resend", {"ratelimit-remaining": "0", "ratelimit-reset": "1"}, 1.0),
        ("resend", {"ratelimit-remaining": "3", "ratelimit-reset": "1"}, 0.0),
        ("resend", {}, 0.0),
        ("sendgrid", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW) + 20)}, 20.0),
        ("http", {"Retry-After": "3"}, 3.0),
    ],
)
def test_a_receipt_has_the_time_to_wait(name: str, headers: dict[str, str], wait: float, email: Email) -> None:
    receipt = answered(name, 202, b'{"id": "1"}', {**headers, "X-Message-Id": "1"}, email)

    assert receipt == Receipt("1", wait)


def test_a_409_for_another_body_means_that_resend_has_the_mail(email: Email) -> None:
    body = {"statusCode": 409, "name": "invalid_idempotent_request", "message": "Used with a different payload."}

    assert answered("resend", 409, json.dumps(body).encode(), {}, email) == Receipt("", repeated=True)


def test_a_409_for_a_batch_means_that_resend_has_all_its_mails(email: Email) -> None:
    body = {"statusCode": 409, "name": "invalid_idempotent_request", "message": "Used with a different payload."}
    provider = Resend("re_secret", Answering(lambda _: httpx.Response(409, json=body)))

    assert provider.send_batch([email, email], "key-1") == [Receipt("", repeated=True)] * 2


def with_id(id_: object) -> dict[str, object]:
    return {"id": id_, "MessageID": id_, "EnvId": id_, "message": "Queued. Thank you.", "ErrorCode": 0}


@pytest.mark.parametrize("name", sorted({*MAKE} - {"sendgrid"}))
@pytest.mark.parametrize("id_", ["", None, 7, ["1"], {"id": "1"}])
def test_a_success_without_an_id_is_no_success(name: str, id_: object, email: Email) -> None:
    with pytest.raises(UnknownOutcome):
        answered(name, 200, json.dumps(with_id(id_)).encode(), {}, email)


@pytest.mark.parametrize("name", sorted({*MAKE} - {"sendgrid"}))
@pytest.mark.parametrize(
    ("id_", "kept"),
    [("x" * 3000, "x" * 512), ("a\x00b\r\nc\u2028", "abc"), ("\ud800b", "b"), ("\U0001f4a9" * 600, "\U0001f4a9" * 512)],
    ids=["long", "control characters", "half a surrogate pair", "four bytes each"],
)
def test_the_id_of_a_receipt_is_printable_and_fits_an_index(name: str, id_: str, kept: str, email: Email) -> None:
    receipt = answered(name, 200, json.dumps(with_id(id_)).encode(), {}, email)

    assert receipt.id == kept
    assert len(receipt.id.encode()) <= 2048


def test_a_mail_that_postmark_delays_is_sent(email: Email) -> None:
    body = {"MessageID": "1", "Message": "Message accepted, but delivery may be delayed."}

    assert answered("postmark", 200, json.dumps(body).encode(), {}, email) == Receipt("1")
