"""`mailroom tenant remove`, `restore` and `purge`"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from mailroom_ops.cli.options import Command, confirm, confirm_production, in_environment, key_file, key_in, yes
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.settings.tenants import Tenant


@click.command("remove", cls=Command)
@in_environment
@click.argument("name")
@yes
def remove(environment: Environment, name: str, yes: bool) -> None:
    """Set the tenant NAME aside, to be brought back or purged.

    Logto gets a 401 for it at once, or within five minutes. `mailroom tenant restore` brings it back as it was.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.settings import tenants
    from mailroom_ops.settings.parameters import Parameters

    store = Parameters(environment)
    values = store.values()
    names = tenants.names_of(name, values)
    screen.table(("is set aside",), [(one,) for one in names])
    confirm(environment.label, f"Set {name} aside in {environment.label}?", yes)
    tenants.set_aside(store, name, values)
    screen.say(f"{name} is set aside. To bring it back, or to delete it for good:")
    screen.note(f"mailroom tenant restore {name} --env {environment.label}")
    screen.note(f"mailroom tenant purge {name} --env {environment.label}")
    for key, value in values.items():
        if key.startswith("api/keys/") and f'"{name}"' in value:
            screen.warn(f"{key} may still send for {name}: `mailroom secrets remove {key}`.")


@click.command("restore", cls=Command)
@in_environment
@click.argument("name")
@yes
def restore(environment: Environment, name: str, yes: bool) -> None:
    """Bring back the tenant NAME, which was set aside."""
    from mailroom_ops.cli import screen
    from mailroom_ops.settings import tenants
    from mailroom_ops.settings.parameters import Parameters

    store = Parameters(environment)
    values = store.values()
    confirm_production(environment, f"Bring {name} back in {environment.label}?", yes)
    restored = tenants.restore(store, name, values)
    screen.say(f"{name} is back in {environment.label}, with {len(restored)} parameters.")


@click.command("purge", cls=Command)
@in_environment
@click.argument("name")
@click.option(
    "--forget-domain", is_flag=True, help="Delete its domain at its providers too. Its DKIM keys are gone then."
)
@key_file
@yes
def purge(environment: Environment, name: str, forget_domain: bool, key_file: str | None, yes: bool) -> None:
    """Delete for good the tenant NAME, which was set aside.

    Its domain stays registered at its providers, where another environment may use it, without --forget-domain.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.settings import tenants
    from mailroom_ops.settings.parameters import Parameters

    store = Parameters(environment)
    values = store.values()
    aside = next((tenant for tenant in tenants.all_of(values) if tenant.removed and tenant.name == name), None)
    if aside is None:
        raise InvalidInput(f"No tenant {name} is set aside.", f"Set it aside first: mailroom tenant remove {name}")
    confirm(environment.label, f"Delete {name} from {environment.label} for good?", yes)
    if forget_domain:
        _forget(environment, values, aside, key_in(key_file))
    gone = tenants.purge(store, name, values)
    screen.say(f"{name} is gone from {environment.label}, with {len(gone)} parameters.")


def _forget(environment: Environment, values: Mapping[str, str], aside: "Tenant", key: str) -> None:
    from mailroom_ops.cli import screen
    from mailroom_ops.domains import sending
    from mailroom_ops.settings import tenants

    before = f"removed/{aside.name}/"
    was = {**values, **{name.removeprefix(before): text for name, text in values.items() if name.startswith(before)}}
    in_use = tenants.domains_of(values)
    for purpose, sender in aside.senders.items():
        domain = tenants.domain_of(str(sender.get("from", "")))
        if domain in in_use:
            screen.warn(f"{domain} stays: {', '.join(tenant for tenant, _ in in_use[domain])} sends from it.")
            continue
        chain = tenants.chain_of(was, aside.name, purpose, environment.chain)
        for place in sending.chain_accounts(environment, was, chain, key):
            known = place.registrar.find(domain) if place.registrar else None
            if place.registrar and known and known.name == domain:
                place.registrar.delete(known)
                screen.say(f"{domain} is deleted at {place.account}.")
