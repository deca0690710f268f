"""Any SMTP relay, with the standard library: https://www.rfc-editor.org/rfc/rfc5321"""

import re
import smtplib
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.providers import ProviderSpec, Receipt
from mailroom.providers._address import wire_address
from mailroom.providers._client import LOOPBACK
from mailroom.providers._mime import compose
from mailroom.providers._smtp_relay import Relay, Tls
from mailroom.providers._smtp_replies import error_of_reply, relay_id
from mailroom.providers._tags import ascii_tag

if TYPE_CHECKING:
    from mailroom.providers._smtp_oauth import OAuthClient, Token, TokenSource

__all__ = ["PROVIDER", "REPLY_TIMEOUT_SECONDS", "Smtp"]

PARTY = "smtp"
DATA = "DATA"
CONNECT_TIMEOUT_SECONDS = 3.0  # also for each reply up to the login
REPLY_TIMEOUT_SECONDS = 6.0
# SES closes an idle connection after some ten seconds, with a 451 that looks like an answer to the next mail
# (https://github.com/knadh/listmonk/issues/81, 2020); other relays wait for minutes.
MAX_IDLE_SECONDS = 8.0

RESEND = re.compile(r"smtp\.resend\.com", re.IGNORECASE)
SES = re.compile(r"email-smtp(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?", re.IGNORECASE)


