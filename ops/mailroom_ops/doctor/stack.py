"""Check that the stack is deployed, in a good state, and the same as this checkout."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from datetime import datetime
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from mailroom.request import AllowedNetworks
from mailroom_ops.cloudformation import loader
from mailroom_ops.cloudformation.states import GOOD_STATES, way_out
from mailroom_ops.doctor import Context
from mailroom_ops.environment import aws_error
from mailroom_ops.finding import Finding, failed, ok, warning

__all__ = ["check"]

ROOT = Path(__file__).parents[3]
DEPLOYED_PATHS = ("template.yaml", "functions", "layers")
SECTIONS = ("Parameters", "Conditions", "Globals", "Resources", "Outputs")


def check(context: Context) -> Iterator[Finding]:
    environment = context.environment
    if environment.is_local:
        yield ok(f"stack at {environment.local_url}", f"is running, and sends through {environment.about['provider']}")
        return
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        identity = environment.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise aws_error(error) from error
    yield ok("AWS", f"account {identity['Account']}, {environment.region}")
    yield _check_state(environment.stack_name, environment.region, environment.stack)
    yield from _check_version(context)
    yield from _check_networks(environment.stack)
    yield _check_egress(environment.outputs)
    yield from _check_existing_ledger(context)


def _check_state(name: str, region: str, stack: Mapping[str, Any]) -> Finding:
    status = str(stack["StackStatus"])
    subject = f"stack {name}"
    if status in GOOD_STATES:
        return ok(subject, f"is deployed, last on {_last_change(stack):%Y-%m-%d}")
    if status == "REVIEW_IN_PROGRESS":
        return failed(subject, "was never created: its change set was not executed", "Deploy it, and confirm.")
    if status.endswith("_IN_PROGRESS"):
        return warning(subject, f"is being changed: {status}", "Wait until that is done, and check again.")
    if status == "UPDATE_ROLLBACK_COMPLETE":
        return warning(
            subject, "works, but its last deployment failed and was rolled back", "See its events, and deploy again."
        )
    todo = way_out(name, region, status) or "See its events in CloudFormation, and deploy again."
    return failed(subject, f"is in a bad state: {status}", todo)


def _last_change(stack: Mapping[str, Any]) -> datetime:
    moment: datetime = stack.get("LastUpdatedTime") or stack["CreationTime"]
    return moment


def _check_version(context: Context) -> Iterator[Finding]:
    from botocore.exceptions import BotoCoreError, ClientError

    environment = context.environment
    subject = f"stack {environment.stack_name}"
    todo = f"Deploy this checkout: make deploy ENVIRONMENT={environment.name}"
    try:
        response = environment.client("cloudformation").get_template(
            StackName=environment.stack_name, TemplateStage="Original"
        )
    except (BotoCoreError, ClientError) as error:
        raise aws_error(error) from error
    body = response["TemplateBody"]
    deployed = loader.parse(body) if isinstance(body, str) else dict(body)
    differences = _differences(loader.load(ROOT / "template.yaml"), deployed)
    if differences:
        shown = ", ".join(differences[:5]) + (" …" if len(differences) > 5 else "")
        yield warning(subject, f"differs from template.yaml in {shown}", todo)
    newer_commits = _commits_since(_last_change(environment.stack))
    if newer_commits:
        yield warning(subject, f"is older than {newer_commits} commits that change the deployment", todo)
    elif newer_commits == 0 and not differences:
        yield ok(subject, "is the same as this checkout")


def _differences(local: dict[str, Any], deployed: dict[str, Any]) -> list[str]:
    """Return the names of parameters, resources and outputs that differ, except for what packaging changes."""
    ours, theirs = _sections(local), _sections(deployed)
    names = [(section, name) for section in SECTIONS for name in {**ours[section], **theirs[section]}]
    return sorted({name for section, name in names if ours[section].get(name) != theirs[section].get(name)})


def _sections(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    copy: dict[str, Any] = json.loads(json.dumps(template, default=str))
    for resource in copy.get("Resources", {}).values():
        resource.pop("Metadata", None)
        for uri in ("CodeUri", "ContentUri"):
            resource.get("Properties", {}).pop(uri, None)
    return {section: copy.get(section) or {} for section in SECTIONS}


def _commits_since(moment: datetime) -> int | None:
    """Return the number of commits after a deployment; None where git does not know."""
    since = f"--since={moment.isoformat()}"
    command = ["git", "-C", str(ROOT), "rev-list", "--count", since, "HEAD", "--", *DEPLOYED_PATHS]
    try:
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None


def _check_networks(stack: Mapping[str, Any]) -> Iterator[Finding]:
    """Check the networks that may call the webhook as the webhook parses them."""
    parameter = "AllowedSourceCidrs"
    values = {item["ParameterKey"]: item["ParameterValue"] for item in stack.get("Parameters", [])}
    entries = [entry.strip() for entry in values.get(parameter, "").split(",") if entry.strip()]
    for entry in entries:
        allowed = AllowedNetworks.parse(parameter, entry)
        if allowed.malformed:
            problem = f"contains {entry}, which is not a network: the webhook refuses all"
            yield failed(parameter, problem, "Change the parameter and deploy the stack.")
        elif ip_interface(entry) not in map(ip_interface, allowed.networks):
            network = allowed.networks[0]
            todo = f"Write {network}, or a longer prefix if you mean fewer addresses, and deploy the stack."
            yield warning(parameter, f"{entry} allows all of {network}", todo)


def _check_egress(outputs: Mapping[str, str]) -> Finding:
    if address := outputs.get("EgressIp"):
        return ok("egress IP", f"is {address}, for providers with an allow-list")
    return ok("egress IP", "is not fixed; set FixedEgressIp=true for providers with an allow-list")


def _check_existing_ledger(context: Context) -> Iterator[Finding]:
    """Check what the stack does not set on a table that it did not create, such as a restored one."""
    from botocore.exceptions import BotoCoreError, ClientError

    environment = context.environment
    values = {item["ParameterKey"]: item["ParameterValue"] for item in environment.stack.get("Parameters", [])}
    table = values.get("ExistingLedger", "")
    if not table:
        return
    client, subject = environment.client("dynamodb"), f"ledger {table}"
    try:
        description: Any = client.describe_table(TableName=table)["Table"]
        expiry: Any = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        backups: Any = client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    except (BotoCoreError, ClientError) as error:
        raise aws_error(error) from error
    lacking = {
        "its rows never expire": (
            expiry.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING"),
            "update-time-to-live --time-to-live-specification AttributeName=ttl,Enabled=true",
        ),
        "it cannot be restored to a point in time": (
            backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") != "ENABLED",
            "update-continuous-backups --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
        ),
        "it is not protected against deletion": (
            not description.get("DeletionProtectionEnabled"),
            "update-table --deletion-protection-enabled",
        ),
    }
    problems = [(problem, todo) for problem, (is_lacking, todo) in lacking.items() if is_lacking]
    for problem, todo in problems:
        operation, _, options = todo.partition(" ")
        yield warning(subject, problem, f"aws dynamodb {operation} --table-name {table} {options}")
    if not problems:
        yield ok(subject, "is used instead of the stack's own")
