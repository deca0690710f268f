"""A desk: one provider's side of its protocol, as the sandbox plays it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.headerregistry import AddressHeader, HeaderRegistry
from email.message import Message
from typing import Any, NamedTuple, Protocol, cast

from mailroom_ops.sandbox.inbox import Captured

__all__ = ["UNVERIFIED", "Pace", "ProviderStub", "Reply", "Request", "captured", "json_reply", "mailboxes", "written"]

HEADERS = HeaderRegistry()
UNVERIFIED = "unverified.example"  # a sender's domain that every desk refuses, as the real one does an unverified one


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent, its path without the provider's name in front."""

    method: str
    path: str
    headers: Message
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON, or None."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Reply:
    """What the provider answers, and the mails it took."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    mails: tuple[Captured, ...] = ()


def json_reply(status: int, value: Any, *mails: Captured, headers: Mapping[str, str] | None = None) -> Reply:
    content_type = {"content-type": "application/json; charset=utf-8"}
    return Reply(status, json.dumps(value).encode(), {**content_type, **(headers or {})}, mails)


class Pace(NamedTuple):
    """Where a client stands within the rate it is allowed."""

    limit: int
    remaining: int
    reset: float  # seconds until the window reopens


class ProviderStub(Protocol):
    """One provider. `answer` calls `work` where the real one would take its time."""

    name: str

    def settings(self, url: str) -> dict[str, str]:
        """Return what `providers/{name}/…` must hold for mail to come here."""
        ...

    def answer(self, request: Request, work: Callable[[], None]) -> Reply: ...

    def error(self, status: int) -> Reply:
        """Return this provider's own wording of a bare status."""
        ...

    def throttled(self, pace: Pace) -> Reply: ...

    def rate_headers(self, pace: Pace) -> dict[str, str]: ...


def mailboxes(text: Any) -> list[tuple[str, str]] | None:
    """Read a provider's address field as (name, address) pairs; None if it is not one."""
    if not isinstance(text, str) or not text.strip() or "\n" in text or "\r" in text:
        return None
    header = cast(AddressHeader, HEADERS("to", text))
    found = [(address.display_name, address.addr_spec) for address in header.addresses]
    sound = all("@" in spec and "." in spec.partition("@")[2] and " " not in spec for _, spec in found)
    return found if found and sound else None


def captured(
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
) -> Captured:
    """Make the inbox's form of a mail: addresses as a reader sees them, our ids from the tags that came along."""
    language = next((value for name, value in headers.items() if name.lower() == "content-language"), "")
    return Captured(
        id=id_,
        message_id=tags.get("message_id", ""),
        to=_seen(to),
        from_=_seen(from_),
        reply_to=_seen(reply_to),
        subject=subject,
        text=text,
        html=html,
        headers=dict(headers),
        provider=provider,
        tenant=tags.get("tenant", ""),
        kind=tags.get("kind", ""),
        locale=language,
    )


def written(name: str, address: str) -> str:
    """Write what an API keeps apart as one mailbox."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address}>' if name else address


def _seen(text: str) -> str:
    found = mailboxes(text) or [("", text)]
    return ", ".join(f"{name} <{address}>" if name else address for name, address in found)
