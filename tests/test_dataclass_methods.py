"""The bytecode of the methods of dataclasses, with which the layer is built."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mailroom_ops.local import bytecode

LAYER = Path(__file__).parent.parent / "layers" / "mailroom"

# Prints the modules of the layer whose dataclasses Python compiles when all are imported.
COMPILED_AT_IMPORT = """
import builtins, importlib, pkgutil, sys

execute, compiled = exec, []

def record(code, names=None, *scopes):
    names = sys._getframe(1).f_globals if names is None else names
    if isinstance(code, str) and names.get("__name__", "").startswith("mailroom"):
        compiled.append(names["__name__"])
    execute(code, names, *scopes)

builtins.exec = record
import mailroom

for module in pkgutil.walk_packages(mailroom.__path__, "mailroom."):
    if module.name != "mailroom.aws.encryption":  # its library takes half a second
        importlib.import_module(module.name)
print(*compiled)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as the layer is built."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(LAYER / "mailroom", folder / "mailroom", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "mailroom" / "__pycache__").mkdir()
    subprocess.run([sys.executable, LAYER / "precompile.py", folder / "mailroom"], check=True)
    return folder


def output(statements: str, path: Path) -> str:
    """Return what a fresh interpreter prints with a folder as its import path."""
    done = subprocess.run(
        [sys.executable, "-c", statements],
        env={"PYTHONPATH": str(path), **bytecode.VARIABLE},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_no_dataclass_of_the_built_layer_is_compiled_when_it_is_imported(site: Path) -> None:
    assert output(COMPILED_AT_IMPORT, site) == ""


def test_the_dataclasses_of_a_checkout_are_compiled_when_they_are_imported() -> None:
    assert "mailroom.model.message" in output(COMPILED_AT_IMPORT, LAYER)


def test_a_dataclass_of_the_built_layer_behaves_like_one_of_the_checkout(site: Path) -> None:
    statements = """
import inspect
from dataclasses import fields, replace
from mailroom.model.message import Handover, Parcel

def result_of(action):
    try:
        return action()
    except (AttributeError, TypeError) as error:
        return type(error), str(error)

acceptance = Handover("resend", 1.0, token="a")
print(acceptance, acceptance == Handover("resend", 1.0, "a"), acceptance == Handover("resend", 2.0, "a"))
print(len({acceptance, Handover("resend", 1.0, "a")}), replace(acceptance, at=2.0), fields(Handover)[1].name)
print(inspect.signature(Handover), inspect.signature(Parcel), Handover.__slots__, Handover.__match_args__)
print(Handover.__init__.__qualname__, Handover.__init__.__module__)
print(result_of(lambda: Handover("resend")))
print(result_of(lambda: setattr(acceptance, "at", 2.0)))
print(result_of(lambda: delattr(acceptance, "at")))
"""
    assert output(statements, site) == output(statements, LAYER) != ""


def test_a_dataclass_that_is_not_in_the_bytecode_is_compiled_as_ever(site: Path) -> None:
    statements = """
import mailroom
from dataclasses import dataclass

@dataclass(frozen=True)
class Point:
    x_of_a_point: int
    y_of_a_point: int = 2

print(Point(1))
"""
    assert output(statements, site) == "Point(x_of_a_point=1, y_of_a_point=2)"
