"""`mailroom tenant add`"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from mailroom_ops.cli.options import Command, as_json, confirm_production, in_environment, key_file, key_in, yes
from mailroom_ops.cli.value import kept
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.domains.registrar import Domain
    from mailroom_ops.settings.changes import Change


@click.command(
    "add",
    cls=Command,
    examples=(
        (
            "two providers, the second for when the first is down",
            "mailroom tenant add acme --from hi@auth.acme.com --providers ses,resend",
        ),
        (
            "its own key at Resend, for which you are asked",
            "mailroom tenant add acme --from hi@acme.com --providers resend --own resend",
        ),
        (
            "its own mail server",
            "mailroom tenant add acme --from hi@acme.com --providers smtp --own smtp \\\n"
            "      --set smtp.host=smtp.acme.com --set smtp.username=mailroom",
        ),
    ),
)
@in_environment
@click.argument("name")
@click.option("--from", "from_", default="", metavar="MAILBOX", help="Who its mail is from: 'Acme <hi@auth.acme.com>'.")
@click.option("--reply-to", default="", metavar="MAILBOX", help="Where answers go.")
@click.option(
    "--providers", default="", metavar="LIST", help="Its provider chain, first choice first; else the stack's."
)
@click.option("--own", multiple=True, metavar="PROVIDER", help="It has an account of its own there.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of that: smtp.host=smtp.acme.com."
)
@click.option(
    "--brand", "brand", multiple=True, metavar="KEY=VALUE", help="name, color, logo_url, company, support_url …"
)
@click.option("--purpose", type=click.Choice(["auth", "notification"]), default="auth", help="Which of its senders.")
@click.option("--webhook", metavar="FILE", help="Make the secret for its Logto, and keep it in this new file.")
@click.option("--no-domain", is_flag=True, help="Do not register the domain anywhere.")
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
    purpose: str,
    webhook: str | None,
    no_domain: bool,
    key_file: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Add the tenant NAME, or change it.

    Registers the domain of its from-address at Resend or SES, and prints the DNS records to add. What is not given
    stays as it is.
    """
    from dataclasses import replace

    from mailroom_ops.cli import screen
    from mailroom_ops.settings import changes, rotation, tenants
    from mailroom_ops.settings.parameters import Parameters

    store = Parameters(environment)
    values = store.values()
    chain = tuple(part.strip() for part in providers.split(",") if part.strip())
    wish = tenants.TenantSpec(
        name, from_.strip(), purpose, reply_to.strip(), chain, own, _pairs(settings), _pairs(brand)
    )
    tenants.check_wish(wish, values)
    hook = "webhooks/logto/authorization" if name == tenants.DEFAULT else f"webhooks/logto/{name}/authorization"
    made = {hook: rotation.generate(hook)} if webhook and hook not in values else {}
    if webhook and not made:
        screen.warn(f"{hook} is set already and stays. Change it with `mailroom secrets rotate {hook}`.")
    wish = replace(wish, secrets={**made, **_asked(tenants.missing_secrets(wish, values))})
    planned = tenants.plan(wish, values)
    if not as_json:
        screen.say(f"{name} in {environment.label}")
        screen.plan(planned)
    to_write = {change.name: change.new for change in changes.pending(planned) if change.new is not None}
    domain = "" if no_domain else tenants.domain_of(from_)
    if to_write or domain:
        confirm_production(environment, f"Set up {name} in {environment.label}?", yes)
    values |= to_write
    key = key_in(key_file)
    chain = tenants.chain_of(values, name, purpose, environment.chain)
    found = _register(environment, values, domain, chain, key) if domain else {}
    with kept(made.get(hook, ""), webhook if made else None, bool(made)):
        store.write(to_write)
    if as_json:
        screen.emit(json.dumps(_report(name, domain, planned, found)))
    elif domain:
        _tell(environment, name, domain, found)


def _asked(names: Sequence[str]) -> dict[str, str]:
    """Ask for the secrets of accounts of a tenant's own, where somebody is there to be asked."""
    from mailroom_ops.errors import InvalidInput

    if names and not sys.stdin.isatty():
        raise InvalidInput(f"{names[0]} is not set.", "Set it first: mailroom secrets set, with a pipe or --file.")
    return {name: str(click.prompt(name, hide_input=True, err=True)).strip() for name in names}


def _register(
    environment: Environment, values: Mapping[str, str], domain: str, chain: Sequence[str], key: str
) -> "dict[str, Domain | str]":
    """Register a domain with each account of a chain; return what each knows of it, or why it knows nothing."""
    from mailroom_ops.domains import sending

    return {
        place.account: place.registrar.register(domain) if place.registrar else place.hint
        for place in sending.chain_accounts(environment, values, chain, key)
    }


def _tell(environment: Environment, name: str, domain: str, found: "Mapping[str, Domain | str]") -> None:
    from mailroom_ops.cli import screen
    from mailroom_ops.cli.screen import cut
    from mailroom_ops.domains import records, sending

    known = [one for one in found.values() if not isinstance(one, str)]
    for account, one in found.items():
        screen.say(f"{domain} at {account}: {one if isinstance(one, str) else f'{one.state} ({one.status})'}")
    needed = sending.required_records(domain, known)
    screen.say()
    screen.say("Add these records to its DNS:")
    header = ("for", "asked by", "type", "name, and value")
    shown = [(record.purpose, record.required_by, record.type, record.name, record.shown) for record in needed]
    room = screen.room(header, shown)
    screen.table(header, [(*first, f"{cut(name, room)}\n{cut(value, room)}") for *first, name, value in shown])
    screen.say()
    screen.say("The same in full, as lines of a zone file:")
    screen.emit(records.zone(needed))
    screen.say()
    screen.say("When they are there, look whether they are live:")
    screen.note(f"mailroom tenant verify {name} --env {environment.label}")


def _report(
    name: str, domain: str, planned: "Sequence[Change]", found: "Mapping[str, Domain | str]"
) -> dict[str, object]:
    from mailroom_ops.domains import records, sending

    known = [one for one in found.values() if not isinstance(one, str)]
    needed = sending.required_records(domain, known) if domain else []
    return {
        "tenant": name,
        "changes": [change.to_json() for change in planned],
        "domain": domain,
        "accounts": {account: one if isinstance(one, str) else one.status for account, one in found.items()},
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


def _pairs(given: Sequence[str]) -> dict[str, str]:
    from mailroom_ops.errors import InvalidInput

    for text in given:
        if not text.partition("=")[0].strip() or "=" not in text:
            raise InvalidInput(f"{text!r} is not of the form KEY=VALUE.")
    return {key.strip(): value.strip() for key, _, value in (text.partition("=") for text in given)}
