"""Types of request fields: each with its validation, its error sentence and its JSON schema."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from mailroom import untrusted
from mailroom.model.kinds import NAME
from mailroom.model.mailbox import is_address
from mailroom.model.security_events import SecurityEvent
from mailroom.sources import field_rules
from mailroom.sources.field_rules import MAX_LIFETIME_SECONDS, MAX_LOCALES, to_integer
from mailroom.untrusted import LOCALE_TAG, MAX_FACTS, MAX_PARAGRAPHS

__all__ = ["NAME_SCHEMA", "Address", "Code", "Event", "Facts", "Link", "Locales", "Name", "Paragraphs", "Seconds"]


def _address(value: str) -> str:
    if not is_address(value):
        raise PydanticCustomError("address", "Give exactly one email address, such as reader@example.com.")
    return value


def _name(value: str) -> str:
    if not field_rules.is_name(value):
        raise PydanticCustomError("name", "Give up to 63 lower-case letters, digits and hyphens, such as acme.")
    return value


def _tag(value: str) -> str:
    if not field_rules.is_tag(value):
        raise PydanticCustomError("tag", "Give a language tag, such as en or pt-BR.")
    return value


def _code(value: Any) -> str:
    if not field_rules.is_code(value):
        raise PydanticCustomError("code", "Give a text of 1 to 64 characters; a number would lose its leading zeros.")
    return str(value)


def _link(value: Any) -> str:
    if not field_rules.is_link(value):
        raise PydanticCustomError("link", "Give an http or https address without a user name in it.")
    return str(value)


def _event(value: Any) -> Any:
    if not field_rules.is_event(value):
        raise PydanticCustomError("event", "Give a text.")
    return value


def _fact(value: Any) -> Any:
    if not field_rules.is_fact(value):
        raise PydanticCustomError("fact", "Give a text or a number.")
    return value


def _to_seconds(value: Any) -> int:
    seconds = to_integer(value)
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 1 <= seconds <= MAX_LIFETIME_SECONDS:
        raise PydanticCustomError("seconds", "Give a whole number of seconds, 1 to 604800 (seven days).")
    return seconds


def _to_tags(value: Any) -> Any:
    if not isinstance(tags := field_rules.to_tags(value), list):
        raise PydanticCustomError("tags", "Give a language tag, such as en or pt-BR, or a list of them.")
    return tags


def _to_paragraphs(value: Any) -> Any:
    if not isinstance(paragraphs := field_rules.to_paragraphs(value), list):
        hint = "Give a text, with empty lines between its paragraphs, or a list of texts."
        raise PydanticCustomError("paragraphs", hint)
    return paragraphs


def _to_pairs(value: Any) -> Any:
    if not isinstance(pairs := field_rules.to_pairs(value), list):
        raise PydanticCustomError("facts", "Give an object of names and values, or a list of pairs.")
    return pairs


def _any_of(*schemas: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": list(schemas)})


def _list_of(items: dict[str, Any], max_items: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "maxItems": max_items}


TEXT_SCHEMA: dict[str, Any] = {"type": "string"}
NAME_SCHEMA = TEXT_SCHEMA | {"pattern": f"^{NAME.pattern}$"}
TAG_SCHEMA = TEXT_SCHEMA | {"pattern": f"^{LOCALE_TAG.pattern}$"}
CODE_SCHEMA = TEXT_SCHEMA | {"minLength": 1, "maxLength": untrusted.CODE_LENGTH}
LINK_SCHEMA = TEXT_SCHEMA | {"format": "iri", "pattern": "^https?://", "maxLength": untrusted.LINK_LENGTH}
FACT_SCHEMA = {"type": ["string", "number"]}
PAIR_SCHEMA = {"type": "array", "items": FACT_SCHEMA, "minItems": 2, "maxItems": 2}

Name = Annotated[str, AfterValidator(_name), WithJsonSchema(NAME_SCHEMA)]
Address = Annotated[str, AfterValidator(_address), WithJsonSchema(TEXT_SCHEMA | {"format": "email"})]
Code = Annotated[Any, AfterValidator(_code), WithJsonSchema(CODE_SCHEMA)]
Link = Annotated[Any, AfterValidator(_link), WithJsonSchema(LINK_SCHEMA)]
Event = Annotated[
    Any,
    AfterValidator(_event),
    WithJsonSchema({"anyOf": [{"enum": list(SecurityEvent), "type": "string"}, TEXT_SCHEMA, {"type": "object"}]}),
]
Seconds = Annotated[int, Field(ge=1, le=MAX_LIFETIME_SECONDS), BeforeValidator(_to_seconds)]
Locales = Annotated[
    list[Annotated[str, AfterValidator(_tag)]],
    Field(max_length=MAX_LOCALES),
    BeforeValidator(_to_tags),
    _any_of(TAG_SCHEMA, _list_of(TAG_SCHEMA, MAX_LOCALES)),
]
Paragraphs = Annotated[
    list[str],
    Field(max_length=MAX_PARAGRAPHS),
    BeforeValidator(_to_paragraphs),
    _any_of(TEXT_SCHEMA, _list_of(TEXT_SCHEMA, MAX_PARAGRAPHS)),
]
Facts = Annotated[
    list[Annotated[list[Annotated[Any, AfterValidator(_fact)]], Field(min_length=2, max_length=2)]],
    Field(max_length=MAX_FACTS),
    BeforeValidator(_to_pairs),
    _any_of(
        {"type": "object", "additionalProperties": FACT_SCHEMA, "maxProperties": MAX_FACTS},
        _list_of(PAIR_SCHEMA, MAX_FACTS),
    ),
]
