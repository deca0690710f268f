"""Lambda's Invoke API, called with boto3 as by an auth service."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.running import Running


@pytest.fixture
def functions(small: Running) -> Iterator[Any]:
    client = boto3.client(
        "lambda",
        endpoint_url=small.url,
        region_name="eu-west-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"max_attempts": 0}),
    )
    yield client
    client.close()


RECORD = {
    "body": '{"id": "direct"}',
    "messageId": "1",
    "eventSourceARN": "a:b",
    "attributes": {"ApproximateReceiveCount": "1"},
}


def records(**body: Any) -> bytes:
    return json.dumps({"Records": [{**RECORD, "body": json.dumps({"id": "direct", **body})}]}).encode()


@pytest.mark.parametrize(
    "name",
    [
        "chores",
        "mailroom-development-chores",
        "arn:aws:lambda:eu-west-1:123456789012:function:mailroom-development-chores",
        "123456789012:function:mailroom-development-chores",
        "chores:$LATEST",
    ],
)
def test_a_function_is_found_by_each_of_its_names(functions: Any, name: str) -> None:
    answer = functions.invoke(FunctionName=name, Payload=records())

    assert answer["StatusCode"] == 200
    assert json.loads(answer["Payload"].read()) == {"batchItemFailures": []}
    assert "FunctionError" not in answer


def test_an_error_of_the_function_is_marked_as_such(functions: Any) -> None:
    answer = functions.invoke(FunctionName="chores", Payload=records(do="raise"))

    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert json.loads(answer["Payload"].read())["errorType"] == "ValueError"


def test_the_tail_of_the_log_is_returned_on_request(functions: Any) -> None:
    answer = functions.invoke(FunctionName="chores", Payload=records(), LogType="Tail")

    log = base64.b64decode(answer["LogResult"]).decode()
    assert '"worked": "direct"' in log
    assert log.startswith("START RequestId")


def test_an_unknown_function_is_a_resource_not_found(functions: Any) -> None:
    with pytest.raises(ClientError) as caught:
        functions.invoke(FunctionName="nobody", Payload=b"{}")

    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert "echo, mailroom-development-EchoFunction, chores" in caught.value.response["Error"]["Message"]


def test_a_dry_run_runs_nothing(functions: Any, small: Running) -> None:
    before = len(small.logs("chores"))

    assert functions.invoke(FunctionName="chores", InvocationType="DryRun", Payload=records())["StatusCode"] == 204
    functions.invoke(FunctionName="chores", Payload=records())

    assert len(small.logs("chores")) == before + 1


def test_an_asynchronous_event_is_accepted_at_once_and_run_later(functions: Any, small: Running) -> None:
    payload = json.dumps({"Records": [{**RECORD, "body": '{"id": "later"}'}]}).encode()

    assert functions.invoke(FunctionName="chores", InvocationType="Event", Payload=payload)["StatusCode"] == 202

    small.line_with("later", "chores")


def test_a_payload_that_is_not_json_is_refused(functions: Any) -> None:
    with pytest.raises(ClientError) as caught:
        functions.invoke(FunctionName="chores", Payload=b"{")

    assert caught.value.response["Error"]["Code"] == "InvalidRequestContentException"


def test_an_event_above_six_megabytes_is_refused(functions: Any) -> None:
    with pytest.raises(ClientError) as caught:
        functions.invoke(FunctionName="chores", Payload=b'"' + b"x" * 6 * 1024 * 1024 + b'"')

    assert caught.value.response["Error"]["Code"] == "RequestEntityTooLargeException"
