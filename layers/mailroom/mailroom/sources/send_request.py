"""The request of an auth service that calls `send`: one message to one recipient."""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mailroom import untrusted
from mailroom.model.kinds import KINDS, NOTICE_LIFETIME_SECONDS, Lane, lane_of
from mailroom.model.message import REPLACES_AFTER_SECONDS, Message, content_identity
from mailroom.sources.field_types import Address, Code, Event, Facts, Link, Locales, Name, Paragraphs, Seconds

__all__ = ["SendRequest"]

SOURCE = "direct"
AT_ONCE_SECONDS = 0.001  # two codes of one batch do not replace each other


class Button(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    url: Link = Field(description="Its target.")
    text: str | None = Field(default=None, max_length=untrusted.NAME_LENGTH, description="Its label.")


class Data(BaseModel):
    """The content of a message. The built-in templates use these fields, a tenant's own templates any."""

    model_config = ConfigDict(extra="allow", strict=True)

    code: Code | None = Field(
        default=None, description="The code to enter; a string, so that it keeps its leading zeros."
    )
    link: Link | None = Field(default=None, description="The URL to open.")
    title: str | None = Field(default=None, max_length=200, description="Subject and heading of a notification.")
    paragraphs: Paragraphs | None = Field(
        default=None, description="Text of a notification: a list, or one string with empty lines between paragraphs."
    )
    button: Button | None = Field(default=None, description="Button of a notification.")
    facts: Facts | None = Field(default=None, description="Table of names and values of a notification.")
    event: Event | None = Field(
        default=None,
        description="Event that a security notice is about; it has its own text in every language. In a tenant's own "
        "template, any text or object.",
    )
    request: Any = Field(
        default=None,
        description="Where the request of a code or change came from: an object with any of `ip`, `device`, `place` "
        "and `time`. It is shown if the tenant's brand has `request_context`.",
    )
    application: Any = Field(
        default=None, description="Application that the message is about; a name, or an object with a `name`."
    )
    organization: Any = Field(
        default=None, description="Organization that the invitee will join; a name, or an object with a `name`."
    )
    inviter: Any = Field(default=None, description="Person who invites; a name, or an object with a `name`.")


class SendRequest(BaseModel):
    """One message to one recipient."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Name = Field(description="A built-in kind, or a kind of the tenant's own templates.")
    to: Address = Field(description="The recipient: exactly one address.")
    tenant: Name | None = Field(
        default=None, description="The tenant, which determines sender, brand and provider; by default, `default`."
    )
    locale: Locales | None = Field(default=None, description="The recipient's languages, the preferred one first.")
    data: Data | None = Field(default=None, description="The content of the message.")
    idempotency_key: str | None = Field(
        default=None,
        min_length=1,
        max_length=255,
        description="For 24 hours, requests with the same key are one message, and return its current status.",
    )
    mode: Literal["inline", "queued"] | None = Field(
        default=None,
        description="`inline`, the default, responds when the message is sent; `queued` as soon as it is stored.",
    )
    supersedes: bool | None = Field(
        default=None,
        description="Whether this code makes earlier ones of its kind for its recipient invalid, so that they need not "
        "arrive any more. By default, those that are older by 30 seconds.",
    )
    expires_in: Seconds | None = Field(
        default=None, description="Seconds after which the message is not sent any more."
    )

    @property
    def tenant_name(self) -> str:
        return self.tenant or "default"

    @property
    def canonical_json(self) -> str:
        """The whole request, in one form for all that mean the same."""
        return json.dumps(self.model_dump(exclude_none=True), sort_keys=True)

    @property
    def deduplication_key(self) -> str:
        """The name under which a repeated request is recognized: its idempotency key, or its content."""
        if self.idempotency_key:
            return json.dumps([self.tenant_name, self.idempotency_key])
        return content_identity(self.tenant_name, self.to, self.kind, self.template_data)

    @property
    def template_data(self) -> dict[str, Any]:
        return self.data.model_dump(exclude_none=True) if self.data else {}

    def to_message(self, message_id: str, created_at: float, code_lifetime: float) -> Message:
        data = self.template_data
        lifetime = code_lifetime if lane_of(self.kind, data) is Lane.CODES else NOTICE_LIFETIME_SECONDS
        return Message(
            id=message_id,
            tenant=self.tenant_name,
            kind=self.kind,
            to=self.to,
            data=data,
            created_at=created_at,
            expires_at=created_at + (self.expires_in or lifetime),
            has_default_lifetime=lane_of(self.kind, data) is Lane.CODES and not self.expires_in,
            source=SOURCE,
            locales=tuple(self.locale or ()),
            # Repeated requests have become one message before: the identity only orders the codes of a recipient.
            identity=message_id if KINDS.get(self.kind) is Lane.CODES else "",
            replaces_after={True: AT_ONCE_SECONDS, False: None, None: REPLACES_AFTER_SECONDS}[self.supersedes],
        )
