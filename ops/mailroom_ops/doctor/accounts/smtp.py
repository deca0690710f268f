"""An SMTP relay: connect, negotiate TLS, log in, and quit without a mail."""

import smtplib
import ssl
from collections.abc import Iterator, Mapping, Sequence

from mailroom.errors import DeliveryError
from mailroom.providers._smtp_oauth import TokenSource, authenticate
from mailroom.providers._smtp_relay import Relay, Tls
from mailroom_ops.environment import Environment
from mailroom_ops.finding import Finding, failed, ok, warning

__all__ = ["check"]

TIMEOUT_SECONDS = 10.0
TOKEN_TODO = (
    "In Exchange Online: register the service principal, give it the mailbox, enable Authenticated SMTP there, "
    "and wait half an hour. See docs/providers/smtp.md."
)


def check(
    account: str, environment: Environment, values: Mapping[str, str], domains: Sequence[str]
) -> Iterator[Finding]:
    relay = Relay.from_settings(values, account)
    subject = f"{account} {relay.host}:{relay.port}"
    hello = relay.ehlo_name or (domains[0] if domains else "localhost")
    prefix = f"providers/{account}"
    token = ""
    if relay.oauth:
        try:
            token = TokenSource(relay.oauth).token().value
        except DeliveryError as error:
            yield failed(f"{account} token", f"is not issued: {error.detail}", f"mailroom secrets set {prefix}/oauth")
            return
        yield ok(f"{account} token", f"is issued by {relay.oauth.token_url}")
    try:
        with _connected(relay, hello, token) as smtp:
            encrypted = isinstance(smtp.sock, ssl.SSLSocket)
            smtp.noop()
    except smtplib.SMTPAuthenticationError as error:
        todo = f"Set {prefix}/username and {prefix}/password again."
        yield failed(subject, f"refuses the login ({error.smtp_code})", TOKEN_TODO if token else todo)
    except smtplib.SMTPNotSupportedError as error:
        if "XOAUTH2" in str(error):
            yield failed(subject, "does not offer XOAUTH2", f"Use {prefix}/password in place of {prefix}/oauth.")
            return
        yield failed(subject, "offers no TLS", f"Use another port, or {prefix}/tls none if the network is yours.")
    except ssl.SSLCertVerificationError as error:
        yield failed(
            subject, f"has an invalid certificate: {error.verify_message}", f"Check {prefix}/host and {prefix}/ca."
        )
    except (OSError, smtplib.SMTPException) as error:
        hint = "Your network may block this port: 587, 465 and 2525 are usually open."
        yield failed(subject, f"cannot be reached from here: {type(error).__name__}", hint)
    else:
        login = "and accepts the login" if relay.username else "and requires no login"
        if encrypted:
            yield ok(subject, f"answers, with TLS, {login}")
        else:
            yield warning(subject, f"answers, without TLS, {login}", f"Set {prefix}/tls to starttls or implicit.")


def _connected(relay: Relay, hello: str, token: str) -> smtplib.SMTP:
    context = relay.context()
    if relay.tls is Tls.IMPLICIT:
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(relay.host, relay.port, hello, timeout=TIMEOUT_SECONDS, context=context)
    else:
        smtp = smtplib.SMTP(relay.host, relay.port, hello, timeout=TIMEOUT_SECONDS)
    try:
        smtp.ehlo_or_helo_if_needed()
        if relay.tls is Tls.STARTTLS or (
            relay.tls is Tls.OPPORTUNISTIC and (smtp.has_extn("starttls") or relay.username)
        ):
            smtp.starttls(context=context)
            smtp.ehlo()
        if token:
            _log_in_with(token, smtp, relay.username)
        elif relay.username:
            smtp.login(relay.username, relay.password)
    except (OSError, smtplib.SMTPException):
        smtp.close()
        raise
    return smtp


def _log_in_with(token: str, smtp: smtplib.SMTP, username: str) -> None:
    if "XOAUTH2" not in smtp.esmtp_features.get("auth", "").upper().split():
        raise smtplib.SMTPNotSupportedError("XOAUTH2")
    code, reply = authenticate(smtp, username, token)
    if code != 235:
        raise smtplib.SMTPAuthenticationError(code, reply)
