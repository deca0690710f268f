"""Quality checks of mails: HTML validity, support by mail clients, and SpamAssassin.

The tools are for development only: SpamAssassin from the system, the others from the npm packages of tests/mail.
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

__all__ = [
    "FALLBACKS",
    "MAX_HTML_BYTES",
    "HtmlReport",
    "SpamReport",
    "check_html",
    "check_spam",
    "missing_html_tools",
    "missing_spam_tools",
]

TOOLS = Path(__file__).parents[3] / "tests" / "mail"
MAX_HTML_BYTES = 30_000  # Gmail clips at 102 kB, and a phone on a slow network loads much less
TIMEOUT_SECONDS = 600
# Features that a mail client does not support, and what its users see instead.
FALLBACKS = {
    "!important keyword": "Orange and GMX stay light, and wide on a phone",
    "@media": "Outlook for Windows and Gmail's oldest page stay light and wide; the layout is fluid without it",
    "Attribute selector": "only used for outlook.com, [data-ogsc]",
    "Class selector": "only used by the dark and narrow rules",
    "Descendant combinator": "only used by the dark rules for outlook.com",
    "<style> element": "every essential rule is inline",
    "<body> element": "the div inside it has the same background",
    "background-image": "a dark logo has no light ground in Outlook for Windows when it darkens mails",
    "border-radius": "corners are square in Outlook for Windows",
    "box-sizing": "a logo is a few pixels wider than a narrow screen",
    "color-scheme CSS property": "clients without support use their own dark colors",
    "color-scheme meta tag": "clients without support use their own dark colors",
    "dir attribute": "GMX takes it away; text-align aligns all texts",
    "display:none": "the preheader is the first line of the text in Gmail's oldest page",
    "aria-label attribute": "screen readers do not announce the mail's subject a second time",
    "height attribute": "the style has the height of a logo",
    "height property": "the attribute has the height of a logo",
    "lang attribute": "GMX, Hey and Orange take it away; screen readers guess the language",
    "mailto: links": "Orange's readers copy the address of support",
    "max-height property": "the attribute has the height of a logo",
    "role attribute": "Windows Mail, Orange and Hey read tables as tables",
    "text-decoration": "links are not underlined, and have a color",
    "white-space": "a code of more than ten characters can take two lines",
    "width attribute": "Hey sizes tables by their style and content",
    "word-break": "Windows Mail, Yahoo and Orange do not wrap a long word",
}


@dataclass(frozen=True, slots=True)
class HtmlReport:
    """Errors in the HTML, and features that mail clients do not or only partly support, by client."""

    invalid: tuple[str, ...]
    unsupported: Mapping[str, tuple[str, ...]]
    partial: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class SpamReport:
    """SpamAssassin's score, and that of each matching rule."""

    points: float
    rules: Mapping[str, float]


def missing_html_tools() -> str:
    """Return what `check_html` needs and this machine lacks, or nothing."""
    if which("node") and (TOOLS / "node_modules").is_dir():
        return ""
    return "needs node and its packages: install node, then `npm ci` in tests/mail (`make test` does)"


def missing_spam_tools() -> str:
    """Return what `check_spam` needs and this machine lacks, or nothing."""
    return "" if which("spamassassin") else "needs SpamAssassin: apt-get install spamassassin"


def check_html(mails: Mapping[str, Email]) -> dict[str, HtmlReport]:
    """Check the HTML of several mails in one process; return the reports by the caller's names."""
    samples = json.dumps([{"name": name, "html": email.html} for name, email in mails.items()])
    reports = json.loads(_run(["node", "judge.mjs"], samples))["verdicts"]
    return {
        name: HtmlReport(
            tuple(report["invalid"]),
            {feature: tuple(clients) for feature, clients in report["unsupported"].items()},
            {feature: tuple(clients) for feature, clients in report["partial"].items()},
        )
        for name, report in reports.items()
    }


def check_spam(mails: Mapping[str, Email]) -> dict[str, SpamReport]:
    """Score the MIME of several mails in one process, by the rules that need no network."""
    reports = {}
    with tempfile.TemporaryDirectory() as folder:
        files = {str(Path(folder) / str(number)): name for number, name in enumerate(mails)}
        for path, name in files.items():
            Path(path).write_bytes(compose(mails[name], new_id(), {}))
        for line in _run(["perl", "spam.pl", folder], "".join(f"{path}\n" for path in files)).splitlines():
            path, points, rules = line.split("\t")
            hits = (hit.split("=") for hit in rules.split())
            reports[files[path]] = SpamReport(float(points), {rule: float(score) for rule, score in hits})
    return reports


def _run(command: list[str], stdin: str) -> str:
    process = subprocess.run(
        command, cwd=TOOLS, input=stdin, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    if process.returncode:
        raise ServiceError(f"{command[0]} could not check the mails.", "", process.stderr.splitlines()[-5:])
    return process.stdout
