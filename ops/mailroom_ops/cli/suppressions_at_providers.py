"""`mailroom suppressions check`, `pull` and `remove --at-provider`: our list and those of the providers."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mailroom_ops.cli.options import Command, as_json, confirm, confirm_production, in_environment, read_key, yes
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.ledger.queries import LedgerQueries
    from mailroom_ops.ledger.suppressions import Entry
    from mailroom_ops.suppression_lists import Listing
    from mailroom_ops.suppression_lists.lookup import AccountAnswer, Accounts

__all__ = ["account_of", "check", "key_file", "pull", "remove_from_both"]

account_of = click.option(
    "--account", default="", metavar="NAME", help="Only this provider account, such as `resend` or `resend.acme`."
)
key_file = click.option(
    "--key-file",
    type=click.Path(exists=True, dir_okay=False),
    help="File with a key that may read the provider's list, if the stored one may only send. It is not stored.",
)


@click.command(
    "check",
    cls=Command,
    examples=(("only for one tenant's mail", "mailroom suppressions check reader@example.com --tenant acme"),),
)
@in_environment
@click.argument("address")
@click.option("--tenant", default="", metavar="NAME", help="Only this tenant's entry and its providers; else all.")
@account_of
@key_file
@as_json
@click.pass_context
def check(
    ctx: click.Context,
    environment: Environment,
    address: str,
    tenant: str,
    account: str,
    key_file: str | None,
    as_json: bool,
) -> None:
    """Look for ADDRESS in our list and in those of the providers.

    Exits with 1 if the list of a provider could not be read.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.ledger.queries import LedgerQueries

    entries = _own(LedgerQueries.of(environment), address, tenant)
    answers = list(_accounts(environment, tenant, account, key_file).check(address))
    if as_json:
        report = {
            "address": address,
            "entries": list(map(_entry_json, entries)),
            "providers": list(map(_answer_json, answers)),
        }
        screen.emit(json.dumps(report, ensure_ascii=False))
    else:
        _print_state(entries, answers)
        if any(answer.listings for answer in answers):
            owner = tenant or (entries[0].tenant if entries else "default")
            screen.say(f"Allow mail again: mailroom suppressions remove {address} --tenant {owner} --at-provider")
    ctx.exit(1 if any(answer.todo for answer in answers) else 0)


@click.command(
    "pull",
    cls=Command,
    examples=(("import Resend's list before the first mail", "mailroom suppressions pull --from resend"),),
)
@in_environment
@click.option("--from", "account", required=True, metavar="ACCOUNT", help="Provider account whose list is read.")
@click.option("--tenant", default="default", show_default=True, metavar="NAME", help="Tenant to suppress them for.")
@key_file
@yes
@as_json
def pull(environment: Environment, account: str, tenant: str, key_file: str | None, yes: bool, as_json: bool) -> None:
    """Import the suppression list of a provider account.

    Each address is suppressed for the period that the tenant's policy has for its cause, from today on.
    """
    from collections import Counter

    from mailroom_ops.cli import screen
    from mailroom_ops.ledger import suppressions
    from mailroom_ops.suppression_lists.transfer import Transfer

    transfer = Transfer.of(
        environment, tenant, _accounts(environment, tenant, account, key_file).list_of(account).entries()
    )
    counts = Counter(entry.cause for entry in transfer.entries)
    rows = [
        (cause, str(counts[cause]), *(_period(number) for number in days.values()))
        for cause, days in transfer.days.items()
    ]
    if not as_json:
        screen.table(("cause", "addresses", *(f"no {lane} for" for lane in ("codes", "notices"))), rows)
    if transfer.left_out:
        screen.warn(f"{transfer.left_out} entries are no address that mail could be sent to, and are left out.")
    number = len(transfer.entries)
    if as_json:
        screen.emit_json({"account": account, "addresses": counts, "left_out": transfer.left_out})
    if not number:
        if not as_json:
            screen.say(f"No address is on the list of {account}.")
        return
    confirm(environment.label, f"Suppress {_count(number)} for {tenant} in {environment.label}?", yes)
    queries = suppressions.writable_list(environment)
    with screen.progress(suppressions.add_all(queries, transfer.entries), number, "importing") as added:
        count = sum(1 for _ in added)
    if not as_json:
        screen.say(f"{_count(count)} of {account} {'is' if count == 1 else 'are'} suppressed for {tenant}.")


