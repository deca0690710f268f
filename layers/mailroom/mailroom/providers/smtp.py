"""Any SMTP relay, spoken to with the standard library: https://www.rfc-editor.org/rfc/rfc5321"""

import re
import smtplib
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import ClassVar

from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.providers import Receipt
from mailroom.providers._address import wire_address
from mailroom.providers._mime import compose
from mailroom.providers._smtp_relay import Relay, Tls
from mailroom.providers._smtp_replies import name_given, refusal

__all__ = ["Smtp"]

PARTY = "smtp"
CONNECT_TIMEOUT = 3.0  # and for each reply until the login is done
REPLY_TIMEOUT = 6.0
# SES hangs up on a connection without use after some ten seconds, with a 451 that looks like an answer to the next mail
# (https://github.com/knadh/listmonk/issues/81, 2020); others wait for minutes.
IDLE = 8.0

RESEND = re.compile(r"smtp\.resend\.com", re.IGNORECASE)
SES = re.compile(r"email-smtp(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?", re.IGNORECASE)


class Smtp:
    """Keeps connections open between mails; one that has carried a refusal, or waited too long, is let go."""

    name: ClassVar = PARTY

    def __init__(
        self, relay: Relay, *, connect_timeout: float = CONNECT_TIMEOUT, timeout: float = REPLY_TIMEOUT
    ) -> None:
        self._relay = relay
        self._tls = relay.context()
        self._connect_timeout = connect_timeout
        self.timeout = timeout
        self._idle: list[tuple[float, smtplib.SMTP]] = []
        self.idempotent = bool(RESEND.fullmatch(relay.host))

    @classmethod
    def from_settings(cls, values: Mapping[str, str]) -> "Smtp":
        return cls(Relay.from_settings(values))

    def send(self, email: Email, key: str) -> Receipt:
        email = _on_the_wire(email)
        letter = compose(email, key, self._extra_headers(email, key))
        smtp = self._begin(email, len(letter))
        try:
            _ask(smtp, "rcpt", f"RCPT TO:<{email.to}>", 250, 251)
            _ask(smtp, "data", "DATA", 354)
            answer = _hand_over(smtp, letter)
        except DeliveryError:
            _hang_up(smtp)
            raise
        self._idle.append((time.time(), smtp))
        return Receipt(name_given(answer))

    def close(self) -> None:
        while self._idle:
            _hang_up(self._idle.pop()[1])

    def _begin(self, email: Email, size: int) -> smtplib.SMTP:
        """Return a connection on which the relay has taken our MAIL FROM."""
        if kept := self._kept():
            try:
                return _mail(kept, email, size)
            except DeliveryError:
                # What we heard may be older than what we asked, and nothing of this mail has left yet.
                _hang_up(kept)
        smtp = self._connect(email.from_.address.rpartition("@")[2])
        try:
            return _mail(smtp, email, size)
        except DeliveryError:
            _hang_up(smtp)
            raise

    def _kept(self) -> smtplib.SMTP | None:
        # Several threads may send through one Smtp; taking the last connection off a list is atomic.
        with suppress(IndexError):
            while True:
                since, smtp = self._idle.pop()
                if 0 <= time.time() - since < IDLE:
                    return smtp
                _hang_up(smtp)
        return None

    def _connect(self, sender_domain: str) -> smtplib.SMTP:
        relay, name = self._relay, self._relay.ehlo_name or sender_domain
        with _stage("connect"):
            if relay.tls is Tls.IMPLICIT:
                smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                    relay.host, relay.port, name, timeout=self._connect_timeout, context=self._tls
                )
            else:
                smtp = smtplib.SMTP(relay.host, relay.port, name, timeout=self._connect_timeout)
        try:
            self._introduce(smtp)
        except DeliveryError:
            _hang_up(smtp)
            raise
        if smtp.sock:
            smtp.sock.settimeout(self.timeout)
        return smtp

    def _introduce(self, smtp: smtplib.SMTP) -> None:
        relay = self._relay
        with _stage("ehlo"):
            smtp.ehlo_or_helo_if_needed()
        offered = smtp.has_extn("starttls")
        # A password never leaves in the clear unless the operator said `none`.
        if not offered and (relay.tls is Tls.STARTTLS or (relay.tls is Tls.OPPORTUNISTIC and relay.username)):
            said = "it offers no STARTTLS: set providers/smtp/tls to implicit, or to none if the network is yours"
            raise ConfigurationError(PARTY, "no_tls", said)
        if offered and relay.tls in (Tls.STARTTLS, Tls.OPPORTUNISTIC):
            with _stage("tls"):
                smtp.starttls(context=self._tls)
                smtp.ehlo_or_helo_if_needed()
        if relay.username:
            with _stage("auth"):
                smtp.login(relay.username, relay.password)

    def _extra_headers(self, email: Email, key: str) -> dict[str, str]:
        # https://resend.com/docs/dashboard/emails/idempotency-keys
        if self.idempotent:
            return {"Resend-Idempotency-Key": key}
        # https://docs.aws.amazon.com/ses/latest/dg/event-publishing-send-email.html
        if SES.fullmatch(self._relay.host):
            tags = ", ".join(f"{_plain(name)}={_plain(value)}" for name, value in email.tags.items() if value)
            headers = {"X-SES-CONFIGURATION-SET": self._relay.configuration_set, "X-SES-MESSAGE-TAGS": tags}
            return {name: value for name, value in headers.items() if value}
        return {}


