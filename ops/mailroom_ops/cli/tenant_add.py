"""`mailroom tenant add`"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from mailroom_ops.cli.options import Command, as_json, confirm_production, in_environment, key_file, read_key, yes
from mailroom_ops.cli.value import hand_over
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.domains.registrar import Domain
    from mailroom_ops.settings.changes import Change


@click.command(
    "add",
    cls=Command,
    examples=(
        (
            "use two providers, the second one for failover",
            "mailroom tenant add acme --from hi@auth.acme.com --providers ses,resend",
        ),
        (
            "use the tenant's own Resend account; its key is prompted for",
            "mailroom tenant add acme --from hi@acme.com --providers resend --own resend",
        ),
        (
            "use the tenant's own mail server",
            "mailroom tenant add acme --from hi@acme.com --providers smtp --own smtp \\\n"
            "      --set smtp.host=smtp.acme.com --set smtp.username=mailroom",
        ),
    ),
)
@in_environment
@click.argument("name")
@click.option(
    "--from", "from_", default="", metavar="MAILBOX", help="From-address of its mail: 'Acme <hi@auth.acme.com>'."
)
@click.option("--reply-to", default="", metavar="MAILBOX", help="Reply-To address of its mail.")
@click.option(
    "--providers", default="", metavar="LIST", help="Its provider chain, first choice first; else the stack's."
)
@click.option("--own", multiple=True, metavar="PROVIDER", help="Use a dedicated account at this provider.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Setting of a dedicated account: smtp.host=smtp.acme.com.",
)
@click.option(
    "--brand",
    "brand",
    multiple=True,
    metavar="KEY=VALUE",
    help="Brand setting: name, color, logo_url, company, support_url …; without a VALUE it is inherited again.",
)
@click.option(
    "--unset",
    multiple=True,
    type=click.Choice(["from", "reply_to", "providers"]),
    help="Remove a key of the sender, which is inherited again.",
)
@click.option("--purpose", type=click.Choice(["auth", "notification"]), default="auth", help="Which sender to change.")
@click.option("--webhook", metavar="FILE", help="Generate the secret for its Logto, and write it to this new file.")
@click.option("--no-domain", is_flag=True, help="Do not register the domain with providers.")
@key_file
@yes
@as_json
def add(
    environment: Environment,
    name: str,
    from_: str,
    reply_to: str,
    providers: str,
    own: tuple[str, ...],
    settings: tuple[str, ...],
    brand: tuple[str, ...],
    unset: tuple[str, ...],
    purpose: str,
    webhook: str | None,
    no_domain: bool,
    key_file: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Add the tenant NAME, or change it.

    Registers the domain of its from-address with Resend or SES, and prints the DNS records to add. A setting without
    an option stays as it is.
    """
    from dataclasses import replace

    from mailroom.model.parameter_names import webhook_secret
    from mailroom_ops.cli import screen
    from mailroom_ops.domains import sending
    from mailroom_ops.settings import changes, rotation, tenants
    from mailroom_ops.settings.parameters import Parameters

    store = Parameters(environment)
    values = store.values()
    chain = tuple(part.strip() for part in providers.split(",") if part.strip())
    spec = tenants.TenantSpec(
        name, from_.strip(), purpose, reply_to.strip(), chain, own, _pairs(settings), _pairs(brand), unset
    )
    tenants.check_spec(spec, values)
    secret = webhook_secret(name)
    generated = {secret: rotation.generate(secret)} if webhook and secret not in values else {}
    if webhook and not generated:
        screen.warn(f"{secret} is already set and stays. Change it with `mailroom secrets rotate {secret}`.")
    spec = replace(spec, secrets={**generated, **_prompt(tenants.missing_secrets(spec, values))})
    planned = tenants.plan(spec, values)
    if not as_json:
        screen.say(f"{name} in {environment.label}")
        screen.plan(planned)
    domain = "" if no_domain else tenants.domain_of(from_)
    if changes.pending(planned) or domain:
        confirm_production(environment, f"Set up {name} in {environment.label}?", yes)
    values |= {change.name: change.new for change in planned if change.new is not None}
    key = read_key(key_file)
    chain = tenants.chain_of(values, name, purpose, environment.chain)
    accounts = sending.register(environment, values, domain, chain, key) if domain else {}
    with hand_over(generated.get(secret, ""), webhook if generated else None, bool(generated)):
        tenants.apply(store, planned)
    if (written := changes.pending(planned)) and not as_json:
        screen.say(f"Written: {len(written)}. Functions read changes {environment.settings_delay}.")
    if as_json:
        screen.emit(json.dumps(_report(name, domain, planned, accounts)))
    elif domain:
        _show_records(environment, name, domain, accounts)


def _prompt(names: Sequence[str]) -> dict[str, str]:
    """Prompt for the secrets of dedicated accounts, if there is a terminal."""
    from mailroom_ops.errors import InvalidInput

    if names and not sys.stdin.isatty():
        raise InvalidInput(
            f"{names[0]} is not set.", "Set it first with `mailroom secrets set`, from a pipe or --file."
        )
    return {name: str(click.prompt(name, hide_input=True, err=True)).strip() for name in names}


def _show_records(environment: Environment, name: str, domain: str, accounts: "Mapping[str, Domain | str]") -> None:
    from mailroom_ops.cli import screen
    from mailroom_ops.cli.screen import shorten
    from mailroom_ops.domains import records, sending

    for account, state in accounts.items():
        screen.say(f"{domain} at {account}: {state if isinstance(state, str) else f'{state.state} ({state.status})'}")
    needed = sending.required_records(domain, _registered(accounts))
    screen.say()
    screen.say("Add these DNS records:")
    header = ("purpose", "required by", "type", "name and value")
    shown = [(record.purpose, record.required_by, record.type, record.name, record.shown) for record in needed]
    width = screen.last_column_width(header, shown)
    rows = [(*first, f"{shorten(name, width)}\n{shorten(value, width)}") for *first, name, value in shown]
    screen.table(header, rows)
    screen.say()
    screen.say("The same in full, as a zone file:")
    screen.emit(records.zone(needed))
    screen.say()
    screen.say("Then check whether they are live:")
    screen.note(f"mailroom tenant verify {name} --env {environment.label}")


def _report(
    name: str, domain: str, planned: "Sequence[Change]", accounts: "Mapping[str, Domain | str]"
) -> dict[str, object]:
    from mailroom_ops.domains import records, sending

    needed = sending.required_records(domain, _registered(accounts)) if domain else []
    return {
        "tenant": name,
        "changes": [change.to_json() for change in planned],
        "domain": domain,
        "accounts": {name: state if isinstance(state, str) else state.status for name, state in accounts.items()},
        "records": [
            {
                "for": record.purpose,
                "by": record.required_by,
                "name": record.name,
                "type": record.type,
                "value": record.value,
                "priority": record.priority,
            }
            for record in needed
        ],
        "zone": records.zone(needed),
    }


def _registered(accounts: "Mapping[str, Domain | str]") -> "list[Domain]":
    return [state for state in accounts.values() if not isinstance(state, str)]


def _pairs(options: Sequence[str]) -> dict[str, str]:
    from mailroom_ops.errors import InvalidInput

    for text in options:
        if not text.partition("=")[0].strip() or "=" not in text:
            raise InvalidInput(f"{text!r} is not of the form KEY=VALUE.")
    return {key.strip(): value.strip() for key, _, value in (text.partition("=") for text in options)}
