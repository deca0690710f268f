"""`make deploy`: print the target, build for its processor, deploy, and print the next steps."""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mailroom_ops.cli import screen
from mailroom_ops.cloudformation import samconfig
from mailroom_ops.deployment import parameters, target
from mailroom_ops.environment import DEPLOYED
from mailroom_ops.errors import InvalidInput, OperatorError

__all__ = ["main"]

ROOT = Path(__file__).parents[3]
DEFAULT_ARCHITECTURE = "arm64"
REPLACEMENTS = {"parameter_overrides": 'PARAMS="Providers=ses,resend"', "config_env": "ENVIRONMENT=staging"}

Start = Callable[[Sequence[str]], int]


def main(arguments: Sequence[str], start: Start) -> int:
    """Deploy; return the exit code of the command that failed, or 0."""
    options = _options(arguments)
    try:
        return _deploy(options, start)
    except OperatorError as error:
        screen.show_error(error)
        return 1


def _deploy(options: argparse.Namespace, start: Start) -> int:
    own, for_sam = _sam_options(options.args)
    params = parameters.parse(options.params)
    config = samconfig.load(options.environment)
    # Once here for its checks, before any call to AWS.
    parameters.merge(options.environment, config.parameters, params, options.architecture)
    place = target.find(options.environment, own.region or "", own.profile or "", own.stack_name or "")
    architecture = options.architecture or config.parameters.get("Architecture", "") or place.architecture
    merged = parameters.merge(options.environment, config.parameters, params, architecture)
    _show(place, merged)
    if place.is_new and not merged.get("ExistingLedger"):
        target.refuse_leftovers(options.environment, place)
    built = start(("make", "--no-print-directory", "build", f"ARCHITECTURE={_processor(merged)}"))
    if built:
        return built
    command = [options.sam, "deploy", "--config-env", options.environment, "--region", place.region]
    command += ["--stack-name", place.stack_name, *(("--profile", place.profile) if place.profile else ())]
    command += [*for_sam, "--parameter-overrides", *(f"{name}={value}" for name, value in merged.items())]
    deployed = start(command)
    if not deployed:
        _show_next_steps(options.environment)
    return deployed


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make deploy", description=__doc__)
    parser.add_argument("--environment", required=True, choices=DEPLOYED)
    parser.add_argument("--params", default=os.environ.get("PARAMS", ""), help="parameters of the stack")
    parser.add_argument("--architecture", default="", choices=("", "arm64", "x86_64"))
    parser.add_argument("--sam", default="sam", help="the SAM CLI to deploy with")
    parser.add_argument("--args", default=os.environ.get("ARGS", ""), help="more options of `sam deploy`")
    return parser.parse_args(arguments)


def _sam_options(text: str) -> tuple[argparse.Namespace, list[str]]:
    """Split off the options that decide the target; refuse those that could point the stack elsewhere."""
    parser = argparse.ArgumentParser(prog="ARGS", add_help=False, allow_abbrev=False)
    for option in ("--region", "--profile", "--stack-name"):
        parser.add_argument(option)
    for name in REPLACEMENTS:
        parser.add_argument(f"--{name.replace('_', '-')}", nargs="*")
    own, others = parser.parse_known_args(shlex.split(text))
    for name, replacement in REPLACEMENTS.items():
        if getattr(own, name) is not None:
            raise InvalidInput(f"ARGS contains --{name.replace('_', '-')}.", f"Use make deploy {replacement} instead.")
    return own, others


def _processor(merged: dict[str, str]) -> str:
    return merged.get("Architecture", DEFAULT_ARCHITECTURE)


def _show(place: target.Target, merged: dict[str, str]) -> None:
    action = "Creating" if place.is_new else "Updating"
    screen.emit(f"{action} the stack {place.stack_name} in {place.region}, account {place.account}, as {place.caller}")
    others = "the defaults" if place.is_new else "the values of the last deployment"
    screen.emit(f"Parameters: {' '.join(f'{name}={value}' for name, value in merged.items())}; others: {others}")


def _show_next_steps(environment: str) -> None:
    screen.emit("\nThe command `mailroom` is installed. For this shell:\n")
    screen.emit(f'  export PATH="{ROOT / ".venv/bin"}:$PATH" MAILROOM_ENV={environment}')
    screen.emit("  mailroom doctor    # lists what is still missing\n")


def start_process(command: Sequence[str]) -> int:
    """Run a command in the repository; return its exit code."""
    sys.stdout.flush()
    # Without the variables of the make that runs this: they are for its own recipes.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], start_process))
