"""A Django email backend that sends what Django has rendered through Mailroom. Copy it beside mailroom.py.

    EMAIL_BACKEND = "myproject.mailroom_django.EmailBackend"
    MAILROOM_URL = "https://…"
    MAILROOM_API_KEY = os.environ["MAILROOM_API_KEY"]
    MAILROOM_RENDERED_AUTHORIZATION = os.environ["MAILROOM_RENDERED_AUTHORIZATION"]
    MAILROOM_TENANT = "acme"  # optional

The sender is the tenant's, not Django's. Each recipient gets a mail of its own; attachments are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from .mailroom import Mailroom, MailroomError

__all__ = ["EmailBackend", "mailroom"]


@cache
def mailroom() -> Mailroom:
    """Return the client of the project's settings."""
    return Mailroom(settings.MAILROOM_URL, settings.MAILROOM_API_KEY, tenant=getattr(settings, "MAILROOM_TENANT", None))


class EmailBackend(BaseEmailBackend):
    """Posts each mail to the source `rendered`."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Send mails; return how many were sent to all of their recipients."""
        return sum(map(self._send, email_messages))

    def _send(self, message: EmailMessage) -> bool:
        recipients = message.recipients()
        try:
            if message.attachments:
                raise MailroomError(f"Mailroom sends no attachments: {message.subject!r}.", 0)
            for recipient in recipients:
                mailroom().send_rendered(_mail(message, recipient), settings.MAILROOM_RENDERED_AUTHORIZATION)
        except MailroomError:
            if not self.fail_silently:
                raise
            return False
        return bool(recipients)


def _mail(message: EmailMessage, recipient: str) -> dict[str, str]:
    body = str(message.body)
    contents = {"text/html" if message.content_subtype == "html" else "text/plain": body}
    for content, mimetype in getattr(message, "alternatives", ()):
        contents[mimetype] = str(content)
    mail = {
        "to": recipient,
        "subject": str(message.subject),
        "html": contents.get("text/html", ""),
        "text": contents.get("text/plain", ""),
        "reply_to": message.reply_to[0] if message.reply_to else "",
    }
    return {name: value for name, value in mail.items() if value}
