"""The settings of an SMTP relay: host, TLS mode and login."""

import ipaddress
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from mailroom.errors import ConfigurationError
from mailroom.network.tls import tls_context

if TYPE_CHECKING:
    from mailroom.providers._smtp_oauth import OAuthClient

__all__ = ["Relay", "Tls"]


class Tls(StrEnum):
    IMPLICIT = "implicit"  # from the first byte
    STARTTLS = "starttls"  # required
    OPPORTUNISTIC = "opportunistic"  # if offered, with any certificate: no worse than none
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Relay:
    """The parsed settings below `providers/smtp/`."""

    host: str
    port: int
    tls: Tls
    username: str = ""
    password: str = ""
    ca: str = ""  # PEM, if the operator's own authority signed the relay's certificate
    ehlo_name: str = ""  # default: the sender's domain, because some relays look it up
    configuration_set: str = ""  # SES only
    account: str = "smtp"
    oauth: "OAuthClient | None" = None  # in place of the password

    @classmethod
    def from_settings(cls, values: Mapping[str, str], account: str = "smtp") -> "Relay":
        host, port, tls = (values.get(name, "").strip() for name in ("host", "port", "tls"))
        username, password, ehlo_name = (values.get(name, "").strip() for name in ("username", "password", "ehlo_name"))
        if not _is_host(host):
            raise _malformed(account, "host", "must be the relay's name, such as smtp.example.com")
        if port and not (re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536):
            raise _malformed(account, "port", "must be a number, usually 465 or 587")
        if tls and tls not in list(Tls):
            raise _malformed(account, "tls", f"must be one of {', '.join(Tls)}")
        oauth = values.get("oauth", "").strip()
        if oauth and (password or not username):
            problem = "is set, and so is oauth: use one of them" if password else "is not set, but oauth is"
            raise _malformed(account, "password" if password else "username", problem)
        if bool(username) != bool(password) and not oauth:
            missing, present = ("password", "username") if username else ("username", "password")
            raise _malformed(account, missing, f"is not set, but {present} is")
        if not (username + password).isascii():
            raise _malformed(account, "username", "and password must be ASCII")
        if ehlo_name and not _is_host(ehlo_name.strip("[]")):
            raise _malformed(account, "ehlo_name", "must be a host name")
        number = int(port) if port else 465 if tls == Tls.IMPLICIT else 587
        mode = Tls(tls) if tls else _default_tls(number, bool(username))
        ca, configuration_set = (values.get(name, "").strip() for name in ("ca", "configuration_set"))
        client = _oauth_client(oauth, account) if oauth else None
        return cls(host, number, mode, username, password, ca, ehlo_name, configuration_set, account, client)

    def context(self) -> ssl.SSLContext | None:
        """Return the TLS context: certificates are verified, except in opportunistic mode without a login."""
        if self.tls is Tls.NONE:
            return None
        is_opportunistic = self.tls is Tls.OPPORTUNISTIC and not self.username
        if not self.ca and not is_opportunistic:
            return tls_context()
        try:
            context = ssl.create_default_context(cadata=self.ca or None)
        except (ssl.SSLError, ValueError) as error:
            raise _malformed(self.account, "ca", "must be a certificate in PEM form") from error
        if is_opportunistic:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _oauth_client(text: str, account: str) -> "OAuthClient":
    from mailroom.providers._smtp_oauth import OAuthClient  # only where it is set

    return OAuthClient.parse(text, account)


def _default_tls(port: int, with_login: bool) -> Tls:
    if port in (465, 2465):
        return Tls.IMPLICIT
    return Tls.OPPORTUNISTIC if port == 25 and not with_login else Tls.STARTTLS


def _is_host(text: str) -> bool:
    with suppress(ValueError):
        return bool(ipaddress.ip_address(text))
    labels = text.removesuffix(".").split(".")
    return len(text) < 254 and all(re.fullmatch(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", label) for label in labels)


def _malformed(account: str, name: str, problem: str) -> ConfigurationError:
    return ConfigurationError("settings", "malformed", f"providers/{account}/{name} {problem}")
