"""From a Message to an Email: the reader's language, the tenant's brand, our templates or the tenant's own."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import unescape
from pathlib import Path
from typing import Any

from minijinja import Environment, TemplateError

from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox, clean_name
from mailroom.model.message import Message
from mailroom.model.sender import Sender
from mailroom.rendering import payload, template_policy
from mailroom.rendering.brand import Brand
from mailroom.rendering.context import base_kind, build_context
from mailroom.rendering.locales import negotiate
from mailroom.rendering.tenant_templates import TenantTemplates
from mailroom.rendering.texts import Texts

__all__ = ["Rendered", "Renderer"]

BLANK_LINES = re.compile(r"\n{3,}")
EMPTY_LINES = re.compile(r"\n\s*\n")
TEMPLATE_NAME = re.compile(r"[a-z0-9-]+(/[a-z0-9-]+)?\.(html|txt)")
TENANT_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
TENANTS_KEPT = 16
NOTHING_OWN = TenantTemplates()
HTML_LENGTH = 100_000  # Gmail cuts a mail off at 102 kB


@dataclass(frozen=True, slots=True)
class Rendered:
    """An Email, and what is wrong with the tenant's own templates: each problem one sentence for an alarm."""

    email: Email
    problems: tuple[str, ...] = ()


class Renderer:
    """Renders with the templates of one folder; made once a process, it reads each file when it is first needed."""

    def __init__(self, templates_dir: Path) -> None:
        self._folder = templates_dir
        self._texts: dict[str, Texts] = {}
        self._owned: dict[Any, tuple[TenantTemplates, Environment]] = {}
        self._templates = Environment(
            loader=self._load, undefined_behavior="strict", trim_blocks=True, lstrip_blocks=True, debug=False
        )

    def render(
        self,
        message: Message,
        sender: Sender,
        brand: Mapping[str, str],
        overrides: Mapping[str, str] | None = None,
    ) -> Email:
        """Return the Email that says `message`, from `sender`, looking like `brand`."""
        return self.compose(message, sender, brand, overrides).email

    def compose(
        self,
        message: Message,
        sender: Sender,
        brand: Mapping[str, str],
        overrides: Mapping[str, str] | None = None,
    ) -> Rendered:
        """Render, and tell what of the tenant's own could not be used.

        `overrides` are the tenant's files by name, as mailroom.own explains; None takes the folder tenants/<tenant>.
        """
        own, engine = self._own(message.tenant, overrides)
        texts = self._texts_for(message, sender.default_locale, own)
        domain = sender.from_.address.rpartition("@")[2]
        look = Brand.of(brand, message.brand, self._defaults, sender.from_.name or domain)
        view = build_context(message, texts, look, {path: payload.read(message.data, path) for path in own.paths})
        problems = [*own.problems]
        html = self._body(message, view, "html", own, engine, problems)
        text = self._body(message, view, "txt", own, engine, problems)
        name = sender.from_.name or ("" if look.name == domain else clean_name(look.name))
        email = Email(
            from_=Mailbox(sender.from_.address, name),
            to=message.to,
            subject=view["subject"],
            html=_tidy_html(html),
            text=_tidy_text(text),
            reply_to=sender.reply_to,
            headers=_headers(message),
            tags={"message_id": message.id, "tenant": message.tenant, "kind": message.kind},
            locale=texts.locale,
        )
        return Rendered(email, tuple(problems))

    @cached_property
    def locales(self) -> tuple[str, ...]:
        """The languages we have, by their tags."""
        return tuple(sorted(path.stem for path in (self._folder / "locales").glob("*.toml")))

    def _body(
        self,
        message: Message,
        view: Mapping[str, Any],
        extension: str,
        own: TenantTemplates,
        engine: Environment,
        problems: list[str],
    ) -> str:
        ours = f"emails/{base_kind(message)}.{extension}"
        if own.templates:
            name = own.body(message.kind, view["lang"], extension) or ours
            try:
                body = engine.render_template(name, **view)
            except TemplateError as error:
                problems.append(f"{error.name or name}, line {error.line}: {error.kind}; ours was sent")
            else:
                wrong = _what_is_wrong(body, view)
                if not wrong:
                    return body
                problems.append(f"{name}: {wrong}; ours was sent")
        return self._templates.render_template(ours, **view)

    def _own(self, tenant: str, overrides: Mapping[str, str] | None) -> tuple[TenantTemplates, Environment]:
        folder = self._folder / "tenants" / tenant
        has_folder = overrides is None and TENANT_NAME.fullmatch(tenant) is not None and folder.is_dir()
        if not (has_folder or overrides):
            return NOTHING_OWN, self._templates
        key = frozenset(overrides.items()) if overrides else tenant
        if key not in self._owned:
            own = TenantTemplates.of(overrides) if overrides else TenantTemplates.read(folder)
            engine = template_policy.environment(lambda name: own.templates.get(name) or self._load(name))
            if len(self._owned) >= TENANTS_KEPT:
                del self._owned[next(iter(self._owned))]
            self._owned[key] = own, engine
        return self._owned[key]

    def _texts_for(self, message: Message, default: str, own: TenantTemplates) -> Texts:
        locale = negotiate(message.locales, {*self.locales, *own.locales(message.kind)}, default)
        source = locale if locale in self.locales else negotiate((default,), self.locales)
        if source not in self._texts:
            self._texts[source] = Texts.read(self._folder / "locales" / f"{source}.toml")
        return own.over(Texts(locale, self._texts[source].tables))

    @cached_property
    def _defaults(self) -> Mapping[str, Any]:
        return tomllib.loads((self._folder / "brand.toml").read_text("utf-8"))

    def _load(self, name: str) -> str | None:
        path = self._folder / name
        return path.read_text("utf-8") if TEMPLATE_NAME.fullmatch(name) and path.is_file() else None


def _what_is_wrong(body: str, view: Mapping[str, Any]) -> str:
    """Tell why what a tenant's template made cannot be sent: nobody can use a code mail without its code."""
    if len(body) > HTML_LENGTH:
        return f"makes a mail longer than {HTML_LENGTH} characters"
    shown = unescape(body).replace(view["preheader"], "", 1)  # which nobody sees once the mail is open
    if view["code"]:
        return "" if view["code"]["text"] in shown else "does not show the code"
    if view["button"]:
        return "" if view["button"]["url"] in shown else "does not show the link"
    return ""


def _tidy_html(html: str) -> str:
    # minijinja 3.0.5 escapes slashes too, which makes links unreadable in the source and nothing safer.
    return EMPTY_LINES.sub("\n", html.replace("&#x2f;", "/")).strip() + "\n"


def _tidy_text(text: str) -> str:
    return BLANK_LINES.sub("\n\n", text).strip() + "\n"


def _headers(message: Message) -> dict[str, str]:
    """A machine wrote this (RFC 3834), no holiday notice is wanted back, and no two codes belong into one thread.

    Gmail threads mails of one subject unless this id differs. There is no List-Unsubscribe: one does not subscribe to
    one's own password reset. https://support.google.com/a/answer/81126 asks for it on subscribed mail only (2026-11).
    """
    return {
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "OOF, AutoReply",
        "X-Entity-Ref-ID": message.id,
    }
