"""Addresses as they travel: every relay and provider takes a domain in ASCII, few take more than that."""

from mailroom.errors import PermanentFailure
from mailroom.model.mailbox import Mailbox, is_address

__all__ = ["ascii_address", "wire_address", "wire_mailbox"]


def wire_address(party: str, address: str) -> str:
    """Return the address with its domain in ASCII; the part before the @ is left alone."""
    local, _, domain = address.rpartition("@")
    if not is_address(address):
        raise PermanentFailure(party, "invalid_address", "this is not one address")
    if domain.isascii():
        return address
    # Python's own "idna" codec knows IDNA 2003 only: it sends mail for straße to strasse, another owner's domain.
    import idna

    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError as error:
        raise PermanentFailure(party, "invalid_address", "its domain cannot be written in ASCII") from error


def ascii_address(party: str, address: str) -> str:
    """Return the address in ASCII, for a party that cannot carry anything else."""
    wired = wire_address(party, address)
    if not wired.isascii():
        raise PermanentFailure(party, "non_ascii_address", "only ASCII is taken before the @")
    return wired


def wire_mailbox(party: str, mailbox: Mailbox) -> str:
    """Write a mailbox for an API that takes any Unicode in a name, as long as it stands in quotes."""
    return str(Mailbox(wire_address(party, mailbox.address), mailbox.name))
