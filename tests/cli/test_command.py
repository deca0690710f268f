"""The command itself: help, exit codes, problems with AWS access, and a terminal of 80 columns."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import click
import pexpect
import pytest

from mailroom_ops.cli.main import SECTIONS, SYNONYMS
from tests.cli.helpers import COMMANDS, Stored, command_at, options_of
from tests.command import Run, Terminal, shell_variables

ROOT = Path(__file__).parents[2]
# They open a browser, print a script, or write a file.
WITHOUT_JSON = {("console",), ("completion",), ("suppressions", "export")}
HEAVY = ("boto3", "botocore", "httpx", "pydantic", "yaml", "dns", "moto", "mailroom")


@pytest.mark.parametrize("path", [(), *COMMANDS], ids=lambda path: " ".join(path) or "mailroom")
def test_help_fits_80_columns(run: Run, path: tuple[str, ...]) -> None:
    done = run(*path, "--help")
    assert done.code == 0
    assert [line for line in done.out.splitlines() if len(line) > 80] == []
    listed = done.out.partition("Commands:")[2].partition("Examples:")[0]
    assert "..." not in listed  # no summary is cut short


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_examples_of_help_are_valid_commands(path: tuple[str, ...]) -> None:
    for _, typed in getattr(command_at(path), "examples", ()):
        for words in (part.split() for part in typed.split("|")):
            if words[:1] == ["mailroom"]:
                asked = tuple(word for word in words[1:3] if (word,) in COMMANDS or (words[1], word) in COMMANDS)
                assert asked in COMMANDS
                options = {word for word in words if word.startswith("--")}
                assert options <= options_of(asked)


def test_help_imports_no_heavy_library() -> None:
    code = "import sys; from mailroom_ops.cli.main import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=shell_variables(), capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize("name", [name for section in SECTIONS.values() for name in section])
def test_loading_a_command_imports_no_aws_library(name: str) -> None:
    code = f"import sys; from mailroom_ops.cli.main import root; root.get_command(None, {name!r}); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=shell_variables(), capture_output=True, text=True, check=True
    )
    assert not {"boto3", "httpx", "dns", "moto"} & set(done.stdout.split())


def test_an_unknown_command_is_an_error(run: Run) -> None:
    refused = run("sekrets")
    assert refused.code == 2
    assert "No such command" in refused.text


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (("docter",), "Did you mean `mailroom doctor`?"),
        (("delivries",), "Did you mean `mailroom log`?"),
        (("secrets", "lst"), "Did you mean one of: 'list'"),
        (("xyzzy",), "`mailroom --help` lists all."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_misspelt_command_is_an_error_that_names_the_right_one(
    run: Run, words: tuple[str, ...], suggestion: str
) -> None:
    refused = run(*words)
    assert refused.code == 2
    assert suggestion in refused.text


def test_synonyms_stand_for_commands_that_exist() -> None:
    assert set(SYNONYMS.values()) <= {name for section in SECTIONS.values() for name in section}


def test_the_version_is_printed(run: Run) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    done = run("--version")
    assert (done.code, done.out) == (0, f"mailroom {project['version']}\n")


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_begins_with_what_a_command_does_and_ends_with_the_place(run: Run, path: tuple[str, ...]) -> None:
    text = run(*path, "--help").out
    options, where, examples = (text.find(f"\n{title}:\n") for title in ("Options", "Where", "Examples"))
    assert text.split("\n\n")[1].strip()
    assert 0 < text.index("\n\n") < options
    if "--profile" in text:
        assert options < where
        assert examples in (-1, max(where, examples))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_that_prints_data_can_print_json(path: tuple[str, ...]) -> None:
    is_group = isinstance(command_at(path), click.Group)
    assert is_group or path in WITHOUT_JSON or "--json" in options_of(path)


def test_an_unknown_environment_is_an_error_that_lists_all(run: Run) -> None:
    refused = run("secrets", "list", "--env", "prod")
    assert refused.code == 2
    assert "development" in refused.text


def test_a_stopped_local_stack_is_an_error_with_the_command_that_starts_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_URL", "http://127.0.0.1:1")
    refused = run("secrets", "list")
    assert refused.code == 3
    assert "make run" in refused.text


@pytest.mark.parametrize(
    ("variables", "arguments", "expected"),
    [
        pytest.param(
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, (), "No AWS credentials", id="no-credentials"
        ),
        pytest.param({}, ("--profile", "nobody"), "nobody", id="profile"),
        pytest.param({"AWS_REGION": None, "AWS_DEFAULT_REGION": None}, (), "No AWS region is set", id="region"),
        pytest.param({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, (), "AWS cannot be reached", id="unreachable"),
    ],
)
def test_a_problem_with_aws_access_is_an_error_without_a_traceback(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    variables: Mapping[str, str | None],
    arguments: tuple[str, ...],
    expected: str,
) -> None:
    for name, value in variables.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    refused = run("secrets", "list", "--env", "staging", *arguments)
    assert refused.code == 3
    assert expected in refused.text
    assert "Traceback" not in refused.text


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_is_taken_from_either_variable(run: Run, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(variable)
    monkeypatch.setenv(name, "eu-north-1")
    assert "in eu-north-1" in run("trace", "0" * 32, "--env", "staging").text


def test_two_environments_are_in_the_region_of_the_variable(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    for command in (("promote", "staging", "production"), ("secrets", "diff", "staging", "production")):
        assert "No AWS region" not in run(*command).text


def test_output_is_colored_in_a_terminal_only(run: Run, staging: Stored) -> None:
    staging.put(brands__acme='{"name": "Acme"}')
    assert "\x1b" not in run("secrets", "list", "--env", "staging").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_completion_script(run: Run, shell: str) -> None:
    done = run("completion", shell)
    assert done.code == 0
    assert "_MAILROOM_COMPLETE" in done.out


def test_commands_options_and_names_are_completed() -> None:
    def complete(words: str, last: str) -> str:
        asked = {"_MAILROOM_COMPLETE": "bash_complete", "COMP_WORDS": f"mailroom {words}", "COMP_CWORD": last}
        command = [sys.executable, "-m", "mailroom_ops.cli"]
        return subprocess.run(command, env=shell_variables(asked), capture_output=True, text=True, check=True).stdout

    assert "secrets" in complete("sec", "1")
    assert "staging" in complete("secrets list --env sta", "4")
    assert "providers/resend/api_key" in complete("secrets set providers/resend/a", "3")


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


def test_a_deletion_in_production_requires_its_name_to_be_typed(terminal: Terminal, production: Stored) -> None:
    production.put(api__keys__old="0123456789abcdef")
    child = terminal("secrets", "remove", "api/keys/old", "--env", "production")
    child.expect("Type its name")
    child.sendline("yes")
    text, code = finish(child)
    assert code == 4
    assert "nothing was changed" in text
    child = terminal("secrets", "remove", "api/keys/old", "--env", "production")
    child.expect("Type its name")
    child.sendline("production")
    assert finish(child)[1] == 0
    assert production.values() == {}


def test_a_generated_secret_is_never_printed_on_a_terminal(terminal: Terminal, staging: Stored) -> None:
    text, code = finish(terminal("secrets", "set", "api/keys/x", "--generate", "--out", "-", "--env", "staging"))
    assert code == 2
    assert "mailroom_" not in text
    assert staging.values() == {}


def test_an_interrupted_command_exits_without_a_traceback(terminal: Terminal) -> None:
    child = terminal("secrets", "set", "providers/resend/api_key", "--env", "staging")
    child.expect("api_key: ")
    child.sendintr()
    text, code = finish(child)
    assert code == 130
    assert "Traceback" not in text


def test_changes_are_colored_and_fit_the_terminal(terminal: Terminal, tmp_path: Path, staging: Stored) -> None:
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
