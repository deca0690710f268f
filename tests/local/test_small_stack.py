"""A running stack of the small project: created from its template, invoked, changed while it runs."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mailroom_ops.cloudformation.intrinsics import TemplateError
from tests.local.project import ECHO
from tests.running import Running, running


def environment(small: Running) -> Any:
    """Return the environment variables of the function `echo`."""
    return small.stack.functions["echo"].spec.environment


def answer_of(small: Running) -> str:
    word: str = small.request("GET", "/echo/one").json()["answer"]
    return word


def becomes(small: Running, word: str) -> None:
    small.until(lambda: answer_of(small) == word)


def test_queues_and_table_have_the_properties_of_the_template(small: Running) -> None:
    url = small.stack.blueprint.queue_url("CodesQueue")
    queue = small.aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    table = small.aws("dynamodb")
    name = small.stack.blueprint.table_name("Table")

    assert queue["VisibilityTimeout"] == "1"
    assert json.loads(queue["RedrivePolicy"])["maxReceiveCount"] == 2
    assert table.describe_table(TableName=name)["Table"]["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    assert table.describe_time_to_live(TableName=name)["TimeToLiveDescription"]["AttributeName"] == "ttl"


def test_the_routes_have_the_limits_of_the_template(small: Running) -> None:
    assert small.stack.blueprint.throttle() == (1000, 1000)


def test_a_function_has_the_environment_variables_of_lambda(small: Running) -> None:
    variables = environment(small)

    assert variables["ENVIRONMENT"] == "development"
    assert variables["QUEUE"] == small.stack.blueprint.queue_url("CodesQueue")
    assert variables["AWS_ENDPOINT_URL"] == small.aws_endpoint
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == "mailroom-development-EchoFunction"
    assert variables["LAMBDA_TASK_ROOT"].endswith("functions/echo")
    assert variables["SHARED"].endswith("layers/shared")
    assert variables["PYTHONPATH"].endswith("layers/shared")


def test_a_function_inherits_no_variables_of_the_shell(small: Running) -> None:
    names = set(environment(small))

    assert not names & {"HOME", "USER", "AWS_PROFILE", "VIRTUAL_ENV", "PYTEST_CURRENT_TEST"}


def test_secrets_are_in_the_parameter_store(small: Running) -> None:
    names = ["webhooks/logto/authorization", "senders/default/auth", "providers/resend/endpoint"]

    answer = small.aws("ssm").get_parameters(Names=[f"/mailroom/development/{n}" for n in names], WithDecryption=True)

    values = {parameter["Name"].removeprefix("/mailroom/development/"): parameter for parameter in answer["Parameters"]}
    assert values[names[0]]["Value"] == "Bearer small"
    assert json.loads(values[names[1]]["Value"]) == {"from": "a@example.com"}
    assert values[names[2]]["Value"] == f"{small.sandbox.url}/resend"
    assert {parameter["Type"] for parameter in values.values()} == {"SecureString"}


def test_changed_code_is_reloaded(small: Running) -> None:
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


def test_a_changed_template_is_reported_with_the_next_step(small: Running) -> None:
    file = small.stack.options.root / "template.yaml"
    file.write_text(file.read_text() + "# changed\n")

    small.line_with("template.yaml has changed: restart the stack", "local")


def test_broken_code_answers_500_until_it_is_fixed(small: Running) -> None:
    file = small.stack.options.root / "functions" / "echo" / "app.py"

    def answers(status: int) -> bool:
        return small.request("GET", "/echo/one").status == status

    file.write_text("this is not python")
    small.until(lambda: answers(500))
    assert small.request("GET", "/echo/one").json() == {"message": "Internal Server Error"}

    file.write_text(ECHO)
    small.until(lambda: answers(200))


def test_a_stack_that_cannot_start_raises_the_reason(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text("Parameters: {Environment: {Type: String}}\nResources: {}\n")

    with pytest.raises(TemplateError, match="no parameter Providers"), running(root=tmp_path):
        pass


def test_a_stopped_stack_leaves_no_process(small: Running, tmp_path: Path) -> None:
    root = small.stack.options.root
    with running(root=root, secrets=small.stack.options.secrets) as another:
        pids = [pid for function in another.stack.functions.values() for pid in function.pids]
        assert len(pids) == 2

    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