class Smtp:
    """Idempotent only at Resend. Keeps connections open between mails, but not after an error or a long pause."""

    name: ClassVar = PARTY

    def __init__(
        self,
        relay: Relay,
        *,
        connect_timeout: float = CONNECT_TIMEOUT_SECONDS,
        timeout: float = REPLY_TIMEOUT_SECONDS,
    ) -> None:
        self._relay = relay
        self._tls = relay.context()
        self._connect_timeout = connect_timeout
        self.timeout = timeout
        self._idle: list[tuple[float, smtplib.SMTP]] = []
        self._tokens = _token_source(relay.oauth) if relay.oauth else None
        self.idempotent = bool(RESEND.fullmatch(relay.host))
        self._is_ses = bool(SES.fullmatch(relay.host))

    @classmethod
    def from_settings(cls, values: Mapping[str, str], account: str = name) -> "Smtp":
        return cls(Relay.from_settings(values, account))

    def send(self, email: Email, key: str) -> Receipt:
        email = _with_wire_addresses(email)
        content = compose(email, key, self._extra_headers(email, key))
        smtp = self._begin(email, len(content))
        is_pipelined = smtp.has_extn("pipelining")
        try:
            _command(smtp, email, "rcpt", "" if is_pipelined else _rcpt(email), 250, 251)
            _command(smtp, email, "data", "" if is_pipelined else DATA, 354)
            reply = _send_content(smtp, email, content)
        except DeliveryError:
            _close(smtp)
            raise
        self._idle.append((time.time(), smtp))
        return Receipt(relay_id(reply, email))

    def close(self) -> None:
        while self._idle:
            _close(self._idle.pop()[1])

    def _begin(self, email: Email, size: int) -> smtplib.SMTP:
        """Return a connection on which the relay has accepted MAIL FROM, and has the rest of the envelope if it may."""
        if smtp := self._idle_connection():
            try:
                return _mail_from(smtp, email, size)
            except DeliveryError:
                # The reply may be older than the command, and nothing of this mail has been sent yet.
                _close(smtp)
        smtp = self._connect(email)
        try:
            return _mail_from(smtp, email, size)
        except DeliveryError:
            _close(smtp)
            raise

    def _idle_connection(self) -> smtplib.SMTP | None:
        # Several threads may send through one adapter; list.pop is atomic.
        with suppress(IndexError):
            while True:
                since, smtp = self._idle.pop()
                if 0 <= time.time() - since < MAX_IDLE_SECONDS:
                    return smtp
                _close(smtp)
        return None

    def _connect(self, email: Email) -> smtplib.SMTP:
        relay, name = self._relay, self._relay.ehlo_name or email.from_.address.rpartition("@")[2]
        token = self._tokens.token() if self._tokens else None  # first, so that no connection waits for it
        with _Stage("connect", email):
            if relay.tls is Tls.IMPLICIT:
                smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                    relay.host, relay.port, name, timeout=self._connect_timeout, context=self._tls
                )
            else:
                smtp = smtplib.SMTP(relay.host, relay.port, name, timeout=self._connect_timeout)
        try:
            self._greet(smtp, email, token)
        except DeliveryError:
            _close(smtp)
            raise
        if smtp.sock:
            smtp.sock.settimeout(self.timeout)
        return smtp

    def _greet(self, smtp: smtplib.SMTP, email: Email, token: "Token | None") -> None:
        relay = self._relay
        with _Stage("ehlo", email):
            smtp.ehlo_or_helo_if_needed()
        has_starttls = smtp.has_extn("starttls")
        # A password is never sent in the clear unless the operator has set `none`.
        if not has_starttls and (relay.tls is Tls.STARTTLS or (relay.tls is Tls.OPPORTUNISTIC and relay.username)):
            hint = "it offers no STARTTLS: set tls to implicit, or to none in a network of your own"
            raise ConfigurationError(PARTY, "no_tls", hint)
        if has_starttls and relay.tls in (Tls.STARTTLS, Tls.OPPORTUNISTIC):
            with _Stage("tls", email):
                smtp.starttls(context=self._tls)
                smtp.ehlo_or_helo_if_needed()
        if token:
            self._log_in_with(token, smtp, email)
        elif relay.username:
            with _Stage("auth", email):
                smtp.login(relay.username, relay.password)

    def _log_in_with(self, token: "Token", smtp: smtplib.SMTP, email: Email) -> None:
        """Log in by XOAUTH2. A cached token that is refused, such as a revoked one, is replaced once."""
        from mailroom.providers._smtp_oauth import authenticate

        if "XOAUTH2" not in smtp.esmtp_features.get("auth", "").upper().split():
            raise ConfigurationError(PARTY, "no_login", "it does not offer XOAUTH2: use username and password")
        with _Stage("auth", email):
            code, reply = authenticate(smtp, self._relay.username, token.value)
        if code == 535 and not token.is_new and self._tokens:
            self._tokens.forget(token)
            token = self._tokens.token()
            with _Stage("auth", email):
                code, reply = authenticate(smtp, self._relay.username, token.value)
        if code != 235:
            raise error_of_reply("auth", code, reply, email)

    def _extra_headers(self, email: Email, key: str) -> dict[str, str]:
        # https://resend.com/docs/dashboard/emails/idempotency-keys
        if self.idempotent:
            return {"Resend-Idempotency-Key": key}
        # https://docs.aws.amazon.com/ses/latest/dg/event-publishing-send-email.html
        if self._is_ses:
            tags = ", ".join(f"{ascii_tag(name)}={ascii_tag(value)}" for name, value in email.tags.items() if value)
            headers = {"X-SES-CONFIGURATION-SET": self._relay.configuration_set, "X-SES-MESSAGE-TAGS": tags}
            return {name: value for name, value in headers.items() if value}
        # Readers do not see a tenant's internal name; a relay on this machine, such as that of the local stack, may.
        return {"X-Mailroom-Tenant": email.tags.get("tenant", "")} if self._relay.host in LOOPBACK else {}


def _token_source(client: "OAuthClient") -> "TokenSource":
    from mailroom.providers._smtp_oauth import TokenSource  # only where it is set

    return TokenSource(client)


def _with_wire_addresses(email: Email) -> Email:
    def wire(mailbox: Mailbox) -> Mailbox:
        return replace(mailbox, address=wire_address(PARTY, mailbox.address))

    to, reply_to = wire_address(PARTY, email.to), email.reply_to
    if to == email.to and all(
        wire_address(PARTY, box.address) == box.address for box in (email.from_, reply_to) if box
    ):
        return email  # as nearly always
    return replace(email, from_=wire(email.from_), to=to, reply_to=wire(reply_to) if reply_to else None)


