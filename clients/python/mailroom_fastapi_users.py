"""A user manager of FastAPI Users that sends its mails through Mailroom. Copy it beside mailroom.py.

    class UserManager(UUIDIDMixin, MailroomUserManager[User, uuid.UUID]):
        mailroom = Mailroom(os.environ["MAILROOM_URL"], os.environ["MAILROOM_API_KEY"])
        verification_url = "https://app.example.com/verify?token={token}"
        reset_password_url = "https://app.example.com/reset-password?token={token}"

The URLs are pages of your app. A mail is sent before the answer: an error of Mailroom is one of the request.
"""

from __future__ import annotations

import re
from typing import Any

from fastapi import Request
from fastapi_users import BaseUserManager, models

from .mailroom import Mailroom

__all__ = ["MailroomUserManager"]

TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


class MailroomUserManager(BaseUserManager[models.UP, models.ID]):
    """Sends verification and reset links, and notices about a new password."""

    mailroom: Mailroom
    verification_url: str
    reset_password_url: str

    async def on_after_register(self, user: models.UP, request: Request | None = None) -> None:
        await self.request_verify(user, request)

    async def on_after_request_verify(self, user: models.UP, token: str, request: Request | None = None) -> None:
        link = self.verification_url.format(token=token)
        await self._send("email-confirmation", user, request, {"link": link}, self.verification_token_lifetime_seconds)

    async def on_after_forgot_password(self, user: models.UP, token: str, request: Request | None = None) -> None:
        link = self.reset_password_url.format(token=token)
        await self._send("password-reset", user, request, {"link": link}, self.reset_password_token_lifetime_seconds)

    async def on_after_reset_password(self, user: models.UP, request: Request | None = None) -> None:
        await self._send("security-notice", user, request, {"event": "password-changed"})

    async def on_after_update(
        self, user: models.UP, update_dict: dict[str, Any], request: Request | None = None
    ) -> None:
        if "email" in update_dict:  # `user.email` is the new one already, and not verified
            await self.request_verify(user, request)
        if "password" in update_dict:
            await self._send("security-notice", user, request, {"event": "password-changed"})

    async def _send(
        self,
        kind: str,
        user: models.UP,
        request: Request | None,
        data: dict[str, Any],
        expires_in: float | None = None,
    ) -> None:
        header = request.headers.get("accept-language", "") if request else ""
        tags = [tag for part in header.split(",") if TAG.fullmatch(tag := part.partition(";")[0].strip())]
        await self.mailroom.send_async(kind, user.email, data, locale=tags[:20] or None, expires_in=expires_in)