def remove_from_both(
    environment: Environment, address: str, tenant: str, account: str, key_file: str | None, yes: bool
) -> None:
    """Remove an address from our list and those of the tenant's providers, after a plan and a question."""
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import ServiceError
    from mailroom_ops.ledger import suppressions
    from mailroom_ops.ledger.queries import LedgerQueries

    queries = LedgerQueries.of(environment)
    accounts = _accounts(environment, tenant, account, key_file)
    entries, answers = _own(queries, address, tenant), list(accounts.check(address))
    _print_state(entries, answers)
    listed = [answer for answer in answers if answer.listings]
    unread = tuple(f"{answer.account}: {answer.problem}" for answer in answers if answer.todo)
    if not entries and not listed:
        screen.say(f"{address} is on none of these lists; nothing was changed.")
    else:
        places = [*(["ours"] if entries else []), *(answer.account for answer in listed)]
        question = f"Remove {address} from {' and '.join(places)} in {environment.label}?"
        confirm_production(environment, question, yes)
        if entries:
            suppressions.remove(queries, tenant, address)
            screen.say(f"{address} is no longer suppressed for {tenant}.")
        for answer in listed:
            accounts.remove(answer)
            screen.say(f"{answer.account} sends to {address} again.")
    if unread:
        raise ServiceError("Not every list could be read; the others are done.", "", unread)


def _accounts(environment: Environment, tenant: str, account: str, key_file: str | None) -> "Accounts":
    from mailroom_ops.settings.parameters import Parameters
    from mailroom_ops.suppression_lists.lookup import Accounts

    return Accounts(environment, Parameters(environment).values(), tenant, account, read_key(key_file))


def _own(queries: "LedgerQueries", address: str, tenant: str) -> "list[Entry]":
    from mailroom_ops.ledger import suppressions

    suppressions.check_entry("default", address)
    if not queries.address_key:  # nothing was sent or imported yet
        return []
    return [entry for entry in suppressions.find(queries, address) if tenant in ("", entry.tenant)]


def _print_state(entries: "Sequence[Entry]", answers: "Sequence[AccountAnswer]") -> None:
    from mailroom_ops.cli import screen

    rows = [(f"ours, {entry.tenant}", _entry_state(entry)) for entry in entries] or [("ours", "not suppressed")]
    for answer in answers:
        states = [_listing_state(listing) for listing in answer.listings] or ["not suppressed"]
        rows += [(answer.account, answer.problem or state) for state in states]
    screen.table(("list", "state"), rows)
    for answer in answers:
        if answer.todo:
            screen.note(f"{answer.account}: {answer.todo}")


def _entry_state(entry: "Entry") -> str:
    ends = (("codes", entry.codes_until), ("notices", entry.notices_until))
    return f"{entry.cause}, " + ", ".join(f"no {lane} until {end:%Y-%m-%d}" for lane, end in ends if end)


def _listing_state(listing: "Listing") -> str:
    since = f", since {listing.since:%Y-%m-%d}" if listing.since else ""
    return f"{listing.cause}{f' ({listing.part})' if listing.part else ''}{since}"


def _entry_json(entry: "Entry") -> dict[str, object]:
    ends = {"codes_until": entry.codes_until, "notices_until": entry.notices_until}
    days = {name: f"{end:%Y-%m-%d}" if end else None for name, end in ends.items()}
    return {"tenant": entry.tenant, "cause": entry.cause, **days}


def _answer_json(answer: "AccountAnswer") -> dict[str, object]:
    listings = [
        {"cause": item.cause, "list": item.part or None, "since": item.since.isoformat() if item.since else None}
        for item in answer.listings
    ]
    return {"account": answer.account, "suppressed": listings, "problem": answer.problem or None}


def _period(days: float) -> str:
    return f"{days:g} days" if days else "-"


def _count(number: int) -> str:
    return f"{number} {'address' if number == 1 else 'addresses'}"
