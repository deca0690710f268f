"""The rendered email, made once per message so that every retry is byte-identical."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mailroom.model.json_fields import ADDED_LATER
from mailroom.model.mailbox import Mailbox

__all__ = ["Email", "InlineImage"]


@dataclass(frozen=True, slots=True)
class InlineImage:
    """A picture inside a mail, to which its HTML refers as `cid:` and `cid`. `content` is base64, as most APIs take it.

    `url` is the same picture on the web, empty without one.
    """

    cid: str
    type: str
    content: str
    url: str = ""

    @property
    def name(self) -> str:
        """The name of its file."""
        return self.cid.partition("@")[0]


@dataclass(frozen=True, slots=True)
class Email:
    """A mail as it is handed to a provider. The provider's events return its `tags`, which have our ids."""

    from_: Mailbox
    to: str
    subject: str
    html: str
    text: str
    reply_to: Mailbox | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    locale: str = "en"
    images: tuple[InlineImage, ...] = field(default=(), metadata=ADDED_LATER)

    @property
    def with_remote_images(self) -> "Email":
        """The mail for a provider that takes no pictures: its HTML refers to those on the web."""
        if not self.images:
            return self
        from html import escape  # no other mail needs its tables

        html = self.html
        for image in self.images:
            html = html.replace(f"cid:{image.cid}", escape(image.url or image.name))
        return replace(self, html=html, images=())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Email":
        reply_to = values["reply_to"]
        mailboxes = {"from_": Mailbox(**values["from_"]), "reply_to": Mailbox(**reply_to) if reply_to else None}
        images = tuple(InlineImage(**image) for image in values.get("images", ()))
        return cls(**{**values, **mailboxes, "images": images})
