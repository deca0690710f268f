"""The way of a request to the messages of its source, for each function that serves some of them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from mailroom.model.message import Message
from mailroom.request import AllowedNetworks, Request
from mailroom.settings import Settings
from mailroom.sources import registry
from mailroom.sources.source import Source

__all__ = ["Endpoint"]


@dataclass(frozen=True, slots=True)
class Received:
    """The messages of one request; none if the auth server sends this mail itself."""

    source: Source
    tenant: str
    messages: Sequence[Message]


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

    def receive(self, request: Request, name: str) -> Received:
        """Return the messages of a request to a source; raise a RequestError for one that is refused."""
        source = registry.load(name, self.names)
        request.require_post()
        self.allowed.require(request.source_ip)
        verified = source.authenticate(request, self.settings, self.code_lifetime)
        return Received(source, verified.tenant, source.parse(verified))
