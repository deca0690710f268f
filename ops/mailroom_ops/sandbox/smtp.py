"""An SMTP relay on loopback, with aiosmtpd: it puts mail into the inbox, and injects faults at any command."""

import asyncio
import email
import email.policy
import logging
import re
import secrets
import socket
import ssl
import threading
from base64 import b64decode, b64encode
from collections import Counter
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from mailroom_ops.sandbox.faults import Fault, Faults, Kind
from mailroom_ops.sandbox.headers import decoded, mailbox
from mailroom_ops.sandbox.inbox import Captured, Inbox
from mailroom_ops.sandbox.oauth import TokenServer
from mailroom_ops.sandbox.provider import UNVERIFIED, captured_mail

__all__ = ["SmtpSandbox"]

NAME = "smtp"
TAG_HEADER = re.compile(r"X-Mailroom-([A-Za-z-]+)", re.IGNORECASE)
REFUSALS = (Kind.STATUS, Kind.REPLY, Kind.RATE_LIMIT, Kind.HANG)
DELAYS = (Kind.DELAY, Kind.HOLD)
MAX_AUTH_LENGTH = 12288  # https://www.rfc-editor.org/rfc/rfc4954#section-4

# aiosmtpd logs every command at INFO, with addresses and passwords.
logging.getLogger("mail.log").setLevel(logging.ERROR)


