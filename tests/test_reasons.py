"""The table of reasons has a row for each reason that the code can produce, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mailroom.api.reply import Reply
from mailroom.errors import ClaimedElsewhere, TemporaryFailure
from mailroom.ledger.recipients import Standing
from mailroom.model.event import Reason
from mailroom.model.outcome import Status
from mailroom.providers._cases import error_of
from mailroom_ops.cli.main import root
from mailroom_ops.ledger.reasons import BY_STATUS, REASONS, Explanation, explain
from tests.factories import code

ROOT = Path(__file__).parent.parent
LAYER = ROOT / "layers" / "mailroom" / "mailroom"
FILES = [*LAYER.rglob("*.py"), *(ROOT / "ops" / "mailroom_ops" / "ledger").glob("*.py")]
# The position of the reason among the arguments; `kind`, `without_reply` and `error` are variables of an error's class.
ERRORS = ("PermanentFailure", "TemporaryFailure", "UnknownOutcome", "ConfigurationError", "AwsError")
POSITIONS = {
    **dict.fromkeys((*ERRORS, "kind", "without_reply", "error"), 1),
    "Outcome": 1,
    "Attempt": 2,
    "dead": 0,
    "_close": 3,
}
# Codes that are computed: by the tables of the providers, whose rows are read too, by an HTTP status, or by AWS.
COMPUTED = {
    ("_cases.py", "code"),
    ("_smtp_replies.py", "case.code"),
    ("client.py", "code"),
    ("client.py", "type(error.__cause__ or error).__name__"),
    ("encryption.py", "type(error).__name__"),
}

HTTP_CODES = {f"http_{status}" for status in range(1000)}  # explained by a pattern


class Inliner(ast.NodeTransformer):
    """Replaces the names of a module's constants by their values."""

    def __init__(self, module: ast.Module) -> None:
        self.values = {
            node.targets[0].id: node.value
            for node in module.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }

    def visit_Name(self, node: ast.Name) -> ast.AST:
        value = self.values.get(node.id)
        return value if isinstance(value, ast.Constant) else node


def calls() -> Iterator[tuple[Path, ast.Call, str]]:
    for file in FILES:
        module = ast.parse(file.read_text())
        for node in ast.walk(Inliner(module).visit(module)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                yield file, node, node.func.id if isinstance(node.func, ast.Name) else node.func.attr


def strings(node: ast.AST) -> set[str]:
    return {child.value for child in ast.walk(node) if isinstance(child, ast.Constant) and isinstance(child.value, str)}


def written() -> set[str]:
    """Return the reasons that stand in the code as they are."""
    reasons: set[str] = set()
    for _, call, name in calls():
        if name in POSITIONS and len(call.args) > POSITIONS[name]:
            reasons |= strings(call.args[POSITIONS[name]])
        if name == "Case":
            reasons |= {word.value.value for word in call.keywords if word.arg == "code"}  # type: ignore[attr-defined]
    return reasons - {"", "accepted"}


def produced() -> set[str]:
    answers = [Reply.of_error(error, code()) for error in (ValueError(), TemporaryFailure("", ""))]
    return {
        *written(),
        *{error_of("", (), status, "name", "", ()).code for status in range(300, 500)} - HTTP_CODES,
        *(set(Standing) - {Standing.CURRENT}),
        *Reason,
        ClaimedElsewhere(1).code,
        *(answer.body["reason"] for answer in answers),
    }


def test_each_reason_that_the_code_can_produce_has_a_row():
    missing = sorted(produced() - REASONS.keys() - {reason for _, reason in BY_STATUS})
    assert not missing, f"add a row to ops/mailroom_ops/ledger/reasons.py for each of {missing}"


def test_no_row_is_about_a_reason_that_no_code_produces():
    assert not REASONS.keys() - produced()


def test_a_reason_that_is_computed_comes_from_a_known_place():
    places = set()
    for file, call, name in calls():
        if name in (*ERRORS, "kind", "without_reply", "error") and len(call.args) > 1 and not strings(call.args[1]):
            places.add((file.name, ast.unparse(call.args[1])))
    assert places == COMPUTED


@pytest.mark.parametrize("reason", ["http_503", "http_429", "http_200"])
def test_an_http_status_is_explained_by_its_number(reason):
    explanation = explain(reason)
    assert explanation and f"HTTP {reason[-3:]}" in explanation.meaning


def test_the_meaning_of_a_reason_depends_on_its_status():
    ours, theirs = explain("rate_limited", Status.SKIPPED), explain("rate_limited", Status.ACCEPTED)
    assert ours and "ten minutes" in ours.meaning
    assert theirs and "provider" in theirs.meaning


def test_an_unknown_reason_has_no_explanation():
    assert explain("retired_long_ago") is None


@pytest.mark.parametrize("row", [*REASONS.values(), *BY_STATUS.values()], ids=lambda row: row.meaning)
def test_a_row_is_a_sentence_and_a_next_step(row: Explanation):
    for text in (row.meaning, row.next_step):
        assert re.fullmatch(r"[A-Z`].*[.]", text), text
        assert text.count("`") % 2 == 0


COMMANDS = sorted(set(re.findall(r"`mailroom ([^`]+)`", str([*REASONS.values(), *BY_STATUS.values()]))))


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_of_the_table_exists(line):
    command: click.Command | None = root
    for word in line.split():
        if isinstance(command, click.Group):
            command = command.get_command(click.Context(command), word)
        elif word.startswith("--"):
            assert command and word in {name for option in command.params for name in option.opts}
    assert command
