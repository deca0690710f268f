"""Domain groups: the receiving side of an address, as coarse as deliverability differs. A group is no address.

A tenant may name a few domains of its own, such as its customers': each of them is a group of its own, of that tenant.
"""

import re
from collections.abc import Iterable

__all__ = ["GROUPS", "MAX_OWN_DOMAINS", "OTHER", "group_of", "is_domain", "own_group"]

OTHER = "other"
DOMAINS = {
    **dict.fromkeys(("gmail.com", "googlemail.com"), "gmail"),
    **dict.fromkeys(("outlook.com", "msn.com"), "outlook"),
    **dict.fromkeys(("ymail.com", "rocketmail.com", "aol.com"), "yahoo"),
    **dict.fromkeys(("icloud.com", "me.com", "mac.com"), "icloud"),
}
NAMES = {"hotmail": "outlook", "live": "outlook", "outlook": "outlook", "yahoo": "yahoo"}  # below any country
COUNTRIES = ("com", "co", "ne")  # as in yahoo.com.br, yahoo.co.jp
MAX_LABELS = 3
MAX_OWN_DOMAINS = 5  # of a tenant: each adds up to ten counters by provider to an hourly row
MAX_DOMAIN_LENGTH = 64
DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")
GROUPS = ("gmail", "outlook", "yahoo", "icloud", OTHER)


def group_of(address: str) -> str:
    """Return the group of an address, in full or masked."""
    domain = address.rpartition("@")[2].lower()
    if domain in DOMAINS:
        return DOMAINS[domain]
    name, *ending = domain.split(".")
    is_national = len(ending) == 1 or (len(ending) == MAX_LABELS - 1 and ending[0] in COUNTRIES)
    return NAMES.get(name, OTHER) if is_national else OTHER


def is_domain(text: str) -> bool:
    """Return whether a text is a domain that a tenant may name, in lower case and ASCII."""
    return len(text) <= MAX_DOMAIN_LENGTH and DOMAIN.fullmatch(text) is not None


def own_group(address: str, domains: Iterable[str]) -> str:
    """Return which of a tenant's domains an address, in full or masked, belongs to; empty for none.

    A domain stands for those below it as well. The large mailbox providers keep their groups.
    """
    if group_of(address) != OTHER:
        return ""
    domain = address.rpartition("@")[2].lower()
    own = [name for name in domains if domain == name or domain.endswith(f".{name}")]
    return max(own, key=len, default="")
