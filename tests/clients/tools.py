"""Node and its packages for the tests of the clients."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from tests.running import Running

__all__ = ["CLIENTS", "HERE", "blocks", "compile_typescript", "needs_node", "run_project", "run_recipe", "variables"]

HERE = Path(__file__).parent
CLIENTS = HERE.parents[1] / "clients"
DOCS = HERE.parents[1] / "docs"
BLOCK = re.compile(r"^```\w+ file=(?P<file>\S+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
Completed = subprocess.CompletedProcess[str]
OPTIONS = {
    "strict": True,
    "noUncheckedIndexedAccess": True,
    "exactOptionalPropertyTypes": True,
    "target": "es2022",
    "module": "nodenext",
    "lib": ["es2023"],
    "types": ["node"],
    "typeRoots": [str(HERE / "node_modules" / "@types")],
    "skipLibCheck": True,
}

needs_node = pytest.mark.skipif(
    which("node") is None or not (HERE / "node_modules").is_dir(),
    reason="needs node and its packages: install node, then `npm ci` in tests/clients (`make test` does)",
)


def compile_typescript(source: Path, output: Path) -> Path:
    """Compile a program and what it imports, strictly; return its JavaScript."""
    if not (packages := source.parent / "node_modules").exists():
        packages.symlink_to(HERE / "node_modules")
    (source.parent / "package.json").write_text('{"type": "module"}', "utf-8")
    options = {**OPTIONS, "outDir": str(output), "rootDir": str(source.parent)}
    config = source.parent / "tsconfig.json"
    config.write_text(json.dumps({"compilerOptions": options, "files": [str(source)]}), "utf-8")
    compiler = HERE / "node_modules" / "typescript" / "bin" / "tsc"
    done = subprocess.run(["node", compiler, "--project", config], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    return output / source.relative_to(source.parent).with_suffix(".js")


def run_project(name: str, stack: Running, *arguments: str) -> Any:
    """Run the flows of a Python auth server in a process of its own; return the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", f"tests.clients.{name}", *arguments],
        cwd=CLIENTS.parent,
        env={**os.environ, **variables(stack), "PYTHONPATH": str(CLIENTS.parent)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def run_recipe(name: str, folder: Path, variables: Mapping[str, str], *arguments: str) -> Completed:
    """Run the flows of an auth server in Node, with the client, and set up by the code of its page in the docs."""
    for path in ((CLIENTS / "typescript").glob("*.ts"), HERE.glob("database.ts"), HERE.glob(f"{name}-*.ts")):
        for source in path:
            shutil.copy(source, folder)
    for file, code in blocks(f"integrations/{name}"):
        (folder / file).write_text(code, "utf-8")
    program = compile_typescript(folder / f"{name}-flows.ts", folder / "out")
    environment = {**os.environ, **variables}
    return subprocess.run(["node", program, *arguments], env=environment, capture_output=True, text=True, timeout=120)


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the code of a page of the docs that belongs into files: their names and contents."""
    text = (DOCS / f"{page}.md").read_text("utf-8")
    return [(block["file"], block["code"]) for block in BLOCK.finditer(text)]


def variables(stack: Running) -> dict[str, str]:
    """Return the settings of a project that sends through the local stack."""
    return {
        "MAILROOM_URL": stack.url,
        "MAILROOM_API_KEY": "local-api-key",
        "MAILROOM_RENDERED_AUTHORIZATION": "Bearer local-rendered-token",
        "SECRET": "a-secret-for-tests-0123456789-0123456789",
    }
