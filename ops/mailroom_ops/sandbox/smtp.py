"""An SMTP relay on this machine, on aiosmtpd: every mail into the inbox, faults on demand at any command."""

import asyncio
import email
import email.policy
import logging
import re
import secrets
import socket
import ssl
import threading
from collections import Counter
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from mailroom_ops.sandbox.faults import Fault, Faults, Kind
from mailroom_ops.sandbox.headers import decoded, mailbox
from mailroom_ops.sandbox.inbox import Captured, Inbox
from mailroom_ops.sandbox.provider import UNVERIFIED, captured

__all__ = ["SmtpSandbox"]

NAME = "smtp"
OURS = re.compile(r"X-Mailroom-([A-Za-z-]+)", re.IGNORECASE)
REFUSING = (Kind.STATUS, Kind.REPLY, Kind.RATE_LIMIT, Kind.HANG)
LATE = (Kind.DELAY, Kind.HOLD)

# It writes every command, and so every address and password, at INFO.
logging.getLogger("mail.log").setLevel(logging.ERROR)


class SmtpSandbox:
    """One relay, for the time of a `with` block; `requests` counts the mails that were begun."""

    def __init__(
        self,
        inbox: Inbox | None = None,
        faults: Faults | None = None,
        *,
        port: int = 0,
        tls: str = "none",
        certificate: ssl.SSLContext | None = None,
        utf8: bool = True,
        open_to_all: bool = False,
        size_limit: int = 30_000_000,
    ) -> None:
        self.inbox = inbox or Inbox()
        self.faults = faults or Faults()
        self.tls = tls
        self.certificate = certificate
        self.utf8 = utf8
        self.open_to_all = open_to_all
        self.size_limit = size_limit
        self.login = ("sandbox", secrets.token_hex(8))
        self.requests: Counter[str] = Counter()
        self.connections = 0
        self.commands: list[str] = []
        self.letters: list[bytes] = []  # every mail that came whole, taken or not
        self._open: set[_Conversation] = set()
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port = int(self._socket.getsockname()[1])
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), name="smtp-sandbox", daemon=True)

    def settings(self, provider: str = NAME) -> dict[str, str]:
        """Return what `providers/smtp/…` must hold for the adapter to send here."""
        username, password = self.login
        login = {} if self.open_to_all else {"username": username, "password": password}
        return {"host": "127.0.0.1", "port": str(self.port), "tls": self.tls, **login}

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave as a crashed server does: nobody listens, and every connection ends."""
        self.faults.release()
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def hang_up(self) -> None:
        """Cut every open connection, as a relay does with those that say nothing."""
        done = threading.Event()

        def cut() -> None:
            for conversation in list(self._open):
                conversation.cut()
            self._loop.call_soon(done.set)

        self._loop.call_soon_threadsafe(cut)
        done.wait()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        implicit = self.certificate if self.tls == "implicit" else None
        server = await self._loop.create_server(lambda: _Conversation(self), sock=self._socket, ssl=implicit)
        self._ready.set()
        await self._stop.wait()
        server.close()
        for conversation in list(self._open):
            conversation.cut()


class _Conversation(SMTP):
    """One connection."""

    def __init__(self, sandbox: SmtpSandbox) -> None:
        super().__init__(
            self,
            hostname="sandbox.example",
            data_size_limit=sandbox.size_limit,
            ident="ESMTP",
            enable_SMTPUTF8=sandbox.utf8,
            tls_context=sandbox.certificate if sandbox.tls == "starttls" else None,
            require_starttls=sandbox.tls == "starttls",
            auth_require_tls=False,
            authenticator=self._knows,
            loop=asyncio.get_running_loop(),
        )
        self._sandbox = sandbox
        self._greeted = False
        self._fault: Fault | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self not in self._sandbox._open:
            self._sandbox._open.add(self)
            self._sandbox.connections += 1
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._sandbox._open.discard(self)
        super().connection_lost(error)

    def cut(self) -> None:
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()

    def _knows(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=given == self._sandbox.login, handled=False)

    async def push(self, status: Any) -> None:
        if not self._greeted:
            self._greeted = True
            if await self._struck("connect"):
                return
        await super().push(status)

    async def smtp_EHLO(self, hostname: str) -> None:
        if not await self._struck("ehlo"):
            await super().smtp_EHLO(hostname)

    async def smtp_AUTH(self, arg: str) -> None:
        if not await self._struck("auth"):
            await super().smtp_AUTH(arg)

    async def smtp_MAIL(self, arg: str | None) -> None:
        self._sandbox.requests[NAME] += 1
        if await self._struck("mail"):
            return
        if not (self._sandbox.open_to_all or (self.session and self.session.authenticated)):
            await self.push("530 5.7.0 Authentication required")
            return
        await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str | None) -> None:
        if not await self._struck("rcpt"):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:
        if await self._struck("data"):
            return
        self._fault = self._sandbox.faults.take(NAME)
        if self._fault and self._fault.kind is Kind.RESET_BEFORE_BODY:
            await self.push("354 go on")
            self.cut()
            return
        await super().smtp_DATA(arg)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self._sandbox.letters.append(envelope.original_content or b"")
        if self._fault and self._fault.kind in REFUSING:
            return await self._worded(self._fault)
        if (envelope.mail_from or "").endswith(f"@{UNVERIFIED}"):
            return f"550 The {UNVERIFIED} domain is not verified."
        match self._fault:
            case Fault(Kind.DELAY, seconds=seconds):
                await asyncio.sleep(seconds)
            case Fault(Kind.HOLD):
                await self.loop.run_in_executor(None, self._sandbox.faults.hold)
        mail = _read(envelope)
        self._sandbox.inbox.add(mail)
        if self._fault and self._fault.kind not in LATE:
            return await self._worded(self._fault)
        return f"250 2.0.0 Ok: queued as {mail.id}"

    async def _struck(self, stage: str) -> bool:
        self._sandbox.commands.append(stage)
        fault = self._sandbox.faults.take(NAME, stage)
        if fault:
            await super().push(await self._worded(fault))
        return fault is not None

    async def _worded(self, fault: Fault) -> str:
        match fault:
            case Fault(Kind.STATUS, status=status):
                return f"{status} The sandbox was asked to say this"
            case Fault(Kind.REPLY, status=status, body=body):
                return f"{status} {body}"
            case Fault(Kind.RATE_LIMIT, seconds=seconds):
                return (
                    f"454 4.7.0 Throttling failure: Maximum sending rate exceeded, try again in {seconds:.0f} seconds"
                )
            case Fault(Kind.HANG | Kind.HANG_AFTER_ACCEPT):
                await asyncio.Event().wait()
            case Fault(Kind.RESET_BEFORE_BODY | Kind.RESET_AFTER_ACCEPT):
                self.cut()
                await asyncio.Event().wait()
            case Fault(Kind.FLOOD | Kind.DRIP):
                return "x" * 100_000
        return "It works!"


def _read(envelope: Envelope) -> Captured:
    content = envelope.original_content or b""
    mail = email.message_from_bytes(content, policy=email.policy.default)
    bodies = {kind: mail.get_body((kind,)) for kind in ("plain", "html")}
    text, html = (body.get_content().replace("\r\n", "\n") if body else "" for body in bodies.values())
    # The newer policy puts a space between two encoded words of a name (seen in Python 3.11); the older one does not.
    raw = email.message_from_bytes(content, policy=email.policy.compat32)
    headers = {name: decoded(str(value)) for name, value in raw.items()}
    tags = {found[1].lower().replace("-", "_"): headers[name] for name in headers if (found := OURS.fullmatch(name))}
    return captured(
        NAME,
        tags,
        id_=secrets.token_hex(6).upper(),
        from_=mailbox(str(raw.get("From", ""))),
        to=", ".join(envelope.rcpt_tos),
        reply_to=mailbox(str(raw.get("Reply-To", ""))),
        subject=headers.get("Subject", ""),
        text=text,
        html=html,
        headers=headers,
    )
