"""The command itself: help, exit codes, what it says when AWS does not play along, and a terminal of 80 columns."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click
import pexpect
import pytest

from mailroom_ops import bytecode
from mailroom_ops.cli.main import SECTIONS, root
from tests.cli.conftest import Run, Stored

ROOT = Path(__file__).parents[2]
HEAVY = ("boto3", "botocore", "httpx", "pydantic", "yaml", "dns", "moto", "mailroom")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = list(commands(root))


@pytest.mark.parametrize("path", [(), *ALL], ids=lambda path: " ".join(path) or "mailroom")
def test_help_fits_80_columns_and_teaches_by_example(run: Run, path: tuple[str, ...]) -> None:
    done = run(*path, "--help")
    assert done.code == 0
    assert [line for line in done.out.splitlines() if len(line) > 80] == []
    listed = done.out.partition("Commands:")[2].partition("Examples:")[0]
    assert "..." not in listed  # no summary is cut short


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_example_is_a_command_there_is(path: tuple[str, ...]) -> None:
    group: click.Command = root
    for name in path:
        assert isinstance(group, click.Group)
        found = group.get_command(click.Context(group), name)
        assert found is not None
        group = found
    for _, typed in getattr(group, "examples", ()):
        for words in (part.split() for part in typed.split("|")):
            if words[:1] == ["mailroom"]:
                asked = tuple(word for word in words[1:3] if (word,) in ALL or (words[1], word) in ALL)
                assert asked in ALL
                options = {word for word in words if word.startswith("--")}
                assert options <= options_of(asked)


def options_of(path: tuple[str, ...]) -> set[str]:
    command: click.Command = root
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    return {option for parameter in command.params for option in parameter.opts}


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from mailroom_ops.cli.main import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize("name", [name for section in SECTIONS.values() for name in section])
def test_a_command_is_complete_without_loading_aws(name: str) -> None:
    code = f"import sys; from mailroom_ops.cli.main import root; root.get_command(None, {name!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert not {"boto3", "httpx", "dns", "moto"} & set(done.stdout.split())


def test_an_unknown_command_is_a_sentence(run: Run) -> None:
    refused = run("sekrets")
    assert refused.code == 2
    assert "No such command" in refused.said


def test_an_environment_that_is_not_there_is_a_sentence(run: Run) -> None:
    refused = run("secrets", "list", "--env", "prod")
    assert refused.code == 2
    assert "development" in refused.said


def test_a_local_stack_that_does_not_run_is_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILROOM_URL", "http://127.0.0.1:1")
    refused = run("secrets", "list")
    assert refused.code == 3
    assert "make run" in refused.said


@pytest.mark.parametrize(
    ("variables", "arguments", "said"),
    [
        pytest.param({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, (), "No AWS credentials", id="nobody"),
        pytest.param({}, ("--profile", "nobody"), "nobody", id="profile"),
        pytest.param({"AWS_REGION": None, "AWS_DEFAULT_REGION": None}, (), "No AWS region is set", id="region"),
        pytest.param({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, (), "AWS does not answer", id="silence"),
    ],
)
def test_what_aws_needs_is_said_without_a_traceback(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    variables: Mapping[str, str | None],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    for name, value in variables.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    refused = run("secrets", "list", "--env", "staging", *arguments)
    assert refused.code == 3
    assert said in refused.said
    assert "Traceback" not in refused.said


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_is_taken_from_either_variable(run: Run, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for known in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(known)
    monkeypatch.setenv(name, "eu-north-1")
    assert "in eu-north-1" in run("trace", "0" * 32, "--env", "staging").said


def test_nothing_is_coloured_where_nobody_looks(run: Run, staging: Stored) -> None:
    staging.put(brands__acme='{"name": "Acme"}')
    assert "\x1b" not in run("secrets", "list", "--env", "staging").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_learns_to_complete(run: Run, shell: str) -> None:
    done = run("completion", shell)
    assert done.code == 0
    assert "_MAILROOM_COMPLETE" in done.out


def test_completion_knows_commands_options_and_names() -> None:
    def complete(words: str, last: str) -> str:
        asked = {"_MAILROOM_COMPLETE": "bash_complete", "COMP_WORDS": f"mailroom {words}", "COMP_CWORD": last}
        command = [sys.executable, "-m", "mailroom_ops.cli"]
        return subprocess.run(command, env=environment(asked), capture_output=True, text=True, check=True).stdout

    assert "secrets" in complete("sec", "1")
    assert "staging" in complete("secrets list --env sta", "4")
    assert "providers/resend/api_key" in complete("secrets set providers/resend/a", "3")


def environment(more: Mapping[str, str] = {}) -> dict[str, str]:
    here = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "PATH", "HOME", "LANG"))}
    python = {"PYTHONPATH": f"{ROOT / 'ops'}:{ROOT / 'layers' / 'mailroom'}"}
    return {**here, **python, **bytecode.VARIABLE, "TERM": "xterm-256color", **more}


Terminal = Callable[..., "pexpect.spawn[str]"]


@pytest.fixture
def terminal(cloud: str) -> Iterator[Terminal]:
    opened: list[pexpect.spawn[str]] = []

    def start(*arguments: str, **variables: str) -> "pexpect.spawn[str]":
        command = ["-m", "mailroom_ops.cli", *arguments]
        told = environment({"AWS_ENDPOINT_URL": cloud, **variables})
        child = pexpect.spawn(sys.executable, command, env=told, dimensions=(24, 80), encoding="utf-8", timeout=30)
        opened.append(child)
        return child

    yield start
    for child in opened:
        child.close(force=True)


def finish(child: "pexpect.spawn[str]") -> tuple[str, int]:
    child.expect(pexpect.EOF)
    child.close()
    return child.before or "", child.exitstatus or 0


def test_a_typed_secret_is_not_echoed(terminal: Terminal, staging: Stored) -> None:
    child = terminal("secrets", "set", "providers/resend/api_key", "--env", "staging")
    child.expect("providers/resend/api_key: ")
    child.sendline("re_typed_by_hand_0123")
    text, code = finish(child)
    assert code == 0
    assert "re_typed" not in text
    assert staging.values() == {"providers/resend/api_key": "re_typed_by_hand_0123"}


def test_production_wants_its_name_typed(terminal: Terminal, production: Stored) -> None:
    production.put(api__keys__old="0123456789abcdef")
    child = terminal("secrets", "remove", "api/keys/old", "--env", "production")
    child.expect("type its name")
    child.sendline("yes")
    text, code = finish(child)
    assert code == 4
    assert "nothing was changed" in text
    child = terminal("secrets", "remove", "api/keys/old", "--env", "production")
    child.expect("type its name")
    child.sendline("production")
    assert finish(child)[1] == 0
    assert production.values() == {}


def test_a_made_secret_never_reaches_a_terminal(terminal: Terminal, staging: Stored) -> None:
    text, code = finish(terminal("secrets", "set", "api/keys/x", "--generate", "--out", "-", "--env", "staging"))
    assert code == 2
    assert "mailroom_" not in text
    assert staging.values() == {}


def test_an_interruption_is_quiet(terminal: Terminal) -> None:
    child = terminal("secrets", "set", "providers/resend/api_key", "--env", "staging")
    child.expect("api_key: ")
    child.sendintr()
    text, code = finish(child)
    assert code == 130
    assert "Traceback" not in text


def test_a_plan_is_coloured_in_a_terminal_fits_it_and_obeys_no_color(
    terminal: Terminal, tmp_path: Path, staging: Stored
) -> None:
    path = tmp_path / "passwords.yaml"
    path.write_text(
        "staging:\n  resendApiKey: re_0123456789ab\n"
        "  resendFromEmail: A sender with quite a long name <no-reply@authentication.mail.example.com>\n"
    )
    command = ("secrets", "import", str(path), "--env", "staging", "--dry-run")
    text, code = finish(terminal(*command))
    assert code == 0
    assert "\x1b[32m" in text
    plain, _ = finish(terminal(*command, NO_COLOR="1"))
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", text) == plain
    assert max(map(len, plain.splitlines())) <= 80
