"""Parse a CloudFormation template: YAML with tags for intrinsic functions."""

from pathlib import Path
from typing import Any

import yaml

__all__ = ["PlaceholderAttributes", "load", "parse"]


class _Loader(yaml.SafeLoader):
    """A safe loader that expands `!Sub x` to `{"Fn::Sub": "x"}`."""


def _expand(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.MappingNode):
        value: Any = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.ScalarNode):
        value = node.value
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _expand)


def load(path: Path) -> dict[str, Any]:
    """Return the template of a file, with every function in its long form: `!Ref x` is `{"Ref": "x"}`."""
    return parse(path.read_text(encoding="utf-8"))


def parse(text: str) -> dict[str, Any]:
    """Return the template in a text, such as the one that a stack was deployed from."""
    template: dict[str, Any] = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    return template


class PlaceholderAttributes(dict[str, Any]):
    """Attributes of resources that do not exist: the Arn of CodesQueue is `CodesQueue.Arn`, its Ref `CodesQueue`."""

    def __missing__(self, resource: str) -> dict[str, str]:
        return _Attributes(resource)


class _Attributes(dict[str, str]):
    def __init__(self, resource: str) -> None:
        self._resource = resource

    def __missing__(self, name: str) -> str:
        return self._resource if name == "Ref" else f"{self._resource}.{name}"
