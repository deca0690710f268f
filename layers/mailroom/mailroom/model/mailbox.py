"""One mailbox: an address, perhaps with a display name. Nothing here ever accepts two."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from mailroom.model.hostnames import to_ascii

__all__ = ["Mailbox", "canonical", "clean_name", "is_address", "mask"]

ADDRESS_LENGTH_BYTES = 254  # RFC 5321, 4.5.3.1.3: a path is 256 octets with its angle brackets
LOCAL_PART_LENGTH_BYTES = 64
DISPLAY_NAME_LENGTH = 78
SPECIALS = frozenset(' ,;:<>()[]"\\')
ASCII_SPECIALS = re.compile(r'[\x00-\x20\x7f,;:<>()\[\]"\\]')  # the same and the controls, six times faster
LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")


def is_address(text: str) -> bool:
    """Test whether `text` is exactly one address, as a person would type it, and nothing more."""
    # The length comes first: normalizing 30,000 combining marks takes a second.
    if len(text) > ADDRESS_LENGTH_BYTES or text.count("@") != 1:
        return False
    if ASCII_SPECIALS.search(text) if text.isascii() else not _is_plain_text(text):
        return False
    local, domain = text.split("@")
    return _is_local_part(local) and _is_domain(domain)


def _is_plain_text(text: str) -> bool:
    if len(text.encode(errors="replace")) > ADDRESS_LENGTH_BYTES:
        return False
    # A full-width comma or at-sign becomes a real one where a provider normalizes: check both forms.
    normal = unicodedata.normalize("NFKC", text)
    return normal.count("@") == 1 and all(map(_is_plain, text + normal))


def _is_plain(char: str) -> bool:
    return char not in SPECIALS and unicodedata.category(char)[0] not in "CZ"


def _is_local_part(local: str) -> bool:
    return 0 < len(local.encode()) <= LOCAL_PART_LENGTH_BYTES and all(local.split("."))


@lru_cache(256)  # many readers share a domain
def _is_domain(domain: str) -> bool:
    try:
        labels = to_ascii(domain).split(".")
    except ValueError:
        return False
    return len(labels) > 1 and all(map(LABEL.fullmatch, labels)) and not labels[-1].isdigit()


def canonical(address: str) -> str:
    """Return the one spelling under which an address compares equal, however it was typed or reported back."""
    local, _, domain = unicodedata.normalize("NFC", address).lower().rpartition("@")
    try:
        domain = to_ascii(domain)
    except ValueError:
        pass
    return f"{local}@{domain}"


def mask(address: str) -> str:
    """Return an address in the form that a log or a ledger may hold: `r•••@example.com`."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address and the name shown beside it."""

    address: str
    name: str = ""

    @classmethod
    @lru_cache(maxsize=256)  # each mail has a sender, and a process few of them
    def parse(cls, text: str) -> "Mailbox":
        """Parse `Name <address>` or a bare address; raise ValueError for anything else."""
        match = re.fullmatch(r'\s*(?:"?(?P<name>[^<>"]*?)"?\s*<(?P<inner>[^<>\s]+)>|(?P<bare>\S+))\s*', text)
        address = match and (match["inner"] or match["bare"])
        if not match or not address or not is_address(address):
            raise ValueError("not a mailbox: write it as `Name <name@example.com>` or `name@example.com`")
        return cls(address, clean_name(match["name"] or ""))

    def __str__(self) -> str:
        if not self.name:
            return self.address
        quoted = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{self.address}>'


@lru_cache(maxsize=256)
def clean_name(name: str) -> str:
    """Return a stranger's text as a display name: one line, no control characters, nothing that imitates an address."""
    printable = "".join(" " if c.isspace() else c for c in name if c.isspace() or unicodedata.category(c)[0] != "C")
    words = printable.translate(dict.fromkeys(map(ord, '@＠﹫<>"'), " ")).split()
    return " ".join(words)[:DISPLAY_NAME_LENGTH]
