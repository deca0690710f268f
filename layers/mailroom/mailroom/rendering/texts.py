"""The sentences of one language, from a translator's locales/<tag>.toml."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailroom.errors import ConfigurationError
from mailroom.model.security_events import SecurityEvent
from mailroom.rendering import plurals

__all__ = ["PLACEHOLDER", "Texts", "fill", "parse_file", "read_tables"]

PLACEHOLDER = re.compile(r"\{([\w.]+)\}")
# Chinese separates Latin names from the text around them, and no others: 登录 Acme, but 登录阿克米.
SPACED_PLACEHOLDER = re.compile(r"( ?)\{([\w.]+)\}( ?)")
TOML_PLACE = re.compile(r" \(at (line (?P<line>\d+), column \d+|end of document)\)$")


def fill(sentence: str, values: Mapping[str, str]) -> str:
    """Replace the {placeholders} of a sentence, those without a value by nothing; braces in values stay as they are."""

    def replacement(match: re.Match[str]) -> str:
        before, name, after = match.groups()
        value, (start, end) = values.get(name, ""), match.span()
        if before and _is_han(value[:1]) and _is_han(sentence[:start][-1:]):
            before = ""
        if after and _is_han(value[-1:]) and _is_han(sentence[end : end + 1]):
            after = ""
        return before + value + after

    return SPACED_PLACEHOLDER.sub(replacement, sentence) if "{" in sentence else sentence


def _is_han(char: str) -> bool:
    return "\u3400" <= char <= "\u9fff"  # not a class of a regular expression: it takes 2 ms to compile


def parse_file(path: Path, parse: Callable[[str], dict[str, Any]] = tomllib.loads) -> dict[str, Any]:
    """Return the tables of a built-in file; raise a ConfigurationError with the file and the line of a mistake."""
    name = f"locales/{path.name}" if path.parent.name == "locales" else path.name
    try:
        return parse(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        place = TOML_PLACE.search(str(error))
        line = f"line {place['line']}" if place and place["line"] else "at its end"
        message = TOML_PLACE.sub("", str(error))
        raise ConfigurationError("templates", "malformed", f"{name}, {line}: {message}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError("templates", "malformed", f"{name}: is not UTF-8") from error


def read_tables(content: str) -> dict[str, Any]:
    """Parse a file of sentences; the table of an event, inside of a kind's, gets the name `security-notice.event`."""
    tables = tomllib.loads(content)
    notice = tables.get("security-notice")
    if isinstance(notice, dict):
        for event in SecurityEvent:
            if isinstance(notice.get(event), dict):
                tables[f"security-notice.{event}"] = notice.pop(event)
    return tables


@dataclass(frozen=True, slots=True)
class Texts:
    """The tables of one language: `about`, `common`, and one for each kind of mail."""

    locale: str
    tables: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path) -> "Texts":
        return cls(path.stem, parse_file(path, read_tables))

    @property
    def direction(self) -> str:
        return "rtl" if self.tables["about"].get("direction") == "rtl" else "ltr"

    def of_kind(self, kind: str, key: str) -> str:
        """Return a sentence from the kind's own table, or ''."""
        return str(self.tables.get(kind, {}).get(key, ""))

    def sentence(self, kind: str, key: str) -> str:
        """Return a sentence from the kind's own table, else from the one that all kinds share."""
        return self.of_kind(kind, key) or str(self.tables["common"][key])

    def duration(self, key: str, n: int) -> str:
        """Return the sentence of `common` for a number of minutes, hours or days, in the plural form of the number."""
        forms = self.tables["common"][key]
        sentence = str(forms.get(plurals.category(self.locale, n)) or list(forms.values())[-1])
        return fill(sentence, {"n": self.number(n)})

    def number(self, n: int) -> str:
        """Write a number in the language's digits, by default Western ones."""
        digits = self.tables["about"].get("digits", "")
        return "".join(digits[int(digit)] for digit in str(n)) if len(digits) == 10 else str(n)
