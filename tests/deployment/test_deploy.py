"""`make deploy`: the target and the parameters are checked and shown before anything is built."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest

from mailroom_ops.cloudformation import samconfig
from mailroom_ops.deployment.__main__ import main
from tests.cloud import LEDGER
from tests.command import Run, shell_variables

TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"
EMPTY_STACK = {
    "Parameters": {"Environment": {"Type": "String"}, "Architecture": {"Type": "String", "Default": "arm64"}},
    "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
}
Deploy = Callable[..., tuple[int, list[list[str]], str]]


@pytest.fixture
def config(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The samconfig.toml of a checkout."""
    file = tmp_path / "samconfig.toml"
    file.write_text((root / "samconfig.toml").read_text())
    monkeypatch.setattr(samconfig.load, "__defaults__", (file,))
    monkeypatch.setattr(samconfig.write_region, "__defaults__", (file,))
    return file


@pytest.fixture
def deploy(cloud: str, config: Path, capsys: pytest.CaptureFixture[str]) -> Deploy:
    """Run the program; return its exit code, the commands that it started, and its output."""

    def call(environment: str = "staging", *options: str, exit_code: int = 0) -> tuple[int, list[list[str]], str]:
        started: list[list[str]] = []

        def start(command: Sequence[str]) -> int:
            started.append(list(command))
            return exit_code

        code = main(("--environment", environment, *options), start)
        printed = capsys.readouterr()
        return code, started, " ".join((printed.out + printed.err).split())

    return call


def create_stack(name: str, environment: str, **more: str) -> None:
    parameters = {"Environment": environment, **more}
    boto3.client("cloudformation").create_stack(
        StackName=name,
        TemplateBody=json.dumps(EMPTY_STACK),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )


def overrides(command: list[str]) -> dict[str, str]:
    pairs = command[command.index("--parameter-overrides") + 1 :]
    return dict(pair.split("=", 1) for pair in pairs)


def test_it_builds_and_then_deploys_with_the_environments_own_settings(deploy: Deploy) -> None:
    code, (build, sam), output = deploy()
    assert code == 0
    assert build == ["make", "--no-print-directory", "build", "ARCHITECTURE=arm64"]
    assert sam[:4] == ["sam", "deploy", "--config-env", "staging"]
    assert sam[sam.index("--stack-name") + 1] == "mailroom-staging"
    assert sam[sam.index("--region") + 1] == "eu-west-1"
    assert overrides(sam) == {"Environment": "staging"}
    assert output.startswith("Creating the stack mailroom-staging in eu-west-1, account 123456789012, as arn:aws:")
    assert ".venv/bin" in output


def test_parameters_are_merged_with_those_of_samconfig(deploy: Deploy, config: Path) -> None:
    config.write_text(config.read_text().replace('["Environment=staging"]', '["Environment=staging", "SnapStart=on"]'))
    _, (_, sam), output = deploy("staging", "--params", f"Providers=ses,resend AlarmTopicArn={TOPIC}")
    expected = {"Environment": "staging", "SnapStart": "on", "Providers": "ses,resend", "AlarmTopicArn": TOPIC}
    assert overrides(sam) == expected
    assert f"AlarmTopicArn={TOPIC}" in output


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--params", "Environment=production"), "PARAMS contains Environment=production"),
        (("--args", "--parameter-overrides Environment=production"), "Use make deploy PARAMS="),
        (("--args", "--config-env production"), "Use make deploy ENVIRONMENT="),
        (("--args=--config-env=production",), "Use make deploy ENVIRONMENT="),
        (("--params", "Provider=ses"), "The template has no parameter Provider"),
        (("--params", "Providers=resent"), "must be a chain of resend"),
        (("--params", "ses,resend"), "is not NAME=VALUE"),
        (("--params", "Providers='ses"), "cannot be read"),
    ],
)
def test_what_could_go_to_another_stack_or_fail_is_refused(
    deploy: Deploy, options: tuple[str, ...], problem: str
) -> None:
    code, started, output = deploy("staging", *options)
    assert (code, started) == (1, [])
    assert problem in output


def test_the_stack_of_another_environment_is_never_changed(deploy: Deploy) -> None:
    create_stack("mailroom-production", "production")
    code, started, output = deploy("staging", "--args", "--stack-name mailroom-production")
    assert (code, started) == (1, [])
    assert "The stack mailroom-production is that of production, not of staging." in output


def test_another_environment_in_samconfig_is_refused(deploy: Deploy, config: Path) -> None:
    config.write_text(config.read_text().replace('["Environment=staging"]', '["Environment=production"]'))
    code, started, output = deploy()
    assert (code, started) == (1, [])
    assert "samconfig.toml contains Environment=production" in output


def test_other_options_reach_sam(deploy: Deploy) -> None:
    _, (_, sam), _ = deploy("production", "--args", "--no-confirm-changeset --tags 'team=mail x=y'")
    assert sam[sam.index("--no-confirm-changeset") :][:3] == ["--no-confirm-changeset", "--tags", "team=mail x=y"]


