"""The DNS records a sending domain needs: what providers ask for, and how to hand it to whoever keeps the zone."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Purpose", "Record", "dmarc", "full_name", "zone"]

TTL = 300  # short, so that a mistake is soon forgotten
LONGEST_STRING = 255  # bytes of one string in a TXT record, RFC 1035, 3.3
LOWEST_POLICY = "v=DMARC1; p=none"  # what Gmail and Yahoo ask of everybody: https://support.google.com/a/answer/81126


class Purpose(StrEnum):
    DKIM = "DKIM"
    SPF = "SPF"
    RETURN_PATH = "return path"
    DMARC = "DMARC"


@dataclass(frozen=True, slots=True)
class Record:
    """One record, its name in full and without the dot at the end. `by` is who asks for it."""

    purpose: Purpose
    name: str
    type: str
    value: str
    by: str
    priority: int = 0

    @property
    def shown(self) -> str:
        return f"{self.priority} {self.value}" if self.type == "MX" else self.value


def dmarc(domain: str) -> Record:
    """Return the least that receivers want to see; stricter is better once reports show that all mail passes."""
    return Record(Purpose.DMARC, f"_dmarc.{domain}", "TXT", LOWEST_POLICY, "receivers")


def full_name(name: str, domain: str) -> str:
    """Return a record's whole name, where a provider gives it as a form at a DNS host would want it.

    Resend names the records of `auth.example.com` in the zone `example.com`: `send.auth`, seen 2026-03.
    """
    name = name.rstrip(".").lower()
    if name in ("", "@"):
        return domain
    if name == domain or name.endswith(f".{domain}"):
        return name
    labels = domain.split(".")
    for size in range(len(labels) - 2, 0, -1):
        below, zone_name = ".".join(labels[:size]), ".".join(labels[size:])
        if name == below or name.endswith(f".{below}"):
            return f"{name}.{zone_name}"
    return f"{name}.{domain}"


def zone(records: Iterable[Record]) -> str:
    """Write records as lines of a zone file (RFC 1035, 5), every name in full so that it fits into any zone."""
    lines = []
    for record in records:
        data = {"TXT": _strings(record.value), "MX": f"{record.priority} {record.value}."}.get(
            record.type, f"{record.value}."
        )
        lines.append(f"{record.name}. {TTL} IN {record.type} {data}")
    return "\n".join(lines)


def _strings(text: str) -> str:
    """Split a text into the quoted strings of a TXT record."""
    parts = [text[at : at + LONGEST_STRING] for at in range(0, len(text), LONGEST_STRING)] or [""]
    return " ".join('"{}"'.format(part.replace("\\", "\\\\").replace('"', '\\"')) for part in parts)
