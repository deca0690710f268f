"""The schema of a request to `send`: it describes the API, and explains each problem of a request.

Only a request that `send_request.read_regular` does not read is validated by it: importing pydantic takes longer than
all else that `send` does in a cold start (docs/performance.md).
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from mailroom.sources import send_request
from mailroom.sources.field_rules import MAX_KEY_LENGTH, MAX_TITLE_LENGTH
from mailroom.sources.field_types import Address, Code, Event, Facts, Link, Locales, Name, Paragraphs, Seconds
from mailroom.untrusted import NAME_LENGTH

__all__ = ["SendRequest", "validate"]


class Button(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    url: Link = Field(description="Address that the button opens.")
    text: str | None = Field(default=None, max_length=NAME_LENGTH, description="Label of the button.")


class Data(BaseModel):
    """The content of a message. The built-in templates use these fields, a tenant's own templates any."""

    model_config = ConfigDict(extra="allow", strict=True)

    code: Code | None = Field(
        default=None, description="The code to enter; a string, so that it keeps its leading zeros."
    )
    link: Link | None = Field(default=None, description="The URL to open.")
    title: str | None = Field(
        default=None, max_length=MAX_TITLE_LENGTH, description="Subject and heading of a notification."
    )
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
        max_length=MAX_KEY_LENGTH,
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


def validate(body: Any) -> tuple[send_request.SendRequest | None, dict[str, str]]:
    """Return a request, or the problem of each of its fields in one sentence."""
    try:
        values = SendRequest.model_validate(body).model_dump(exclude_none=True)
    except ValidationError as error:
        problems: dict[str, str] = {}
        for problem in error.errors(include_url=False, include_context=False, include_input=False):
            problems.setdefault(".".join(map(str, problem["loc"])) or "body", _sentence(problem))
        return None, problems
    return send_request.SendRequest(**values), {}


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
