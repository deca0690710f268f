"""The webhook function as an auth server meets it: a request to a route, a response, and parcels on the queues."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from functions.webhook.app import build
from mailroom.aws.client import Aws
from mailroom.model.message import Message
from tests.cloud import waiting
from tests.lambda_function import LambdaFunction

__all__ = ["Answer", "Webhook", "event"]

MAX_BODY_BYTES = 64 * 1024


def event(
    source: str,
    headers: Mapping[str, str] | Iterable[tuple[str, str]],
    body: bytes | str,
    at: float,
    *,
    tenant: str = "",
    method: str = "POST",
) -> dict[str, Any]:
    """Return the event of API Gateway for a request to `/webhooks/{source}[/{tenant}]` at a Unix time."""
    raw = body.encode() if isinstance(body, str) else body
    path = {"source": source, **({"tenant": tenant} if tenant else {})}
    http = {"method": method, "path": "/" + "/".join(("webhooks", *path.values())), "sourceIp": "203.0.113.9"}
    return {
        "version": "2.0",
        "headers": {name.lower(): value for name, value in dict(headers).items()},
        "pathParameters": path,
        "requestContext": {"timeEpoch": round(at * 1000), "http": http},
        "body": base64.b64encode(raw).decode(),
        "isBase64Encoded": True,
    }


class Answer:
    """A response of the function."""

    def __init__(self, response: Mapping[str, Any]) -> None:
        self.status: int = response["statusCode"]
        self.headers: dict[str, str] = response["headers"]
        self.body: str = response["body"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Webhook:
    """One process of the function."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.function = LambdaFunction(partial(build, aws), aws)

    def post(self, source: str, headers: Any, body: bytes | str, at: float, **options: str) -> Answer:
        return self.send(event(source, headers, body, at, **options))

    def send(self, event: Mapping[str, Any]) -> Answer:
        return Answer(self.function(event))

    def messages(self) -> list[Message]:
        """Return the messages that were queued since the last call, sorted by recipient."""
        parcels = [*waiting(self.aws, "codes"), *waiting(self.aws, "notices")]
        return sorted((parcel.message for parcel in parcels), key=lambda message: message.to)

    def fail_calls(self, fails: Callable[[str, str, Mapping[str, Any]], bool], error: Exception) -> None:
        """Make each call to AWS that `fails` selects raise an error."""
        call = self.aws.call

        def guarded(service: str, operation: str, payload: Mapping[str, Any], **options: Any) -> dict[str, Any]:
            if fails(service, operation, payload):
                raise error
            return call(service, operation, payload, **options)

        self.aws.call = guarded  # type: ignore[method-assign]
