"""What validators, mail clients' known gaps and SpamAssassin say about mails: for the tests, and for the preview.

The tools are for development: SpamAssassin from the system, the rest from the npm packages of tests/mail.
"""

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from mailroom.model.email import Email
from mailroom.model.message import new_id
from mailroom.providers._mime import compose
from mailroom_ops.errors import ServiceError

__all__ = ["FALLBACKS", "LIMIT", "Craft", "Spam", "crafts", "spam", "tool_for_crafts", "tool_for_spam"]

TOOLS = Path(__file__).parents[3] / "tests" / "mail"
LIMIT = 30_000  # bytes of HTML; Gmail cuts at 102 kB, a phone on the road much earlier
PATIENCE = 600
# What one of Gmail, Outlook and Apple Mail does not do at all, and what its reader gets instead.
FALLBACKS = {
    "@media": "Outlook for Windows and Gmail's oldest page stay light and wide; the layout is fluid without it",
    "Attribute selector": "they address outlook.com alone, [data-ogsc]",
    "Class selector": "only used by the dark and narrow rules",
    "Descendant combinator": "only used by the dark rules for outlook.com",
    "<style> element": "every rule a mail cannot do without is inline",
    "<body> element": "the same background stands on the div inside it",
    "border-radius": "corners are square in Outlook for Windows",
    "color-scheme CSS property": "clients that do not know it darken a mail as they please",
    "color-scheme meta tag": "clients that do not know it darken a mail as they please",
    "display:none": "the preheader is the first line of the text in Gmail's oldest page",
    "aria-label attribute": "Windows Mail reads a code as a number",
    "role attribute": "Windows Mail reads tables as tables",
    "word-break": "Windows Mail lets a long address run wide",
}


@dataclass(frozen=True, slots=True)
class Craft:
    """What is wrong with the HTML, and what Gmail, Outlook and Apple Mail do not do, or do in part, by feature."""

    invalid: tuple[str, ...]
    unsupported: Mapping[str, tuple[str, ...]]
    partial: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Spam:
    """SpamAssassin's points, and those of each rule that hit."""

    points: float
    rules: Mapping[str, float]


def tool_for_crafts() -> str:
    """Return '' if `crafts` can work here, else what it needs."""
    if which("node") and (TOOLS / "node_modules").is_dir():
        return ""
    return "needs node and its packages: install node, then `npm ci` in tests/mail (`make test` does)"


def tool_for_spam() -> str:
    """Return '' if `spam` can work here, else what it needs."""
    return "" if which("spamassassin") else "needs SpamAssassin: apt-get install spamassassin"


def crafts(mails: Mapping[str, Email]) -> dict[str, Craft]:
    """Judge the HTML of mails, all in one go; the names are the caller's."""
    said = json.dumps([{"name": name, "html": email.html} for name, email in mails.items()])
    verdicts = json.loads(_run(["node", "judge.mjs"], said))
    return {
        name: Craft(
            tuple(verdict["invalid"]),
            {feature: tuple(clients) for feature, clients in verdict["unsupported"].items()},
            {feature: tuple(clients) for feature, clients in verdict["partial"].items()},
        )
        for name, verdict in verdicts.items()
    }


def spam(mails: Mapping[str, Email]) -> dict[str, Spam]:
    """Judge the full MIME of mails by the rules that need no network, all in one go."""
    verdicts = {}
    with tempfile.TemporaryDirectory() as folder:
        files = {str(Path(folder) / str(at)): name for at, name in enumerate(mails)}
        for path, name in files.items():
            Path(path).write_bytes(compose(mails[name], new_id(), {}))
        for line in _run(["perl", "spam.pl", folder], "".join(f"{path}\n" for path in files)).splitlines():
            path, points, rules = line.split("\t")
            hits = (hit.split("=") for hit in rules.split())
            verdicts[files[path]] = Spam(float(points), {rule: float(worth) for rule, worth in hits})
    return verdicts


def _run(command: list[str], said: str) -> str:
    done = subprocess.run(command, cwd=TOOLS, input=said, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode:
        raise ServiceError(f"{command[0]} could not judge the mails", "", done.stderr.splitlines()[-5:])
    return done.stdout
