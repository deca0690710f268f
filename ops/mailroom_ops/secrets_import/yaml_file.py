"""Read a passwords.yaml: nested texts with their line numbers. Whatever could be read in two ways is an error.

Values are taken as they are written: a key `0123` or a password `no` is never turned into something else, but reported
if YAML 1.1 or 1.2 would do that. Anchors, aliases and tags are refused: a file of secrets needs none of them, and a few
can stand for gigabytes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent, ScalarEvent
from ruamel.yaml.nodes import MappingNode, ScalarNode

from mailroom_ops.errors import InvalidInput
from mailroom_ops.secrets_import.scalar import Kind, Scalar

__all__ = ["Tree", "read"]

MAX_DEPTH = 8
TAG_PREFIX = "tag:yaml.org,2002:"
KINDS: Mapping[str, Kind] = {
    "null": Kind.EMPTY,
    "bool": Kind.BOOLEAN,
    "int": Kind.NUMBER,
    "float": Kind.NUMBER,
    "timestamp": Kind.TIMESTAMP,
}
YAML_1_1 = YAML(typ="safe", pure=True)
YAML_1_1.version = (1, 1)

Tree = dict[str, "Scalar | Tree | None"]  # None stands for a list


def read(text: str, name: str) -> Tree:
    """Return the mapping that a file contains."""
    yaml = YAML(typ="safe", pure=True)
    try:
        faults = list(_forbidden(yaml, text))
        node = None if faults else yaml.compose(text)
    except MarkedYAMLError as error:
        raise InvalidInput(f"{name} is not YAML.", details=[_located(error, text)]) from error
    except YAMLError as error:
        reason = "it contains a character that YAML does not allow, such as a control character"
        raise InvalidInput(f"{name} is not YAML: {reason}.") from error
    if not faults and not isinstance(node, MappingNode):
        raise InvalidInput(
            f"{name} contains no settings.", "It must consist of lines such as `development:` and `  name: value`."
        )
    tree = _tree(node, faults) if node else {}
    if faults:
        raise InvalidInput(f"{name} cannot be imported as it is.", details=faults)
    return tree


def _forbidden(yaml: YAML, text: str) -> Iterator[str]:
    """Yield a fault for each anchor, alias and tag, and for endless nesting, before anything is built of them."""
    depth = 0
    for event in yaml.parse(text):
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent):
            yield f"line {line}: an alias, *{event.anchor}: write the value out"
        elif isinstance(event, NodeEvent) and event.anchor:
            yield f"line {line}: an anchor, &{event.anchor}: write each value out where it belongs"
        elif isinstance(event, ScalarEvent | CollectionStartEvent) and event.tag:
            yield f"line {line}: a tag, {str(event.tag).replace(TAG_PREFIX, '!!')}: write a plain value"
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > MAX_DEPTH:
            yield f"line {line}: nested more than {MAX_DEPTH} deep"
            return


def _tree(mapping: Any, faults: list[str]) -> Tree:
    tree: Tree = {}
    lines: dict[str, int] = {}
    for key, value in mapping.value:
        line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode):
            faults.append(f"line {line}: a key must be a plain word")
        elif key.value in lines:
            faults.append(f"line {line}: {key.value} stands twice, first in line {lines[key.value]}")
        else:
            lines[key.value] = line
            tree[key.value] = _tree(value, faults) if isinstance(value, MappingNode) else _scalar(value)
    return tree


def _scalar(node: Any) -> Scalar | None:
    if not isinstance(node, ScalarNode):
        return None
    kind = _kind(node.tag)
    if kind is Kind.TEXT and node.style is None:  # without quotes, YAML 1.1 may take it for something else
        kind = _kind(YAML_1_1.resolver.resolve(ScalarNode, node.value, (True, False)))
    return Scalar(node.value, node.start_mark.line + 1, kind)


def _kind(tag: Any) -> Kind:
    return KINDS.get(str(tag).removeprefix(TAG_PREFIX), Kind.TEXT)


def _located(error: MarkedYAMLError, text: str) -> str:
    """Return the place, and the library's message up to what it quotes: that may be a secret."""
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}"
    line = (text.splitlines() or [""])[min(mark.line, max(0, text.count("\n") - text.endswith("\n")))]
    if "\t" in line[: mark.column + 1]:
        return f"{place}: a tab: indent with spaces"
    if "single document" in str(error.context):
        return f"{place}: a second document begins, and only one is read"
    message = str(error.problem or error.context or "").split("'")[0].split('"')[0].strip(" ,:")
    return f"{place}: {message or 'not well formed'}"
