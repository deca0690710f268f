"""The Makefile and the pages that name its verbs."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob(".github/**/*.yml"))]
TYPED = re.compile(r"(?:^\s*\$ |`|run: )((?:[A-Z_]+=\S+ )*make [a-z][^`\n#|]*)", re.MULTILINE)
LINES = sorted({line.strip() for page in PAGES for line in TYPED.findall(page.read_text("utf-8"))})


@pytest.fixture(autouse=True)
def no_make_above(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run make as from a shell, though `make test` may have started the tests."""
    for name in [name for name in os.environ if name.startswith(("MAKE", "MFLAGS"))]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("line", LINES)
def test_each_make_line_of_the_docs_is_valid(line: str) -> None:
    words = re.sub(r"\bmake\b", "make --dry-run", line, count=1)
    done = subprocess.run(["sh", "-c", words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr


def test_the_docs_name_the_verbs_of_deployment() -> None:
    verbs = {line.split("make ")[1].split()[0] for line in LINES}
    assert {"run", "test", "check", "deploy", "smoke"} <= verbs


def test_make_lists_every_verb() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert phony
    assert {line.split()[1] for line in listed.splitlines()} == set(phony[1].split())


@pytest.mark.parametrize("layer", ["dependencies", "encryption", "mailroom", "signatures"])
def test_a_layer_refuses_another_python_in_one_sentence(layer: str, tmp_path: Path) -> None:
    wrong = tmp_path / "python3.13"
    wrong.write_text(f'#!/bin/sh\nexec {shutil.which("python3")} -c "import sys; sys.exit(1)"\n')
    wrong.chmod(0o755)
    done = subprocess.run(
        ["make", "-C", f"layers/{layer}", f"PYTHON={wrong}", f"ARTIFACTS_DIR={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode
    assert "needs Python 3.13 with pip, the version Lambda runs, as python3.13 on the PATH" in done.stderr
    assert not (tmp_path / "python").exists()


def test_an_old_python_is_refused_in_one_sentence_before_anything_is_installed(tmp_path: Path) -> None:
    for name in ("requirements-run.txt", "requirements-uv.txt"):
        (tmp_path / name).touch()
    old = tmp_path / "python3"
    old.write_text(f'#!/bin/sh\nexec {shutil.which("python3")} -c "import sys; sys.exit(1)"\n')
    old.chmod(0o755)
    command = ["make", "-f", f"{ROOT}/Makefile", f"PYTHON={old}", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode
    assert done.stdout == ""
    assert done.stderr.startswith("needs Python 3.11 or newer with venv: install it, or name it with PYTHON=")
    assert not any((tmp_path / name).exists() for name in (".venv", ".cache/uv"))


@pytest.mark.parametrize("verb", ["deploy", "build", "package"])
def test_deploying_without_the_python_of_lambda_installs_nothing(verb: str, tmp_path: Path) -> None:
    for name in ("run", "uv", "sam"):
        (tmp_path / f"requirements-{name}.txt").touch()
    script = tmp_path / ".ci" / "find-python"
    script.parent.mkdir()
    # As the real one, where no Python 3.13 is installed.
    script.write_text('#!/bin/sh\n[ "$1" = 3.11 ] && echo python3 && exit\necho "needs Python 3.13" >&2\nexit 1\n')
    script.chmod(0o755)
    command = ["make", "-f", f"{ROOT}/Makefile", verb]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode
    assert (done.stdout, done.stderr.splitlines()[0]) == ("", "needs Python 3.13")
    assert not any((tmp_path / name).exists() for name in (".venv", ".cache"))


def test_a_first_run_installs_only_what_running_needs() -> None:
    names = set(re.findall(r"^([\w-]+)==", (ROOT / "requirements-run.txt").read_text("utf-8"), re.MULTILINE))
    assert {"moto", "awslambdaric", "click"} <= names
    assert not names & {"babel", "cfn-lint", "django", "docker", "mypy", "playwright", "pytest", "sympy"}


def test_the_dev_container_forwards_the_port_of_the_local_stack() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    assert container["forwardPorts"] == [3000]
