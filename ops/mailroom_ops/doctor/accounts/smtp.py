"""An SMTP relay: connect, encrypt, log in, and leave without a mail."""

import smtplib
import ssl
from collections.abc import Iterator, Mapping, Sequence

from mailroom.providers._smtp_relay import Relay, Tls
from mailroom_ops.finding import Finding, failed, ok, warning

__all__ = ["check"]

PATIENCE = 10.0


def check(account: str, values: Mapping[str, str], domains: Sequence[str]) -> Iterator[Finding]:
    relay = Relay.from_settings(values)
    where = f"{account} {relay.host}:{relay.port}"
    hello = relay.ehlo_name or (domains[0] if domains else "localhost")
    before = f"providers/{account}"
    try:
        with _connected(relay, hello) as smtp:
            encrypted = isinstance(smtp.sock, ssl.SSLSocket)
            smtp.noop()
    except smtplib.SMTPAuthenticationError as error:
        yield failed(
            where, f"refuses the login ({error.smtp_code})", f"Set {before}/username and {before}/password anew."
        )
    except smtplib.SMTPNotSupportedError:
        yield failed(where, "offers no encryption", f"Use another port, or {before}/tls none if the network is yours.")
    except ssl.SSLCertVerificationError as error:
        yield failed(
            where, f"shows a certificate that does not fit: {error.verify_message}", f"Look at {before}/host and ca."
        )
    except (OSError, smtplib.SMTPException) as error:
        hint = "A cloud may block this port: 587, 465 and 2525 are mostly open."
        yield failed(where, f"cannot be reached from here: {type(error).__name__}", hint)
    else:
        login = "and the login is good" if relay.username else "and it wants no login"
        if encrypted:
            yield ok(where, f"answers, encrypted, {login}")
        else:
            yield warning(where, f"answers, not encrypted, {login}", f"Set {before}/tls to starttls or implicit.")


def _connected(relay: Relay, hello: str) -> smtplib.SMTP:
    context = relay.context()
    if relay.tls is Tls.IMPLICIT:
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(relay.host, relay.port, hello, timeout=PATIENCE, context=context)
    else:
        smtp = smtplib.SMTP(relay.host, relay.port, hello, timeout=PATIENCE)
    try:
        smtp.ehlo_or_helo_if_needed()
        if relay.tls is Tls.STARTTLS or (
            relay.tls is Tls.OPPORTUNISTIC and (smtp.has_extn("starttls") or relay.username)
        ):
            smtp.starttls(context=context)
            smtp.ehlo()
        if relay.username:
            smtp.login(relay.username, relay.password)
    except (OSError, smtplib.SMTPException):
        smtp.close()
        raise
    return smtp
