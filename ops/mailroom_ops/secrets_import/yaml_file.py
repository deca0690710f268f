"""Read a passwords.yaml as text with line numbers, and nothing of what YAML makes of it.

`no` stays "no", `1e3` stays "1e3"; a key that stands twice, an anchor or a tag is an error with its line.
PyYAML, because template.yaml is read with it already, and its events and nodes tell lines, tags and twins.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from mailroom_ops.errors import InvalidInput

__all__ = ["MAPPING_DEPTH", "Scalar", "read"]

MAPPING_DEPTH = 8
TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value as it was written, where, and what YAML would take it for: str, int, float, bool, null, timestamp."""

    text: str = field(repr=False)
    line: int
    kind: str = "str"


Tree = dict[str, "Scalar | Tree | None"]  # None stands for a list


def read(text: str, name: str) -> Tree:
    """Return the mapping a file holds."""
    try:
        faults = list(_tricks(text))
        node = None if faults else yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise InvalidInput(f"{name} is not YAML.", details=[_located(error, text)]) from error
    except yaml.YAMLError as error:
        said = "it holds a character that YAML does not allow, such as a control character"
        raise InvalidInput(f"{name} is not YAML: {said}.") from error
    if not faults and not isinstance(node, yaml.MappingNode):
        raise InvalidInput(
            f"{name} holds no settings.", "It must be lines of the form `development:`, then `  name: value`."
        )
    tree = _mapping(node, faults) if isinstance(node, yaml.MappingNode) else {}
    if faults:
        raise InvalidInput(f"{name} cannot be read as it is.", details=faults)
    return tree


def _tricks(text: str) -> Iterator[str]:
    """Name every anchor, alias and tag, and nesting without end, before anything is built of them."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            yield f"line {line}: an alias, *{event.anchor}: write the value out"
        elif isinstance(event, yaml.NodeEvent) and event.anchor:
            yield f"line {line}: an anchor, &{event.anchor}: write each value out where it belongs"
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag:
            yield f"line {line}: a tag, {event.tag.replace(TAG, '!!')}: write a plain value"
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAPPING_DEPTH:
            yield f"line {line}: nested more than {MAPPING_DEPTH} deep"
            return


def _mapping(node: yaml.MappingNode, faults: list[str]) -> Tree:
    tree: Tree = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            faults.append(f"line {line}: a key must be a plain word")
            continue
        key = key_node.value
        if key in lines:
            faults.append(f"line {line}: {key} stands twice, first in line {lines[key]}")
            continue
        lines[key] = line
        if isinstance(value_node, yaml.MappingNode):
            tree[key] = _mapping(value_node, faults)
        else:
            tree[key] = _scalar(value_node) if isinstance(value_node, yaml.ScalarNode) else None
    return tree


def _scalar(node: yaml.ScalarNode) -> Scalar:
    return Scalar(node.value, node.start_mark.line + 1, node.tag.removeprefix(TAG))


def _located(error: yaml.MarkedYAMLError, text: str) -> str:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return str(error.problem or error)
    where = f"line {mark.line + 1}, column {mark.column + 1}"
    line = (text.splitlines() or [""])[min(mark.line, max(0, text.count("\n") - (text.endswith("\n"))))]
    if "\t" in line[: mark.column + 1]:
        return f"{where}: a tab: indent with spaces"
    if "single document" in str(error.context):
        return f"{where}: a second document begins, and only one is read"
    # PyYAML quotes the text it stumbled over, and that may be a secret.
    plain = str(error.problem or error.context or "").split("'")[0].split('"')[0].strip(" ,:")
    return f"{where}: {plain or 'not well formed'}"
