"""What a field of a request may hold: each type with the sentence that says so, and its JSON schema."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from mailroom import untrusted
from mailroom.model.kinds import NAME
from mailroom.model.mailbox import is_address
from mailroom.untrusted import LOCALE_TAG, MAX_FACTS, MAX_PARAGRAPHS

__all__ = ["Address", "Code", "Facts", "Link", "Locales", "Name", "Paragraphs", "Seconds"]

LOCALES = 20


def _address(value: str) -> str:
    if not is_address(value):
        raise PydanticCustomError("address", "Give exactly one email address, such as reader@example.com.")
    return value


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise PydanticCustomError("name", "Give up to 63 lower-case letters, digits and hyphens, such as acme.")
    return value


def _tag(value: str) -> str:
    if not LOCALE_TAG.fullmatch(value):
        raise PydanticCustomError("tag", "Give a language tag, such as en or pt-BR.")
    return value


def _code(value: Any) -> str:
    if not (isinstance(value, str) and 0 < len(value) <= untrusted.CODE_LENGTH and value.isprintable()):
        raise PydanticCustomError("code", "Give a text of 1 to 64 characters; a number would lose its leading zeros.")
    return value


def _link(value: Any) -> str:
    if not (isinstance(value, str) and untrusted.link(value)):
        raise PydanticCustomError("link", "Give an http or https address without a user name in it.")
    return value


def _fact(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise PydanticCustomError("fact", "Give a text or a number.")
    return value


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value  # to JSON, 60.0 is an integer


def _listed(value: Any) -> Any:
    match value:
        case str():
            return [value]
        case list():
            return value
    raise PydanticCustomError("tags", "Give a language tag, such as en or pt-BR, or a list of them.")


def _split(value: Any) -> Any:
    match value:
        case str():
            return value.split("\n\n")
        case list():
            return value
    raise PydanticCustomError("paragraphs", "Give a text, with empty lines between its paragraphs, or a list of texts.")


def _paired(value: Any) -> Any:
    match value:
        case dict():
            return [list(pair) for pair in value.items()]
        case list():
            return value
    raise PydanticCustomError("facts", "Give an object of names and values, or a list of pairs.")


def _any_of(*schemas: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": list(schemas)})


def _list_of(items: dict[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "maxItems": most}


TEXT: dict[str, Any] = {"type": "string"}
NAMED = TEXT | {"pattern": f"^{NAME.pattern}$"}
TAGGED = TEXT | {"pattern": f"^{LOCALE_TAG.pattern}$"}
CODED = TEXT | {"minLength": 1, "maxLength": untrusted.CODE_LENGTH}
LINKED = TEXT | {"format": "uri", "pattern": "^https?://", "maxLength": untrusted.LINK_LENGTH}
SAID = {"type": ["string", "number"]}
PAIR = {"type": "array", "items": SAID, "minItems": 2, "maxItems": 2}

Name = Annotated[str, AfterValidator(_name), WithJsonSchema(NAMED)]
Address = Annotated[str, AfterValidator(_address), WithJsonSchema(TEXT | {"format": "email"})]
Code = Annotated[Any, AfterValidator(_code), WithJsonSchema(CODED)]
Link = Annotated[Any, AfterValidator(_link), WithJsonSchema(LINKED)]
Seconds = Annotated[int, Field(ge=1, le=7 * 24 * 3600), BeforeValidator(_whole)]
Locales = Annotated[
    list[Annotated[str, AfterValidator(_tag)]],
    Field(max_length=LOCALES),
    BeforeValidator(_listed),
    _any_of(TAGGED, _list_of(TAGGED, LOCALES)),
]
Paragraphs = Annotated[
    list[str],
    Field(max_length=MAX_PARAGRAPHS),
    BeforeValidator(_split),
    _any_of(TEXT, _list_of(TEXT, MAX_PARAGRAPHS)),
]
Facts = Annotated[
    list[Annotated[list[Annotated[Any, AfterValidator(_fact)]], Field(min_length=2, max_length=2)]],
    Field(max_length=MAX_FACTS),
    BeforeValidator(_paired),
    _any_of({"type": "object", "additionalProperties": SAID, "maxProperties": MAX_FACTS}, _list_of(PAIR, MAX_FACTS)),
]
