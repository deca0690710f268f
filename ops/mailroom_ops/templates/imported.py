"""The result of an import of templates from another system: a tenant's files, and notes about what differs."""

import json
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mailroom.rendering.tenant_templates import LOGO_FILES, TenantTemplates
from mailroom_ops.errors import InvalidInput

__all__ = ["Imported", "Sentences", "collect", "in_our_layout", "literal", "literal_sentence", "write"]

OPENING = re.compile(r"\{(?=[{%#]|$)")
PLACEHOLDER_LIKE = re.compile(r"\{(?=[\w.]+\})")
Sentences = Mapping[str, Mapping[str, Mapping[str, str]]]  # by language ("" for all), kind and key


@dataclass(frozen=True, slots=True)
class Imported:
    """The tenant's files by name, as tenant_templates.py reads them, and notes for the operator."""

    files: Mapping[str, str]
    notes: tuple[str, ...]


def collect(bodies: Mapping[str, str], sentences: Sentences, notes: Sequence[str], hint: str) -> Imported:
    """Return the files of bodies and sentences; InvalidInput with a hint if there are none."""
    files = dict(bodies)
    for tag, kinds in sentences.items():
        tables = (_table(kind, kinds[kind]) for kind in sorted(kinds))
        files[f"locales/{tag}.toml" if tag else "texts.toml"] = "\n".join(tables)
    if not files:
        raise InvalidInput("There is no template in this file.", hint, list(notes))
    return Imported(files, (*notes, *(f"not usable: {problem}" for problem in TenantTemplates.of(files).problems)))


def write(imported: Imported, folder: Path, *, replace: bool = False) -> list[Path]:
    """Write the files into the folder of a tenant; InvalidInput if that would overwrite other templates."""
    paths = {
        folder / name: b64decode(content) if name in LOGO_FILES else content.encode()
        for name, content in imported.files.items()
    }
    if not replace and (existing := [path for path in paths if path.exists() and path.read_bytes() != paths[path]]):
        names = [path.relative_to(folder).as_posix() for path in existing]
        raise InvalidInput(f"{folder} contains other templates.", "Move them away, or add --replace.", names)
    for path, content in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return list(paths)


def literal(text: str) -> str:
    """Return text of a template that is no variable of the other system, so that it is none of ours either."""
    return OPENING.sub('{{ "{" }}', text)


def literal_sentence(text: str) -> str:
    """The same for a sentence: an invisible joiner separates what would look like a placeholder."""
    return PLACEHOLDER_LIKE.sub("{\u2060", text)


def in_our_layout(text: str) -> str:
    """Return a body in our layout for a template that is plain text; `text` has our variables already."""
    style = "margin:0 0 16px;font-family:{{ brand.font }};font-size:16px;line-height:24px;color:{{ brand.light.text }}"
    paragraphs = (paragraph.strip().replace("\n", "<br>\n") for paragraph in re.split(r"\n\s*\n", text))
    body = "".join(f'<p class="text" style="{style}">{paragraph}</p>\n' for paragraph in paragraphs if paragraph)
    return f'{{% extends "layout.html" %}}\n{{% block body %}}\n{body}{{% endblock %}}\n'


def _table(kind: str, sentences: Mapping[str, str]) -> str:
    lines = (f"{key} = {_toml(sentence)}\n" for key, sentence in sentences.items())
    return f"[{kind}]\n{''.join(lines)}"


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
