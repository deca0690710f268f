"""The texts page of a tenant: its stored templates and texts, edited beside a mail, checked, stored and rolled back."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from mailroom.rendering.renderer import Rendered
from mailroom.rendering.tenant_templates import LOGO_FILES, TenantTemplates, read_files
from mailroom_ops.console.context import PageContext, form_values, last_value, redirect
from mailroom_ops.console.plan import SIGNS, Plan
from mailroom_ops.errors import InvalidInput
from mailroom_ops.settings import catalog, tenants
from mailroom_ops.settings.changes import Act
from mailroom_ops.settings.parameters import Parameters
from mailroom_ops.templates import stored
from mailroom_ops.templates.logo_files import file_size, without_logos
from mailroom_ops.templates.preview import FORMS, Gallery, block_images, shown_html
from mailroom_ops.templates.tenant_samples import TenantSample, readable_mailbox, stored_files, tenant_sample
from mailroom_ops.web.pages import json_answer, mail_page
from mailroom_ops.web.server import Request, Response

__all__ = ["answer"]

FIELD = "file:"  # the prefix of a file's name in the form
REMOVED = "remove"  # the names of logos to remove
TEMPLATE_NAME = re.compile(r"(layout|parts/[a-z-]+|emails/[a-z0-9-]+(\.[A-Za-z0-9-]+)?)\.(html|txt)")
TEXTS_NAME = re.compile(r"texts\.toml|locales/[A-Za-z0-9-]+\.toml")
VERSION = re.compile(r"[0-9]{1,9}")
# What a new layout starts with: the built-in one uses more than tenants' templates may.
LAYOUT = """\
<!doctype html>
<html lang="{{ lang }}" dir="{{ dir }}">
<head><meta charset="utf-8"><title>{{ subject }}</title></head>
<body style="font-family:{{ brand.font }}">
<h1>{{ heading }}</h1>
{% block body %}{% endblock %}
{% for line in footer %}<p>{{ line }}</p>{% endfor %}
</body>
</html>
"""
TEXT_LAYOUT = """\
{{ heading }}

{% block body %}{% endblock %}

