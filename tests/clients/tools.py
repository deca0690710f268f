"""Node and its packages for the tests of the clients."""

import json
import subprocess
from pathlib import Path
from shutil import which

import pytest

__all__ = ["HERE", "compile_typescript", "needs_node"]

HERE = Path(__file__).parent
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
    (source.parent / "package.json").write_text('{"type": "module"}', "utf-8")
    options = {**OPTIONS, "outDir": str(output), "rootDir": str(source.parent)}
    config = source.parent / "tsconfig.json"
    config.write_text(json.dumps({"compilerOptions": options, "files": [str(source)]}), "utf-8")
    compiler = HERE / "node_modules" / "typescript" / "bin" / "tsc"
    done = subprocess.run(["node", compiler, "--project", config], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    return output / source.relative_to(source.parent).with_suffix(".js")
