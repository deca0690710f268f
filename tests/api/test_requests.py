"""Refusals: all problems at once, in plain sentences, and no crash."""

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailroom.errors import InvalidRequest, RequestError
from mailroom.model.message import Message
from mailroom.sources import direct
from mailroom.sources.send_request import SendRequest
from tests.api.client import Client, code, notice


def parse(body: Any) -> SendRequest:
    """Parse a request of a tenant with one kind of its own."""
    return direct.parse(body, lambda *_: {"parking-permit"})


def problems(body: Any) -> dict[str, str]:
    """Return what is wrong with a request, by field."""
    with pytest.raises(InvalidRequest) as caught:
        parse(body)
    return dict(caught.value.problems)


def message_of(**body: Any) -> Message:
    return parse(body).to_message("id", 1_800_000_000, 600)


def test_every_problem_is_named_at_once(client: Client) -> None:
    body = {
        "kind": "Sign in",
        "to": "a@example.com, b@example.com",
        "tenant": "../acme",
        "locale": ["de", "not a tag"],
        "data": {
            "code": 123456,
            "link": "javascript:alert(1)",
            "title": 7,
            "button": {"text": "Open", "colour": "red"},
            "facts": [["one"], ["two", None]],
        },
        "idempotency_key": "",
        "mode": "later",
        "expires_in": 0,
        "subject": "Hello",
    }
    answer = client.send(**body)

    assert answer.status == 422
    assert [error["field"] for error in answer.body["errors"]] == [
        "kind",
        "to",
        "tenant",
        "locale.1",
        "data.code",
        "data.link",
        "data.title",
        "data.button.url",
        "data.button.colour",
        "data.facts.0",
        "data.facts.1.1",
        "idempotency_key",
        "mode",
        "expires_in",
        "subject",
    ]
    assert all(error["message"].endswith(".") for error in answer.body["errors"])
    assert client.invoke(body) == answer.body
    (line, _) = client.logged("Refused")
    assert (line["level"], line["status"]) == ("INFO", 422)
    assert line["fields"] == [
        "data",
        "expires_in",
        "idempotency_key",
        "kind",
        "locale",
        "mode",
        "tenant",
        "to",
        "unknown",
    ]
    assert client.rows() == []


@pytest.mark.parametrize(
    ("body", "field", "sentence"),
    [
        ({"to": "a@example.com"}, "kind", "This field is required."),
        ({"kind": "notification"}, "to", "This field is required."),
        (code(subject="x"), "subject", "There is no such field: use kind, to, tenant, locale, data, "),
        (code(to="Ada <ada@example.com>"), "to", "Give exactly one email address, such as reader@example.com."),
        (code(to="ada@example.com\nbcc: b@example.com"), "to", "Give exactly one email address"),
        (code(to=["ada@example.com"]), "to", "Give a text."),
        (code(data={"code": 12345}), "data.code", "a number would lose its leading zeros"),
        (code(data={"code": "1" * 65}), "data.code", "Give a text of 1 to 64 characters"),
        (code(data={"code": "12\n34"}), "data.code", "Give a text of 1 to 64 characters"),
        (code(data={}), "data", "Give a code or a link: a mail of this kind must have one."),
        (code(data={"link": "ftp://example.com"}), "data.link", "Give an http or https address"),
        (code(data={"link": "https://bank.example@evil.example/"}), "data.link", "without a user name in it."),
        (code(data=["KX4242"]), "data", "Give a JSON object."),
        (notice(data={}), "data", "Give a title or paragraphs: a notification must have one."),
        (notice(data={"title": " ", "paragraphs": ["", "\n"]}), "data", "a notification must have one."),
        (notice(kind="security-notice", data={}), "data", "Give an event, a title or paragraphs: a security notice"),
        (notice(kind="security-notice", data=None), "data", "a security notice must have one."),
        (code(kind="magic-link", data={"title": "x"}), "data", "Give a code or a link: a mail of this kind"),
        (notice(data={"title": "x", "paragraphs": ["x"] * 21}), "data.paragraphs", "at most 20 items"),
        (notice(data={"title": "x", "paragraphs": 7}), "data.paragraphs", "Give a text, with empty lines between"),
        (notice(data={"title": "x", "facts": "Guests: 2"}), "data.facts", "Give an object of names and values"),
        (code(locale={"de": 1}), "locale", "Give a language tag, such as en or pt-BR, or a list of them."),
        (code(locale=["de", 5]), "locale.1", "Give a text."),
        (code(locale="en us"), "locale.0", "Give a language tag, such as en or pt-BR."),
        (code(mode="now"), "mode", "Must be 'inline' or 'queued'."),
        (code(expires_in=3.5), "expires_in", "Give a whole number of seconds, 1 to 604800"),
        (code(expires_in="10m"), "expires_in", "Give a whole number of seconds, 1 to 604800"),
        (code(expires_in=8 * 24 * 3600), "expires_in", "Give a whole number of seconds, 1 to 604800"),
        (code(idempotency_key="k" * 256), "idempotency_key", "at most 255 characters"),
        (code(kind="Sign-In"), "kind", "lower-case letters, digits and hyphens"),
        ([], "body", "Give a JSON object."),
        (None, "body", "Give a JSON object."),
        ("send it", "body", "Give a JSON object."),
    ],
)
def test_each_invalid_field_has_a_sentence_with_the_remedy(body: Any, field: str, sentence: str) -> None:
    assert sentence in problems(body)[field]


