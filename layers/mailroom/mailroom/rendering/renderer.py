"""Rendering of a Message into an Email: language, brand, and the built-in templates or the tenant's own."""

import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import unescape
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from minijinja import Environment, TemplateError

from mailroom.errors import ConfigurationError
from mailroom.model.content import Content
from mailroom.model.email import Email, InlineImage
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import Mailbox, clean_name
from mailroom.model.message import Message
from mailroom.model.sender import Sender
from mailroom.rendering import logto_paths, template_policy
from mailroom.rendering.brand import Brand
from mailroom.rendering.context import build_context, builtin_kind, caller_links
from mailroom.rendering.locales import negotiate
from mailroom.rendering.template_policy import RenderingError
from mailroom.rendering.tenant_templates import TenantTemplates, read_files
from mailroom.rendering.texts import Texts, parse_file

if TYPE_CHECKING:
    from mailroom.rendering.link_page import LinkPage

__all__ = ["Rendered", "Renderer"]

BLANK_LINES = re.compile(r"\n{3,}")
TAGS = re.compile(r"<[^<>]*>")
EMPTY_LINES = re.compile(r"\n\s*\n")
TEMPLATE_PLACE = r"(?m)^.*\(in ([a-z0-9/.-]+):(\d+)\)$"
TEMPLATE_NAME = re.compile(r"[a-z0-9-]+(/[a-z0-9-]+)?\.(html|txt)")
TENANT_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
MAX_CACHED_TENANTS = 16
MAX_EPOCH_SECONDS = 4102444800.0  # the year 2100: a later time is malformed
MAX_HTML_LENGTH = 100_000  # Gmail cuts a mail off at 102 kB
BUILT_IN_ONLY = TenantTemplates()
# Errors that a tenant's texts could cause in spite of all checks.
TEXT_ERRORS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Rendered:
    """An Email, and the problems of the tenant's own templates: each one sentence for an alarm."""

    email: Email
    problems: tuple[str, ...] = ()


