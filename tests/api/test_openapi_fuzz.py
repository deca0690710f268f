"""The running stack against its OpenAPI document, with the requests that schemathesis generates."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import load_all_checks, negative_data_rejection, unsupported_method

from mailroom.api.openapi import document
from mailroom.model.kinds import KINDS, NAME
from tests.running import Running

pytestmark = pytest.mark.thorough

load_all_checks()
# For a method that a route does not have, an HTTP API answers 404 by itself, before anything of ours.
NOT_OURS = [unsupported_method]
of_one, of_many, looked_up = (
    schemathesis.openapi.from_dict(document()).include(path=path)
    for path in ("/v1/emails", "/v1/emails/batch", "/v1/emails/{id}")
)
of_many.config.phases.coverage.enabled = False  # hundreds of requests about the fields of a mail, which of_one has made
FREE_FIELDS = {"application", "organization", "inviter", "request"}  # of any type
fuzzed = settings(max_examples=20, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


class Key:
    def get(self, case: schemathesis.Case[Any], context: schemathesis.AuthContext) -> str:
        return "local-api-key"

    def set(self, case: schemathesis.Case[Any], data: str, context: schemathesis.AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {data}"


for api in (of_one, of_many, looked_up):
    api.auth()(Key)


def test_each_operation_of_the_document_is_fuzzed() -> None:
    assert set(document()["paths"]) == {"/v1/emails", "/v1/emails/batch", "/v1/emails/{id}"}


def complete(message: Any) -> None:
    """Change what no schema can express: content by kind, names that exist, printable codes; null equals absent."""
    if not isinstance(message, dict):
        return
    kind, data = message.get("kind"), message.setdefault("data", {})
    if isinstance(kind, str) and NAME.fullmatch(kind) and kind not in KINDS:
        message["kind"] = "sign-in-code"
    if isinstance(message.get("tenant"), str) and NAME.fullmatch(message["tenant"]):
        message["tenant"] = "acme"
    if isinstance(data, dict):
        if isinstance(data.get("code"), str) and not data["code"].isprintable():
            data["code"] = "KX4242"
        data.setdefault("code", "KX4242")
        data.setdefault("title", "Title")
        if kind == "security-notice" and isinstance(data.get("event"), str | dict):
            data["event"] = "new-sign-in"
        replace_null(data)
        replace_null(data.get("button"))
    replace_null(message)


def replace_null(fields: Any) -> None:
    if isinstance(fields, dict):
        for name in [name for name, value in fields.items() if value is None and name not in FREE_FIELDS]:
            fields[name] = 0.5  # no field has this type


@of_one.parametrize()
@fuzzed
def test_every_response_to_a_single_request_is_documented(case: schemathesis.Case[Any], stack: Running) -> None:
    complete(case.body)
    if isinstance(case.body, dict) and "idempotency_key" in case.body:
        case.headers.pop("Idempotency-Key", None)  # it is given once
    case.call_and_validate(base_url=stack.url, excluded_checks=NOT_OURS)


@of_many.parametrize()
@fuzzed
def test_every_response_to_a_batch_is_documented(case: schemathesis.Case[Any], stack: Running) -> None:
    # Each mail of a batch is refused by itself, within a 200.
    case.call_and_validate(base_url=stack.url, excluded_checks=[*NOT_OURS, negative_data_rejection])


@looked_up.parametrize()
@fuzzed
def test_every_response_to_a_look_up_is_documented(case: schemathesis.Case[Any], stack: Running) -> None:
    case.call_and_validate(base_url=stack.url, excluded_checks=NOT_OURS)
