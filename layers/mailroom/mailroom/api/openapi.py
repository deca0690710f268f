"""Generates the OpenAPI document of the HTTP API, from the models of its requests and responses.

`python -m mailroom.api.openapi > functions/send/openapi.json` writes the file that the function serves.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from mailroom.api import openapi_examples as examples
from mailroom.model.event import EventType
from mailroom.model.kinds import KINDS
from mailroom.model.outcome import Status
from mailroom.sources.direct import MAX_BATCH_SIZE
from mailroom.sources.field_types import NAME_SCHEMA
from mailroom.sources.kind_names import ALIASES
from mailroom.sources.send_schema import SendRequest

__all__ = ["document"]

Id = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class SchemaGenerator(GenerateJsonSchema):
    """Leaves out titles, which repeat field names, defaults, which are all empty, and null, which equals absent."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


class Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Answer(Schema):
    """The status of one message."""

    message_id: Id
    status: Literal[Status.ACCEPTED, Status.SENT, Status.SKIPPED, Status.FAILED, Status.UNKNOWN]
    reason: str = Field(
        default="", description="Reason why the message was skipped or failed, or its status is unknown."
    )
    provider: str = Field(default="", description="The provider account that accepted the message.")
    provider_id: str = Field(default="", description="The id of the message at the provider.")


class Problem(Schema):
    field: str
    message: str


class Refusal(Schema):
    """Nothing was accepted. Each invalid field, with a sentence about it."""

    status: Literal["refused"]
    errors: list[Problem]


class Batch(Schema):
    messages: list[SendRequest] = Field(min_length=1, max_length=MAX_BATCH_SIZE)


class Results(Schema):
    """The status of each message, in the order of the request."""

    results: list[Answer | Refusal]


class Entry(Schema):
    """The receipt of the request, an attempt with the provider's answer, a status, or a provider's report."""

    at: Timestamp
    status: Status | None = None
    event: EventType | str = Field(default="", description="`received`, or what the provider reported.")
    reason: str = ""
    provider: str = ""
    answer: str = ""
    detail: str = Field(default="", description="The provider's wording, without personal data and secrets.")


class Email(Schema):
    """The record of a message, without its content."""

    message_id: Id
    tenant: str
    kind: str
    to: str = Field(description="The address, masked.")
    status: Status
    reason: str = ""
    provider: str = ""
    provider_id: str = ""
    created_at: Timestamp
    timeline: list[Entry]


SCHEMAS = (SendRequest, Answer, Refusal, Batch, Results, Email)
KIND = {
    "type": "string",
    "enum": [*KINDS, *ALIASES],
    "description": "The built-in kinds, and other names of them.",
}
SERVERS = [
    {"url": "/", "description": "The server of this document"},
    {"url": "http://127.0.0.1:3000", "description": "The local stack, `make run`"},
    {
        "url": "https://{api}.execute-api.{region}.amazonaws.com",
        "description": "A deployed stack; its output HttpApiUrl has the address",
        "variables": {"api": {"default": "example"}, "region": {"default": "eu-west-1"}},
    },
]
TAGS = [
    {"name": "send", "description": "Send messages."},
    {"name": "look up", "description": "Look up the status of a message."},
]
KEY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same as the field `idempotency_key`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "example": "sign-in-7f3a",
}
ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The `message_id` of an answer.",
    "schema": {"type": "string"},
    "example": examples.MESSAGE_ID,
}


@dataclass(frozen=True, slots=True)
class Response:
    """The meaning of an HTTP status, and the schemas and examples of its body."""

    description: str
    schemas: tuple[str, ...]
    examples: Mapping[str, Any] = field(default_factory=dict)


def _answer(status: str, description: str, *others: str) -> dict[str, Response]:
    return {status: Response(description, ("Answer", *others), examples.ANSWERS[status])}


def _refusal(status: str, description: str) -> dict[str, Response]:
    return {status: Response(description, ("Refusal",), examples.REFUSALS[status])}