def test_a_security_notice_about_a_known_event_needs_no_text(client: Client) -> None:
    assert client.send(**notice(kind="security-notice", data={"event": "password-changed"})).status == 200
    assert client.mails()[0].subject.endswith("Your password was changed")


def test_an_unknown_event_of_a_security_notice_is_refused_with_a_suggestion() -> None:
    unknown = notice(kind="security-notice", data={"event": "password-change", "title": "Hello"})
    assert problems(unknown) == {"data.event": "There is no event password-change. Did you mean password-changed?"}
    assert "use account-deleted, " in problems(notice(kind="security-notice", data={"event": {}}))["data.event"]
    assert problems(notice(data={"title": "x", "event": 7})) == {"data.event": "Give a text."}


def test_an_event_of_a_tenants_own_kind_is_free() -> None:
    assert message_of(**code(kind="parking-permit", data={"event": {"name": "Concert"}})).data["event"]


def test_a_message_above_64_kB_is_refused(client: Client) -> None:
    large = code(data={"code": "KX4242", "padding": "x" * 70_000})

    assert client.send(**large).status == 413
    assert client.invoke(large)["errors"][0]["field"] == "body"
    (result,) = client.http("POST", "/v1/emails/batch", [large]).body["results"]
    assert result["status"] == "refused"


def test_the_size_of_a_message_is_measured_in_bytes(client: Client) -> None:
    fits, does_not = (notice(data={"title": "Ω", "own": "Ω" * number}) for number in (32_000, 33_000))
    assert client.http("POST", "/v1/emails", json.dumps(fits, ensure_ascii=False)).status == 200
    assert client.http("POST", "/v1/emails", json.dumps(does_not, ensure_ascii=False)).status == 413


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ("", 400, "The request is not valid JSON."),
        ("{", 400, "The request is not valid JSON."),
        ('{"kind": "notification", "kind": "sign-in-code"}', 400, "The request is not valid JSON."),
        ('{"expires_in": NaN}', 400, "The request is not valid JSON."),
        ("[" * 5_000 + "]" * 5_000, 400, "nested too deeply"),
        ('{"to": "\\ud800"}', 400, "The request is not valid UTF-8."),
    ],
)
def test_a_body_that_is_not_json_is_refused(client: Client, body: str, status: int, sentence: str) -> None:
    answer = client.http("POST", "/v1/emails", body)
    assert answer.status == status
    assert sentence in answer.body["errors"][0]["message"]


def test_another_content_type_is_refused(client: Client) -> None:
    assert client.http("POST", "/v1/emails", code(), content_type="text/plain").status == 415


def test_a_body_that_is_not_valid_base64_is_refused(client: Client) -> None:
    event = {
        "version": "2.0",
        "routeKey": "POST /v1/emails",
        "headers": {"content-type": "application/json"},
        "requestContext": {"timeEpoch": 0, "http": {"method": "POST", "path": "/", "sourceIp": "203.0.113.9"}},
        "body": "%%%",
        "isBase64Encoded": True,
    }
    assert client.function(event)["statusCode"] == 400
    event["body"] = base64.b64encode(b"{}").decode()
    assert client.function(event)["statusCode"] == 401


