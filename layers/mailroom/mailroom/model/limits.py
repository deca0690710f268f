"""Limits: how many codes one recipient, or one client, may cause in ten minutes, so that no mailbox is flooded."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from ipaddress import IPv6Address, ip_address
from typing import Any

from mailroom.model.json_settings import InvalidSetting, MergedSettings
from mailroom.model.mailbox import canonical

__all__ = ["WINDOW_SECONDS", "Limits", "client_network", "limited_address"]

WINDOW_SECONDS = 600.0
MAX_LIMIT = 100  # the ledger's row has an entry for each code of the last ten minutes
MAX_MAILS_PER_DAY = 10_000_000
DOTLESS_HOSTS = {"gmail.com": "gmail.com", "googlemail.com": "gmail.com"}  # that ignore dots, and their main name
IPV6_NETWORK_BITS = 64  # of one customer; an IPv4 address is one


@dataclass(frozen=True, slots=True)
class Limits:
    """Codes in WINDOW_SECONDS, and mails a day; 0 means any number."""

    per_recipient: int = 10
    per_kind: int = 5  # of one kind, for one recipient
    per_client: int = 30  # from one client IP, where the source gives one
    per_day: int = 0  # mails of any kind, of the whole tenant, in a day (UTC)

    @classmethod
    def of(cls, settings: MergedSettings) -> "Limits":
        """Return the limits of a tenant; raise InvalidSetting for one that is no number, or too high."""
        return cls(**{field.name: _number(settings, field.name, field.default) for field in fields(cls)})

    def exceeds(self, kinds: Iterable[str], kind: str) -> bool:
        """Return whether a recipient who got codes of these kinds gets no other of `kind`."""
        recent = list(kinds)
        too_many = self.per_recipient and len(recent) >= self.per_recipient
        return bool(too_many or (self.per_kind and recent.count(kind) >= self.per_kind))

    @property
    def applies_to_recipients(self) -> bool:
        return bool(self.per_recipient or self.per_kind)


def limited_address(address: str) -> str:
    """Return the one address that stands for all that are delivered to the same mailbox, as far as that is known."""
    local, _, host = canonical(address).rpartition("@")
    local = local.partition("+")[0] or local
    if host in DOTLESS_HOSTS:
        local, host = local.replace(".", ""), DOTLESS_HOSTS[host]
    return f"{local}@{host}"


def client_network(ip: str) -> str:
    """Return the network that counts as one client; empty for a text that is no IP address."""
    try:
        address = ip_address(ip.strip())
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(IPv6Address(int(address) >> IPV6_NETWORK_BITS << IPV6_NETWORK_BITS))
    return str(address)


def _number(settings: MergedSettings, name: str, default: Any) -> int:
    values: Mapping[str, Any] = settings.values
    value = values.get(name, default)
    maximum = MAX_MAILS_PER_DAY if name == "per_day" else MAX_LIMIT
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= maximum:
        raise InvalidSetting(settings.origins[name], f"{name} must be a number from 0 (no limit) to {maximum}")
    return value
