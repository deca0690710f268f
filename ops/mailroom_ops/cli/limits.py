"""`mailroom limits …`"""

import json
from datetime import datetime

import click

from mailroom_ops.cli.options import Group, as_json, confirm_production, in_environment, yes
from mailroom_ops.environment import Environment

tenant_of = click.option("--tenant", default="default", show_default=True, metavar="NAME", help="Tenant of the limits.")
COUNT = click.IntRange(0, 100)
DAY_COUNT = click.IntRange(0, 10_000_000)


@click.group(
    cls=Group,
    examples=(
        ("show the limits of a tenant", "mailroom limits show --tenant acme --env production"),
        (
            "allow more codes from one IP address",
            "mailroom limits set --per-client 100 --env staging",
        ),
        ("let somebody have codes again", "mailroom limits reset reader@example.com --env production"),
    ),
)
def command() -> None:
    """Limit how many codes a recipient gets in ten minutes, so that nobody can have a mailbox flooded."""


@command.command("show")
@in_environment
@click.argument("address", required=False)
@tenant_of
@as_json
def show(environment: Environment, address: str | None, tenant: str, as_json: bool) -> None:
    """Show the limits of a tenant, and the recent codes of ADDRESS."""
    from dataclasses import asdict

    from mailroom.model.json_settings import merge
    from mailroom.model.limits import Limits
    from mailroom.model.parameter_names import limit_names
    from mailroom_ops.cli import screen
    from mailroom_ops.ledger import limits
    from mailroom_ops.ledger.queries import LedgerQueries
    from mailroom_ops.settings.parameters import Parameters

    settings = merge(limit_names(tenant), Parameters(environment).values("limits"))
    values = asdict(Limits.of(settings))
    queries = LedgerQueries.of(environment)
    codes = limits.recent(queries, tenant, address) if address else []
    today = limits.sent_today(queries, tenant) if values["per_day"] else 0
    if as_json:
        recent = [{"kind": kind, "at": datetime.fromtimestamp(at).astimezone().isoformat()} for kind, at in codes]
        screen.emit(json.dumps(values | {"today": today} | ({"recent": recent} if address else {})))
        return
    rows = [
        (name, str(value) if value else "none", settings.origins.get(name, "default of Mailroom"))
        for name, value in values.items()
    ]
    screen.table(("codes in ten minutes, mails a day", "limit", "set by"), rows)
    if values["per_day"]:
        screen.say(f"\n{today:,} of {values['per_day']:,} mails today (UTC).")
    if address:
        screen.say(f"\n{address} had {len(codes)} in the last ten minutes.")
        if codes:
            screen.table(("time", "kind"), [(f"{datetime.fromtimestamp(at):%H:%M:%S}", kind) for kind, at in codes])


@command.command("set")
@in_environment
@tenant_of
@click.option("--per-recipient", type=COUNT, help="Codes for one mailbox; 0 for any number.")
@click.option("--per-kind", type=COUNT, help="Codes of one kind for one mailbox; 0 for any number.")
@click.option("--per-client", type=COUNT, help="Codes from one client IP; 0 for any number.")
@click.option("--per-day", type=DAY_COUNT, help="Mails of the tenant in a day (UTC); 0 for any number.")
@yes
@as_json
def set_(
    environment: Environment,
    tenant: str,
    per_recipient: int | None,
    per_kind: int | None,
    per_client: int | None,
    per_day: int | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Set limits. A limit without an option stays as it is. Every tenant inherits the limits of `default`."""
    from mailroom.model.json_settings import json_object
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.settings.parameters import Parameters

    options = {"per_recipient": per_recipient, "per_kind": per_kind, "per_client": per_client}
    options["per_day"] = per_day
    changes = {name: value for name, value in options.items() if value is not None}
    if not changes:
        raise InvalidInput("There is no limit to set.", "Give --per-recipient, --per-kind, --per-client or --per-day.")
    name, store = f"limits/{tenant}", Parameters(environment)
    current = json_object(store.values("limits").get(name, "{}")) or {}
    new = current | changes
    is_change = new != current
    if is_change:
        confirm_production(environment, f"Set {name} in {environment.label}?", yes)
        store.put(name, json.dumps(new))
    if as_json:
        screen.emit_json({"name": name, "limits": new, "changed": is_change})
    elif not is_change:
        screen.say(f"{name} has these values already.")
    else:
        screen.say(f"{name} is set in {environment.label}. Functions read changes {environment.settings_delay}.")


@command.command("reset")
@in_environment
@click.argument("address")
@tenant_of
@yes
@as_json
def reset(environment: Environment, address: str, tenant: str, yes: bool, as_json: bool) -> None:
    """Forget the codes of ADDRESS, so that its next code is sent."""
    from mailroom_ops.cli import screen
    from mailroom_ops.ledger import limits
    from mailroom_ops.ledger.queries import LedgerQueries

    confirm_production(environment, f"Forget the codes of {address} for {tenant} in {environment.label}?", yes)
    count = limits.reset(LedgerQueries.of(environment), tenant, address)
    if as_json:
        screen.emit_json({"tenant": tenant, "address": address, "forgotten": count})
        return
    screen.say(f"{count} {'code no longer counts' if count == 1 else 'codes no longer count'} for {address}.")
