"""A tenant's own templates and texts: files like the built-in ones, of which there are only those that differ.

    layout.html, layout.txt           the frame
    parts/<part>.html, .txt           a piece that several mails share
    emails/<kind>.html, .txt          the body of a kind, in every language
    emails/<kind>.<tag>.html, .txt    and in one
    texts.toml                        sentences, in every language
    locales/<tag>.toml                and in one
    logo.png, logo-dark.png           logos inside its mails, or .jpg: see inline_logos.py

Beside the values of the built-in templates, they can use `payload["a.b"]` (in a text: `{payload.a.b}`): the data that
the source sent, under the names of Logto's templates.
"""

import re
from binascii import b2a_base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailroom.rendering import template_policy
from mailroom.rendering.texts import PLACEHOLDER, Texts, read_tables

__all__ = ["LOGO_FILES", "TenantTemplates", "read_files"]

TEMPLATE = re.compile(r"(layout|parts/[a-z-]+|emails/(?P<kind>[a-z0-9-]+)(\.(?P<tag>[A-Za-z0-9-]+))?)\.(html|txt)")
TEXTS = re.compile(r"texts\.toml|locales/(?P<tag>[A-Za-z0-9-]+)\.toml")
TABLE = re.compile(r"^[ \t]*\[([a-z0-9][a-z0-9-]*)\]", re.MULTILINE)  # of a kind, also in a file that is not valid TOML
SHARED_TABLES = frozenset({"about", "common"})  # of texts that belong to no kind
PATH_IN_TEMPLATE = re.compile(r"""payload\s*\[\s*["']([\w.]+)["']\s*\]""")
PATH_IN_TEXT = re.compile(r"payload\.([\w.]+)")
NAMES = frozenset({"app", "brand", "event", "inviter", "organization", "request"})
LOGO_FILES = ("logo.png", "logo.jpg", "logo-dark.png", "logo-dark.jpg")
MAX_LENGTH = 512 * 1024  # of all files together, in characters

Tables = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class TenantTemplates:
    """The usable files of a tenant, and the problems of the others."""

    templates: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, Tables] = field(default_factory=dict)  # by language; "" is every language
    payload_paths: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()
    kinds: frozenset[str] = frozenset()  # that have a file or a table of texts, usable or not
    logos: Mapping[str, str] = field(default_factory=dict)  # in base64, by the names of their files

    @classmethod
    def of(cls, files: Mapping[str, str]) -> "TenantTemplates":
        """Parse files by their names; leave out an unusable one and report it."""
        kinds = frozenset(_kinds(files))
        if sum(map(len, files.values())) > MAX_LENGTH:
            return cls(problems=(f"own templates: together longer than {MAX_LENGTH} characters",), kinds=kinds)
        templates, texts, problems, paths = {}, {}, list[str](), set[str]()
        logos = {name: content for name, content in files.items() if name in LOGO_FILES}
        if logos:
            from mailroom.rendering.inline_logos import usable_logos  # only where a tenant has them

            logos, problems = usable_logos(logos)
        for name, content in sorted(files.items()):
            try:
                if TEMPLATE.fullmatch(name):
                    template_policy.check(content, is_part=name.startswith("parts/"))
                    templates[name] = content
                    paths |= set(PATH_IN_TEMPLATE.findall(content))
                elif match := TEXTS.fullmatch(name):
                    tables = _tables(content)
                    texts[match["tag"] or ""] = tables
                    paths |= set(_payload_paths(tables))
                elif name not in LOGO_FILES:
                    raise ValueError("not the name of a template or text file")
            except RecursionError:
                problems.append(f"{name}: nested too deeply")
            except ValueError as error:
                problems.append(f"{name}: {error}")
        return cls(templates, texts, frozenset(paths), tuple(problems), kinds, logos)

    def locales(self, kind: str) -> set[str]:
        """Return the languages in which the tenant has a body or texts for a kind."""
        bodies = (TEMPLATE.fullmatch(name) for name in self.templates)
        tags = {match["tag"] for match in bodies if match and match["kind"] == kind and match["tag"]}
        return tags | {tag for tag, tables in self.texts.items() if tag and kind in tables}

    def body(self, kind: str, locale: str, extension: str) -> str | None:
        """Return the name of the tenant's body of a kind: in this language, else in every language."""
        names = (f"emails/{kind}.{tag}.{extension}" for tag in (locale, locale.partition("-")[0]))
        return next((name for name in (*names, f"emails/{kind}.{extension}") if name in self.templates), None)

    def merge_into(self, texts: Texts) -> Texts:
        """Return built-in texts with the tenant's sentences in place of those that they replace."""
        merged = dict(texts.tables)
        for tables in (self.texts.get("", {}), self.texts.get(texts.locale, {})):
            merged |= {kind: {**merged.get(kind, {}), **table} for kind, table in tables.items()}
        return Texts(texts.locale, merged)


def read_files(folder: Path) -> dict[str, str]:
    """Return the files of a folder of templates and texts by name, logos in base64; none if there is no such folder."""
    paths = [path for path in folder.rglob("*") if path.suffix in (".html", ".txt", ".toml") and path.is_file()]
    files = {path.relative_to(folder).as_posix(): path.read_text("utf-8", "replace") for path in paths}
    return files | {name: _in_base64(path) for name in LOGO_FILES if (path := folder / name).is_file()}


def _in_base64(path: Path) -> str:
    return b2a_base64(path.read_bytes(), newline=False).decode()


def _kinds(files: Mapping[str, str]) -> Iterator[str]:
    for name, content in files.items():
        if (match := TEMPLATE.fullmatch(name)) and match["kind"]:
            yield match["kind"]
        elif TEXTS.fullmatch(name):
            yield from set(TABLE.findall(content)) - SHARED_TABLES


def _tables(content: str) -> Tables:
    tables = read_tables(content)
    for kind, table in tables.items():
        if not isinstance(table, dict):
            raise ValueError(f"`{kind}` stands outside of a [table]")
        for key, value in table.items():
            is_duration = key.startswith("valid_")  # one sentence for each plural form
            forms = _forms(value)
            if not forms or is_duration != isinstance(value, dict) or not all(isinstance(form, str) for form in forms):
                raise ValueError(f"[{kind}] {key} is not {'a table of plural forms' if is_duration else 'a text'}")
            if (kind, key) == ("about", "digits") and len(value) != 10:
                raise ValueError("[about] digits are not the ten digits from 0 to 9")
            names = {"n"} if is_duration else NAMES
            for name in PLACEHOLDER.findall("".join(forms)):
                if name not in names and (is_duration or not PATH_IN_TEXT.fullmatch(name)):
                    raise ValueError(f"[{kind}] {key} has an unknown placeholder {{{name}}}")
    return tables


def _payload_paths(tables: Tables) -> Iterator[str]:
    for table in tables.values():
        for value in table.values():
            for name in PLACEHOLDER.findall("".join(_forms(value))):
                if match := PATH_IN_TEXT.fullmatch(name):
                    yield match[1]


def _forms(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else [value]
