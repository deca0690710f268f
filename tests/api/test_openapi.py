"""The OpenAPI document: valid, up to date, complete, and served."""

import json
from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator

from mailroom.api.openapi import document
from mailroom.sources.send_request import SendRequest
from mailroom_ops.cloudformation.loader import load
from tests.api.client import Client


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
