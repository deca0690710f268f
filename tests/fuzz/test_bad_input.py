"""Whatever arrives at the webhook's real door gets a clean answer: one plain sentence, a 4xx, nothing reflected."""

import base64
import http.client
import json
import time
from typing import Any

import pytest

from tests.running import TOKENS, Answer, Running

GOOD = {"to": "canary.reader@example.com", "type": "SignIn", "payload": {"code": "739154"}}
CASES: list[tuple[str, int, dict[str, Any]]] = [
    ("get", 405, {"method": "GET"}),
    ("head", 405, {"method": "HEAD"}),
    ("put", 405, {"method": "PUT"}),
    ("delete", 405, {"method": "DELETE"}),
    ("options", 405, {"method": "OPTIONS"}),
    ("no-authorization", 401, {"authorization": None}),
    ("empty-authorization", 401, {"authorization": ""}),
    ("wrong-authorization", 401, {"authorization": "Bearer canary-key"}),
    ("authorization-in-other-case", 401, {"authorization": TOKENS["default"].lower()}),
    ("authorization-of-another-tenant", 401, {"authorization": TOKENS["acme"]}),
    ("unknown-tenant", 401, {"path": "/webhooks/logto/nobody"}),
    ("tenant-that-climbs", 401, {"path": "/webhooks/logto/..%2facme"}),
    ("tenant-not-utf-8", 401, {"path": "/webhooks/logto/%ff%fe"}),
    ("other-path", 404, {"path": "/webhooks/logto/acme/more"}),
    ("content-type", 415, {"content_type": "text/plain"}),
    ("form", 415, {"content_type": "application/x-www-form-urlencoded"}),
    ("no-content-type", 415, {"content_type": None}),
    ("empty", 400, {"body": b""}),
    ("truncated", 400, {"body": b'{"to":"canary'}),
    ("trailing", 400, {"body": b'{"to":"a@example.com"} x'}),
    ("duplicate-keys", 400, {"body": b'{"to":"a@example.com","to":"canary@example.com","type":"SignIn"}'}),
    ("not-utf-8", 400, {"body": b'{"to":"\xff@example.com","type":"SignIn"}'}),
    ("utf-16", 400, {"body": json.dumps(GOOD).encode("utf-16")}),
    ("lone-surrogate", 400, {"body": rb'{"to":"a@example.com","type":"\ud800"}'}),
    ("nan", 400, {"body": b'{"to":"a@example.com","type":"SignIn","payload":{"n":NaN}}'}),
    ("deep", 400, {"body": b'{"to":"a@example.com","type":"SignIn","payload":' + b'{"a":' * 5000 + b"1" + b"}" * 5001}),
    ("a-megabyte-of-nesting", 413, {"body": b"[" * 1_000_000}),
    ("too-large", 413, {"change": {"payload": {"x": "y" * 100_000}}}),
    ("eleven-megabytes", 413, {"body": b"x" * 11_000_000}),
    ("array", 422, {"body": b"[]"}),
    ("null", 422, {"body": b"null"}),
    ("no-to", 422, {"change": {"to": None}}),
    ("no-type", 422, {"change": {"type": None}}),
    ("code-object", 422, {"change": {"payload": {"code": {"a": 1}}}}),
    ("code-with-line-break", 422, {"change": {"payload": {"code": "739154\r\nBcc: canary@example.com"}}}),
    *(
        (f"to-{name}", 422, {"change": {"to": to}})
        for name, to in {
            "empty": "",
            "two": "a@example.com,canary@example.com",
            "semicolon": "a@example.com;canary@example.com",
            "angle-brackets": "<canary@example.com>",
            "named": "Canary <canary@example.com>",
            "quoted": '"canary"@example.com',
            "line-break": "canary@example.com\r\nbcc: b@example.com",
            "nul": "canary\0@example.com",
            "space": "can ary@example.com",
            "no-at": "canary.example.com",
            "two-ats": "canary@a@example.com",
            "full-width-comma": "a@example.com，canary@example.com",
            "number": 5,
            "list": ["canary@example.com"],
            "long": "c" * 65 + "@example.com",
        }.items()
    ),
    *(
        (f"link-{name}", 422, {"change": {"type": "OrganizationInvitation", "payload": {"link": link}}})
        for name, link in {
            "javascript": "javascript:alert('canary')",
            "data": "data:text/html,canary",
            "no-scheme": "canary.example/x",
            "user": "https://example.com@canary.example/",
            "line-break": "https://canary.example/\r\nx",
            "quote": 'https://canary.example/"onclick=',
            "list": ["https://canary.example/"],
        }.items()
    ),
]


def ask(stack: Running, how: dict[str, Any]) -> Answer:
    body = json.dumps({key: value for key, value in {**GOOD, **how.get("change", {})}.items() if value is not None})
    headers = {"authorization": how.get("authorization", TOKENS["default"])}
    headers["content-type"] = how.get("content_type", "application/json")
    return stack.request(
        how.get("method", "POST"),
        how.get("path", "/webhooks/logto"),
        how.get("body", body.encode()),
        {name: value for name, value in headers.items() if value is not None},
    )


@pytest.mark.parametrize(("status", "how"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_bad_input_gets_a_plain_sentence(stack: Running, status: int, how: dict[str, Any]) -> None:
    before = len(stack.sandbox.inbox.all())

    answer = ask(stack, how)

    assert answer.status == status
    assert "location" not in answer.headers
    if how.get("method") != "HEAD" and answer.headers["content-type"].startswith("text/plain"):
        assert answer.text.endswith(".")
        assert len(answer.text) < 100
    assert not any(word in answer.text for word in ("canary", "739154", "Traceback", "Error", "pydantic"))
    assert len(stack.sandbox.inbox.all()) == before


@pytest.mark.parametrize(
    "to",
    ["first.last+tag@example.com", "reader@münchen.example", "o'brien@example.com", "ünï@example.com", "a@b.example"],
)
def test_an_unusual_address_is_fine(stack: Running, to: str) -> None:
    assert stack.logto({**GOOD, "to": to}).status == 200


def test_header_names_may_come_in_any_case(stack: Running) -> None:
    headers = {"AUTHORIZATION": TOKENS["default"], "Content-TYPE": "Application/JSON; charset=utf-8"}

    assert stack.request("POST", "/webhooks/logto", json.dumps({**GOOD, "to": stack.address()}), headers).status == 200


def test_a_body_that_api_gateway_hands_over_in_base64_is_read(stack: Running) -> None:
    to = stack.address()
    event = json.loads((stack.stack.options.root / "events" / "webhook-base64.json").read_text())
    event["requestContext"]["timeEpoch"] = int(time.time() * 1000)
    event["body"] = base64.b64encode(json.dumps({**GOOD, "to": to}).encode()).decode()

    outcome = stack.stack.invoke("webhook", json.dumps(event).encode())

    assert json.loads(outcome.payload)["statusCode"] == 200
    assert "739154" in stack.mail_to(to).text


def test_a_header_that_is_not_ascii_is_answered(stack: Running) -> None:
    connection = http.client.HTTPConnection(stack.url.removeprefix("http://"), timeout=30)
    connection.putrequest("POST", "/webhooks/logto")
    connection.putheader("authorization", b"Bearer \xff\xfe\xe2\x82\xac")
    connection.putheader("content-type", "application/json")
    connection.putheader("content-length", "2")
    connection.endheaders(b"{}")
    assert connection.getresponse().status == 401
    connection.close()