@pytest.mark.parametrize("source", ["option", "parameter", "stack", "samconfig"])
def test_the_layers_are_built_for_the_processor_of_the_stack(deploy: Deploy, config: Path, source: str) -> None:
    if source == "stack":
        create_stack("mailroom-staging", "staging", Architecture="x86_64")
    if source == "samconfig":
        config.write_text(
            config.read_text().replace("Environment=staging", 'Environment=staging", "Architecture=x86_64')
        )
    options = {"option": ("--architecture", "x86_64"), "parameter": ("--params", "Architecture=x86_64")}.get(source, ())
    _, (build, sam), _ = deploy("staging", *options)
    assert build[-1] == "ARCHITECTURE=x86_64"
    assert overrides(sam)["Architecture"] == "x86_64"


def test_a_failed_build_is_not_deployed(deploy: Deploy) -> None:
    code, started, _ = deploy("staging", exit_code=2)
    assert code == 2
    assert [command[0] for command in started] == ["make"]


def test_without_a_region_and_a_terminal_nothing_happens(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    code, started, output = deploy()
    assert (code, started) == (1, [])
    assert "No AWS region is set." in output


def test_a_region_is_asked_for_once(deploy: Deploy, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    answers = ["eu-centrale-1", "eu-central-1"]
    monkeypatch.setattr("click.prompt", lambda *_, **__: answers.pop(0))
    code, started, output = deploy()
    assert (code, started) == (1, [])
    assert "There is no AWS region 'eu-centrale-1'." in output
    for _ in range(2):  # the second run asks nobody
        _, (_, sam), _ = deploy()
        assert sam[sam.index("--region") + 1] == "eu-central-1"
    assert samconfig.load("staging", config).region == "eu-central-1"
    assert samconfig.load("production", config).region == ""


def test_the_region_of_samconfig_is_that_of_the_command_too(
    config: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    samconfig.write_region("staging", "ap-south-1", config)
    assert "There is no stack mailroom-staging in ap-south-1." in run("doctor", "--env", "staging").text


def test_two_regions_are_ambiguous(deploy: Deploy, config: Path) -> None:
    samconfig.write_region("staging", "us-east-1", config)
    code, started, output = deploy()
    assert (code, started) == (1, [])
    assert "samconfig.toml deploys staging to us-east-1, and AWS_REGION is eu-west-1." in output


@pytest.mark.parametrize(
    ("state", "advice"),
    [
        ("ROLLBACK_COMPLETE", "aws cloudformation delete-stack --stack-name mailroom-staging --region eu-west-1"),
        ("ROLLBACK_FAILED", "aws cloudformation delete-stack --stack-name mailroom-staging --region eu-west-1"),
        ("UPDATE_ROLLBACK_FAILED", "aws cloudformation continue-update-rollback --stack-name mailroom-staging"),
        ("UPDATE_IN_PROGRESS", "Wait until that is done."),
    ],
)
def test_a_stack_that_cannot_be_updated_comes_with_the_way_out(
    deploy: Deploy, run: Run, monkeypatch: pytest.MonkeyPatch, state: str, advice: str
) -> None:
    create_stack("mailroom-staging", "staging")
    monkeypatch.setattr("mailroom_ops.environment.Environment.stack", described("staging", state))
    code, started, output = deploy()
    assert (code, started) == (1, [])
    assert advice in output
    if state != "UPDATE_IN_PROGRESS":
        findings = json.loads(run("doctor", "--env", "staging", "--only", "stack", "--json").out)["findings"]
        assert advice in next(f for f in findings if f["subject"] == "stack mailroom-staging")["todo"]


def described(environment: str, state: str) -> dict[str, object]:
    parameters = [{"ParameterKey": "Environment", "ParameterValue": environment}]
    return {"StackStatus": state, "Parameters": parameters, "CreationTime": datetime.now(UTC)}


@pytest.mark.parametrize("state", ["UPDATE_ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"])
def test_a_stack_that_can_be_updated_is_deployed(deploy: Deploy, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    monkeypatch.setattr("mailroom_ops.environment.Environment.stack", described("staging", state))
    code, started, _ = deploy()
    assert code == 0
    assert len(started) == 2


def test_quotes_in_parameters_survive_make(root: Path, tmp_path: Path, cloud: str) -> None:
    params = "Providers='ses, resend' AllowedSourceCidrs=203.0.113.0/24"
    line = subprocess.run(
        ["make", "-n", "deploy", "ENVIRONMENT=staging", f"PARAMS={params}"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "mailroom_ops.deployment --sam" in line
    program = "import os; from mailroom_ops.deployment import parameters; print(parameters.parse(os.environ['PARAMS']))"
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"export PARAMS\nshow:\n\t@{shlex.quote(sys.executable)} -c {shlex.quote(program)}\n")
    shown = subprocess.run(
        ["make", "-s", "-f", str(makefile), "show", f"PARAMS={params}"],
        env=shell_variables(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert shown.strip() == "{'Providers': 'ses, resend', 'AllowedSourceCidrs': '203.0.113.0/24'}"


def test_a_ledger_that_was_left_behind_is_found_before_it_stops_the_deployment(deploy: Deploy) -> None:
    boto3.client("dynamodb").create_table(**{**LEDGER, "TableName": "mailroom-production-ledger"})
    code, started, output = deploy("production")
    assert (code, started) == (1, [])
    assert 'PARAMS="ExistingLedger=mailroom-production-ledger"' in output
    code, started, _ = deploy("production", "--params", "ExistingLedger=mailroom-production-ledger")
    assert (code, len(started)) == (0, 2)
