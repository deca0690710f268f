"""The link page of a tenant: links of its mails lead to a page of ours first, which shows their host (docs/links.md).

Security scanners open the links of a mail before its reader does, and so use up one-time links. The page needs a click.
The link itself is behind the `#`, which no browser sends to a server, and encoded, so that no scanner finds it in the
text.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mailroom import untrusted
from mailroom.model.hostnames import to_ascii

__all__ = ["LinkPage", "host_rules"]

UNLISTED = "link_hosts of the brand does not contain the host of a link: the mail leads there directly"
LOOPBACK = ("127.0.0.1", "localhost")
# A host, or `*.` and a domain of at least two labels for all hosts below it; with a port that is not the scheme's own.
LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
HOST_RULE = re.compile(
    rf"(?:\*\.{LABEL}\.|{LABEL}\.)(?:{LABEL}\.)*{LABEL}(?::[1-9][0-9]{{0,4}})?|localhost(?::[0-9]{{1,5}})?"
)
# The script of the page has the same rule: an authority without a password, and without characters to be decoded.
WEB_ADDRESS = re.compile(r"(https?)://([a-z0-9._-]+(?::[0-9]+)?)(?:[/?#]|$)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class LinkPage:
    """The address of a tenant's link page, and the hosts that it leads to."""

    url: str
    hosts: tuple[str, ...]

    @classmethod
    def of(cls, brand: Mapping[str, str], tenant: str) -> "LinkPage | None":
        """Return the page that a brand's settings switch on; None without one, or where its address is malformed."""
        address = untrusted.link(brand.get("link_page", "")).rstrip("/")
        match = WEB_ADDRESS.match(address)
        if not match or not _is_secure(match) or "?" in address or "#" in address:
            return None
        return cls(f"{address}/{tenant}", host_rules(brand.get("link_hosts", "")))

    def wrap(self, link: str, locale: str) -> str:
        """Return the address of the page for a link; the link itself if the page does not lead to its host."""
        if not self.leads_to(link):
            return link
        return f"{self.url}?lang={locale}#{urlsafe_b64encode(link.encode()).decode().rstrip('=')}"

    def leads_to(self, link: str) -> bool:
        """Return whether the page leads to a link, which `untrusted.link` has returned."""
        match = WEB_ADDRESS.match(link)
        return bool(match and _is_secure(match) and any(_is_below(match[2].lower(), rule) for rule in self.hosts))

    def problems(self, links: Iterable[str]) -> list[str]:
        """Return what to report about links that a mail contains as they are: no part of a link is in a log."""
        return [] if all(map(self.leads_to, links)) else [UNLISTED]


def host_rules(text: str) -> tuple[str, ...]:
    """Parse hosts that are separated by commas or spaces; leave out a malformed one."""
    rules = []
    for word in re.split(r"[,\s]+", text):
        try:
            rule = to_ascii(word.lower()) if not word.startswith("*.") else f"*.{to_ascii(word[2:].lower())}"
        except ValueError:
            continue
        if HOST_RULE.fullmatch(rule):
            rules.append(rule)
    return tuple(rules)


def _is_secure(match: re.Match[str]) -> bool:
    """Return whether a web address is https, or http on this machine, as with the local stack."""
    return match[1].lower() == "https" or match[2].partition(":")[0].lower() in LOOPBACK


def _is_below(authority: str, rule: str) -> bool:
    return authority == rule or (rule.startswith("*.") and authority.endswith(rule[1:]) and authority != rule[1:])
