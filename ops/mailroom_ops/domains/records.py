"""The DNS records that a sending domain needs, and their form in a zone file."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["MINIMUM_DMARC", "Purpose", "Record", "dmarc_record", "full_name", "zone"]

TTL_SECONDS = 300  # short, so that a mistake does not stay in caches for long
MAX_STRING_BYTES = 255  # of one string in a TXT record, RFC 1035, 3.3
MINIMUM_DMARC = "v=DMARC1; p=none"  # required by Gmail and Yahoo: https://support.google.com/a/answer/81126


class Purpose(StrEnum):
    DKIM = "DKIM"
    SPF = "SPF"
    RETURN_PATH = "return path"
    DMARC = "DMARC"


@dataclass(frozen=True, slots=True)
class Record:
    """One record that an account, or receivers, require; its name is absolute, without the final dot."""

    purpose: Purpose
    name: str
    type: str
    value: str
    required_by: str
    priority: int = 0

    @property
    def shown(self) -> str:
        return f"{self.priority} {self.value}" if self.type == "MX" else self.value


def dmarc_record(domain: str) -> Record:
    """Return the minimum that receivers require; tighten it once reports show that all mail passes."""
    return Record(Purpose.DMARC, f"_dmarc.{domain}", "TXT", MINIMUM_DMARC, "receivers")


def full_name(name: str, domain: str) -> str:
    """Return the absolute name of a record that a provider names relative to the zone.

    Resend names the records of `auth.example.com` in the zone `example.com`: `send.auth`, seen 2026-03.
    """
    name = name.rstrip(".").lower()
    if name in ("", "@"):
        return domain
    if name == domain or name.endswith(f".{domain}"):
        return name
    labels = domain.split(".")
    for size in range(len(labels) - 2, 0, -1):
        subdomain, zone_name = ".".join(labels[:size]), ".".join(labels[size:])
        if name == subdomain or name.endswith(f".{subdomain}"):
            return f"{name}.{zone_name}"
    return f"{name}.{domain}"


def zone(records: Iterable[Record]) -> str:
    """Return records as lines of a zone file (RFC 1035, 5), with absolute names, so that they fit into any zone."""
    lines = []
    for record in records:
        data = {"TXT": _strings(record.value), "MX": f"{record.priority} {record.value}."}.get(
            record.type, f"{record.value}."
        )
        lines.append(f"{record.name}. {TTL_SECONDS} IN {record.type} {data}")
    return "\n".join(lines)


def _strings(text: str) -> str:
    """Split a text into the quoted strings of a TXT record."""
    parts = [text[start : start + MAX_STRING_BYTES] for start in range(0, len(text), MAX_STRING_BYTES)] or [""]
    return " ".join('"{}"'.format(part.replace("\\", "\\\\").replace('"', '\\"')) for part in parts)
