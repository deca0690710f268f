"""Generates the OpenAPI document of the HTTP API, from the models of its requests and responses.

`python -m mailroom.api.openapi > functions/send/openapi.json` writes the file that the function serves.
"""

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from mailroom.model.outcome import Status
from mailroom.sources.direct import MAX_BATCH_SIZE
from mailroom.sources.send_request import SendRequest

__all__ = ["document"]

Id = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Responses = dict[str, tuple[str, ...]]
Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class SchemaGenerator(GenerateJsonSchema):
    """Leaves out titles, which repeat the field's name, and defaults, which are all empty."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


class Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Answer(Schema):
    """The status of one message."""

    message_id: Id
    status: Literal[Status.ACCEPTED, Status.SENT, Status.SKIPPED, Status.FAILED, Status.UNKNOWN]
    reason: str = Field(default="", description="Why the message was skipped, has failed, or is unknown.")
    provider: str = Field(default="", description="The provider that accepted it.")
    provider_id: str = Field(default="", description="The provider's id of it.")


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
    """An attempt with the provider's answer, a status, or an event that the provider reported later."""

    at: Timestamp
    status: str = ""
    event: str = ""
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
KEY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same as the field `idempotency_key`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}


# Responses of each operation: per status, its meaning and the schemas of its body.
FAILURES: Responses = {
    "500": ("Internal error.", "Answer", "Refusal"),
    "503": (
        "A dependency of Mailroom is not available. Repeat the request with the same idempotency key.",
        "Answer",
        "Refusal",
    ),
}
REFUSALS: Responses = FAILURES | {
    "400": ("The body is not valid JSON.", "Refusal"),
    "401": ("The API key is missing or wrong.", "Refusal"),
    "413": ("The body is too large.", "Refusal"),
    "415": ("The content type is not application/json.", "Refusal"),
    "422": ("Fields are invalid; all of them are named.", "Refusal"),
}
SEND: Responses = REFUSALS | {
    "200": ("Sent, or skipped for the given reason.", "Answer"),
    "202": ("Accepted: the message is stored durably, and will be sent.", "Answer"),
    "403": ("The API key may not send this.", "Refusal"),
    "409": (
        "The idempotency key was used for another message, or this message is being sent at this moment.",
        "Refusal",
    ),
    "502": ("Failed: no provider accepted the message. A repeated request tries it anew.", "Answer"),
    "504": ("Unknown: a provider may have accepted the message, but did not confirm it.", "Answer"),
}
SEND_BATCH: Responses = REFUSALS | {"200": ("The status of each message.", "Results")}
LOOK_UP: Responses = FAILURES | {
    "200": ("The record of the message.", "Email"),
    "401": REFUSALS["401"],
    "404": ("No such message, or none that this API key may send.", "Refusal"),
}


def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    _, schemas = models_json_schema(
        [(schema, "validation") for schema in SCHEMAS],
        ref_template=_ref("{model}")["$ref"],
        schema_generator=SchemaGenerator,
    )
    batch = {"oneOf": [_ref("Batch"), schemas["$defs"]["Batch"]["properties"]["messages"]]}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mailroom",
            "version": "1",
            "description": "Send one message, or many, and look up their status.",
        },
        "security": [{"key": []}],
        "paths": {
            "/v1/emails": {
                "post": {
                    "operationId": "send",
                    "summary": "Send one message",
                    "parameters": [KEY_HEADER],
                    "requestBody": _json(_ref("SendRequest")) | {"required": True},
                    "responses": _responses(SEND),
                }
            },
            "/v1/emails/batch": {
                "post": {
                    "operationId": "sendBatch",
                    "summary": f"Send up to {MAX_BATCH_SIZE} messages, each with its own result",
                    "requestBody": _json(batch) | {"required": True},
                    "responses": _responses(SEND_BATCH),
                }
            },
            "/v1/emails/{id}": {
                "get": {
                    "operationId": "lookUp",
                    "summary": "Look up the status of a message",
                    "parameters": [ID],
                    "responses": _responses(LOOK_UP),
                }
            },
        },
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def _responses(responses: Responses) -> dict[str, Any]:
    return {
        status: {"description": text, **_json(_ref(names[0]) if len(names) == 1 else {"anyOf": list(map(_ref, names))})}
        for status, (text, *names) in sorted(responses.items())
    }


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=2)
    print()