class Renderer:
    """Renders with the templates of one folder; made once a process, it reads each file when it is first needed."""

    def __init__(self, templates_dir: Path) -> None:
        # minijinja calls Python while it holds a lock of its own: a second thread would wait for it with Python's.
        self._lock = RLock()
        self._folder = templates_dir
        self._texts: dict[str, Texts] = {}
        self._tenants: dict[Any, tuple[TenantTemplates, Environment]] = {}
        self._engine = Environment(
            loader=self._load, undefined_behavior="strict", trim_blocks=True, lstrip_blocks=True, debug=False
        )

    def render(
        self,
        message: Message,
        sender: Sender,
        brand: Mapping[str, str],
        overrides: Mapping[str, str] | None = None,
    ) -> Email:
        """Return the Email for a message."""
        return self.compose(message, sender, brand, overrides).email

    def compose(
        self,
        message: Message,
        sender: Sender,
        brand: Mapping[str, str],
        overrides: Mapping[str, str] | None = None,
    ) -> Rendered:
        """Return the Email for a message, and the problems of the tenant's templates, where built-in ones were used.

        `overrides` are files of the tenant by name (see tenant_templates.py), in place of those of the same name in
        the folder tenants/<tenant>.
        """
        if message.content:
            return Rendered(self._envelope(message, message.content, sender, brand))
        with self._lock:
            return self._compose_safely(message, sender, brand, overrides)

    def _compose_safely(
        self, message: Message, sender: Sender, brand: Mapping[str, str], overrides: Mapping[str, str] | None
    ) -> Rendered:
        own, engine = self._tenant(message.tenant, overrides)
        try:
            return self._compose(message, sender, brand, own, engine)
        except TEXT_ERRORS as error:
            if own is BUILT_IN_ONLY:
                raise
            # Not the error's text, which could quote the mail.
            problem = f"own texts: {type(error).__name__}; the built-in texts and templates were used"
            email = self._compose(message, sender, brand, BUILT_IN_ONLY, self._engine).email
            return Rendered(email, (*own.problems, problem))

    def has_templates(self, tenant: str) -> bool:
        """Return whether a tenant has templates or texts of its own."""
        return tenant in self._tenant_folders

    def own_kinds(self, tenant: str, overrides: Mapping[str, str] | None = None) -> frozenset[str]:
        """Return the kinds for which a tenant has a template or texts of its own."""
        return self._tenant(tenant, overrides)[0].kinds

    @cached_property
    def _tenant_folders(self) -> frozenset[str]:
        folders = (path for path in self._folder.glob("tenants/*") if path.is_dir())
        return frozenset(path.name for path in folders if TENANT_NAME.fullmatch(path.name))

    @cached_property
    def locales(self) -> tuple[str, ...]:
        """The tags of the built-in languages."""
        return tuple(sorted(path.stem for path in (self._folder / "locales").glob("*.toml")))

    def _compose(
        self,
        message: Message,
        sender: Sender,
        brand: Mapping[str, str],
        own: TenantTemplates,
        engine: Environment,
    ) -> Rendered:
        texts = self._texts_for(message, sender.default_locale, own)
        merged = self._brand(message, sender, brand)
        page = _link_page(brand, message.tenant)
        payload = {path: logto_paths.read(message.data, path) for path in own.payload_paths}
        problems = [*own.problems]
        images: tuple[InlineImage, ...] = ()
        if own.logos and brand.get("inline_logo") == "true":
            from mailroom.rendering.inline_logos import place_logos  # only where a tenant has them

            merged, images = place_logos(merged, own.logos)
        if page:
            links = caller_links(message.data)
            wrapped = {link: page.wrap(link, texts.locale) for link in links}
            payload = {path: wrapped.get(value, value) for path, value in payload.items()}
            problems += page.problems(links)
        context = build_context(message, texts, merged, payload, page)
        html = "" if merged.text_only else self._body(message, context, "html", own, engine, problems)
        text = self._body(message, context, "txt", own, engine, problems)
        email = Email(
            from_=_from(sender, merged),
            to=message.to,
            subject=context["subject"],
            html=_tidy_html(html) if html else "",
            text=_tidy_text(text),
            reply_to=sender.reply_to,
            headers=_headers(message, (context["unsubscribe"] or {}).get("url", "")),
            tags=_tags(message),
            locale=texts.locale,
            images=tuple(image for image in images if f"cid:{image.cid}" in html),
        )
        return Rendered(email, tuple(problems))

    def _envelope(self, message: Message, content: Content, sender: Sender, brand: Mapping[str, str]) -> Email:
        """Return the Email for content that its caller rendered: not a byte of it changes."""
        locale = message.locales[0].replace("_", "-") if message.locales else sender.default_locale
        return Email(
            from_=_from(sender, self._brand(message, sender, brand)),
            to=message.to,
            subject=content.subject,
            html=content.html,
            text=content.text,
            reply_to=content.reply_to or sender.reply_to,
            headers=_headers(message),
            tags=_tags(message),
            locale=locale,
        )

    def _brand(self, message: Message, sender: Sender, settings: Mapping[str, str]) -> Brand:
        return Brand.of(settings, message.brand, self._defaults, sender.from_.name or _domain(sender))

    def _body(
        self,
        message: Message,
        context: Mapping[str, Any],
        extension: str,
        own: TenantTemplates,
        engine: Environment,
        problems: list[str],
    ) -> str:
        built_in = f"emails/{builtin_kind(message)}.{extension}"
        if own.templates:
            name = own.body(message.kind, context["lang"], extension) or built_in
            try:
                body = template_policy.render(engine, name, context)
                _check_body(name, body, context)
            except RenderingError as error:
                problems.append(f"{error}; the built-in template was used")
            else:
                return body
        try:
            return self._engine.render_template(built_in, **context)
        except TemplateError as error:
            # Not the error's text, which could quote the mail. The innermost file comes last, after those including it.
            places = re.findall(TEMPLATE_PLACE, str(error)) or [(error.name or built_in, error.line)]
            place = "{}, line {}: cannot be rendered".format(*places[-1])
            raise ConfigurationError("templates", "malformed", place) from error

    def _tenant(self, tenant: str, overrides: Mapping[str, str] | None) -> tuple[TenantTemplates, Environment]:
        has_folder = self.has_templates(tenant)
        if not (overrides or has_folder):
            return BUILT_IN_ONLY, self._engine
        key = (tenant, frozenset(overrides.items()) if overrides else None)
        if key not in self._tenants:
            files = read_files(self._tenant_folder(tenant)) if has_folder else {}
            own = TenantTemplates.of({**files, **(overrides or {})})
            engine = template_policy.environment(lambda name: own.templates.get(name) or self._load(name))
            if len(self._tenants) >= MAX_CACHED_TENANTS:
                del self._tenants[next(iter(self._tenants))]
            self._tenants[key] = own, engine
        return self._tenants[key]

    def _tenant_folder(self, tenant: str) -> Path:
        return self._folder / "tenants" / tenant

    def _texts_for(self, message: Message, default: str, own: TenantTemplates) -> Texts:
        locale = negotiate(message.locales, {*self.locales, *own.locales(message.kind)}, default)
        built_in = locale if locale in self.locales else negotiate((default,), self.locales)
        if built_in not in self._texts:
            self._texts[built_in] = Texts.read(self._folder / "locales" / f"{built_in}.toml")
        return own.merge_into(Texts(locale, self._texts[built_in].tables))

    @cached_property
    def _defaults(self) -> Mapping[str, Any]:
        return parse_file(self._folder / "brand.toml")

    def _load(self, name: str) -> str | None:
        path = self._folder / name
        return path.read_text("utf-8") if TEMPLATE_NAME.fullmatch(name) and path.is_file() else None


