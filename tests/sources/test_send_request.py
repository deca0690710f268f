"""A regular request to `send` is read without pydantic: exactly those that the schema accepts, to the same values."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailroom.sources import send_schema
from mailroom.sources.send_request import FIELDS, read_regular
from tests.thorough import times

EVENTS = [
    path for path in sorted((Path(__file__).parents[2] / "events").glob("send-*.json")) if path.stem != "send-look-up"
]
# Values of each kind that some field accepts, at its limits and just beyond them.
TEXTS = (
    *(
        "",
        " ",
        "a",
        "acme",
        "Acme",
        "sign-in-code",
        "a" * 63,
        "a" * 64,
        "a" * 65,
        "x" * 200,
        "x" * 201,
        "k" * 256,
        "ä\n",
    ),
    *("048291", "0" * 65, "a\tb", "😀" * 64, "😀" * 200, "😀" * 201, "inline", "queued", "later", "None"),
    *(
        "ada@example.com",
        "Ada <ada@example.com>",
        "ada@example.com, b@example.com",
        "ä@exämple.com",
        "@",
        "ada@localhost",
    ),
    *("en", "pt-BR", "pt_BR", "toolongtag", "de-", "one\n\ntwo", "\n\n", "password-changed", "account-frozen"),
    *("https://example.com/a?b=c", "http://user@example.com", "javascript:alert(1)", "https://exämple.com/ä", "//a"),
)
NUMBERS = (0, 1, -1, 60, 60.0, 60.5, 604_800, 604_801, 604_800.0, 10**30, 1e308, True, False)
SCALARS = st.one_of(st.none(), st.sampled_from(TEXTS), st.sampled_from(NUMBERS), st.text(max_size=5))
LISTS = st.lists(st.sampled_from(TEXTS), max_size=3) | st.sampled_from([["en"] * 20, ["en"] * 21, ["p"] * 21, []])
PAIRS = st.lists(st.lists(SCALARS, max_size=3), max_size=3) | st.sampled_from([[["a", 1]] * 50, [["a", 1]] * 51])
OBJECTS = st.dictionaries(st.sampled_from(("name", "id", "url", "text", "ip", "")), SCALARS, max_size=3)
ANYTHING = st.one_of(SCALARS, LISTS, PAIRS, OBJECTS, st.lists(SCALARS, max_size=2))
BUTTONS = st.fixed_dictionaries(
    {"url": st.just("https://example.com/a") | ANYTHING}, optional={"text": ANYTHING, "color": ANYTHING}
)
GOOD_DATA: dict[str, st.SearchStrategy[Any]] = {
    "code": st.just("048291"),
    "link": st.just("https://example.com/a?b=c"),
    "title": st.sampled_from(("Title", "x" * 200)),
    "paragraphs": st.sampled_from(("one\n\ntwo", ["one", "two"], "")),
    "button": BUTTONS,
    "facts": st.sampled_from(({"a": 1, "b": "c"}, [["a", 1.5], ["b", "c"]], {})),
    "event": st.sampled_from(("password-changed", {"name": "x"})),
    "request": OBJECTS,
    "application": ANYTHING,
    "organization": ANYTHING,
    "inviter": ANYTHING,
    "plan": ANYTHING,
}
DATA = st.fixed_dictionaries({}, optional={name: good | ANYTHING for name, good in GOOD_DATA.items()})
GOOD: dict[str, st.SearchStrategy[Any]] = {
    "tenant": st.just("acme"),
    "locale": st.sampled_from(("en", ["pt-BR", "en"], [])),
    "data": st.fixed_dictionaries({}, optional=GOOD_DATA),
    "idempotency_key": st.sampled_from(("k", "k" * 255)),
    "mode": st.sampled_from(("inline", "queued")),
    "supersedes": st.booleans(),
    "expires_in": st.sampled_from((1, 60, 60.0, 604_800)),
}


def rarely(strategy: st.SearchStrategy[Any], good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return mostly good values: a request with one bad field proves more than one with nine."""
    return st.sampled_from((True, True, True, True, False)).flatmap(lambda is_good: good if is_good else strategy)


REQUESTS = st.fixed_dictionaries(
    {
        "kind": rarely(ANYTHING, st.just("sign-in-code")),
        "to": rarely(ANYTHING, st.sampled_from(("ada@example.com", "ä@exämple.com"))),
    },
    optional={
        **{name: rarely(DATA if name == "data" else ANYTHING, good) for name, good in GOOD.items()},
        "unknown": rarely(ANYTHING, st.none()),
    },
)


def assert_read_alike(body: Any) -> None:
    regular, (by_schema, problems) = read_regular(body), send_schema.validate(body)

    assert regular == by_schema
    assert (regular is None) == bool(problems)
    if regular and by_schema:
        assert regular.canonical_json == by_schema.canonical_json
        assert json.dumps(regular.template_data) == json.dumps(by_schema.template_data)


@given(REQUESTS)
@settings(max_examples=times(400, 20_000), deadline=None)
def test_a_request_is_read_as_by_the_schema(body: dict[str, Any]) -> None:
    assert_read_alike(body)


@given(DATA)
@settings(max_examples=times(400, 20_000), deadline=None)
def test_the_content_of_a_request_is_read_as_by_the_schema(data: dict[str, Any]) -> None:
    assert_read_alike({"kind": "notification", "to": "ada@example.com", "data": data})


@pytest.mark.parametrize("body", [None, [], "text", 1, {}, {"kind": "sign-in-code"}, {"to": "ada@example.com"}])
def test_what_is_no_request_is_none_for_both(body: Any) -> None:
    assert read_regular(body) is None
    assert_read_alike(body)


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_a_sample_request_is_regular(path: Path) -> None:
    event = json.loads(path.read_text("utf-8"))
    body = json.loads(event["body"]) if "body" in event else event
    for message in body.get("messages", [body]):
        assert read_regular(message)
        assert_read_alike(message)


def test_the_schema_has_the_fields_of_a_request() -> None:
    assert tuple(send_schema.SendRequest.model_fields) == FIELDS