def _on_the_wire(email: Email) -> Email:
    def wired(mailbox: Mailbox) -> Mailbox:
        return replace(mailbox, address=wire_address(PARTY, mailbox.address))

    reply_to = wired(email.reply_to) if email.reply_to else None
    return replace(email, from_=wired(email.from_), to=wire_address(PARTY, email.to), reply_to=reply_to)


def _mail(smtp: smtplib.SMTP, email: Email, size: int) -> smtplib.SMTP:
    options = f" SIZE={size}" if smtp.has_extn("size") else ""
    ours = email.from_.address + (email.reply_to.address if email.reply_to else "")
    if not (ours + email.to).isascii():
        if not smtp.has_extn("smtputf8"):
            kind = PermanentFailure if ours.isascii() else ConfigurationError
            raise kind(PARTY, "non_ascii_address", "this relay takes only ASCII before the @ (it has no SMTPUTF8)")
        smtp.command_encoding = "utf-8"
        options += " SMTPUTF8 BODY=8BITMIME"
    _ask(smtp, "mail", f"MAIL FROM:<{email.from_.address}>{options}", 250)
    return smtp


def _ask(smtp: smtplib.SMTP, stage: str, command: str, *wanted: int) -> None:
    with _stage(stage):
        code, text = smtp.docmd(command)
    if code not in wanted:
        raise refusal(stage, code, text)


def _hand_over(smtp: smtplib.SMTP, letter: bytes) -> bytes:
    """Send the mail itself; until its last byte, the final dot, is written, the relay cannot have taken it."""
    end = b".\r\n" if letter.endswith(b"\r\n") else b"\r\n.\r\n"
    with _stage("data"):
        smtp.send(re.sub(rb"(?m)^\.", b"..", letter) + end)
    with _stage("answer", silence=UnknownOutcome):
        code, text = smtp.getreply()
    if not 200 <= code < 300:
        raise refusal("answer", code, text)
    return text


@contextmanager
def _stage(stage: str, silence: type[DeliveryError] = TemporaryFailure) -> Iterator[None]:
    """Tell what a failure of smtplib means at this stage. Causes are dropped: they hold what the relay quoted."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        # What smtplib itself has to say of a reply, such as that it is too long, is no bytes.
        heard = error.smtp_error
        code, text = (error.smtp_code, heard) if isinstance(heard, bytes) else (-1, b"")
        raise refusal(stage, code, text) from None
    except smtplib.SMTPServerDisconnected:
        raise silence(PARTY, "no_answer", f"the connection was lost at {stage}") from None
    except smtplib.SMTPException:
        raise ConfigurationError(PARTY, "no_login", "it offers no way to log in that we know") from None
    except ssl.SSLCertVerificationError as error:
        said = f"{error.verify_message}: set providers/smtp/ca if the authority is your own"
        raise ConfigurationError(PARTY, "bad_certificate", said) from None
    except ssl.SSLError as error:
        if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            said = "this port does not begin with TLS: set providers/smtp/tls to starttls"
            raise ConfigurationError(PARTY, "no_tls", said) from None
        raise TemporaryFailure(PARTY, "unreachable", f"TLS failed: {error.reason}") from None
    except OSError as error:
        raise TemporaryFailure(PARTY, "unreachable", type(error).__name__) from None


def _hang_up(smtp: smtplib.SMTP) -> None:
    """Say goodbye, and do not wait for it to be returned."""
    with suppress(OSError):
        smtp.putcmd("QUIT")
    smtp.close()


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)[:256]
