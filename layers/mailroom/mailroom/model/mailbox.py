"""One mailbox: an address, perhaps with a display name. Nothing here ever accepts two."""

import re
import unicodedata
from dataclasses import dataclass

__all__ = ["Mailbox", "canonical", "is_address", "mask"]

ADDRESS_LENGTH = 254  # RFC 5321, 4.5.3.1.3: a path is 256 octets with its angle brackets
SPECIALS = frozenset(' ,;:<>()[]"\\')
ASCII_SPECIALS = re.compile(r'[\x00-\x20\x7f,;:<>()\[\]"\\]')  # the same, and what is no sign: six times quicker
LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.IGNORECASE)


def is_address(text: str) -> bool:
    """Tell whether `text` is exactly one address, as a person would type it, and nothing more."""
    # A full-width comma or at-sign becomes a real one where a provider normalises: look at both forms.
    normal = unicodedata.normalize("NFKC", text)
    if len(text.encode(errors="replace")) > ADDRESS_LENGTH or not text.count("@") == normal.count("@") == 1:
        return False
    if ASCII_SPECIALS.search(text) if text.isascii() else not all(map(_plain, text + normal)):
        return False
    local, domain = text.split("@")
    return bool(local) and len(local.encode()) <= 64 and not _dotted_badly(local) and _is_domain(domain)


def _plain(char: str) -> bool:
    return char not in SPECIALS and unicodedata.category(char)[0] not in "CZ"


def _dotted_badly(local: str) -> bool:
    return local.startswith(".") or local.endswith(".") or ".." in local


def _is_domain(domain: str) -> bool:
    try:
        labels = domain.encode("ascii" if domain.isascii() else "idna").decode().split(".")
    except UnicodeError:
        return False
    return len(labels) > 1 and all(LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit()


def canonical(address: str) -> str:
    """Write an address so that it compares equal however it was typed, and however a provider writes it back."""
    local, _, domain = unicodedata.normalize("NFC", address).lower().rpartition("@")
    if not domain.isascii():
        import idna  # as it travels, and not Python's own codec: see providers/_address.py

        try:
            domain = idna.encode(domain, uts46=True).decode()
        except idna.IDNAError:
            pass
    return f"{local}@{domain}"


def mask(address: str) -> str:
    """Shorten an address to what a log or a ledger may hold: `r•••@example.com`."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address and the name shown beside it."""

    address: str
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> "Mailbox":
        """Read `Name <address>` or a bare address; raise ValueError for anything else."""
        found = re.fullmatch(r'\s*(?:"?(?P<name>[^<>"]*?)"?\s*<(?P<inner>[^<>\s]+)>|(?P<bare>\S+))\s*', text)
        address = found and (found["inner"] or found["bare"])
        if not found or not address or not is_address(address):
            raise ValueError("not a mailbox: write it as `Name <name@example.com>` or `name@example.com`")
        return cls(address, clean_name(found["name"] or ""))

    def __str__(self) -> str:
        if not self.name:
            return self.address
        quoted = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{self.address}>'


def clean_name(name: str) -> str:
    """Make a stranger's text fit for a display name: one line, no controls, nothing that imitates an address."""
    kept = "".join(" " if c.isspace() else c for c in name if c.isspace() or unicodedata.category(c)[0] != "C")
    return " ".join(kept.translate(dict.fromkeys(map(ord, '@＠﹫<>"'), " ")).split())[:78]
