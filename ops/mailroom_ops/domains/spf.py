"""SPF as receivers evaluate it: https://www.rfc-editor.org/rfc/rfc7208"""

import re
from dataclasses import dataclass, field

from mailroom_ops.domains.dns import Dns

__all__ = ["Spf", "read_spf"]

MAX_LOOKUPS = 10  # section 4.6.4: with one more, receivers report an error
RECORD = re.compile(r"v=spf1(\s|$)", re.IGNORECASE)
PASS_ALL = re.compile(r"(?:^|\s)\+?all(?:\s|$)")
MECHANISMS_WITH_LOOKUP = ("a", "mx", "ptr", "exists", "include", "redirect")


@dataclass(slots=True)
class Spf:
    """The SPF record of one domain, and those that it includes."""

    text: str = ""
    faults: list[str] = field(default_factory=list)
    lookups: int = 0
    includes: list[str] = field(default_factory=list)

    @property
    def passes_all(self) -> bool:
        return PASS_ALL.search(self.text) is not None


def read_spf(dns: Dns, domain: str) -> Spf:
    """Return the SPF record of a domain with all faults that receivers see in it."""
    spf = Spf()
    spf.text = _read(dns, domain, spf, ())
    if spf.lookups > MAX_LOOKUPS:
        spf.faults.append(f"needs {spf.lookups} lookups, and receivers stop at {MAX_LOOKUPS}")
    return spf


def _read(dns: Dns, domain: str, spf: Spf, including: tuple[str, ...]) -> str:
    if domain in including:
        spf.faults.append(f"includes itself: {' → '.join((*including[including.index(domain) :], domain))}")
        return ""
    answer = dns.query(domain, "TXT")
    texts = [text for text in answer.values if RECORD.match(text)]
    if answer.error:
        spf.faults.append(f"{domain}: {answer.error}")
    elif len(texts) > 1:
        spf.faults.append(f"{domain} has {len(texts)} SPF records, and receivers ignore all of them")
    elif not texts and including:
        spf.faults.append(f"includes {domain}, which has no SPF record")
    if len(texts) != 1:
        return ""
    for term in texts[0].lower().split()[1:]:
        name, _, value = re.sub(r"^[+?~-]", "", term).replace("=", ":", 1).partition(":")
        if name in MECHANISMS_WITH_LOOKUP:
            spf.lookups += 1
        if name in ("include", "redirect") and value and spf.lookups <= MAX_LOOKUPS:
            spf.includes.append(value.rstrip("."))
            _read(dns, value.rstrip("."), spf, (*including, domain))
    return texts[0]
