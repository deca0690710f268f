"""The target of a deployment: region, account and stack, checked before anything is built."""

import os
import sys
from dataclasses import dataclass

import click

from mailroom_ops.cloudformation import samconfig
from mailroom_ops.cloudformation.states import way_out
from mailroom_ops.environment import Environment, aws_error
from mailroom_ops.errors import InvalidInput, ServiceError

__all__ = ["Target", "find", "refuse_leftovers"]


@dataclass(frozen=True, slots=True)
class Target:
    """The place that an environment is deployed to; `architecture` is that of the existing stack."""

    account: str
    caller: str
    region: str
    profile: str
    stack_name: str
    is_new: bool
    architecture: str = ""


def find(environment: str, region: str = "", profile: str = "", stack_name: str = "") -> Target:
    """Return the target; refuse an ambiguous region, another environment's stack, and one that cannot be updated."""
    config = samconfig.load(environment)
    profile, stack_name = profile or config.profile, stack_name or config.stack_name
    region = region or _configured_region(environment, config.region, profile)
    target = Environment(environment, profile or None, region, stack_name)
    identity = _identity(target)
    parameters, is_new = _existing(target)
    return Target(
        account=identity["Account"],
        caller=identity["Arn"],
        region=region,
        profile=profile,
        stack_name=stack_name,
        is_new=is_new,
        architecture=parameters.get("Architecture", ""),
    )


def refuse_leftovers(environment: str, target: Target) -> None:
    """Refuse to create a stack whose ledger exists already: CloudFormation would fail half-way."""
    from botocore.exceptions import BotoCoreError, ClientError

    table = f"{target.stack_name}-ledger"
    client = Environment(environment, target.profile or None, target.region).client("dynamodb")
    try:
        client.describe_table(TableName=table)
    except (BotoCoreError, ClientError):
        return  # there is none, or CloudFormation reports what is wrong
    raise InvalidInput(
        f"The table {table} exists, left behind by an earlier stack.",
        f'Use it with PARAMS="ExistingLedger={table}". Or delete it, with all suppressions, and deploy again.',
    )


def _configured_region(environment: str, configured: str, profile: str) -> str:
    variable = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
    if configured and variable and configured != variable:
        raise InvalidInput(
            f"samconfig.toml deploys {environment} to {configured}, and AWS_REGION is {variable}.",
            "Make them equal, or unset AWS_REGION.",
        )
    if region := configured or variable or Environment(environment, profile or None).region:
        return region
    return _ask_for_region(environment)


def _ask_for_region(environment: str) -> str:
    from boto3 import Session

    if not sys.stdin.isatty():
        raise InvalidInput("No AWS region is set.", 'Set AWS_REGION, or region = "…" in samconfig.toml.')
    regions = [name for partition in ("aws", "aws-cn", "aws-us-gov") for name in _regions(Session(), partition)]
    region = str(click.prompt("AWS region, such as eu-central-1", err=True)).strip()
    if region not in regions:
        raise InvalidInput(f"There is no AWS region {region!r}.", f"The regions are {', '.join(regions)}.")
    samconfig.write_region(environment, region)
    click.echo(f"samconfig.toml now contains it: {environment} stays in {region}.", err=True)
    return region


def _regions(session: "object", partition: str) -> list[str]:
    return list(session.get_available_regions("lambda", partition_name=partition))  # type: ignore[attr-defined]


def _identity(environment: Environment) -> dict[str, str]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return dict(environment.client("sts").get_caller_identity())
    except (BotoCoreError, ClientError) as error:
        raise aws_error(error) from error


def _existing(environment: Environment) -> tuple[dict[str, str], bool]:
    """Return the parameters of the stack, and whether it is still to be created."""
    try:
        stack = environment.stack
    except ServiceError as error:
        if not error.sentence.startswith("There is no stack"):
            raise
        return {}, True
    name, state = environment.stack_name, str(stack["StackStatus"])
    if todo := way_out(name, environment.region, state):
        raise ServiceError(f"The stack {name} cannot be updated: {state}.", todo)
    parameters = {item["ParameterKey"]: item["ParameterValue"] for item in stack.get("Parameters", [])}
    if (other := parameters.get("Environment", environment.name)) != environment.name:
        todo = f"Use make deploy ENVIRONMENT={other}, or another stack name."
        raise InvalidInput(f"The stack {name} is that of {other}, not of {environment.name}.", todo)
    return parameters, state == "REVIEW_IN_PROGRESS"
