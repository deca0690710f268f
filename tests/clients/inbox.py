"""The inbox of the local stack, for programs of the tests: they use a mail as its recipient does."""

import json
import re
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Inbox"]

CODE = re.compile(r"^\s*([A-Z0-9]{4}-[A-Z0-9]{4}|\d{6})\s*$", re.MULTILINE)
LINK = re.compile(r"https?://\S+")


@dataclass(slots=True)
class Inbox:
    """The inbox at an address. Each mail is read once."""

    url: str
    read: Counter[tuple[str, str]] = field(default_factory=Counter)

    def mail(self, to: str, kind: str) -> dict[str, Any]:
        """Wait for the next mail of a kind to an address; return it."""
        self.read[to, kind] += 1
        for _ in range(200):
            with urllib.request.urlopen(f"{self.url}/inbox.json") as response:
                mails = [mail for mail in json.load(response) if (mail["to"], mail["kind"]) == (to, kind)]
            if len(mails) >= self.read[to, kind]:
                newest: dict[str, Any] = mails[0]
                return newest
            time.sleep(0.05)
        raise AssertionError(f"no {kind} to {to}")

    def code(self, to: str, kind: str) -> str:
        text = self.mail(to, kind)["text"]
        match = CODE.search(text)
        assert match, text
        return match[1]

    def link(self, to: str, kind: str) -> str:
        text = self.mail(to, kind)["text"]
        match = LINK.search(text)
        assert match, text
        return match[0]
