"""A caller of the send function; each reply is validated against the OpenAPI document."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator

from functions.send.app import build
from mailroom.api.openapi import document
from mailroom.api.service import SendService
from mailroom.aws.client import Aws
from mailroom.aws.dynamodb import decode_item
from mailroom.model.message import Parcel
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.server import Sandbox
from tests.cloud import put, waiting
from tests.lambda_function import LambdaFunction

__all__ = ["KEY", "Client", "Response", "code", "notice", "validate"]

KEY = "a-key-for-tests"
DOCUMENT = document()


class Response(NamedTuple):
    """An HTTP response."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]


class Client:
    """Calls one process of the send function on real tables and queues and a provider's sandbox, and looks behind it.

    The process sleeps in no time: `slept` holds the seconds it wanted.
    """

    def __init__(self, aws: Aws, sandbox: Sandbox) -> None:
        self.aws, self.sandbox = aws, sandbox
        self.slept: list[float] = []
        self.service = SendService.from_env(aws)
        self.service.delivery.dispatch.sleep = self.slept.append
        self.function = LambdaFunction(partial(build, self.service), aws)

    def new_process(self) -> "Client":
        """Return a client of another process of the function."""
        return Client(self.aws, self.sandbox)

    def invoke(self, event: Any) -> dict[str, Any]:
        """Invoke the function; return its answer as JSON makes it, validated by its shape."""
        answer: dict[str, Any] = json.loads(json.dumps(self.function(event)))
        shape = "Results" if "results" in answer else "Refusal" if answer["status"] == "refused" else "Answer"
        validate({"$ref": f"#/components/schemas/{shape}"}, answer)
        return answer

    def http(self, method: str, path: str, body: Any = None, *, key: str = KEY, **headers: str) -> Response:
        """Send a request over HTTP; return the response, validated by its status."""
        route = "/v1/emails/{id}" if method == "GET" and path.startswith("/v1/emails/") else path
        sent = {"authorization": f"Bearer {key}" if key else "", "content-type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        event = {
            "version": "2.0",
            "routeKey": f"{method} {route}",
            "headers": {name: value for name, value in sent.items() if value},
            "pathParameters": {"id": path.rpartition("/")[2]} if "{id}" in route else None,
            "requestContext": {
                "requestId": "HfKx1h0MDoEEJ9A=",
                "timeEpoch": 1_800_000_000_000,
                "http": {"method": method, "path": path, "sourceIp": "203.0.113.9"},
            },
            "body": body if isinstance(body, str) else json.dumps(body),
            "isBase64Encoded": False,
        }
        response = self.function(event)
        content = json.loads(response["body"])
        if route in DOCUMENT["paths"]:
            described = DOCUMENT["paths"][route][method.lower()]["responses"][str(response["statusCode"])]
            validate(described["content"]["application/json"]["schema"], content)
        return Response(response["statusCode"], content, response["headers"])

    def send(self, **body: Any) -> Response:
        return self.http("POST", "/v1/emails", body)

    def put(self, name: str, value: str) -> None:
        """Write a setting; a process that has read it keeps the old value until `refresh`."""
        put(self.aws, name, value)

    def remove(self, name: str) -> None:
        self.aws.call("ssm", "DeleteParameter", {"Name": f"/mailroom/development/{name}"})

    def refresh(self) -> None:
        """Make the process read its settings anew."""
        self.service.delivery.settings.forget()

    def mails(self) -> list[Captured]:
        """Return what the provider took, newest first."""
        return list(self.sandbox.inbox.all())

    def rows(self) -> list[dict[str, Any]]:
        """Return every row of the ledger."""
        return [decode_item(item) for item in self.aws.call("dynamodb", "Scan", {"TableName": "ledger"})["Items"]]

    def queued(self, queue: str) -> list[Parcel]:
        return waiting(self.aws, queue)

    @property
    def log(self) -> str:
        return self.function.log.getvalue()

    def logged(self, message: str = "") -> list[dict[str, Any]]:
        return self.function.logged(message)


def validate(schema: dict[str, Any], value: Any) -> None:
    Draft202012Validator(schema | {"components": DOCUMENT["components"]}).validate(value)


def code(value: str = "KX4242", **fields: Any) -> dict[str, Any]:
    """Return a request for one code."""
    return {"kind": "sign-in-code", "to": "reader@reader.example", "data": {"code": value}} | fields


def notice(title: str = "Your booking", **fields: Any) -> dict[str, Any]:
    """Return a request for one notification."""
    data = {"title": title, "paragraphs": ["It is confirmed."]}
    return {"kind": "notification", "to": "reader@reader.example", "data": data} | fields
