"""Sentences in one language, as translators wrote them in locales/<tag>.toml."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailroom.rendering import plurals

__all__ = ["PLACEHOLDER", "Texts", "fill"]

PLACEHOLDER = re.compile(r"\{([\w.]+)\}")


def fill(sentence: str, values: Mapping[str, str]) -> str:
    """Put values into the {placeholders} of a sentence; what a value holds is not read again."""
    return PLACEHOLDER.sub(lambda found: values[found[1]], sentence)


@dataclass(frozen=True, slots=True)
class Texts:
    """The tables of one language: `about`, `common`, and one for each kind of mail."""

    locale: str
    tables: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path) -> "Texts":
        return cls(path.stem, tomllib.loads(path.read_text("utf-8")))

    @property
    def direction(self) -> str:
        return "rtl" if self.tables["about"].get("direction") == "rtl" else "ltr"

    def own(self, kind: str, key: str) -> str:
        """Return the sentence a kind has for itself, or ''."""
        return str(self.tables.get(kind, {}).get(key, ""))

    def find(self, kind: str, key: str) -> str:
        """Return the kind's own sentence, else the one all mails share."""
        return self.own(kind, key) or str(self.tables["common"][key])

    def count(self, key: str, n: int) -> str:
        """Return the sentence of `common` that counts, in the form this number takes."""
        forms = self.tables["common"][key]
        sentence = str(forms.get(plurals.category(self.locale, n)) or list(forms.values())[-1])
        return fill(sentence, {"n": self.number(n)})

    def number(self, n: int) -> str:
        """Write a number in the language's own digits, if it has some."""
        digits = self.tables["about"].get("digits")
        return "".join(digits[int(digit)] for digit in str(n)) if digits else str(n)
