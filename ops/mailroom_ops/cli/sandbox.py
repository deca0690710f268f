"""`mailroom sandbox …`"""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import click

from mailroom_ops.cli.options import Group, as_json
from mailroom_ops.environment import LOCAL, Environment
from mailroom_ops.errors import InvalidInput, ServiceError

TIMEOUT_SECONDS = 10
AFTER_ACCEPT = {"hang": "hang-after-accept", "reset-before-body": "reset-after-accept"}


@click.group(
    cls=Group,
    examples=(
        ("the next 20 requests to Resend fail", "mailroom sandbox fail resend --status 503 --count 20"),
        ("what is pending", "mailroom sandbox list"),
        ("all is well again", "mailroom sandbox clear"),
    ),
)
def command() -> None:
    """Make a provider of the local stack fail, to see how Mailroom copes.

    Every provider of `make run` is a sandbox on this machine. The inbox has a form for the same.
    """


@command.command(
    "fail",
    examples=(
        ("Resend is down", "mailroom sandbox fail resend --status 503 --count 1000"),
        ("SES does not answer", "mailroom sandbox fail ses --hang"),
        ("Resend sends the mail, and its answer is lost", "mailroom sandbox fail resend --reset --after-accept"),
        ("the relay is slow", "mailroom sandbox fail smtp --slow 3 --count 5"),
    ),
)
@click.argument("provider")
@click.option("--status", type=click.IntRange(400, 599), metavar="CODE", help="Answer with this error.  [default: 503]")
@click.option("--rate-limit", type=click.FloatRange(0, 3600), metavar="SECONDS", help="Refuse: too many requests.")
@click.option("--hang", is_flag=True, help="Do not answer.")
@click.option("--reset", is_flag=True, help="Reset the connection.")
@click.option("--slow", type=click.FloatRange(0, 3600), metavar="SECONDS", help="Send the mail, and answer that late.")
@click.option("--garbage", is_flag=True, help="Send the mail, and answer with another page.")
@click.option("--after-accept", is_flag=True, help="With --hang or --reset: send the mail first.")
@click.option("--count", default=1, show_default=True, type=click.IntRange(1), help="How many requests.")
@as_json
def fail(
    provider: str,
    status: int | None,
    rate_limit: float | None,
    hang: bool,
    reset: bool,
    slow: float | None,
    garbage: bool,
    after_accept: bool,
    count: int,
    as_json: bool,
) -> None:
    """Make the next requests to PROVIDER fail.

    Faults of several commands come one after the other.
    """
    chosen: list[dict[str, Any]] = [
        *([{"kind": "status", "status": status}] if status is not None else []),
        *([{"kind": "rate-limit", "seconds": rate_limit}] if rate_limit is not None else []),
        *([{"kind": "hang"}] if hang else []),
        *([{"kind": "reset-before-body"}] if reset else []),
        *([{"kind": "delay", "seconds": slow}] if slow is not None else []),
        *([{"kind": "garbage"}] if garbage else []),
    ]
    if len(chosen) > 1:
        raise InvalidInput(
            "One command adds one kind of fault.", "Faults of several commands come one after the other."
        )
    fault = chosen[0] if chosen else {"kind": "status", "status": 503}
    if after_accept:
        if fault["kind"] not in AFTER_ACCEPT:
            raise InvalidInput("--after-accept belongs to --hang or --reset.")
        fault["kind"] = AFTER_ACCEPT[fault["kind"]]
    _show(_call("POST", "/faults", {"provider": provider, "count": count, **fault}), as_json)


@command.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List the pending faults, and the requests so far."""
    _show(_call("GET", "/faults"), as_json)


@command.command("clear")
@click.argument("provider", required=False)
@as_json
def clear(provider: str | None, as_json: bool) -> None:
    """Remove the pending faults of PROVIDER, or of all."""
    from mailroom_ops.cli import screen

    _call("DELETE", f"/faults/{provider}" if provider else "/faults")
    if as_json:
        screen.emit_json({"cleared": provider or "all"})
    else:
        screen.say(f"{provider or 'Every provider'} works again.")


def _show(state: Mapping[str, Any], as_json: bool) -> None:
    from mailroom_ops.cli import screen

    if as_json:
        screen.emit(json.dumps(state))
        return
    if not state["faults"]:
        screen.say("No faults are pending: every provider works.")
    rows = [(fault["provider"], str(fault["count"]), _description(fault)) for fault in state["faults"]]
    screen.table(("provider", "requests", "fault"), rows)


def _description(fault: Mapping[str, Any]) -> str:
    detail = f" {fault['status']}" if "status" in fault else f" {fault['seconds']:g} s" if "seconds" in fault else ""
    return f"{fault['kind']}{detail}"


def _call(method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Send a request to the local stack; return its answer."""
    environment = Environment(LOCAL)
    environment.about  # noqa: B018 - raises the error with the next step if nothing runs
    data = json.dumps(body).encode() if body else None
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(environment.local_url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        with error:
            message = json.loads(error.read() or b"{}").get("message", "")
        raise InvalidInput(message or f"The local stack answers with {error.code}.") from error
    except OSError as error:
        raise ServiceError(f"The local stack does not answer at {environment.local_url}.") from error
    state: dict[str, Any] = json.loads(content) if content else {}
    return state
