"""A tenant's own templates and texts: a folder like ours that holds only what differs.

    layout.html, layout.txt           the frame
    parts/<part>.html, .txt           a piece that several mails share
    emails/<kind>.html, .txt          the body of a kind, in every language
    emails/<kind>.<tag>.html, .txt    and in one
    texts.toml                        sentences, in every language
    locales/<tag>.toml                and in one

Beside what our templates use, they know `payload["a.b"]` (in a text: `{payload.a.b}`): what the source sent, as
Logto's templates name it.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailroom.rendering import template_policy
from mailroom.rendering.texts import PLACEHOLDER, Texts

__all__ = ["TenantTemplates"]

TEMPLATE = re.compile(r"(layout|parts/[a-z-]+|emails/(?P<kind>[a-z0-9-]+)(\.(?P<tag>[A-Za-z0-9-]+))?)\.(html|txt)")
TEXTS = re.compile(r"texts\.toml|locales/(?P<tag>[A-Za-z0-9-]+)\.toml")
PAYLOAD = re.compile(r"""payload\s*\[\s*["']([\w.]+)["']\s*\]|\{payload\.([\w.]+)\}""")
NAMES = frozenset({"app", "brand", "organization", "inviter"})
SIZE = 512 * 1024

Tables = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class TenantTemplates:
    """What of a tenant's files can be used, and what is wrong with the rest."""

    templates: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, Tables] = field(default_factory=dict)  # by language; "" is every language
    paths: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, files: Mapping[str, str]) -> "TenantTemplates":
        """Sort files by what they are; one that cannot be used is left out and reported."""
        if sum(map(len, files.values())) > SIZE:
            return cls(problems=(f"own templates: together longer than {SIZE} characters",))
        templates, texts, problems, paths = {}, {}, [], set[str]()
        for name, content in sorted(files.items()):
            try:
                if TEMPLATE.fullmatch(name):
                    template_policy.check(content, may_include=not name.startswith("parts/"))
                    templates[name] = content
                elif found := TEXTS.fullmatch(name):
                    texts[found["tag"] or ""] = _tables(content)
                else:
                    raise ValueError("not a name that is looked for")
            except ValueError as error:
                problems.append(f"{name}: {error}")
                continue
            paths |= {one or other for one, other in PAYLOAD.findall(content)}
        return cls(templates, texts, frozenset(paths), tuple(problems))

    @classmethod
    def read(cls, folder: Path) -> "TenantTemplates":
        paths = [path for path in folder.rglob("*") if path.suffix in (".html", ".txt", ".toml") and path.is_file()]
        return cls.of({path.relative_to(folder).as_posix(): path.read_text("utf-8", "replace") for path in paths})

    def locales(self, kind: str) -> set[str]:
        """Return the languages in which the tenant says something of its own about a kind."""
        bodies = (TEMPLATE.fullmatch(name) for name in self.templates)
        tags = {found["tag"] for found in bodies if found and found["kind"] == kind and found["tag"]}
        return tags | {tag for tag, tables in self.texts.items() if tag and kind in tables}

    def body(self, kind: str, locale: str, extension: str) -> str | None:
        """Return the name of the tenant's own body of a kind, the one in this language first."""
        names = (f"emails/{kind}.{tag}.{extension}" for tag in (locale, locale.partition("-")[0]))
        return next((name for name in (*names, f"emails/{kind}.{extension}") if name in self.templates), None)

    def over(self, texts: Texts) -> Texts:
        """Lay the tenant's sentences over ours."""
        merged = dict(texts.tables)
        for tables in (self.texts.get("", {}), self.texts.get(texts.locale, {})):
            merged |= {kind: {**merged.get(kind, {}), **table} for kind, table in tables.items()}
        return Texts(texts.locale, merged)


def _tables(content: str) -> Tables:
    tables = tomllib.loads(content)
    for kind, table in tables.items():
        if not isinstance(table, dict):
            raise ValueError(f"`{kind}` stands outside of a [table]")
        for key, value in table.items():
            counts = key.startswith("valid_")  # how long something is valid: one sentence for each plural form
            forms = list(value.values()) if isinstance(value, dict) else [value]
            if not forms or counts != isinstance(value, dict) or not all(isinstance(form, str) for form in forms):
                raise ValueError(f"[{kind}] {key} is not {'a table of plural forms' if counts else 'a text'}")
            known = {"n"} if counts else NAMES
            for name in PLACEHOLDER.findall("".join(forms)):
                if name not in known and (counts or not name.startswith("payload.")):
                    raise ValueError(f"[{kind}] {key} has an unknown placeholder {{{name}}}")
    return tables
