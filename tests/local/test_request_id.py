"""One id joins what a function logs for an HTTP request with the API's access log."""

import json

import pytest

from tests.running import Running

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("function", "path", "route"),
    [
        ("webhook", "/webhooks/logto/acme", "ANY /webhooks/logto/{tenant}"),
        ("send", "/v1/emails", "POST /v1/emails"),
        ("feedback", "/feedback/resend", "ANY /feedback/{provider}"),
    ],
)
def test_a_functions_log_lines_join_the_access_log(stack: Running, function: str, path: str, route: str) -> None:
    answer = stack.request("POST", path, "{}", JSON)

    request_id = answer.headers["apigw-requestid"]
    access = json.loads(stack.line_with(request_id, "access"))
    line = json.loads(stack.line_with(request_id, function))
    assert access["request_id"] == line["request_id"] == request_id
    assert (access["route"], access["status"]) == (route, "401")
    assert line["message"] == "Refused"
    assert line["function_request_id"]
    assert isinstance(line["cold_start"], bool)


def test_the_access_log_has_every_field_of_the_template(stack: Running) -> None:
    answer = stack.request("GET", "/openapi.json")

    access = json.loads(stack.line_with(answer.headers["apigw-requestid"], "access"))

    assert set(access) == {"request_id", "time", "route", "status", "latency", "integration", "error"}
    assert not any("$" in value for value in access.values())
