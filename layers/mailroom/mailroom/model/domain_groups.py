"""Domain groups: the receiving side of an address, as coarse as deliverability differs. A group is no address."""

__all__ = ["GROUPS", "group_of"]

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
GROUPS = ("gmail", "outlook", "yahoo", "icloud", OTHER)


def group_of(address: str) -> str:
    """Return the group of an address, in full or masked."""
    domain = address.rpartition("@")[2].lower()
    if domain in DOMAINS:
        return DOMAINS[domain]
    name, *ending = domain.split(".")
    is_national = len(ending) == 1 or (len(ending) == MAX_LABELS - 1 and ending[0] in COUNTRIES)
    return NAMES.get(name, OTHER) if is_national else OTHER
