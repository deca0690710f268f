"""Whether the stack is deployed, sound, and what this checkout says."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from datetime import datetime
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from mailroom.request import AllowedNetworks
from mailroom_ops.cloudformation import loader
from mailroom_ops.doctor import Case
from mailroom_ops.environment import aws_says
from mailroom_ops.finding import Finding, failed, ok, warning

__all__ = ["check"]

ROOT = Path(__file__).parents[3]
DEPLOYED = ("template.yaml", "functions", "layers")  # what a deployment consists of
PARTS = ("Parameters", "Conditions", "Globals", "Resources", "Outputs")
SOUND = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "IMPORT_COMPLETE")


def check(case: Case) -> Iterator[Finding]:
    environment = case.environment
    if environment.is_local:
        yield ok(
            f"stack at {environment.local_url}", f"is running; mail leaves through {environment.about['provider']}"
        )
        return
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        identity = environment.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise aws_says(error) from error
    yield ok("AWS", f"account {identity['Account']}, {environment.region}")
    yield _state(environment.stack_name, environment.stack)
    yield from _is_current(case)
    yield from _networks(environment.stack)
    yield _egress(environment.outputs)


def _state(name: str, stack: Mapping[str, Any]) -> Finding:
    status = str(stack["StackStatus"])
    subject = f"stack {name}"
    if status in SOUND:
        return ok(subject, f"is deployed, last on {_changed(stack):%Y-%m-%d}")
    if status.endswith("_IN_PROGRESS"):
        return warning(subject, f"is being changed: {status}", "Wait until that is done, and look again.")
    if status == "UPDATE_ROLLBACK_COMPLETE":
        return warning(
            subject, "works, but its last deployment failed and was taken back", "See its events, and deploy again."
        )
    return failed(subject, f"is not sound: {status}", "See its events in CloudFormation, and deploy again.")


def _changed(stack: Mapping[str, Any]) -> datetime:
    found: datetime = stack.get("LastUpdatedTime") or stack["CreationTime"]
    return found


def _is_current(case: Case) -> Iterator[Finding]:
    from botocore.exceptions import BotoCoreError, ClientError

    environment = case.environment
    subject = f"stack {environment.stack_name}"
    todo = f"Deploy this checkout: make deploy ENVIRONMENT={environment.name}"
    try:
        found = environment.client("cloudformation").get_template(
            StackName=environment.stack_name, TemplateStage="Original"
        )
    except (BotoCoreError, ClientError) as error:
        raise aws_says(error) from error
    body = found["TemplateBody"]
    there = loader.parse(body) if isinstance(body, str) else dict(body)
    different = _differences(loader.load(ROOT / "template.yaml"), there)
    if different:
        shown = ", ".join(different[:5]) + (" …" if len(different) > 5 else "")
        yield warning(subject, f"differs from template.yaml here: {shown}", todo)
    newer = _commits_since(_changed(environment.stack))
    if newer:
        yield warning(subject, f"is older than {newer} commits here that change what is deployed", todo)
    elif newer == 0 and not different:
        yield ok(subject, "is what this checkout says")


def _differences(here: dict[str, Any], there: dict[str, Any]) -> list[str]:
    """Name what is not the same, leaving out what packaging changes."""
    ours, theirs = _plain(here), _plain(there)
    names = [(part, name) for part in PARTS for name in {**ours[part], **theirs[part]}]
    return sorted({name for part, name in names if ours[part].get(name) != theirs[part].get(name)})


def _plain(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, Any] = json.loads(json.dumps(document, default=str))
    for resource in found.get("Resources", {}).values():
        resource.pop("Metadata", None)
        for uri in ("CodeUri", "ContentUri"):
            resource.get("Properties", {}).pop(uri, None)
    return {part: found.get(part) or {} for part in PARTS}


def _commits_since(moment: datetime) -> int | None:
    """Count the commits that came after a deployment; None where that cannot be told."""
    command = ["git", "-C", str(ROOT), "rev-list", "--count", f"--since={moment.isoformat()}", "HEAD", "--", *DEPLOYED]
    try:
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None


def _networks(stack: Mapping[str, Any]) -> Iterator[Finding]:
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


def _egress(outputs: Mapping[str, str]) -> Finding:
    if address := outputs.get("EgressIp"):
        return ok("egress IP", f"is {address}: providers that allow-list want to know it")
    return ok("egress IP", "is not fixed; FixedEgressIp=true would make it so, for providers that allow-list")