def _mail_from(smtp: smtplib.SMTP, email: Email, size: int) -> smtplib.SMTP:
    options = f" SIZE={size}" if smtp.has_extn("size") else ""
    senders = email.from_.address + (email.reply_to.address if email.reply_to else "")
    if not (senders + email.to).isascii():
        if not smtp.has_extn("smtputf8"):
            kind = PermanentFailure if senders.isascii() else ConfigurationError
            raise kind(PARTY, "non_ascii_address", "this relay takes only ASCII before the @ (it has no SMTPUTF8)")
        smtp.command_encoding = "utf-8"
        options += " SMTPUTF8 BODY=8BITMIME"
    mail = f"MAIL FROM:<{email.from_.address}>{options}"
    if smtp.has_extn("pipelining"):
        # One round trip instead of three: https://www.rfc-editor.org/rfc/rfc2920. If the relay refuses one command and
        # takes the others, the connection is closed before any content, and so nothing is sent.
        with _Stage("mail", email):
            smtp.send(f"{mail}\r\n{_rcpt(email)}\r\n{DATA}\r\n")
        mail = ""
    _command(smtp, email, "mail", mail, 250)
    return smtp


def _rcpt(email: Email) -> str:
    return f"RCPT TO:<{email.to}>"


def _command(smtp: smtplib.SMTP, email: Email, stage: str, command: str, *expected: int) -> None:
    """Send a command, unless it was sent before, and raise an error unless its reply is an expected one."""
    with _Stage(stage, email):
        code, reply = smtp.docmd(command) if command else smtp.getreply()
    if code not in expected:
        raise error_of_reply(stage, code, reply, email)


def _send_content(smtp: smtplib.SMTP, email: Email, content: bytes) -> bytes:
    """Send the mail and return the reply. Until the final dot is written, the relay cannot have taken the mail."""
    end = b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n"
    with _Stage("data", email):
        smtp.send(content.replace(b"\n.", b"\n..") + end)
    with _Stage("answer", email, without_reply=UnknownOutcome):
        code, reply = smtp.getreply()
    if not 200 <= code < 300:
        raise error_of_reply("answer", code, reply, email)
    return reply


class _Stage:
    """Raises the error that a failure of smtplib means at a stage, without its cause, which contains the reply.

    A class, because a generator takes longer than the stage of a mail that has no error.
    """

    __slots__ = ("_email", "_stage", "_without_reply")

    def __init__(self, stage: str, email: Email, without_reply: type[DeliveryError] = TemporaryFailure) -> None:
        self._stage = stage
        self._email = email
        self._without_reply = without_reply

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error and isinstance(error, OSError):  # as those of smtplib and of TLS are, too
            raise self._meaning(error) from None

    def _meaning(self, error: OSError) -> DeliveryError:
        match error:
            case smtplib.SMTPResponseException():
                # smtplib's own text about a reply, such as that it is too long, is a str.
                reply = error.smtp_error
                code, text = (error.smtp_code, reply) if isinstance(reply, bytes) else (-1, b"")
                return error_of_reply(self._stage, code, text, self._email)
            case smtplib.SMTPServerDisconnected():
                return self._without_reply(PARTY, "no_answer", f"the connection was lost at {self._stage}")
            case smtplib.SMTPException():
                return ConfigurationError(PARTY, "no_login", "it offers no login method that we support")
            case ssl.SSLCertVerificationError():
                hint = f"{error.verify_message}: set ca if the authority is your own"
                return ConfigurationError(PARTY, "bad_certificate", hint)
            case ssl.SSLError() if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
                hint = "this port does not start with TLS: set tls to starttls"
                return ConfigurationError(PARTY, "no_tls", hint)
            case ssl.SSLError():
                return TemporaryFailure(PARTY, "unreachable", f"TLS failed: {error.reason}")
        return TemporaryFailure(PARTY, "unreachable", type(error).__name__)


def _close(smtp: smtplib.SMTP) -> None:
    """Send QUIT and close the connection without waiting for the reply."""
    with suppress(OSError):
        smtp.putcmd("QUIT")
    smtp.close()


PROVIDER = ProviderSpec(
    create=Smtp.from_settings,
    required=("host",),
    optional=("port", "username", "password", "oauth", "tls", "ca", "ehlo_name", "configuration_set"),
    secrets=("password", "oauth"),
    # Postfix takes 50 connections of a client (smtpd_client_connection_count_limit), and twenty processes may be one.
    max_parallel=2,
    inline_images=True,
)
