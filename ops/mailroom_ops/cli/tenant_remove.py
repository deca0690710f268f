"""`mailroom tenant remove`, `restore` and `purge`"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from mailroom_ops.cli.options import (
    Command,
    as_json,
    confirm,
    confirm_production,
    in_environment,
    key_file,
    read_key,
    yes,
)
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.settings.tenants import Tenant


@click.command("remove", cls=Command)
@in_environment
@click.argument("name")
@yes
@as_json
def remove(environment: Environment, name: str, yes: bool, as_json: bool) -> None:
    """Remove the tenant NAME. It can be restored until it is purged.

    Its Logto gets a 401 within five minutes, of the local stack within a second. `mailroom tenant restore` undoes this.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.settings import tenants
    from mailroom_ops.settings.parameters import Parameters

    store = Parameters(environment)
    values = store.values()
    names = tenants.names_of(name, values)
    if not as_json:
        screen.table(("parameters to remove",), [(parameter,) for parameter in names])
    confirm(environment.label, f"Remove {name} from {environment.label}?", yes)
    tenants.remove(store, name, values)
    if as_json:
        screen.emit_json({"tenant": name, "parameters": list(names)})
    else:
        screen.say(f"{name} is removed from {environment.label}. To restore it, or to delete it for good:")
        screen.note(f"mailroom tenant restore {name} --env {environment.label}")
        screen.note(f"mailroom tenant purge {name} --env {environment.label}")
    for key, value in values.items():
        if key.startswith("api/keys/") and f'"{name}"' in value:
            screen.warn(f"The API key {key} can still send for {name}: `mailroom secrets remove {key}`.")


@click.command("restore", cls=Command)
@in_environment
@click.argument("name")
@yes
@as_json
def restore(environment: Environment, name: str, yes: bool, as_json: bool) -> None:
    """Restore the removed tenant NAME."""
    from mailroom_ops.cli import screen
    from mailroom_ops.settings import tenants
    from mailroom_ops.settings.parameters import Parameters

    store = Parameters(environment)
    values = store.values()
    confirm_production(environment, f"Restore {name} in {environment.label}?", yes)
    restored = tenants.restore(store, name, values)
    if as_json:
        screen.emit_json({"tenant": name, "parameters": list(restored)})
    else:
        screen.say(f"{name} is restored in {environment.label}, with {len(restored)} parameters.")


@click.command("purge", cls=Command)
@in_environment
@click.argument("name")
@click.option("--forget-domain", is_flag=True, help="Delete its domain, and so its DKIM keys, at its providers.")
@key_file
@yes
@as_json
def purge(
    environment: Environment, name: str, forget_domain: bool, key_file: str | None, yes: bool, as_json: bool
) -> None:
    """Delete the removed tenant NAME for good.

    Without --forget-domain its domain stays registered with its providers, because another environment may use it.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.settings import tenants
    from mailroom_ops.settings.parameters import Parameters

    store = Parameters(environment)
    values = store.values()
    removed = next((tenant for tenant in tenants.list_tenants(values) if tenant.removed and tenant.name == name), None)
    if removed is None:
        raise InvalidInput(f"There is no removed tenant {name}.", f"Remove it first: mailroom tenant remove {name}")
    confirm(environment.label, f"Delete {name} from {environment.label} for good?", yes)
    if forget_domain:
        _delete_domains(environment, values, removed, read_key(key_file))
    deleted = tenants.purge(store, name, values)
    if as_json:
        screen.emit_json({"tenant": name, "parameters": list(deleted)})
    else:
        screen.say(f"{name} is deleted from {environment.label}, with {len(deleted)} parameters.")


def _delete_domains(environment: Environment, values: Mapping[str, str], tenant: "Tenant", key: str) -> None:
    """Delete the domains of a removed tenant at its providers, except those that others send from."""
    from mailroom_ops.cli import screen
    from mailroom_ops.domains import sending
    from mailroom_ops.settings import tenants

    prefix = f"removed/{tenant.name}/"
    own = {name.removeprefix(prefix): text for name, text in values.items() if name.startswith(prefix)}
    former = {**values, **own}
    in_use = tenants.domains_of(values)
    for purpose, sender in tenant.senders.items():
        domain = tenants.domain_of(str(sender.get("from", "")))
        if domain in in_use:
            screen.warn(f"{domain} stays: {', '.join(name for name, _ in in_use[domain])} sends from it.")
            continue
        chain = tenants.chain_of(former, tenant.name, purpose, environment.chain)
        for place in sending.chain_accounts(environment, former, chain, key):
            registered = place.registrar.find(domain) if place.registrar else None
            if place.registrar and registered and registered.name == domain:
                place.registrar.delete(registered)
                click.echo(f"{domain} is deleted at {place.account}.", err=True)
