"""The pages about the command: each command on them is run, and prints what the page shows."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailroom_ops.sandbox.server import Sandbox
from tests.cli.helpers import COMMANDS, Stored, options_of, store
from tests.command import shell_variables
from tests.nameserver import Zones
from tests.running import Running, running

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
PAGES = (
    "cli",
    "local",
    "secrets",
    "tenants",
    "troubleshooting",
    "quickstart-logto",
    "quickstart-developer",
    "quickstart-operator",
)
LOCAL = "http://127.0.0.1:3000"
FENCE = re.compile(r"^```(?P<kind>\w+)(?: file=(?P<file>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
FAILS = "   # exits with 1"
OTHERWISE_TESTED = re.compile(r"make |export ")  # tests/test_make.py; the shell has the variables


@dataclass(frozen=True, slots=True)
class Step:
    """A file to write, or a command to run and its output; `…` stands for anything."""

    file: str
    text: str
    output: tuple[str, ...] = ()


def steps(page: str) -> Iterator[Step]:
    for block in FENCE.finditer((ROOT / "docs" / f"{page}.md").read_text()):
        if block["file"]:
            yield Step(block["file"], block["text"])
        elif block["kind"] == "console":
            for part in re.split(r"^\$ ", block["text"], flags=re.MULTILINE)[1:]:
                lines = part.splitlines()
                length = next((n for n, line in enumerate(lines, 1) if not line.endswith("\\")), len(lines))
                if not OTHERWISE_TESTED.match(part):
                    yield Step("", "\n".join(lines[:length]), tuple(lines[length:]))


@pytest.fixture
def local() -> Iterator[Running]:
    """A new local stack."""
    with running(reports=True) as started:
        yield started


@pytest.fixture
def shell(
    cloud: str, local: Running, sandbox: Sandbox, staging: Stored, nameserver: Zones, tmp_path: Path
) -> dict[str, str]:
    """The variables of an operator's shell: AWS, the local stack, a DNS server, and the command."""
    for name, value in sandbox.settings("resend").items():
        staging.put(**{f"providers__resend__{name}": value})
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "mailroom"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mailroom_ops.cli "$@"\n')
    command.chmod(0o755)
    (folder / ".curlrc").write_text("silent\n")
    return shell_variables(
        {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": cloud,
            "COLUMNS": "80",
            "CURL_HOME": str(folder),
            "MAILROOM_URL": local.url,
            "MAILROOM_RESOLVER": nameserver({"acme.example": "", "amazonses.com": ""}),
            "RESEND_KEY": "re_5cVb7NmQ_staging_Hp4Xw6Lz",
        }
    )


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_print_what_it_shows(
    page: str, shell: dict[str, str], staging: Stored, sandbox: Sandbox, tmp_path: Path
) -> None:
    if page == "quickstart-operator":
        shell["RESEND_KEY"] = sandbox.settings("resend")["api_key"]  # a domain is registered with it
    if page == "secrets":
        store(staging.environment).delete(staging.values())  # it begins with nothing
    if page != "tenants":
        del shell["MAILROOM_RESOLVER"]
    for step in steps(page):
        if step.file:
            (tmp_path / step.file).write_text(step.text)
            continue
        command = ["sh", "-c", step.text.replace(LOCAL, shell["MAILROOM_URL"])]
        done = subprocess.run(
            command, env=shell, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        printed = (done.stdout + done.stderr).splitlines()
        assert done.returncode == (1 if step.text.endswith(FAILS) else 0), (step.text, printed)
        assert matches(step.output, [line.rstrip() for line in printed]), (step.text, printed)


def matches(expected: tuple[str, ...], printed: list[str]) -> bool:
    """Compare lines: a line of `…` matches any lines, one within a line any text."""
    pattern = "".join(
        r"(?:[^\n]*\n)*?" if line.strip() == "…" else re.escape(line.rstrip()).replace("…", r"[^\n]*") + r"\n"
        for line in expected
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None


def test_every_command_is_documented() -> None:
    from mailroom_ops.cli.main import SECTIONS

    whole = "".join((ROOT / "docs" / f"{page}.md").read_text() for page in PAGES)
    for commands in SECTIONS.values():
        for name in commands:
            assert f"mailroom {name}" in whole or f"`{name}`" in whole, name


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md"], ids=lambda page: page.name)
def test_every_command_in_the_docs_exists(page: Path) -> None:
    for typed in re.findall(r"(?:^\s*\$ |`|\| )mailroom ([a-z][^`\n|]*)", page.read_text(), re.MULTILINE):
        words = typed.split()
        path = tuple(words[:1]) if tuple(words[:2]) not in COMMANDS else tuple(words[:2])
        assert path in COMMANDS, typed
        options = {word for word in words if word.startswith("--")}
        assert options <= options_of(path), typed
