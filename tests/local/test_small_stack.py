"""The stack's machinery on the small project: provisioned from its template, invoked, changed while it runs."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mailroom_ops.cloudformation.intrinsics import TemplateError
from tests.local.conftest import ECHO
from tests.running import Running, running


def environment(small: Running) -> Any:
    """Return the environment variables of the function `echo`."""
    return small.stack.functions["echo"].spec.environment


def answer_of(small: Running) -> str:
    word: str = small.request("GET", "/echo/one").json()["answer"]
    return word


def becomes(small: Running, word: str) -> None:
    small.until(lambda: answer_of(small) == word)


def test_queues_and_table_are_made_as_the_template_says(small: Running) -> None:
    url = small.stack.blueprint.queue_url("CodesQueue")
    queue = small.aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    table = small.aws("dynamodb")
    name = small.stack.blueprint.table_name("Table")

    assert queue["VisibilityTimeout"] == "1"
    assert json.loads(queue["RedrivePolicy"])["maxReceiveCount"] == 2
    assert table.describe_table(TableName=name)["Table"]["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    assert table.describe_time_to_live(TableName=name)["TimeToLiveDescription"]["AttributeName"] == "ttl"


def test_the_routes_are_throttled_as_the_template_says(small: Running) -> None:
    assert small.stack.blueprint.throttle() == (1000, 1000)


def test_a_function_is_told_what_it_would_be_told_on_aws(small: Running) -> None:
    told = environment(small)

    assert told["ENVIRONMENT"] == "development"
    assert told["QUEUE"] == small.stack.blueprint.queue_url("CodesQueue")
    assert told["AWS_ENDPOINT_URL"] == small.aws_endpoint
    assert told["AWS_LAMBDA_FUNCTION_NAME"] == "mailroom-development-EchoFunction"
    assert told["LAMBDA_TASK_ROOT"].endswith("functions/echo")
    assert told["SHARED"].endswith("layers/shared")
    assert told["PYTHONPATH"].endswith("layers/shared")


def test_a_function_inherits_nothing_of_the_shell_it_was_started_from(small: Running) -> None:
    given = set(environment(small))

    assert not given & {"HOME", "USER", "AWS_PROFILE", "VIRTUAL_ENV", "PYTEST_CURRENT_TEST"}


def test_secrets_are_in_the_parameter_store(small: Running) -> None:
    names = ["webhooks/logto/authorization", "senders/default/auth", "providers/resend/endpoint"]

    found = small.aws("ssm").get_parameters(Names=[f"/mailroom/development/{n}" for n in names], WithDecryption=True)

    values = {parameter["Name"].removeprefix("/mailroom/development/"): parameter for parameter in found["Parameters"]}
    assert values[names[0]]["Value"] == "Bearer small"
    assert json.loads(values[names[1]]["Value"]) == {"from": "a@example.com"}
    assert values[names[2]]["Value"] == f"{small.sandbox.url}/resend"
    assert {parameter["Type"] for parameter in values.values()} == {"SecureString"}


def test_changed_code_answers_within_a_moment(small: Running) -> None:
    file = small.stack.options.root / "functions" / "echo" / "app.py"
    assert answer_of(small) == "first"

    file.write_text(ECHO.replace("first", "second"))
    becomes(small, "second")

    (small.stack.options.root / "layers" / "shared" / "shared.py").write_text("WORD = 'third'\n")
    file.write_text(ECHO.replace('"first"', "__import__('shared').WORD"))
    becomes(small, "third")

    file.write_text(ECHO)
    becomes(small, "first")


def test_changed_secrets_are_loaded_and_broken_ones_are_reported(small: Running) -> None:
    file = small.stack.options.secrets
    before = file.read_text()
    name = "/mailroom/development/webhooks/logto/authorization"

    file.write_text("{ not: yaml")
    small.line_with("secrets.yaml is not YAML", "local")
    file.write_text(before.replace("Bearer small", "Bearer changed"))

    small.until(
        lambda: small.aws("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"] == "Bearer changed"
    )
    file.write_text(before)


def test_a_changed_template_asks_for_a_restart(small: Running) -> None:
    file = small.stack.options.root / "template.yaml"
    file.write_text(file.read_text() + "# changed\n")

    small.line_with("template.yaml has changed: stop me and start me again", "local")


def test_broken_code_answers_500_and_mended_code_answers_again(small: Running) -> None:
    file = small.stack.options.root / "functions" / "echo" / "app.py"

    def answers(status: int) -> bool:
        return small.request("GET", "/echo/one").status == status

    file.write_text("this is not python")
    small.until(lambda: answers(500))
    assert small.request("GET", "/echo/one").json() == {"message": "Internal Server Error"}

    file.write_text(ECHO)
    small.until(lambda: answers(200))


def test_a_stack_that_cannot_be_made_says_what_is_wrong_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text("Parameters: {Environment: {Type: String}}\nResources: {}\n")

    with pytest.raises(TemplateError, match="no parameter Providers"), running(root=tmp_path):
        pass


def test_no_process_of_a_stopped_stack_is_left(small: Running, tmp_path: Path) -> None:
    root = small.stack.options.root
    with running(root=root, secrets=small.stack.options.secrets) as another:
        pids = [pid for function in another.stack.functions.values() for pid in function.pids]
        assert len(pids) == 2

    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
