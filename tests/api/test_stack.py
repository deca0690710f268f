"""The send function in the running stack, called with boto3 and over HTTP."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mailroom_ops.sandbox.faults import Kind
from tests.api.client import code, notice
from tests.running import Answer, Running

KEY = "local-api-key"
HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
CALLERS = 200


def post(stack: Running, body: Any, path: str = "/v1/emails", **headers: str) -> Answer:
    return stack.request("POST", path, json.dumps(body), HEADERS | headers)


@pytest.fixture(scope="module")
def functions(stack: Running) -> Any:
    """Return the client an auth service has, of the local stack."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "lambda",
        endpoint_url=stack.url,
        region_name="eu-west-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(max_pool_connections=CALLERS, read_timeout=60, retries={"total_max_attempts": 1}),
    )


def invoke(functions: Any, event: Any) -> dict[str, Any]:
    answer = functions.invoke(FunctionName="send", Payload=json.dumps(event).encode())
    assert "FunctionError" not in answer
    body: dict[str, Any] = json.loads(answer["Payload"].read())
    return body


def test_an_invocation_with_boto3_returns_the_status_of_the_mail(stack: Running, functions: Any) -> None:
    to = stack.address()

    answer = invoke(functions, code(to=to, locale="de"))

    mail = stack.mail_to(to)
    assert answer == {
        "message_id": mail.message_id,
        "status": "sent",
        "provider": "resend",
        "provider_id": mail.id,
    }
    assert mail.locale == "de"
    assert "KX4242" in mail.text
    line = json.loads(stack.line_with(mail.message_id, "send"))
    assert line["message"] == "Email sent successfully"


def test_a_request_over_http_with_a_key_is_sent(stack: Running) -> None:
    to = stack.address()

    answer = post(stack, code(to=to, tenant="acme"))

    mail = stack.mail_to(to)
    assert answer.status == 200
    assert answer.json()["message_id"] == mail.message_id
    assert mail.from_ == "Acme <login@acme.example>"
    look_up = stack.request("GET", f"/v1/emails/{mail.message_id}", headers=HEADERS)
    assert (look_up.status, look_up.json()["status"], look_up.json()["tenant"]) == (200, "sent", "acme")


def test_a_queued_mail_is_delivered_and_can_be_looked_up(stack: Running, functions: Any) -> None:
    to = stack.address()

    answer = invoke(functions, notice(to=to, mode="queued"))

    assert answer["status"] == "accepted"
    assert stack.mail_to(to).message_id == answer["message_id"]
    stack.line_with(answer["message_id"], "deliver")
    look_up = stack.request("GET", f"/v1/emails/{answer['message_id']}", headers=HEADERS)
    assert look_up.json()["status"] == "sent"


def test_a_batch_is_sent_over_http_and_by_invocation(stack: Running, functions: Any) -> None:
    readers = [stack.address() for _ in range(6)]

    over_http = post(stack, {"messages": [code(to=to) for to in readers[:3]]}, "/v1/emails/batch").json()["results"]
    by_invoke = invoke(functions, [notice(to=to) for to in readers[3:]])["results"]

    for to, result in zip(readers, over_http + by_invoke, strict=True):
        assert result["status"] == "sent"
        assert stack.mail_to(to).message_id == result["message_id"]


def test_invalid_requests_are_refused_and_never_crash(stack: Running, functions: Any) -> None:
    assert invoke(functions, {"kind": "sign-in-code"})["status"] == "refused"
    assert invoke(functions, None)["status"] == "refused"
    assert post(stack, {"kind": "sign-in-code"}).status == 422
    assert stack.request("POST", "/v1/emails", "{", HEADERS).status == 400
    assert post(stack, code(), authorization="Bearer wrong").status == 401
    assert stack.request("GET", "/v1/emails/nothing", headers=HEADERS).status == 404


def test_the_document_is_served(stack: Running) -> None:
    answer = stack.request("GET", "/openapi.json")
    assert (answer.status, answer.json()["openapi"]) == (200, "3.1.0")


@pytest.mark.thorough
def test_two_hundred_callers_with_one_key_get_one_mail_and_equal_responses(stack: Running, functions: Any) -> None:
    """Half of them invoke, half use HTTP. Callers that are asked to retry while the mail is in flight do so."""
    to = stack.address()
    request = code(to=to, idempotency_key=f"order-{to}")
    start = threading.Barrier(CALLERS)
    stack.sandbox.faults.add("resend", Kind.HOLD)

    def call(number: int) -> dict[str, Any]:
        start.wait()
        for _ in range(120):
            if number % 2:
                body = invoke(functions, request)
            else:
                answer = post(stack, request)
                body = answer.json()
                assert answer.status in (200, 409)
                assert (answer.headers.get("retry-after") == "1") == (answer.status == 409)
            if body["status"] != "refused":
                return body
            assert [error["field"] for error in body["errors"]] == ["idempotency_key"]
            stack.sandbox.faults.release()
            time.sleep(float(answer.headers["retry-after"]) if not number % 2 else 1)
        raise AssertionError("a conflict for two minutes")

    with ThreadPoolExecutor(CALLERS) as callers:
        answers = list(callers.map(call, range(CALLERS)))

    (mail,) = [mail for mail in stack.sandbox.inbox.all() if mail.to == to]
    assert answers == [answers[0]] * CALLERS
    assert answers[0]["status"] == "sent"
    assert (answers[0]["message_id"], answers[0]["provider_id"]) == (mail.message_id, mail.id)
    sent = [line for line in stack.logs("send") if mail.message_id in line and "Email sent successfully" in line]
    assert len(sent) == 1


def test_no_log_of_the_stack_contains_anything_private(stack: Running, functions: Any) -> None:
    to = stack.address()
    invoke(functions, code("KX9182", to=to, idempotency_key="canary-key"))
    invoke(functions, code("KX9182", to=f"{to}, {to}", canary="canary-word"))
    post(stack, {"kind": "password-reset", "to": to, "data": {"link": "https://example.com/?token=canary-token"}})
    post(stack, code("KX9182", to=to), authorization="Bearer canary-api-key")
    last = invoke(functions, notice(to=to))["message_id"]
    stack.line_with(last, "send")

    written = "\n".join(stack.logs())
    for canary in ("KX9182", "canary", to, KEY):
        assert canary not in written, canary
