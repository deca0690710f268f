"""The mapping of every source under changed JSON: a message that can be queued and sent, or a 4xx with a sentence."""

import copy
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailroom.errors import RequestError
from mailroom.model.message import Message, Parcel
from mailroom.request import Request
from mailroom.sources import registry
from mailroom.sources.source import Credentials, Source, VerifiedRequest
from mailroom_ops.local.source_requests import SourceRequests
from tests.thorough import times

ROOT = Path(__file__).parents[2]
REQUESTS = SourceRequests(ROOT, ROOT / "ops/mailroom_ops/local/secrets.yaml")
NOW = 1_800_000_000.0
MESSAGE_ID = re.compile(r"[0-9a-f]{32}")
NAMES = (*registry.NAMES, *registry.SEALED)

texts = st.text(max_size=20) | st.sampled_from(
    ["reader@example.com", "482913", "https://example.com/?t=1", "javascript:x", "de-AT", "0001-01-01", "9999-12-31"]
)
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def paths(value: Any, start: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to each value in a JSON document."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield (*start, name)
        yield from paths(child, (*start, name))


def changed(document: Any, changes: dict[tuple[Any, ...], Any]) -> Any:
    """Return the document with other values at some of its paths."""
    document = copy.deepcopy(document)
    for path, value in changes.items():
        parent = document
        try:
            for name in path[:-1]:
                parent = parent[name]
            parent[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change has removed it
    return document


@cache
def example(name: str) -> VerifiedRequest:
    """Return an authenticated request of a source."""
    source = registry.load(name, NAMES)
    sample = REQUESTS.make(name, NOW)
    request = http(sample.body, dict(sample.headers))
    claims = source.verify(request, Credentials(source.name, "default", REQUESTS.tenants(source.name)["default"]))
    return VerifiedRequest(request, source.name, "default", claims, 600.0)


def http(body: bytes, headers: dict[str, str]) -> Request:
    return Request("POST", {}, headers, body, "203.0.113.9", NOW)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "casdoor"])  # which sends a form
@settings(derandomize="CI" in os.environ, deadline=None, max_examples=times(60, 1000))
@given(data=st.data())
def test_changed_json_is_a_message_or_a_sentence(name: str, data: st.DataObject) -> None:
    source = registry.load(name, NAMES)
    verified = example(name)
    is_in_token = name == "hanko"
    document = dict(verified.claims) if is_in_token else json.loads(verified.request.body)
    where = st.dictionaries(st.sampled_from(sorted(paths(document), key=str)), values, max_size=4)
    content = changed(document, data.draw(where))
    if is_in_token:
        verified = replace(verified, claims=content)
    else:
        verified = replace(verified, request=replace(verified.request, body=json.dumps(content).encode()))
    refusal, messages = mapped(source, verified)
    assert refusal is None or (400 <= refusal.status < 500 and refusal.sentence.endswith((".", "?")))
    for message in messages:
        assert MESSAGE_ID.fullmatch(message.id), message.id
        assert 0 < message.created_at <= NOW
        assert Parcel.from_json(Parcel.of(message).to_json()).message == message


def mapped(source: Source, verified: VerifiedRequest) -> tuple[RequestError | None, Sequence[Message]]:
    try:
        return None, source.parse(verified)
    except RequestError as error:
        return error, ()
