"""Addresses in their wire form: all relays and providers take a domain in ASCII, few take other characters."""

from functools import lru_cache

from mailroom.errors import PermanentFailure
from mailroom.model.hostnames import to_ascii
from mailroom.model.mailbox import Mailbox, is_address

__all__ = ["ascii_address", "wire_address", "wire_mailbox"]


@lru_cache(256)  # of three addresses in a mail, two are the sender's
def wire_address(party: str, address: str) -> str:
    """Return the address with its domain in ASCII and its local part unchanged."""
    local, _, domain = address.rpartition("@")
    if not is_address(address):
        raise PermanentFailure(party, "invalid_address", "this is not one address")
    try:
        return f"{local}@{to_ascii(domain)}"
    except ValueError as error:
        raise PermanentFailure(party, "invalid_address", "its domain cannot be written in ASCII") from error


def ascii_address(party: str, address: str) -> str:
    """Return the address in ASCII, for a provider that takes nothing else."""
    wire = wire_address(party, address)
    if not wire.isascii():
        raise PermanentFailure(party, "non_ascii_address", "only ASCII is taken before the @")
    return wire


def wire_mailbox(party: str, mailbox: Mailbox) -> str:
    """Return a mailbox for an API that takes any Unicode in a quoted name."""
    return str(Mailbox(wire_address(party, mailbox.address), mailbox.name))