# Responses of each operation.
FAILURES = _answer("500", "Internal error.", "Refusal") | _answer(
    "503",
    "A dependency of Mailroom is not available. Repeat the request with the same idempotency key.",
    "Refusal",
)
REFUSALS = (
    FAILURES
    | _refusal("400", "The body is not valid JSON.")
    | _refusal("401", "The API key is missing or wrong.")
    | _refusal("413", "The body is too large.")
    | _refusal("415", "The content type is not application/json.")
    | _refusal("422", "Fields are invalid; all of them are named.")
)
SEND = (
    REFUSALS
    | _answer("200", "Sent, or skipped for the given reason.")
    | _answer("202", "Accepted: the message is stored durably, and will be sent.")
    | _refusal("403", "The API key may not send this.")
    | _refusal("409", "The idempotency key was used for another message, or this message is being sent at this moment.")
    | _answer("502", "Failed: no provider accepted the message. A repeated request tries it anew.")
    | _answer("504", "Unknown: a provider may have accepted the message, but did not confirm it.")
)
SEND_BATCH = REFUSALS | {"200": Response("The status of each message.", ("Results",), {"results": examples.RESULTS})}
LOOK_UP = (
    FAILURES
    | {"200": Response("The record of the message.", ("Email",), {"delivered": examples.EMAIL})}
    | _refusal("401", "The API key is missing or wrong.")
    | _refusal("404", "No such message, or none that this API key may send.")
)


def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    _, generated = models_json_schema(
        [(schema, "validation") for schema in SCHEMAS],
        ref_template=_ref("{model}")["$ref"],
        schema_generator=SchemaGenerator,
    )
    schemas = {"Kind": KIND, **generated["$defs"]}
    # Known values, so that editors complete them, or the name of a tenant's own kind.
    kind = schemas["SendRequest"]["properties"]["kind"]
    schemas["SendRequest"]["properties"]["kind"] = {
        "anyOf": [_ref("Kind"), NAME_SCHEMA],
        "description": kind["description"],
    }
    schemas["SecurityEvent"], *others = schemas["Data"]["properties"]["event"]["anyOf"]
    schemas["Data"]["properties"]["event"]["anyOf"] = [_ref("SecurityEvent"), *others]
    batch = {"oneOf": [_ref("Batch"), schemas["Batch"]["properties"]["messages"]]}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mailroom",
            "version": "1",
            "description": "Send one message, or many, and look up their status.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": SERVERS,
        "tags": TAGS,
        "security": [{"key": []}],
        "paths": {
            "/v1/emails": {
                "post": {
                    "operationId": "send",
                    "tags": ["send"],
                    "summary": "Send one message",
                    "parameters": [KEY_HEADER],
                    "requestBody": _json(_ref("SendRequest"), examples.REQUESTS) | {"required": True},
                    "responses": _responses(SEND),
                }
            },
            "/v1/emails/batch": {
                "post": {
                    "operationId": "sendBatch",
                    "tags": ["send"],
                    "summary": f"Send up to {MAX_BATCH_SIZE} messages, each with its own result",
                    "requestBody": _json(batch, {"batch": examples.BATCH}) | {"required": True},
                    "responses": _responses(SEND_BATCH),
                }
            },
            "/v1/emails/{id}": {
                "get": {
                    "operationId": "lookUp",
                    "tags": ["look up"],
                    "summary": "Look up the status of a message",
                    "parameters": [ID],
                    "responses": _responses(LOOK_UP),
                }
            },
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema, "examples": examples.named(values)}}}


def _responses(responses: Mapping[str, Response]) -> dict[str, Any]:
    return {
        status: {"description": response.description, **_json(_any_of(response.schemas), response.examples)}
        for status, response in sorted(responses.items())
    }


def _any_of(names: tuple[str, ...]) -> dict[str, Any]:
    return _ref(names[0]) if len(names) == 1 else {"anyOf": list(map(_ref, names))}


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=2)
    print()
