"""The way from a request to its stored messages and its response, for each function that serves some sources."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailroom.errors import DeliveryError, RequestError
from mailroom.model.message import Message
from mailroom.request import AllowedNetworks, Request, json_response, text_response
from mailroom.settings import Settings
from mailroom.sources import registry

__all__ = ["Endpoint", "Reply"]

RETRY_SOON = {"retry-after": "1"}  # without it, Supabase does not repeat a request


@dataclass(frozen=True, slots=True)
class Reply:
    """The response to one request, and its content for the log: the stored messages, or the error.

    There are neither if the auth server sends this mail itself.
    """

    response: dict[str, Any]
    source: str = ""
    tenant: str = ""
    messages: Sequence[Message] = ()
    error: RequestError | DeliveryError | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Receives requests of the sources `names`; one per process."""

    names: Sequence[str]
    settings: Settings
    allowed: AllowedNetworks
    code_lifetime: float

    @classmethod
    def from_env(cls, names: Sequence[str], settings: Settings) -> "Endpoint":
        allowed = AllowedNetworks.parse("AllowedSourceCidrs", os.environ.get("ALLOWED_SOURCE_CIDRS", ""))
        return cls(names, settings, allowed, float(os.environ["CODE_LIFETIME_MINUTES"]) * 60)

    def respond(self, event: Mapping[str, Any], name: str, store: Callable[[Message], None]) -> Reply:
        """Store the messages of a request to the source `name`, and reply 200 once all of them are stored."""
        try:
            request = Request.from_event(event)
            source = registry.load(name, self.names)
            request.require_post()
            self.allowed.require(request.source_ip)
            verified = source.authenticate(request, self.settings, self.code_lifetime)
            messages = source.parse(verified)
            for message in messages:
                store(message)
        except RequestError as refusal:
            return Reply(text_response(refusal.status, refusal.sentence), error=refusal)
        except DeliveryError as error:
            response = text_response(503, "Email could not be sent. Please try again.", RETRY_SOON)
            return Reply(response, error=error)
        return Reply(json_response(200, source.reply(messages)), source.name, verified.tenant, messages)