class SmtpSandbox:
    """A relay that runs within a `with` block; `requests` counts MAIL commands."""

    def __init__(
        self,
        inbox: Inbox | None = None,
        faults: Faults | None = None,
        *,
        port: int = 0,
        tls: str = "none",
        certificate: ssl.SSLContext | None = None,
        utf8: bool = True,
        allow_anonymous: bool = False,
        size_limit: int = 30_000_000,
        pipelining: bool = True,
        tokens: TokenServer | None = None,
    ) -> None:
        self.inbox = inbox or Inbox()
        self.faults = faults or Faults()
        self.tls = tls
        self.certificate = certificate
        self.utf8 = utf8
        self.allow_anonymous = allow_anonymous
        self.size_limit = size_limit
        self.pipelining = pipelining
        self.login = ("sandbox", secrets.token_hex(8))
        self.tokens = tokens  # whose tokens log in, in place of the password
        self.requests: Counter[str] = Counter()
        self.connections = 0
        self.commands: list[str] = []
        self.contents: list[bytes] = []  # of every mail that arrived completely, accepted or not
        self._open: set[_Connection] = set()
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port = int(self._socket.getsockname()[1])
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), name="smtp-sandbox", daemon=True)

    def settings(self, provider: str = NAME) -> dict[str, str]:
        """Return the settings below `providers/smtp/` with which Mailroom sends to this relay."""
        username, password = self.login
        if self.tokens:
            own = {"host": "127.0.0.1", "port": str(self.port), "tls": self.tls}
            return own | {"username": username, "oauth": self.tokens.setting()}
        login = {} if self.allow_anonymous else {"username": username, "password": password}
        return {"host": "127.0.0.1", "port": str(self.port), "tls": self.tls, **login}

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop as a crashed server does: the port is closed, and all connections are cut."""
        self.faults.release()
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def drop_connections(self) -> None:
        """Close all open connections, as a relay does with idle ones."""
        done = threading.Event()

        def cut() -> None:
            for connection in list(self._open):
                connection.cut()
            self._loop.call_soon(done.set)

        self._loop.call_soon_threadsafe(cut)
        done.wait()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        implicit = self.certificate if self.tls == "implicit" else None
        server = await self._loop.create_server(lambda: _Connection(self), sock=self._socket, ssl=implicit)
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in list(self._open):
            connection.cut()


class _Connection(SMTP):
    """A connection of a client."""

    def __init__(self, sandbox: SmtpSandbox) -> None:
        if sandbox.tokens:
            self.line_length_limit = MAX_AUTH_LENGTH
        super().__init__(
            self,
            hostname="sandbox.example",
            data_size_limit=sandbox.size_limit,
            ident="ESMTP",
            enable_SMTPUTF8=sandbox.utf8,
            tls_context=sandbox.certificate if sandbox.tls == "starttls" else None,
            require_starttls=sandbox.tls == "starttls",
            auth_require_tls=False,
            authenticator=self._authenticate_login,
            auth_exclude_mechanism=["LOGIN", "PLAIN"] if sandbox.tokens else ["XOAUTH2"],
            loop=asyncio.get_running_loop(),
        )
        self.command_size_limits["AUTH"] = MAX_AUTH_LENGTH
        self._sandbox = sandbox
        self._greeted = False
        self._fault: Fault | None = None
        self._replies: list[str] = []  # to commands that arrived together, except the last

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self not in self._sandbox._open:
            self._sandbox._open.add(self)
            self._sandbox.connections += 1
            # asyncio does it only for a socket that it has opened itself. Without it, the second of three replies to
            # pipelined commands waits 40 ms for the client's delayed acknowledgment of the first.
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._sandbox._open.discard(self)
        super().connection_lost(error)

    def cut(self) -> None:
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()

    def _authenticate_login(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        login = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=login == self._sandbox.login, handled=False)

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:
        """Accept a token, or send the challenge that comes before Exchange's refusal."""
        fields = b64decode(args[1]).decode().split("\x01")
        pairs = dict(field.split("=", 1) for field in fields if "=" in field)
        token = pairs.get("auth", "").removeprefix("Bearer ")
        if self._sandbox.tokens and pairs.get("user") == self._sandbox.login[0] and self._sandbox.tokens.accepts(token):
            return AuthResult(success=True, handled=False)
        challenge = b64encode(b'{"status":"401","schemes":"Bearer","scope":"https://outlook.office.com/"}').decode()
        await self.push(f"334 {challenge}")
        await self._reader.readline()
        return AuthResult(success=False, handled=False, message="535 5.7.3 Authentication unsuccessful")

    async def push(self, status: Any) -> None:
        if not self._greeted:
            self._greeted = True
            if await self._fails_at("connect"):
                return
        self._replies.append(status if isinstance(status, str) else status.decode())
        # As relays do: the replies to pipelined commands leave together (RFC 2920, 3.2).
        if not (self._sandbox.pipelining and b"\n" in self._reader._buffer):  # type: ignore[attr-defined]
            await self._flush()

    async def _flush(self) -> None:
        replies, self._replies = self._replies, []
        if replies:
            await super().push("\r\n".join(replies))

    async def smtp_EHLO(self, hostname: str) -> None:
        if not await self._fails_at("ehlo"):
            await super().smtp_EHLO(hostname)

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:1], *(["250-PIPELINING"] if self._sandbox.pipelining else []), *responses[1:]]

    async def smtp_AUTH(self, arg: str) -> None:
        if not await self._fails_at("auth"):
            await super().smtp_AUTH(arg)

    async def smtp_MAIL(self, arg: str | None) -> None:
        self._sandbox.requests[NAME] += 1
        if await self._fails_at("mail"):
            return
        if not (self._sandbox.allow_anonymous or (self.session and self.session.authenticated)):
            await self.push("530 5.7.0 Authentication required")
            return
        await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str | None) -> None:
        if not await self._fails_at("rcpt"):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:
        if await self._fails_at("data"):
            return
        self._fault = self._sandbox.faults.take(NAME)
        if self._fault and self._fault.kind is Kind.RESET_BEFORE_BODY:
            await self.push("354 go on")
            self.cut()
            return
        await super().smtp_DATA(arg)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self._sandbox.contents.append(envelope.original_content or b"")
        if self._fault and self._fault.kind in REFUSALS:
            return await self._fault_reply(self._fault)
        if (envelope.mail_from or "").endswith(f"@{UNVERIFIED}"):
            return f"550 The {UNVERIFIED} domain is not verified."
        match self._fault:
            case Fault(Kind.DELAY, seconds=seconds):
                await asyncio.sleep(seconds)
            case Fault(Kind.HOLD):
                await self.loop.run_in_executor(None, self._sandbox.faults.hold)
        mail = _read(envelope)
        self._sandbox.inbox.add(mail)
        if self._fault and self._fault.kind not in DELAYS:
            return await self._fault_reply(self._fault)
        return f"250 2.0.0 Ok: queued as {mail.id}"

    async def _fails_at(self, stage: str) -> bool:
        self._sandbox.commands.append(stage)
        fault = self._sandbox.faults.take(NAME, stage)
        if fault:
            await self._flush()
            await super().push(await self._fault_reply(fault))
        return fault is not None

    async def _fault_reply(self, fault: Fault) -> str:
        match fault:
            case Fault(Kind.STATUS, status=status):
                return f"{status} This error was requested from the sandbox"
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
    tags = {
        match[1].lower().replace("-", "_"): headers[name] for name in headers if (match := TAG_HEADER.fullmatch(name))
    }
    images = {
        str(part["Content-ID"])[1:-1]: f"data:{part.get_content_type()};base64,{b64encode(part.get_content()).decode()}"
        for part in mail.walk()
        if part.get_content_maintype() == "image"
    }
    return captured_mail(
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
        images=images,
    )