--
{% for line in footer %}
{{ line }}
{% endfor %}
"""
MAX_ERRORS = 30

Form = Mapping[str, Sequence[str]]


def answer(
    context: PageContext, request: Request, parameters: Mapping[str, str], tenant: str, below: list[str]
) -> Response | None:
    """Return the response to a request below /console/senders/NAME/texts."""
    form, page = form_values(request), TextsPage(context, tenant, parameters)
    match request.method, below:
        case "POST", []:
            return page.post(form)
        case "POST", ["preview.json"]:
            return page.preview(form)
        case "GET" | "HEAD", []:
            return page.show(form, page.current)
        case "GET" | "HEAD", ["mail.html"]:
            return page.mail(form)
    return None


@dataclass(frozen=True, slots=True)
class Options:
    """The mail of the preview."""

    kind: str
    locale: str
    form: str


@dataclass(frozen=True, slots=True)
class TextsPage:
    """The pages of one tenant's files, with the parameters of the environment at the time of the request."""

    context: PageContext
    tenant: str
    parameters: Mapping[str, str]

    @property
    def path(self) -> str:
        return f"/console/senders/{self.tenant}/texts"

    @property
    def current(self) -> Mapping[str, str]:
        return stored_files(self.tenant, self.parameters)

    @property
    def _templates(self) -> Path:
        return self.context.mail_templates

    def show(
        self, form: Form, files: Mapping[str, str], *, error: str = "", errors: Sequence[str] = (), opened: str = ""
    ) -> Response:
        """Render the editor with these files, and the mail that they make."""
        options, sample = self._options(form, files), self._sample(files)
        rendered, gallery = self._render(files, options), Gallery(self._templates)
        choices = gallery.tenant_options(sample)
        deployed = read_files(self._templates / "tenants" / self.tenant)
        values = {
            "tenant": self.tenant,
            "path": self.path,
            "files": [{"name": name, "content": content} for name, content in without_logos(files).items()],
            "logos": [
                {"name": name, "content": content, "size": file_size(name, content)}
                for name, content in files.items()
                if name in LOGO_FILES
            ],
            "opened": next(iter(files), "") if len(files) == 1 else opened,
            "deployed": sorted(deployed),
            "suggestions": _suggestions(choices["kinds"], options, files),
            "options": options,
            "kinds": choices["kinds"],
            "locales": choices["locales"],
            "forms": list(FORMS),
            "draft": self.context.drafts.keep(files),
            "size": stored.size(files),
            "max_size": catalog.MAX_ADVANCED_BYTES,
            "preview": self._description(files, rendered),
            "versions": stored.versions(Parameters(self.context.environment), self.tenant),
            "is_saved": form.get("done") == ["saved"],
            "delay": self.context.environment.settings_delay,
            "error": error,
            "errors": list(errors)[:MAX_ERRORS],
        }
        return self.context.page("texts", values, 400 if error else 200)

    def mail(self, form: Form) -> Response:
        """Return the mail of a draft as a page."""
        files = self.context.drafts.files(last_value(form, "draft"))
        if files is None:
            return mail_page("<p>The console was restarted: reload the page.</p>", {})
        rendered = self._render(files, self._options(form, files))
        scheme = "dark" if last_value(form, "scheme") == "dark" else "light"
        html = shown_html(rendered.email) or f"<pre>{escape(rendered.email.text, quote=False)}</pre>"
        return mail_page(block_images(html), {"scheme": scheme}, is_measured=True)

    def preview(self, form: Form) -> Response:
        """Keep the submitted files as a draft; return its key, and the subject and problems of its mail, as JSON."""
        files = _files(form)
        description = self._description(files, self._render(files, self._options(form, files)))
        return json_answer({**description, "draft": self.context.drafts.keep(files), "size": stored.size(files)})

    def post(self, form: Form) -> Response:
        """Add a file to the editor, draw the preview, or show the plan and carry it out."""
        files: Mapping[str, str] = _files(form)
        if "add" in form:
            return self._add(form, files)
        if "preview" in form:
            return self.show(form, files)
        version = last_value(form, "version")
        if version:
            stored_version = stored.find_version(
                Parameters(self.context.environment), self.tenant, _version_number(version)
            )
            if stored_version.fault:
                raise InvalidInput(f"Version {version} cannot be read: {stored_version.fault}.")
            files = stored_version.files
        return self._save(form, files, {"version": [version]} if version else _fields(files))

    def _add(self, form: Form, files: Mapping[str, str]) -> Response:
        name = last_value(form, "new_name")
        if not (TEMPLATE_NAME.fullmatch(name) or TEXTS_NAME.fullmatch(name)):
            examples = "texts.toml, locales/de.toml or emails/sign-in-code.html"
            return self.show(form, files, error=f"{name!r} is not the name of a template or text file: use {examples}.")
        content = files.get(name) or self._start(name, self._options(form, files)) or "<p></p>"
        return self.show(form, {**files, name: content}, opened=name)

    def _start(self, name: str, options: Options) -> str:
        """Return the content that a new file starts with: the built-in one, of texts those of the shown kind."""
        if name.endswith(".toml"):
            tag = name.removeprefix("locales/").removesuffix(".toml")
            source = self._templates / "locales" / f"{tag if name != 'texts.toml' else options.locale}.toml"
            text = (source if source.is_file() else self._templates / "locales" / "en.toml").read_text("utf-8")
            table = re.search(rf"^\[{re.escape(options.kind)}\]\n(?:(?!\[).*\n)*", text, re.MULTILINE)
            return table[0] if table else f'[{options.kind}]\nsubject = ""\n'
        if name.startswith("layout."):
            return LAYOUT if name.endswith(".html") else TEXT_LAYOUT
        built_in = re.sub(r"\.[A-Za-z0-9-]+(?=\.(html|txt)$)", "", name)
        source = self._templates / built_in
        if not source.is_file():
            source = self._templates / f"emails/generic-code{Path(name).suffix}"
        text = source.read_text("utf-8")
        return "" if TenantTemplates.of({name: text}).problems else text

    def _save(self, form: Form, files: Mapping[str, str], fields: Mapping[str, Sequence[str]]) -> Response:
        try:
            changes = stored.file_plan(self.tenant, files, self.parameters)
        except InvalidInput as error:
            return self.show(form, files, error=f"{error.sentence} {error.todo}")
        result = stored.check(self.tenant, files, self.parameters, self._templates)
        if result.errors:
            return self.show(
                form, files, error="These files cannot be used, and nothing is stored.", errors=result.errors
            )
        plan = Plan(
            f"Store the texts of {self.tenant}?",
            changes,
            self.path,
            fields,
            self.path,
            notes=[*_file_notes(self.current, files), *result.warnings],
        )
        if not plan.is_confirmed(self.context, form):
            return plan.page(self.context, form)
        tenants.apply(Parameters(self.context.environment), changes)
        return redirect(f"{self.path}?done=saved")

    def _options(self, form: Form, files: Mapping[str, str]) -> Options:
        choices = Gallery(self._templates).tenant_options(self._sample(files))
        kind, locale, content = (last_value(form, name) for name in ("kind", "locale", "form"))
        return Options(
            kind if kind in choices["kinds"] else "sign-in-code",
            locale if locale in choices["locales"] else "en",
            content if content in FORMS else "",
        )

    def _sample(self, files: Mapping[str, str]) -> TenantSample:
        return replace(tenant_sample(self.tenant, self.parameters), files=files)

    def _render(self, files: Mapping[str, str], options: Options) -> Rendered:
        gallery = Gallery(self._templates)
        return gallery.tenant_mail(self._sample(files), options.kind, options.locale, options.form)

    def _description(self, files: Mapping[str, str], rendered: Rendered) -> dict[str, object]:
        email = rendered.email
        return {
            "subject": email.subject,
            "from": readable_mailbox(email.from_),
            "text": email.text,
            "problems": list(dict.fromkeys([*TenantTemplates.of(files).problems, *rendered.problems])),
        }


