"""The running stack against its OpenAPI document, with the requests that schemathesis generates."""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import load_all_checks, negative_data_rejection, unsupported_method

from mailroom.api.openapi import document
from tests.running import Running

load_all_checks()
# For a method that a route does not have, an HTTP API answers 404 by itself, before anything of ours.
NOT_OURS = [unsupported_method]
of_one, of_many, looked_up = (
    schemathesis.openapi.from_dict(document()).include(path=path)
    for path in ("/v1/emails", "/v1/emails/batch", "/v1/emails/{id}")
)
of_many.config.phases.coverage.enabled = False  # hundreds of requests about the fields of a mail, which of_one has made
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


@of_one.parametrize()
@fuzzed
def test_every_response_to_a_single_request_is_documented(case: schemathesis.Case[Any], stack: Running) -> None:
    # What no schema can say: a code is printable, and a key is given once.
    if isinstance(case.body, dict):
        data: Any = case.body.get("data")
        code = data.get("code") if isinstance(data, dict) else None
        if isinstance(code, str) and not code.isprintable():
            data["code"] = "KX4242"
        if "idempotency_key" in case.body:
            case.headers.pop("Idempotency-Key", None)
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
