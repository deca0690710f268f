"""The rendered email, made once per message so that every retry is byte-identical."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mailroom.model.mailbox import Mailbox

__all__ = ["Email"]


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

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Email":
        reply_to = values["reply_to"]
        mailboxes = {"from_": Mailbox(**values["from_"]), "reply_to": Mailbox(**reply_to) if reply_to else None}
        return cls(**{**values, **mailboxes})
