"""`mailroom callbacks …`"""

import json
from typing import Any

import click

from mailroom_ops.cli.options import Group, as_json, confirm_production, in_environment, yes
from mailroom_ops.environment import Environment

tenant_of = click.argument("tenant")
out_file = click.option("--out", metavar="FILE", help="Write the secret to this new file instead of the terminal.")


@click.group(
    cls=Group,
    examples=(
        (
            "post the outcomes of a tenant's mail to its server",
            "mailroom callbacks set acme --url https://api.acme.example/mail-outcomes",
        ),
        ("post a test event there", "mailroom callbacks test acme --env staging"),
    ),
)
def command() -> None:
    """Report outcomes of mail to the tenants' own servers, as signed webhooks."""


@command.command("set")
@in_environment
@tenant_of
@click.option("--url", default="", help="Where events are posted: https. By default, the page of the local stack.")
@click.option(
    "--event", "events", multiple=True, metavar="TYPE", help="Post this type only; repeatable. `all` for all."
)
@click.option("--address/--no-address", "include_address", default=None, help="Include the recipient's address.")
@out_file
@yes
@as_json
def set_(
    environment: Environment,
    tenant: str,
    url: str,
    events: tuple[str, ...],
    include_address: bool | None,
    out: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Set the endpoint of TENANT.

    Options that are not given stay as they are. The secret that signs the events is generated the first time, and
    printed once.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.settings import callbacks
    from mailroom_ops.settings.parameters import Parameters

    store = Parameters(environment)
    current = callbacks.read_all(store).get(tenant, {})
    if environment.is_local and not url and "url" not in current:
        url = f"{environment.local_url}/callbacks/{tenant}"
    values, secret = callbacks.changed(current, url, events, include_address)
    if not values.get("url"):
        raise InvalidInput("There is no endpoint to post to.", "Give --url.")
    if callbacks.parse(tenant, values).url.startswith("http:") and not environment.is_local:
        raise InvalidInput("The endpoint must be an https address.", "Only the local stack posts to this machine.")
    if values == current:
        if as_json:
            screen.emit_json(_report(tenant, values, changed=False))
        else:
            screen.say(f"callbacks/{tenant} has these values already.")
        return
    _write(environment, tenant, values, secret, out, yes, "Set")
    sentence = f"callbacks/{tenant} is set in {environment.label}. Functions read changes {environment.settings_delay}."
    _print_change(tenant, values, secret, out, sentence, as_json=as_json)


@command.command("show")
@in_environment
@click.argument("tenant", required=False)
@as_json
def show(environment: Environment, tenant: str | None, as_json: bool) -> None:
    """Show the endpoints of all tenants, or of TENANT.

    Of the secrets only their number is shown: two during a rotation.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.settings import callbacks
    from mailroom_ops.settings.parameters import Parameters

    store = Parameters(environment)
    every = {tenant: callbacks.read(store, tenant)} if tenant else callbacks.read_all(store)
    shown = {name: {**values, "secrets": len(values.get("secrets", []))} for name, values in every.items()}
    if as_json:
        screen.emit(json.dumps(shown))
        return
    rows = [
        (
            name,
            str(values.get("url", "malformed")),
            ", ".join(values.get("events", [])) or "all",
            "yes" if values.get("include_address") else "no",
            f"{values['secrets']}, being rotated" if values["secrets"] > 1 else str(values["secrets"]),
        )
        for name, values in shown.items()
    ]
    if rows:
        screen.table(("tenant", "endpoint", "events", "address", "secrets"), rows)
    else:
        screen.say("No tenant has a callback.")


@command.command("test")
@in_environment
@tenant_of
@click.option("--event", "type_", default="callback.test", show_default=True, help="Type of the event.")
@as_json
def test(environment: Environment, tenant: str, type_: str, as_json: bool) -> None:
    """Post a test event to the endpoint of TENANT.

    It is posted from this machine, and signed as any other. Prints the status of the answer.
    """
    import secrets
    import time

    from mailroom.callbacks.endpoint import connections, post
    from mailroom.model.outcome_event import EVENT_TYPES, TEST_EVENT_TYPE, OutcomeEvent
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput, ServiceError
    from mailroom_ops.settings import callbacks
    from mailroom_ops.settings.parameters import Parameters

    if type_ not in (*EVENT_TYPES, TEST_EVENT_TYPE):
        raise InvalidInput(f"There is no event {type_}.", f"Use {', '.join((TEST_EVENT_TYPE, *EVENT_TYPES))}.")
    callback = callbacks.parse(tenant, callbacks.read(Parameters(environment), tenant))
    message_id, now = f"test{secrets.token_hex(14)}", time.time()
    event = OutcomeEvent(f"{message_id}-test", type_, now, tenant, message_id, "sign-in-code", "0" * 32)
    transport = connections(is_local=environment.is_local)
    try:
        result = post(transport, callback, event, now)
    finally:
        transport.close()
    milliseconds = round((time.time() - now) * 1000)
    if not result.is_accepted:
        hint = "It must answer 2xx within 8 seconds, at a public address: docs/callbacks.md."
        raise ServiceError(f"The endpoint of {tenant} did not accept the event: {result.reason}.", hint)
    if as_json:
        answer = {"tenant": tenant, "type": type_, "status": result.status, "milliseconds": milliseconds}
        screen.emit_json(answer)
        return
    screen.say(f"The endpoint of {tenant} accepted {type_} with {result.status} in {milliseconds} ms.")


@command.command(
    "rotate",
    examples=(
        ("1. sign with a new secret, too", "mailroom callbacks rotate acme --env production"),
        ("2. have the receiver verify with the new one", ""),
        ("3. sign with the new one alone", "mailroom callbacks rotate acme --finish --env production"),
    ),
)
@in_environment
@tenant_of
@click.option("--finish", is_flag=True, help="Sign with the new secret alone.")
@click.option("--cancel", is_flag=True, help="Undo: sign with the old secret alone.")
@out_file
@yes
@as_json
def rotate(
    environment: Environment, tenant: str, finish: bool, cancel: bool, out: str | None, yes: bool, as_json: bool
) -> None:
    """Rotate the secret of TENANT without a gap.

    Until --finish, each event has two signatures: by the old secret, and by the new one.
    """
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.settings import callbacks
    from mailroom_ops.settings.parameters import Parameters

    if finish and cancel:
        raise InvalidInput("--finish keeps the new secret and --cancel the old one.", "Use one of them.")
    values = callbacks.read(Parameters(environment), tenant)
    callbacks.parse(tenant, values)
    secret = ""
    if finish or cancel:
        values = callbacks.finish_rotation(values) if finish else callbacks.cancel_rotation(values)
    else:
        values, secret = callbacks.rotated(values)
    _write(environment, tenant, values, secret, out, yes, "Rotate the secret of")
    signed_by = "both secrets" if secret else f"the {'new' if finish else 'old'} secret alone"
    sentence = f"Events of {tenant} are signed by {signed_by}, in every function within five minutes."
    _print_change(tenant, values, secret, out, sentence, as_json=as_json)


@command.command("remove")
@in_environment
@tenant_of
@yes
@as_json
def remove(environment: Environment, tenant: str, yes: bool, as_json: bool) -> None:
    """Remove the endpoint of TENANT.

    Its outcomes are not reported any more, and events that still wait are dropped.
    """
    from mailroom.model.parameter_names import callback_name
    from mailroom_ops.cli import screen
    from mailroom_ops.settings import callbacks
    from mailroom_ops.settings.parameters import Parameters

    store = Parameters(environment)
    callbacks.read(store, tenant)
    confirm_production(environment, f"Remove the callback of {tenant} in {environment.label}?", yes)
    store.delete([callback_name(tenant)])
    if as_json:
        screen.emit_json({"tenant": tenant, "removed": True})
        return
    screen.say(f"The callback of {tenant} is removed. Functions read changes within five minutes.")


def _write(
    environment: Environment, tenant: str, values: dict[str, object], secret: str, out: str | None, yes: bool, verb: str
) -> None:
    """Store a callback, and write a secret that was generated for it to the file `out`."""
    from mailroom.model.parameter_names import callback_name
    from mailroom_ops.cli.value import check, hand_over
    from mailroom_ops.settings import callbacks
    from mailroom_ops.settings.parameters import Parameters

    name, value = callback_name(tenant), callbacks.written(values)
    check(name, value)
    confirm_production(environment, f"{verb} callbacks/{tenant} in {environment.label}?", yes)
    with hand_over(secret, out, bool(secret and out)):
        Parameters(environment).put(name, value)


def _print_change(
    tenant: str, values: dict[str, Any], secret: str, out: str | None, sentence: str, *, as_json: bool
) -> None:
    """Print the result of a change; a secret that was generated for it only where no file or pipe has it."""
    from mailroom_ops.cli import screen

    if secret and out == "-":
        return  # stdout has the value
    shown = "" if out else secret
    if as_json:
        screen.emit_json(_report(tenant, values, shown))
        return
    if shown:
        screen.say("The secret of the receiver, which is not shown again:")
        screen.emit(shown)
    screen.say(sentence)


def _report(tenant: str, values: dict[str, Any], secret: str = "", *, changed: bool = True) -> dict[str, object]:
    """Return the result as JSON; a secret that was generated is in it, unless a file has it."""
    report = {"tenant": tenant, "changed": changed, "secrets": len(values["secrets"])}
    return report | ({"secret": secret} if secret else {})
