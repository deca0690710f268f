"""The artifacts of `sam build`, and a bare Python 3.13 with AWS's runtime client to run them."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mailroom_ops.cloudformation import loader as template_file
from mailroom_ops.cloudformation.intrinsics import Template

__all__ = ["HOST", "Artifact", "Missing", "build", "python", "runtime_client", "sam"]

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".cache" / "artifact"
HOST = {"arm64": "arm64", "aarch64": "arm64"}.get(platform.machine(), "x86_64")  # by Lambda's names
CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")
PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "mailroom",
}


class Missing(Exception):
    """A tool is missing; `str()` has its name and the way to install it."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A built template."""

    folder: Path

    def code(self, function: str) -> Path:
        """Return the folder of the function's own code."""
        return self.folder / function

    def path(self, function: str) -> list[Path]:
        """Return the folders that Lambda adds to the import path from the layers of a function."""
        return [python for layer in self._layers(function) if (python := self.folder / layer / "python").is_dir()]

    def variables(self, function: str) -> dict[str, str]:
        """Return the environment of a function by the template, with the local paths of its layers."""
        deployed = _deployed(self.folder)
        shared, own = deployed.body.get("Globals", {}).get("Function", {}), self._properties(function)
        variables = {
            name: deployed.resolve(value)
            for part in (shared, own)
            for name, value in part.get("Environment", {}).get("Variables", {}).items()
        }
        return {name: self._laid_out(function, str(value)) for name, value in variables.items()}

    def _laid_out(self, function: str, value: str) -> str:
        for layer in self._layers(function):
            if value.startswith("/opt/") and (here := self.folder / layer / value.removeprefix("/opt/")).exists():
                return str(here)
        return value

    def _layers(self, function: str) -> list[str]:
        return [str(_deployed(self.folder).resolve(layer)) for layer in self._properties(function).get("Layers", [])]

    def _properties(self, function: str) -> Mapping[str, Any]:
        properties: Mapping[str, Any] = _deployed(self.folder).body["Resources"][function]["Properties"]
        return properties


@cache
def _deployed(folder: Path) -> Template:
    body = template_file.load(folder / "template.yaml")
    parameters = {"Environment": "development"} if "Environment" in body.get("Parameters", {}) else {}
    deployed = Template.deploy(body, parameters, PSEUDO)
    deployed.attributes = template_file.PlaceholderAttributes()
    return deployed


def build(architecture: str = HOST, template: Path = ROOT / "template.yaml", name: str = "mailroom") -> Artifact:
    """Build a template for a processor, as `sam build` does; quick where nothing has changed."""
    folder = CACHE / f"{name}-{architecture}"
    command: list[str | Path] = [
        *(sam(), "build", "--template", template, "--build-dir", folder, "--cached"),
        *(
            "--cache-dir",
            CACHE / f"{name}-{architecture}-cache",
            "--parameter-overrides",
            f"Architecture={architecture}",
        ),
    ]
    path = os.pathsep.join([str(python().parent), os.environ["PATH"]])
    _run(
        command,
        {"PATH": path, "ARCHITECTURE": architecture, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "eu-west-1"},
    )
    return Artifact(folder)


def python() -> Path:
    """Return a Python 3.13 with pip, to build with."""
    search = subprocess.run([ROOT / ".ci" / "find-python"], capture_output=True, text=True, check=False)
    if search.returncode:
        raise Missing(search.stderr.strip())
    return Path(search.stdout.strip())


def bare_python() -> Path:
    """Return a Python 3.13 with nothing installed, to run on."""
    folder = CACHE / "python"
    if not (folder / "bin" / "python").exists():
        _run([python(), "-m", "venv", "--without-pip", folder])
    return folder / "bin" / "python"


def runtime_client() -> Path:
    """Return a folder with Lambda's runtime client, in the pinned version."""
    if platform.system() != "Linux":
        raise Missing("needs Linux: AWS's runtime client has wheels for it only")
    pinned = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    requirements = "".join(re.findall(rf"^(?:{'|'.join(CLIENT)})==(?:.*\\\n)*.*\n", pinned, re.MULTILINE))
    folder = CACHE / "runtime"
    lock = folder / "requirements.txt"
    if not lock.exists() or lock.read_text(encoding="utf-8") != requirements:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (CACHE / "runtime.txt").write_text(requirements, encoding="utf-8")
        options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary=:all:")
        _run([python(), "-m", "pip", "install", *options, "--target", folder, "--requirement", CACHE / "runtime.txt"])
        (CACHE / "runtime.txt").rename(lock)
    return folder


def sam() -> Path:
    """Return the SAM CLI."""
    if (ours := ROOT / ".cache" / "sam" / "bin" / "sam").exists():
        return ours
    if theirs := shutil.which("sam"):
        return Path(theirs)
    raise Missing("needs the SAM CLI: `make setup` installs it")


def _run(command: list[str | Path], env: Mapping[str, str] = {}) -> None:
    # No bytecode cache of ours, or pip and compileall write there and not beside the modules.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPYCACHEPREFIX"}
    done = subprocess.run(command, env={**environment, **env}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
