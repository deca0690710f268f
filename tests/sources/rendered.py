"""The rendered function as an auth server meets it, and the process of deliver behind it."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from functions.rendered.app import build
from mailroom.aws.client import Aws
from mailroom.delivery.seal import is_authentic
from mailroom.model.content import Content
from mailroom.model.message import Message, Parcel
from mailroom.model.parameter_names import ADDRESS_KEY
from mailroom.settings import Settings
from tests.cloud import waiting
from tests.lambda_function import LambdaFunction
from tests.sources.webhook import Answer, event

__all__ = ["Rendered", "content_of"]


class Rendered:
    """One process of the function."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.function = LambdaFunction(partial(build, aws), aws)

    def post(self, source: str, headers: Any, body: bytes | str, at: float, **options: str) -> Answer:
        sent = event(source, headers, body, at, **options)
        del sent["pathParameters"]["source"]  # its routes are named in the template
        return self.send(sent | {"routeKey": f"ANY /webhooks/{source}" + "/{tenant}" * bool(options.get("tenant"))})

    def send(self, event: Mapping[str, Any]) -> Answer:
        return Answer(self.function(event))

    def replay(self, source: str, sample: Mapping[str, Any], at: float, **options: str) -> Answer:
        """Send a recorded request, received at a Unix time."""
        request = sample["request"]
        return self.post(source, request["headers"], request["body"], at, method=request["method"], **options)

    def parcels(self) -> list[Parcel]:
        """Return what is on the queues, and require that deliver accepts it."""
        parcels = [*waiting(self.aws, "codes"), *waiting(self.aws, "notices")]
        key = Settings(self.aws, "development").values(ADDRESS_KEY)[ADDRESS_KEY] if parcels else ""
        assert all(is_authentic(parcel, key) for parcel in parcels)
        return sorted(parcels, key=lambda parcel: (parcel.message.created_at, parcel.message.to))

    def messages(self) -> list[Message]:
        return [parcel.message for parcel in self.parcels()]

    def message(self) -> Message:
        (message,) = self.messages()
        return message


def content_of(message: Message) -> Content:
    assert message.content
    return message.content
