"""A tenant's templates and texts in the parameter store: their versions, the checks before they count, and the plan."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from mailroom.model.json_settings import json_object
from mailroom.model.parameter_names import template_name
from mailroom.model.stored_files import pack, unpack
from mailroom.rendering.renderer import Renderer
from mailroom.rendering.tenant_templates import TenantTemplates
from mailroom_ops.errors import InvalidInput
from mailroom_ops.finding import Level
from mailroom_ops.settings import catalog, tenants
from mailroom_ops.settings.changes import Act, Change, compare
from mailroom_ops.settings.parameters import Parameters
from mailroom_ops.templates.checks import MAX_HTML_BYTES
from mailroom_ops.templates.html_check import check_colors, check_links
from mailroom_ops.templates.logo_files import judge_logos, without_logos
from mailroom_ops.templates.preview import FORMS, Gallery
from mailroom_ops.templates.tenant_samples import TenantSample, tenant_sample

__all__ = [
    "Check",
    "FileChange",
    "Version",
    "check",
    "compare_files",
    "current_files",
    "file_plan",
    "find_version",
    "size",
    "versions",
]


@dataclass(frozen=True, slots=True)
class Check:
    """The result of the checks: with an error, the files must not be stored."""

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of a tenant, before and after; None where there is none."""

    name: str
    old: str | None
    new: str | None

    @property
    def act(self) -> Act:
        if self.old is None:
            return Act.CREATE
        if self.new is None:
            return Act.REMOVE
        return Act.KEEP if self.old == self.new else Act.CHANGE


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a tenant's stored files; `fault` is set where it cannot be read."""

    number: int
    changed: datetime
    author: str
    files: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""


def current_files(tenant: str, values: Mapping[str, str]) -> Mapping[str, str]:
    """Return a tenant's stored files; none where there are none, or none that can be read."""
    try:
        return unpack(values.get(template_name(tenant), ""))
    except ValueError:
        return {}


def versions(store: Parameters, tenant: str) -> list[Version]:
    """Return the versions that SSM keeps of a tenant's files, at most a hundred, newest first."""
    return [
        _version(item.version, item.changed, item.author, item.value) for item in store.history(template_name(tenant))
    ]


def find_version(store: Parameters, tenant: str, number: int | None) -> Version:
    """Return a version of a tenant's files, by default the one before the current one; raise InvalidInput if none."""
    history = versions(store, tenant)
    if number is None:
        if len(history) < 2:
            raise InvalidInput(f"{tenant} has no earlier version.", "`mailroom templates list` shows all.")
        return history[1]
    version = next((version for version in history if version.number == number), None)
    if version is None:
        raise InvalidInput(f"{tenant} has no version {number}.", "`mailroom templates list` shows all.")
    return version


def compare_files(old: Mapping[str, str], new: Mapping[str, str]) -> list[FileChange]:
    """Return what becomes of each file, in the order of names."""
    return [FileChange(name, old.get(name), new.get(name)) for name in sorted({*old, *new})]


def file_plan(
    tenant: str, files: Mapping[str, str], values: Mapping[str, str], *, inline_logo: bool | None = None
) -> list[Change]:
    """Return the changes of parameters that store the files: first the files, then the switch that has them read.

    `inline_logo` switches the logos inside mails on or off as well.
    """
    if not any(existing.name == tenant and not existing.removed for existing in tenants.list_tenants(values)):
        raise InvalidInput(f"There is no tenant {tenant}.", f"Add it: mailroom tenant add {tenant}")
    brand_name = f"brands/{tenant}"
    brand = json_object(values.get(brand_name, "{}")) or {}
    brand = {key: value for key, value in brand.items() if key != catalog.STORED_TEMPLATES}
    if files:
        brand[catalog.STORED_TEMPLATES] = True
    if inline_logo is not None:
        brand["inline_logo"] = inline_logo
    target: dict[str, str | None] = {template_name(tenant): pack(files)}
    if brand or brand_name in values:
        target[brand_name] = json.dumps(brand, ensure_ascii=False)
    return compare(values, target)


def size(files: Mapping[str, str]) -> int:
    """Return the bytes of the parameter that contains the files."""
    return len(pack(files).encode())


def check(tenant: str, files: Mapping[str, str], values: Mapping[str, str], templates: Path) -> Check:
    """Render the files in every kind and language, and return what is wrong with them."""
    bytes_needed = size(files)
    errors = list(TenantTemplates.of(files).problems)
    if bytes_needed > catalog.MAX_ADVANCED_BYTES:
        errors.append(
            f"the files need {bytes_needed} bytes, a parameter has {catalog.MAX_ADVANCED_BYTES}: "
            f"deploy them in layers/templates/tenants/{tenant} instead{_smaller_logos(files)}"
        )
    if errors:  # a mail without a file that is refused says nothing about the others
        return Check(tuple(errors))
    sample = replace(tenant_sample(tenant, values), files=files)
    gallery = Gallery(templates, Renderer(templates))
    failures, notes = _render_all(gallery, sample)
    for kind in gallery.tenant_options(sample)["kinds"] if _has_html(files) else ():
        mail = gallery.tenant_mail(sample, kind).email.html
        failures += [f"{kind}: {fault}" for fault in check_links(mail)]
        notes += [f"{kind}: {fault}" for fault in check_colors(mail)]
    notes += [f"{note.subject} {note.state}. {note.todo}" for note in judge_logos(files) if note.level is not Level.OK]
    return Check(tuple(dict.fromkeys(failures)), tuple(dict.fromkeys(notes)))


def _render_all(gallery: Gallery, sample: TenantSample) -> tuple[list[str], list[str]]:
    """Return the problems of usual mails, and those of mails with other content, of every kind and language."""
    failures: list[str] = []
    notes: list[str] = []
    options = gallery.tenant_options(sample)
    for kind in options["kinds"]:
        for locale in options["locales"]:
            rendered = gallery.tenant_mail(sample, kind, locale)
            failures += [f"{problem} ({kind})" for problem in rendered.problems]
            if (length := len(rendered.email.html.encode())) > MAX_HTML_BYTES:
                failures.append(f"{kind}: the HTML has {length // 1000} kB, at most {MAX_HTML_BYTES // 1000}")
        if not failures:
            for form in FORMS:
                others = gallery.tenant_mail(sample, kind, "en", form).problems
                notes += [f"{problem} (a {kind} with {_content(form)})" for problem in others]
    return list(dict.fromkeys(failures)), list(dict.fromkeys(notes))


def _content(form: str) -> str:
    return {"code": "a code only", "link": "a link only", "both": "code and link"}.get(form, "neither code nor link")


def _smaller_logos(files: Mapping[str, str]) -> str:
    return ", or make the logos smaller" if len(without_logos(files)) < len(files) else ""


def _has_html(files: Mapping[str, str]) -> bool:
    return any(name.endswith(".html") for name in files)


def _version(number: int, changed: datetime, author: str, value: str) -> Version:
    try:
        return Version(number, changed, author, unpack(value))
    except ValueError as error:
        return Version(number, changed, author, fault=str(error))