def _version_number(text: str) -> int:
    if not VERSION.fullmatch(text):
        raise InvalidInput("There is no such version of the texts.", "Reload the page and choose one from its list.")
    return int(text)


def _files(form: Form) -> dict[str, str]:
    """Return the submitted files; an empty one is removed."""
    submitted = {name.removeprefix(FIELD): values[-1] for name, values in form.items() if name.startswith(FIELD)}
    removed = form.get(REMOVED, [])
    lines = {name: content.replace("\r\n", "\n") for name, content in submitted.items() if name not in removed}
    return {name: content for name, content in sorted(lines.items()) if content.strip()}


def _fields(files: Mapping[str, str]) -> dict[str, list[str]]:
    return {f"{FIELD}{name}": [content] for name, content in files.items()}


def _file_notes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    changes = stored.compare_files(old, new)
    return [f"{SIGNS[change.act]} {change.name}" for change in changes if change.act is not Act.KEEP]


def _suggestions(kinds: Sequence[str], options: Options, files: Mapping[str, str]) -> list[str]:
    """Return the names of files that somebody may want to add, those of the shown mail first."""
    kind, tag = options.kind, options.locale
    names = [
        "texts.toml",
        f"locales/{tag}.toml",
        f"emails/{kind}.html",
        f"emails/{kind}.txt",
        "layout.html",
        "layout.txt",
    ]
    names += [f"emails/{other}.html" for other in kinds if other != kind]
    return [name for name in names if name not in files]
