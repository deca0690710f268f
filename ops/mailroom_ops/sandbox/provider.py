"""The stub of a provider: it answers requests as the provider does."""

import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.headerregistry import AddressHeader, HeaderRegistry
from email.message import Message
from typing import Any, NamedTuple, Protocol, cast

from mailroom_ops.sandbox.inbox import Captured

__all__ = [
    "UNVERIFIED",
    "ProviderStub",
    "RateLimit",
    "Reply",
    "Request",
    "captured_mail",
    "data_url",
    "format_mailbox",
    "json_reply",
    "mailboxes",
]

HEADERS = HeaderRegistry()
UNVERIFIED = "unverified.example"  # a sender's domain that every stub refuses as not verified


@dataclass(frozen=True, slots=True)
class Request:
    """A client's request; the path begins after the provider's name."""

    method: str
    path: str
    headers: Message
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON; None if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Reply:
    """The provider's answer, and the mails that it accepted."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    mails: tuple[Captured, ...] = ()


def json_reply(status: int, value: Any, *mails: Captured, headers: Mapping[str, str] | None = None) -> Reply:
    content_type = {"content-type": "application/json; charset=utf-8"}
    return Reply(status, json.dumps(value).encode(), {**content_type, **(headers or {})}, mails)


class RateLimit(NamedTuple):
    """A client's use of its rate limit."""

    limit: int
    remaining: int
    reset: float  # seconds until the limit is renewed


class ProviderStub(Protocol):
    """A provider with an HTTP API. `answer` calls `work` when the real one would send the mail: faults may delay it."""

    name: str

    def settings(self, url: str) -> dict[str, str]:
        """Return the settings below `providers/{name}/` with which Mailroom sends to this stub at `url`."""
        ...

    def answer(self, request: Request, work: Callable[[], None]) -> Reply: ...

    def error(self, status: int) -> Reply:
        """Return an error with a status, in the provider's format."""
        ...

    def throttled(self, rate: RateLimit) -> Reply:
        """Return the provider's error for too many requests."""
        ...

    def rate_headers(self, rate: RateLimit) -> dict[str, str]:
        """Return the headers that describe the rate limit in every answer, if the provider has any."""
        ...


def mailboxes(text: Any) -> list[tuple[str, str]] | None:
    """Return the (name, address) pairs of an address field; None if it is invalid."""
    if not isinstance(text, str) or not text.strip() or "\n" in text or "\r" in text:
        return None
    header = cast(AddressHeader, HEADERS("to", text))
    pairs = [(address.display_name, address.addr_spec) for address in header.addresses]
    are_valid = all("@" in spec and "." in spec.partition("@")[2] and " " not in spec for _, spec in pairs)
    return pairs if pairs and are_valid else None


def captured_mail(
    provider: str,
    tags: Mapping[str, str],
    *,
    id_: str,
    from_: str,
    to: str,
    reply_to: str = "",
    subject: str = "",
    text: str = "",
    html: str = "",
    headers: Mapping[str, str],
    images: Mapping[str, str] | None = None,
) -> Captured:
    """Return a mail for the inbox: addresses as a recipient sees them, Mailroom's ids from the tags of the request."""
    language = next((value for name, value in headers.items() if name.lower() == "content-language"), "")
    return Captured(
        id=id_,
        message_id=tags.get("message_id", ""),
        to=_displayed(to),
        from_=_displayed(from_),
        reply_to=_displayed(reply_to),
        subject=subject,
        text=text,
        html=html,
        headers=dict(headers),
        provider=provider,
        tenant=tags.get("tenant", ""),
        kind=tags.get("kind", ""),
        locale=language,
        images=images or {},
    )


def data_url(type_: str, content: str) -> str | None:
    """Return a picture, whose content is base64, as a data URL; None if it is not one."""
    try:
        is_picture = type_.startswith("image/") and bool(b64decode(content, validate=True))
    except ValueError:
        return None
    return f"data:{type_};base64,{content}" if is_picture else None


def format_mailbox(name: str, address: str) -> str:
    """Return a name and an address as one mailbox."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address}>' if name else address


def _displayed(text: str) -> str:
    pairs = mailboxes(text) or [("", text)]
    return ", ".join(f"{name} <{address}>" if name else address for name, address in pairs)