@pytest.mark.parametrize(
    "event",
    [
        None,
        True,
        7,
        float("nan"),
        "text",
        [],
        {},
        {"messages": None},
        {"messages": {}},
        {"messages": [], "kind": "x"},
        {"requestContext": {}},
        {"version": "2.0"},
        {"version": "2.0", "routeKey": ["POST /v1/emails"]},
        {"kind": {}, "to": [], "data": 1},
        {"kind": "\ud800", "to": "\ud800"},
        {"data": {"a": float("inf")}},
    ],
    ids=repr,
)
def test_no_event_crashes_an_invocation(client: Client, event: Any) -> None:
    answer = client.invoke(event)
    assert answer["status"] == "refused"
    assert answer["errors"]


@pytest.mark.parametrize("context", [{}, {"requestContext": None}, {"requestContext": {"http": []}}], ids=repr)
def test_a_malformed_event_of_the_gateway_is_refused(client: Client, context: dict[str, Any]) -> None:
    assert client.function({"version": "2.0", "routeKey": "POST /v1/emails"} | context)["statusCode"] == 400


def test_a_deeply_nested_event_is_refused(client: Client) -> None:
    event: Any = "leaf"
    for _ in range(100):
        event = {"data": event}
    assert client.invoke(event)["errors"] == [{"field": "body", "message": "The request is nested too deeply."}]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["sign-in-code", "notification", "parking-permit", "magic-link"]) | JSON,
        "to": st.emails() | JSON,
        "tenant": st.just("acme") | JSON,
        "locale": st.just("de") | st.lists(st.just("pt-BR")) | JSON,
        "data": st.fixed_dictionaries(
            {},
            optional={
                "code": st.text(max_size=70) | JSON,
                "link": st.just("https://example.com/x") | JSON,
                "title": JSON,
                "paragraphs": JSON,
                "button": JSON,
                "facts": st.dictionaries(st.text(max_size=5), JSON, max_size=3) | JSON,
                "application": JSON,
            },
        )
        | JSON,
        "idempotency_key": JSON,
        "mode": st.just("queued") | JSON,
        "expires_in": st.integers(1, 1000) | JSON,
        "more": JSON,
    },
)


@given(FIELDS | JSON)
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_event_is_a_message_or_a_list_of_problems(event: Any) -> None:
    try:
        request = parse(direct.read_event(event))
    except RequestError:
        return
    message = request.to_message("id", 0.0, 600)
    assert json.loads(json.dumps(message.data)) == message.data
    assert request.deduplication_key
    assert request.canonical_json


def test_a_request_becomes_a_message() -> None:
    message = message_of(
        kind="password-reset",
        to="Ada@Example.com",
        tenant="acme",
        locale=["pt-BR", "en"],
        data={"link": "https://example.com/r?t=1", "own": {"nested": [1, None]}},
        expires_in=120,
    )
    assert (message.kind, message.to, message.tenant) == ("password-reset", "Ada@Example.com", "acme")
    assert message.locales == ("pt-BR", "en")
    assert message.data == {"link": "https://example.com/r?t=1", "own": {"nested": [1, None]}}
    assert message.expires_at - message.created_at == 120
    assert message.source == "direct"


def test_a_code_has_the_configured_lifetime_and_a_notice_a_day() -> None:
    assert message_of(**code()).expires_at == 1_800_000_600
    assert message_of(**notice()).expires_at == 1_800_086_400


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"title": "T", "paragraphs": "one\n\ntwo"}, {"title": "T", "paragraphs": ["one", "two"]}),
        ({"title": "T", "facts": {"Seats": 2, "Row": "F"}}, {"title": "T", "facts": [["Seats", 2], ["Row", "F"]]}),
        ({"title": "T", "facts": [["Seats", 2.5]]}, {"title": "T", "facts": [["Seats", 2.5]]}),
        ({"title": "T", "code": None}, {"title": "T"}),
    ],
)
def test_both_forms_of_a_field_have_the_same_result(data: dict[str, Any], expected: dict[str, Any]) -> None:
    assert message_of(**notice(data=data)).data == expected


def test_a_single_locale_needs_no_list_and_null_is_the_default() -> None:
    optional: dict[str, Any] = dict.fromkeys(("tenant", "idempotency_key", "mode", "expires_in"))
    message = message_of(**code(locale="de-CH", **optional))
    assert (message.locales, message.tenant) == (("de-CH",), "default")


def test_a_whole_number_of_seconds_may_be_a_float() -> None:
    assert parse(code(expires_in=90.0)).canonical_json == parse(code(expires_in=90)).canonical_json


def test_a_kind_of_the_tenant_itself_is_accepted() -> None:
    assert message_of(**code(kind="parking-permit")).kind == "parking-permit"
