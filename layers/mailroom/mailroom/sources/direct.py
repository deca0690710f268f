"""An auth service that asks `send` itself: one JSON object a mail, or a list of them, by lambda invoke or over HTTP."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from mailroom import untrusted
from mailroom.errors import InvalidRequest
from mailroom.model.kinds import KINDS, NOTICE_LIFETIME, Lane, lane_of
from mailroom.model.message import Message, content_identity
from mailroom.request import BODY_LENGTH, parse_json
from mailroom.sources.field_types import Address, Code, Facts, Link, Locales, Name, Paragraphs, Seconds

__all__ = ["MAX_BATCH_BYTES", "MAX_BATCH_SIZE", "SendRequest", "messages_of", "parse", "read_event"]

SOURCE = "direct"
MAX_BATCH_SIZE = 100
MAX_BATCH_BYTES = 1024 * 1024


class Button(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    url: Link = Field(description="Where it leads.")
    text: str | None = Field(default=None, max_length=untrusted.NAME_LENGTH, description="What stands on it.")


class Data(BaseModel):
    """What the mail says. A tenant's own templates see all that is in it, ours these."""

    model_config = ConfigDict(extra="allow", strict=True)

    code: Code | None = Field(default=None, description="The code to type; a text, so that it keeps its leading zeros.")
    link: Link | None = Field(default=None, description="The address to open.")
    title: str | None = Field(default=None, max_length=200, description="Subject and heading of a notification.")
    paragraphs: Paragraphs | None = Field(
        default=None, description="Its text: a list, or one text with empty lines in it."
    )
    button: Button | None = Field(default=None, description="Its button.")
    facts: Facts | None = Field(default=None, description="Its table of names and values.")
    application: Any = Field(default=None, description="What the mail is about: a name, or an object with one.")
    organization: Any = Field(default=None, description="Whom an invitation is to join: a name, or an object with one.")
    inviter: Any = Field(default=None, description="Who invites: a name, or an object with one.")


class SendRequest(BaseModel):
    """One mail to one reader."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Name = Field(description=f"{', '.join(KINDS)}, or a kind of the tenant's own.")
    to: Address = Field(description="The reader: exactly one address.")
    tenant: Name | None = Field(default=None, description="Whose mail it is; `default` where nobody is named.")
    locale: Locales | None = Field(default=None, description="The reader's languages, the best first.")
    data: Data | None = Field(default=None, description="What the mail says.")
    idempotency_key: str | None = Field(
        default=None,
        min_length=1,
        max_length=255,
        description="For 24 hours, the same key means the same mail, and the first answer to it.",
    )
    mode: Literal["inline", "queued"] | None = Field(
        default=None, description="`inline`, the default, sends before it answers; `queued` answers at once."
    )
    expires_in: Seconds | None = Field(default=None, description="For how many seconds it is worth sending.")

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
        lifetime = code_lifetime if lane_of(self.kind, data) is Lane.CODES else NOTICE_LIFETIME
        return Message(
            id=message_id,
            tenant=self.tenant_name,
            kind=self.kind,
            to=self.to,
            data=data,
            created_at=created_at,
            expires_at=created_at + (self.expires_in or lifetime),
            source=SOURCE,
            locales=tuple(self.locale or ()),
            # Repeated requests have become one message before: the identity only orders the codes of a recipient.
            identity=message_id if KINDS.get(self.kind) is Lane.CODES else "",
        )


def read_event(event: Any) -> Any:
    """Return an invocation's event, validated as strictly as an HTTP body."""
    try:
        text = json.dumps(event, ensure_ascii=False)
    except RecursionError as error:
        raise InvalidRequest(400, ("body", "The request is nested too deeply.")) from error
    return parse_json(text.encode("utf-8", "surrogatepass"))


def parse(body: Any) -> SendRequest:
    """Return one request; raise InvalidRequest with all its problems."""
    if len(json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")) > BODY_LENGTH:
        raise InvalidRequest(413, ("body", "One message may have 64 kB."))
    problems = dict(_missing_content(body))
    try:
        request = SendRequest.model_validate(body)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False, include_input=False):
            problems.setdefault(".".join(map(str, problem["loc"])) or "body", _sentence(problem))
    if problems:
        raise InvalidRequest(422, *problems.items())
    return request


def messages_of(body: Any) -> Sequence[Any]:
    """Return the messages of a batch: a list, or an object whose `messages` are one."""
    messages = body.get("messages") if isinstance(body, Mapping) and set(body) == {"messages"} else body
    if not isinstance(messages, list) or not 0 < len(messages) <= MAX_BATCH_SIZE:
        raise InvalidRequest(422, ("messages", f"Give a list of 1 to {MAX_BATCH_SIZE} messages."))
    return messages


def _missing_content(body: Any) -> Iterator[tuple[str, str]]:
    """Yield what a message of this kind needs and lacks. Only sources that cannot correct it get a default text."""
    kind, data = (body.get("kind"), body.get("data") or {}) if isinstance(body, Mapping) else ("", {})
    if not isinstance(data, Mapping) or not isinstance(kind, str):
        return
    if KINDS.get(kind) is Lane.CODES and not (data.get("code") or data.get("link")):
        yield "data", "Give a code or a link: that is what a mail of this kind is for."
    if kind == "notification" and not (data.get("title") or data.get("paragraphs")):
        yield "data", "Give a title or paragraphs: that is what a notification is for."


def _sentence(problem: ErrorDetails) -> str:
    match problem["type"], problem["loc"]:
        case "missing", _:
            return "This field is required."
        case "extra_forbidden", (_,):
            return f"There is no such field: use {', '.join(SendRequest.model_fields)}."
        case "extra_forbidden", _:
            return "There is no such field."
        case (("model_type" | "model_attributes_type"), _):
            return "Give a JSON object."
        case "string_type", _:
            return "Give a text."
    return problem["msg"].replace("Input should", "Must", 1).rstrip(".") + "."
