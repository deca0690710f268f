"""A sender: who a tenant's mail is from, and the providers it leaves through, in order."""

from dataclasses import dataclass

from mailroom.model.mailbox import Mailbox

__all__ = ["Sender"]


@dataclass(frozen=True, slots=True)
class Sender:
    """From, Reply-To and the provider chain of a tenant and purpose."""

    from_: Mailbox
    reply_to: Mailbox | None = None
    providers: tuple[str, ...] = ()
    default_locale: str = "en"
