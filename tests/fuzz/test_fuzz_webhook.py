"""The webhook under random input, over HTTP: always a 2xx or a 4xx, and never a secret in a log."""

import json
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.running import TOKENS, Running
from tests.thorough import times

ADDRESS, CODE, LINK, KEY = "canary-reader@canary.example", "canary739154", "https://canary.example/x?t=1", "canary-key"

fuzz_settings = settings(
    derandomize="CI" in os.environ,
    deadline=None,
    max_examples=times(50, 150),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

texts = st.text(max_size=40) | st.sampled_from([ADDRESS, CODE, LINK, "{{ code }}", "<b>", "en", "de-AT", "\u202e", ""])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
known = st.sampled_from(
    ["code", "link", "locale", "uiLocales", "application", "organization", "user", "inviter", "name"]
)
payloads = st.dictionaries(known | texts, values, max_size=6)
types = st.sampled_from(["SignIn", "Register", "OrganizationInvitation", "ForgotPassword", "Generic", "New"])
likely = st.fixed_dictionaries(
    {"to": st.just(ADDRESS), "type": types, "payload": payloads}, optional={"ip": values, "more": values}
)
bodies = likely | st.fixed_dictionaries({"to": values, "type": values, "payload": values}) | values


@pytest.fixture(scope="module")
def fuzzed(stack: Running) -> Running:
    stack.clear()
    return stack


def assert_answered(status: int, text: str) -> None:
    assert 200 <= status < 300 or 400 <= status < 500, status
    assert "Traceback" not in text
    assert "canary" not in text


@fuzz_settings
@given(bodies)
def test_any_json_is_answered(fuzzed: Running, body: Any) -> None:
    answer = fuzzed.logto(json.dumps(body))

    assert_answered(answer.status, answer.text)


@fuzz_settings
@given(likely, st.integers(0, 400), st.binary(max_size=8))
def test_any_broken_json_is_answered(fuzzed: Running, body: Any, position: int, splinter: bytes) -> None:
    whole = json.dumps(body).encode()
    answer = fuzzed.logto(whole[:position] + splinter + whole[position + len(splinter) // 2 :])

    assert_answered(answer.status, answer.text)


@fuzz_settings
@given(
    st.sampled_from(["POST", "GET", "PUT", "HEAD", "PATCH", "BREW"]),
    st.binary(max_size=200),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40),
    st.sampled_from([TOKENS["default"], f"Bearer {KEY}", ""]),
    st.sampled_from(["application/json", "text/plain", "application/json; charset=utf-16", "", "multipart/form-data"]),
)
def test_any_request_is_answered(
    fuzzed: Running, method: str, body: bytes, tenant: str, authorization: str, content_type: str
) -> None:
    path = "/webhooks/logto" + (f"/{tenant}" if tenant else "")
    answer = fuzzed.request(method, path, body, {"authorization": authorization, "content-type": content_type})

    assert_answered(answer.status, answer.body.decode(errors="replace"))


def test_no_log_line_holds_a_canary_or_a_trace(fuzzed: Running) -> None:
    last = fuzzed.address()
    for type_ in ("SignIn", "OrganizationInvitation", "Generic"):
        fuzzed.logto({"to": ADDRESS, "type": type_, "payload": {"code": CODE, "link": LINK, "user": {"name": ADDRESS}}})
    fuzzed.logto({"to": ADDRESS, "type": "SignIn"}, authorization=f"Bearer {KEY}")
    fuzzed.logto({"to": f"{ADDRESS},{ADDRESS}", "type": "SignIn", "payload": {"code": CODE}})
    for type_ in ("SignIn", "OrganizationInvitation"):
        fuzzed.logto({"to": last, "type": type_, "payload": {"code": "1", "link": LINK}})
    fuzzed.mails_to(last, 2)

    lines = fuzzed.logs()

    assert any("Email sent successfully" in line for line in lines)
    secrets = ("canary", TOKENS["default"].removeprefix("Bearer "), "re_sandbox", "Traceback", last)
    assert not [line for line in lines for secret in secrets if secret in line]
