"""The OpenAPI document: valid, up to date, complete, and served."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from mailroom.api.openapi import document
from mailroom.model.kinds import KINDS
from mailroom.sources.send_schema import SendRequest
from mailroom_ops.cloudformation.loader import load
from tests.api.client import Client, validate


def test_the_document_is_open_api() -> None:
    OpenAPIV31SpecValidator(json.loads(json.dumps(document()))).validate()


def test_the_committed_document_is_up_to_date(root: Path) -> None:
    committed = json.loads((root / "functions/send/openapi.json").read_text())
    assert committed == json.loads(json.dumps(document())), (
        "write it anew: python -m mailroom.api.openapi > functions/send/openapi.json"
    )


def test_the_document_needs_no_key(client: Client) -> None:
    answer = client.http("GET", "/openapi.json", key="")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.body == json.loads(json.dumps(document()))


def test_the_document_describes_each_route_of_the_function(root: Path) -> None:
    events = load(root / "template.yaml")["Resources"]["SendFunction"]["Properties"]["Events"].values()
    routes = {(event["Properties"]["Path"], event["Properties"]["Method"].lower()) for event in events}
    described = {(path, method) for path, methods in document()["paths"].items() for method in methods}
    assert routes - {("/openapi.json", "get")} == described


def test_the_document_describes_each_field_of_a_request() -> None:
    described = document()["components"]["schemas"]["SendRequest"]["properties"]
    assert list(described) == list(SendRequest.model_fields)
    assert all(field.get("description") for field in described.values())


def operations() -> Iterator[dict[str, Any]]:
    for methods in document()["paths"].values():
        yield from methods.values()


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each body of the document, with the name of its place."""
    for operation in operations():
        if "requestBody" in operation:
            yield operation["operationId"], operation["requestBody"]["content"]["application/json"]
        for status, response in operation["responses"].items():
            yield f"{operation['operationId']} {status}", response["content"]["application/json"]


REQUESTS = next(operations())["requestBody"]["content"]["application/json"]["examples"]


@pytest.mark.parametrize(("place", "body"), [pytest.param(*body, id=body[0]) for body in bodies()])
def test_each_body_has_examples_that_are_valid(place: str, body: dict[str, Any]) -> None:
    assert body["examples"]
    for example in body["examples"].values():
        validate(body["schema"], example["value"])


def test_each_kind_has_an_example_that_is_sent(client: Client) -> None:
    assert {example["value"]["kind"] for example in REQUESTS.values()} == {*KINDS, "magic-link"}
    for example in REQUESTS.values():
        assert client.invoke(example["value"])["status"] in ("sent", "accepted")


def test_a_kind_is_one_of_the_known_values_or_a_name_of_ones_own() -> None:
    known, own = document()["components"]["schemas"]["SendRequest"]["properties"]["kind"]["anyOf"]
    assert document()["components"]["schemas"][known["$ref"].rpartition("/")[2]]["enum"] == [*KINDS, "magic-link"]
    assert own["pattern"]


def test_a_field_that_may_be_absent_is_not_described_as_null() -> None:
    assert '"null"' not in json.dumps(document())


def test_the_document_has_servers_and_each_operation_a_tag() -> None:
    tags = {tag["name"] for tag in document()["tags"]}
    assert document()["servers"][0]["url"] == "/"
    assert {tag for operation in operations() for tag in operation["tags"]} == tags
