"""From a Message to an Email: the reader's language, the tenant's brand, our templates or the tenant's own."""

import re
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from minijinja import Environment

from mailroom import foreign
from mailroom.brand import Brand
from mailroom.email import Email
from mailroom.locales import negotiate
from mailroom.mailbox import Mailbox, clean_name
from mailroom.message import Message
from mailroom.sender import Sender
from mailroom.texts import Texts
from mailroom.view import base_kind, view_of

__all__ = ["Renderer"]

BLANK_LINES = re.compile(r"\n{3,}")
EMPTY_LINES = re.compile(r"\n\s*\n")
TEMPLATE_NAME = re.compile(r"[a-z0-9-]+(/[a-z0-9-]+)?\.(html|txt)")


class Renderer:
    """Renders with the templates of one folder; made once a process, it reads each file when it is first needed."""

    def __init__(self, templates_dir: Path) -> None:
        self._folder = templates_dir
        self._texts: dict[str, Texts] = {}
        self._templates = Environment(
            loader=self._load, undefined_behavior="strict", trim_blocks=True, lstrip_blocks=True, debug=False
        )

    def render(
        self, message: Message, sender: Sender, brand: Mapping[str, str], overrides: Mapping[str, str] = {}
    ) -> Email:
        """Return the Email that says `message`, from `sender`, looking like `brand`."""
        texts = self._texts_in(negotiate(message.locales, self.locales, sender.default_locale))
        domain = sender.from_.address.rpartition("@")[2]
        look = Brand.of(brand, message.brand, self._defaults, sender.from_.name or domain)
        view = view_of(message, texts, look)
        kind = base_kind(message)
        name = sender.from_.name or ("" if look.name == domain else clean_name(look.name))
        return Email(
            from_=Mailbox(sender.from_.address, name),
            to=message.to,
            subject=view["subject"],
            html=_tidy_html(self._templates.render_template(f"emails/{kind}.html", **view)),
            text=_tidy_text(self._templates.render_template(f"emails/{kind}.txt", **view)),
            reply_to=sender.reply_to,
            headers=_headers(message),
            tags={"message_id": message.id, "tenant": message.tenant, "kind": message.kind},
            locale=texts.locale,
        )

    @cached_property
    def locales(self) -> tuple[str, ...]:
        """The languages we have, by their tags."""
        return tuple(sorted(path.stem for path in (self._folder / "locales").glob("*.toml")))

    @cached_property
    def _defaults(self) -> Mapping[str, Any]:
        return tomllib.loads((self._folder / "brand.toml").read_text("utf-8"))

    def _texts_in(self, locale: str) -> Texts:
        if locale not in self._texts:
            self._texts[locale] = Texts.read(self._folder / "locales" / f"{locale}.toml")
        return self._texts[locale]

    def _load(self, name: str) -> str | None:
        path = self._folder / name
        return path.read_text("utf-8") if TEMPLATE_NAME.fullmatch(name) and path.is_file() else None


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
