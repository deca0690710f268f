"""Secrets are compared in constant time: every place that compares one is listed, and none uses an operator."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "layers/mailroom/mailroom"
AUTHENTICATE = {
    "api/keys.py authenticate": 1,
    "delivery/seal.py is_authentic": 1,
    "webhooks/authentication.py equals_any": 1,
    "webhooks/json_web_signatures.py require_rs256": 1,
}
# Words that name what a caller presents, or what it is compared with.
SECRET = re.compile(
    r"secret|presented|accepted|signature|digest|password|credential|authorization|expected|\bkeys?\b|token"
)
MODULES = sorted(
    {path for name in ("sources", "feedback", "webhooks") for path in (PACKAGE / name).glob("*.py")}
    | {PACKAGE / place.split()[0] for place in AUTHENTICATE}
)
OPERATORS = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def constant_time_comparisons() -> Counter[str]:
    """Count the calls of hmac.compare_digest in each function of the deployed code."""
    calls: Counter[str] = Counter()
    for path in PACKAGE.rglob("*.py"):
        for function in functions(ast.parse(path.read_text())):
            for node in ast.walk(function):
                if isinstance(node, ast.Attribute) and node.attr == "compare_digest":
                    calls[f"{path.relative_to(PACKAGE)} {function.name}"] += 1
    return calls


def test_every_place_that_authenticates_compares_in_constant_time() -> None:
    assert constant_time_comparisons() == AUTHENTICATE


def comparisons_by_operator(source: str) -> list[str]:
    """Return the comparisons of a secret with something that is not a literal."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare) and any(isinstance(operator, OPERATORS) for operator in node.ops)
        if not any(isinstance(side, ast.Constant) for side in (node.left, *node.comparators))
        if any(SECRET.search(ast.unparse(side)) for side in (node.left, *node.comparators))
    ]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_that_authenticates_compares_no_secret_by_an_operator(module: Path) -> None:
    assert comparisons_by_operator(module.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "sum([presented == secret for secret in accepted])",
        "presented in accepted",
        "signature != hmac.digest(key, body, 'sha256')",
        "request.headers['authorization'] == value",
    ],
)
def test_the_check_finds_a_comparison_by_an_operator(line: str) -> None:
    assert comparisons_by_operator(line)
