"""Read samconfig.toml for one environment, and write a region into it.

https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-cli-config.html
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailroom_ops.errors import InvalidInput

__all__ = ["FILE", "SamConfig", "load", "write_region"]

FILE = Path(__file__).parents[3] / "samconfig.toml"


@dataclass(frozen=True, slots=True)
class SamConfig:
    """The settings of `sam deploy --config-env` that decide where an environment is deployed, and with what."""

    stack_name: str
    region: str
    profile: str
    parameters: Mapping[str, str]


def load(environment: str, file: Path = FILE) -> SamConfig:
    """Return the settings of an environment; empty ones where the file does not have them."""
    try:
        sections = tomllib.loads(file.read_text(encoding="utf-8")).get(environment, {})
    except FileNotFoundError:
        sections = {}
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{file.name} is not TOML: {error}.") from error
    settings: dict[str, Any] = {}
    for command in ("global", "deploy"):
        settings |= sections.get(command, {}).get("parameters", {})
    pairs = settings.get("parameter_overrides", [])
    return SamConfig(
        stack_name=str(settings.get("stack_name") or f"mailroom-{environment}"),
        region=str(settings.get("region", "")),
        profile=str(settings.get("profile", "")),
        parameters=dict(_pair(pair) for pair in (pairs.split() if isinstance(pairs, str) else pairs)),
    )


def write_region(environment: str, region: str, file: Path = FILE) -> None:
    """Add a region to the global settings of an environment; keep every other line as it is."""
    text = file.read_text(encoding="utf-8")
    header = f"[{environment}.global.parameters]\n"
    if header not in text:
        text += f"\n{header}"
    file.write_text(text.replace(header, f'{header}region = "{region}"\n'), encoding="utf-8")


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, re.sub(r"^(['\"])(.*)\1$", r"\2", value)