def _link_page(brand: Mapping[str, str], tenant: str) -> "LinkPage | None":
    if not brand.get("link_page"):
        return None
    from mailroom.rendering.link_page import LinkPage  # only where a tenant has one

    return LinkPage.of(brand, tenant)


def _domain(sender: Sender) -> str:
    return sender.from_.address.rpartition("@")[2]


def _from(sender: Sender, brand: Brand) -> Mailbox:
    """Return the sender's mailbox; without a name of its own it has the brand's."""
    name = "" if brand.name == _domain(sender) else clean_name(brand.name)
    return Mailbox(sender.from_.address, sender.from_.name or name)


def _tags(message: Message) -> dict[str, str]:
    return {"message_id": message.id, "tenant": message.tenant, "kind": message.kind}


def _check_body(name: str, body: str, context: Mapping[str, Any]) -> None:
    """Raise RenderingError for a body of no use: too long to be shown, or without its code or link."""
    if len(body) > MAX_HTML_LENGTH:
        raise RenderingError(f"{name}: makes a mail longer than {MAX_HTML_LENGTH} characters")
    shown = unescape(TAGS.sub("", body)) if name.endswith(".html") else body
    shown = shown.replace(context["preheader"], "", 1)  # mail clients hide the preheader in an open mail
    code, button = context["code"], context["button"]
    has_code = code and code["text"] in shown
    has_link = button and button["url"] in unescape(body)
    if (code or button) and not (has_code or has_link):
        raise RenderingError(f"{name}: does not show the {'code' if code else 'link'}")


def _tidy_html(html: str) -> str:
    # minijinja 3.0.5 escapes slashes too, which makes links unreadable in the source and nothing safer.
    return EMPTY_LINES.sub("\n", html.replace("&#x2f;", "/")).strip() + "\n"


def _tidy_text(text: str) -> str:
    return BLANK_LINES.sub("\n\n", text).strip() + "\n"


def _headers(message: Message, unsubscribe_url: str = "") -> dict[str, str]:
    """Return the headers of automatic mail (RFC 3834): no out-of-office replies, and one thread per code.

    Gmail groups mails of one subject unless X-Entity-Ref-ID differs, and counts spam complaints by Feedback-ID
    (https://support.google.com/a/answer/6254652), in which the tenant's name is hashed, because readers see it. Some
    clients mark or remove a mail after Expires (RFC 4021). List-Unsubscribe is for mail that somebody subscribes to:
    https://support.google.com/a/answer/81126 requires it of no other (2026-11).
    """
    tenant = hashlib.sha256(message.tenant.encode()).hexdigest()[:8]
    headers = {
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "OOF, AutoReply",
        "X-Entity-Ref-ID": message.id,
        "Feedback-ID": f"{message.kind}:{tenant}:{message.lane}:mailroom",
    }
    if message.lane is Lane.CODES and 0 < message.expires_at < MAX_EPOCH_SECONDS:
        headers["Expires"] = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(message.expires_at))
    if unsubscribe_url:
        headers["List-Unsubscribe"] = f"<{unsubscribe_url}>"
    if unsubscribe_url.startswith("https:"):
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058 allows it with https only
    return headers
