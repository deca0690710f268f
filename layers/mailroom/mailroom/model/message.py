"""A Message: the data of one mail before it is rendered. A Parcel: a Message on a queue, with its delivery state."""

import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mailroom.model.content import Content
from mailroom.model.email import Email
from mailroom.model.json_fields import ADDED_LATER, compact_json, fields_of
from mailroom.model.kinds import KINDS, Lane, lane_of, purpose_of
from mailroom.model.outcome import Outcome

__all__ = [
    "REPLACES_AFTER_SECONDS",
    "SAME_WITHIN_SECONDS",
    "Handover",
    "Message",
    "Parcel",
    "content_identity",
    "id_of",
    "new_id",
    "organization_id",
]

# A code replaces those that are older by at least this. Logto keeps a live code per sign-in session, and its page
# allows the next request of a session after 59 s: codes closer together belong to different sessions (seen in 1.42,
# 2026-11).
REPLACES_AFTER_SECONDS = 30.0
SAME_WITHIN_SECONDS = 60.0  # two messages of the same content within them are one


@dataclass(frozen=True, slots=True)
class Message:
    """The data of one mail to one recipient. Times are seconds since the epoch."""

    id: str
    tenant: str
    kind: str
    to: str
    data: Mapping[str, Any]
    created_at: float
    expires_at: float
    source: str
    locales: tuple[str, ...] = ()
    brand: Mapping[str, str] = field(default_factory=dict)
    identity: str = ""  # two messages of one identity are one; empty: never the same as another
    client_ip: str = ""
    # None: older codes stay live.
    replaces_after: float | None = field(default=REPLACES_AFTER_SECONDS, metadata=ADDED_LATER)
    # Of a rendered message: it is sent as it is, and `data` is not used.
    content: Content | None = field(default=None, metadata=ADDED_LATER)
    # Created further apart, messages of one identity are two.
    identity_seconds: float = field(default=SAME_WITHIN_SECONDS, metadata=ADDED_LATER)
    # Its source knows no lifetime: the one of the tenant's codes applies, where the tenant has set one.
    has_default_lifetime: bool = field(default=False, metadata=ADDED_LATER)
    # Of its caller, for outcome events; empty where it contains the address, the code or the link.
    idempotency_key: str = field(default="", metadata=ADDED_LATER)

    @property
    def lane(self) -> Lane:
        return lane_of(self.kind, self.data, is_rendered=self.content is not None)

    @property
    def purpose(self) -> str:
        """The name of the tenant's sender."""
        return purpose_of(self.kind)

    @property
    def supersedes(self) -> bool:
        """Whether an older message of this kind to the same reader can be worthless once this one exists."""
        return KINDS.get(self.kind) is Lane.CODES

    @property
    def dead_before(self) -> float | None:
        """The time up to which other codes are dead by this one; None where it replaces none."""
        return self.created_at - self.replaces_after if self.supersedes and self.replaces_after is not None else None

    @property
    def lifetime_minutes(self) -> int:
        return max(1, round((self.expires_at - self.created_at) / 60))

    def without_data(self) -> "Message":
        """Return the message without what its mail is rendered from."""
        return replace(self, data={}, content=None)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Message":
        content = Content.from_dict(values["content"]) if values.get("content") else None
        return cls(**{**values, "locales": tuple(values["locales"]), "content": content})


def new_id() -> str:
    """Return an id that sorts by time: 12 hex digits of milliseconds, 20 random ones."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def id_of(created_at: float, *key: str) -> str:
    """Return the id of a message that its source identifies: each request about it gets the same, and sorts by time."""
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    return f"{int(created_at * 1000):012x}{digest[:20]}"


def content_identity(tenant: str, to: str, kind: str, data: Mapping[str, Any]) -> str:
    """Return a deduplication key for callers without one: a hash of the content, so that no code is stored."""
    code_and_link = [data.get("code"), data.get("link")]
    content = json.dumps([tenant, to.lower(), kind, code_and_link if any(code_and_link) else data], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def organization_id(data: Mapping[str, Any]) -> str:
    """Return the id of the organization that a mail is about, empty without one; its name is somebody's choice."""
    organization = data.get("organization")
    value = organization.get("id") if isinstance(organization, Mapping) else ""
    return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class Handover:
    """The acceptance of a mail by an account: when, and under which claim."""

    account: str
    at: float
    token: str


@dataclass(frozen=True, slots=True)
class Parcel:
    """A Message as it travels through a queue, with the state of its delivery."""

    message: Message
    email: Email | None = None  # once rendered: a retry does not change a byte
    attempt: int = 0  # fences older copies: the ledger takes no attempt before the latest
    doubts: tuple[str, ...] = ()  # accounts that may hold the mail: they were asked and never answered
    lane: Lane = Lane.CODES
    requests: int = 0  # attempts in which a provider was asked: the step of the retry schedule
    postponed: int = 0  # times in a row it went back to the queue without a request
    alone: bool = False  # never part of a batch again: its batch was refused, or it failed to render
    settled: Outcome | None = None  # the outcome that could not be recorded yet; nothing is left to send
    seal: str = ""  # see delivery/seal.py
    # The account that comes last: it has not delivered an earlier code of this kind.
    behind: str = field(default="", metadata=ADDED_LATER)
    # The account that may hold the mail from the request of a batch. It would not recognize the mail alone.
    batch_account: str = field(default="", metadata=ADDED_LATER)
    # The mail was sent; this is a check of its delivery: see delivery/rescue.py.
    handover: Handover | None = field(default=None, metadata=ADDED_LATER)

    @classmethod
    def of(cls, message: Message) -> "Parcel":
        return cls(message, lane=message.lane)

    @property
    def tenant(self) -> str:
        return self.message.tenant

    @property
    def is_fresh(self) -> bool:
        """Whether no attempt was made yet, so that it may share a request with others."""
        return not (self.attempt or self.email or self.alone or self.settled)

    def next_attempt(self, email: Email | None, doubts: tuple[str, ...] = (), *, asked: bool = True) -> "Parcel":
        """Return the parcel of the next attempt. Once rendered, what it was rendered from stays behind."""
        message = self.message.without_data() if email else self.message
        return replace(
            self,
            message=message,
            email=email,
            attempt=self.attempt + 1,
            doubts=doubts,
            requests=self.requests + asked,
            postponed=0 if asked else self.postponed + 1,
        )

    def to_json(self) -> str:
        # ASCII only: SQS refuses some characters that JSON and a person's name may hold.
        values = fields_of(self) | {"settled": self.settled.to_dict() if self.settled else None}
        return compact_json(values)

    @classmethod
    def from_json(cls, body: str) -> "Parcel":
        return cls.from_dict(json.loads(body))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Parcel":
        return cls(
            Message.from_dict(values["message"]),
            Email.from_dict(values["email"]) if values["email"] else None,
            values["attempt"],
            tuple(values["doubts"]),
            Lane(values["lane"]),
            values.get("requests", values["attempt"]),
            values.get("postponed", 0),
            values.get("alone", False),
            Outcome.from_dict(values["settled"]) if values.get("settled") else None,
            values.get("seal", ""),
            values.get("behind", ""),
            values.get("batch_account", ""),
            Handover(**values["handover"]) if values.get("handover") else None,
        )
