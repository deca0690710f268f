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
from mailroom.sources.direct import MAX_BATCH_SIZE, SendRequest

__all__ = ["document"]

Id = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Answers = dict[str, tuple[str, ...]]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Plain(GenerateJsonSchema):
    """Without a title and a default for every field: the one says nothing, the other less."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Answer(Shape):
    """What came of one mail."""

    message_id: Id
    status: Literal[Status.ACCEPTED, Status.SENT, Status.SKIPPED, Status.FAILED, Status.UNKNOWN]
    reason: str = Field(default="", description="Why it was skipped, has failed or is unknown.")
    provider: str = Field(default="", description="Who took it.")
    provider_id: str = Field(default="", description="What the provider calls it.")


class Problem(Shape):
    field: str
    message: str


class Refusal(Shape):
    """Nothing was taken; each field that is at fault, with a sentence about it."""

    status: Literal["refused"]
    errors: list[Problem]


class Batch(Shape):
    messages: list[SendRequest] = Field(min_length=1, max_length=MAX_BATCH_SIZE)


class Results(Shape):
    """What came of each mail, in the order in which they were given."""

    results: list[Answer | Refusal]


class Entry(Shape):
    """A step on the way: a status that was reached, a provider's answer to a try, or what it reported later."""

    at: Moment
    status: str = ""
    event: str = ""
    reason: str = ""
    provider: str = ""
    answer: str = ""
    detail: str = Field(default="", description="The provider's own words, with everything private taken out.")


class Email(Shape):
    """What is known of a mail. What it said is not."""

    message_id: Id
    tenant: str
    kind: str
    to: str = Field(description="The address, masked.")
    status: Status
    reason: str = ""
    provider: str = ""
    provider_id: str = ""
    created_at: Moment
    timeline: list[Entry]


SHAPES = (SendRequest, Answer, Refusal, Batch, Results, Email)
KEY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same as the field `idempotency_key`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}


# What each operation may answer: by status, what it means and the shapes of its body.
TROUBLE: Answers = {
    "500": ("Something broke here.", "Answer", "Refusal"),
    "503": ("Something Mailroom needs does not answer. Try again, with the same idempotency key.", "Answer", "Refusal"),
}
REFUSALS: Answers = TROUBLE | {
    "400": ("It is not JSON.", "Refusal"),
    "401": ("The API key is missing or wrong.", "Refusal"),
    "413": ("It is too large.", "Refusal"),
    "415": ("It is not sent as application/json.", "Refusal"),
    "422": ("Fields are wrong: all of them are named.", "Refusal"),
}
SEND: Answers = REFUSALS | {
    "200": ("Sent, or skipped for the reason given.", "Answer"),
    "202": ("Accepted: it is durably ours, and will be sent.", "Answer"),
    "403": ("The API key may not send this.", "Refusal"),
    "409": ("The idempotency key stands for another mail, or this mail is being sent at this moment.", "Refusal"),
    "502": ("Failed: no provider took it.", "Answer"),
    "504": ("Unknown: a provider may have taken it and never said so.", "Answer"),
}
SEND_BATCH: Answers = REFUSALS | {"200": ("What came of each.", "Results")}
LOOK_UP: Answers = TROUBLE | {
    "200": ("What is known of it.", "Email"),
    "401": REFUSALS["401"],
    "404": ("There is none, or none that this API key may ask for.", "Refusal"),
}


def document() -> dict[str, Any]:
    """Return the document."""
    _, schemas = models_json_schema(
        [(shape, "validation") for shape in SHAPES], ref_template=_ref("{model}")["$ref"], schema_generator=Plain
    )
    batch = {"oneOf": [_ref("Batch"), schemas["$defs"]["Batch"]["properties"]["messages"]]}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Mailroom", "version": "1", "description": "Send one mail, or many, and ask after them."},
        "security": [{"key": []}],
        "paths": {
            "/v1/emails": {
                "post": {
                    "operationId": "send",
                    "summary": "Send one mail",
                    "parameters": [KEY_HEADER],
                    "requestBody": _json(_ref("SendRequest")) | {"required": True},
                    "responses": _responses(SEND),
                }
            },
            "/v1/emails/batch": {
                "post": {
                    "operationId": "sendBatch",
                    "summary": f"Send up to {MAX_BATCH_SIZE} mails, each with its own result",
                    "requestBody": _json(batch) | {"required": True},
                    "responses": _responses(SEND_BATCH),
                }
            },
            "/v1/emails/{id}": {
                "get": {
                    "operationId": "lookUp",
                    "summary": "Ask what has become of a mail",
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


def _responses(answers: Answers) -> dict[str, Any]:
    return {
        status: {"description": text, **_json(_ref(names[0]) if len(names) == 1 else {"anyOf": list(map(_ref, names))})}
        for status, (text, *names) in sorted(answers.items())
    }


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=2)
    print()
