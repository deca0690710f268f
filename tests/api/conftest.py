"""The send function on a real table and queues and a provider's sandbox; each answer is held against the document."""

import importlib.util
import io
import json
import uuid
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from aws_lambda_powertools import Logger
from jsonschema import Draft202012Validator

from mailroom.api.openapi import document
from mailroom.aws.client import Aws
from mailroom.aws.dynamodb import decode_item
from mailroom.model.message import Parcel
from mailroom_ops.sandbox.server import Sandbox
from mailroom_ops.sandbox.smtp import SmtpSandbox
from tests.cloud import put, waiting

KEY = "a-key-for-tests"
DOCUMENT = document()


class Answer(NamedTuple):
    """What came back over HTTP."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]


class Desk:
    """Somebody at the door, with a look at what happens behind it."""

    def __init__(self, module: ModuleType, aws: Aws, sandbox: Sandbox) -> None:
        self.module, self.aws, self.sandbox = module, aws, sandbox
        self.seconds_left = 20.0
        self.log = io.StringIO()
        self.slept: list[float] = []
        self.twins: list[ModuleType] = []

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds_left * 1000)

    def invoke(self, event: Any) -> dict[str, Any]:
        """Invoke the function; the answer is what JSON makes of it, and one of the documented shapes."""
        answer: dict[str, Any] = json.loads(json.dumps(self.module.handler(event, self)))
        shape = "Results" if "results" in answer else "Refusal" if answer["status"] == "refused" else "Answer"
        check({"$ref": f"#/components/schemas/{shape}"}, answer)
        return answer

    def http(self, method: str, path: str, body: Any = None, *, key: str = KEY, **headers: str) -> Answer:
        """Ask over HTTP; the answer is what the document says of this status."""
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
                "timeEpoch": 1_800_000_000_000,
                "http": {"method": method, "path": path, "sourceIp": "203.0.113.9"},
            },
            "body": body if isinstance(body, str) else json.dumps(body),
            "isBase64Encoded": False,
        }
        response = self.module.handler(event, self)
        said = json.loads(response["body"])
        if route in DOCUMENT["paths"]:
            described = DOCUMENT["paths"][route][method.lower()]["responses"][str(response["statusCode"])]
            check(described["content"]["application/json"]["schema"], said)
        return Answer(response["statusCode"], said, response["headers"])

    def twin(self) -> "Desk":
        """Return a desk in front of a second process of the function."""
        spec = importlib.util.spec_from_file_location(f"twin_{uuid.uuid4().hex}", self.module.__file__ or "")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.twins.append(module)
        return Desk(module, self.aws, self.sandbox)

    def send(self, **body: Any) -> Answer:
        return self.http("POST", "/v1/emails", body)

    def put(self, name: str, value: str) -> None:
        put(self.aws, name, value)

    def remove(self, name: str) -> None:
        self.aws.call("ssm", "DeleteParameter", {"Name": f"/mailroom/development/{name}"})

    def forget(self) -> None:
        """Do as a new process would."""
        self.module.service.delivery.settings.refresh()

    def mails(self) -> list[Any]:
        return list(self.sandbox.inbox.all())

    def rows(self) -> list[dict[str, Any]]:
        return [decode_item(item) for item in self.aws.call("dynamodb", "Scan", {"TableName": "ledger"})["Items"]]

    def queued(self, lane: str) -> list[Parcel]:
        return waiting(self.aws, lane)

    def logged(self, message: str = "") -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if message in ("", line["message"])]


def check(schema: dict[str, Any], value: Any) -> None:
    Draft202012Validator(schema | {"components": DOCUMENT["components"]}).validate(value)


def code(value: str = "KX4242", **fields: Any) -> dict[str, Any]:
    """Return a request for one code."""
    return {"kind": "sign-in-code", "to": "reader@reader.example", "data": {"code": value}} | fields


def notice(title: str = "Your booking", **fields: Any) -> dict[str, Any]:
    """Return a request for one notification."""
    data = {"title": title, "paragraphs": ["It is confirmed."]}
    return {"kind": "notification", "to": "reader@reader.example", "data": data} | fields


@pytest.fixture
def relay(sandbox: Sandbox) -> Iterator[SmtpSandbox]:
    with SmtpSandbox(sandbox.inbox, sandbox.faults) as running:
        yield running


@pytest.fixture
def desk(environment: pytest.MonkeyPatch, aws: Aws, sandbox: Sandbox) -> Iterator[Desk]:
    module = importlib.reload(importlib.import_module("functions.send.app"))
    desk = Desk(module, aws, sandbox)
    for name, value in sandbox.settings("resend").items():
        desk.put(f"providers/resend/{name}", value)
    desk.put("senders/default/auth", '{"from": "Mailroom <no-reply@example.com>"}')
    desk.put("api/keys/local", KEY)
    environment.setattr(module, "logger", Logger(service=f"send-{uuid.uuid4()}", stream=desk.log))
    module.service.delivery.dispatch.sleep = desk.slept.append
    yield desk
    for process in (module, *desk.twins):
        process.aws.close()
