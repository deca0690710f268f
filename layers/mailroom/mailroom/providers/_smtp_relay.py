"""An SMTP relay: where it is and how to speak with it, as the operator set it."""

import ipaddress
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from mailroom.errors import ConfigurationError

__all__ = ["Relay", "Tls"]


class Tls(StrEnum):
    IMPLICIT = "implicit"  # from the first byte on
    STARTTLS = "starttls"  # required
    OPPORTUNISTIC = "opportunistic"  # where offered, whoever answers: no worse than none
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Relay:
    """What `providers/smtp/…` says."""

    host: str
    port: int
    tls: Tls
    username: str = ""
    password: str = ""
    ca: str = ""  # PEM, where the relay's certificate is signed by the operator's own authority
    ehlo_name: str = ""  # else the sender's domain: it is ours, and some relays look it up
    configuration_set: str = ""  # SES only

    @classmethod
    def from_settings(cls, values: Mapping[str, str]) -> "Relay":
        given = {name: value.strip() for name, value in values.items()}
        host, port, tls = given.get("host", ""), given.get("port", ""), given.get("tls", "")
        username, password, ehlo_name = (given.get(name, "") for name in ("username", "password", "ehlo_name"))
        if not _is_host(host):
            raise _malformed("host", "must be the relay's name, such as smtp.example.com")
        if port and not (re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536):
            raise _malformed("port", "must be a number, mostly 465 or 587")
        if tls and tls not in list(Tls):
            raise _malformed("tls", f"must be one of {', '.join(Tls)}")
        if bool(username) != bool(password):
            raise _malformed("password" if username else "username", "is not set, but its other half is")
        if not (username + password).isascii():
            raise _malformed("username", "and password must be ASCII")
        if ehlo_name and not _is_host(ehlo_name.strip("[]")):
            raise _malformed("ehlo_name", "must be a host name")
        number = int(port) if port else 465 if tls == Tls.IMPLICIT else 587
        mode = Tls(tls) if tls else _usual(number, bool(username))
        ca, configuration_set = given.get("ca", ""), given.get("configuration_set", "")
        return cls(host, number, mode, username, password, ca, ehlo_name, configuration_set)

    def context(self) -> ssl.SSLContext | None:
        """Return what TLS is spoken with: certificates are verified, except where anyone may answer."""
        if self.tls is Tls.NONE:
            return None
        try:
            context = ssl.create_default_context(cadata=self.ca or None)
        except (ssl.SSLError, ValueError) as error:
            raise _malformed("ca", "must be a certificate in PEM form") from error
        if self.tls is Tls.OPPORTUNISTIC and not self.username:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _usual(port: int, with_login: bool) -> Tls:
    if port in (465, 2465):
        return Tls.IMPLICIT
    return Tls.OPPORTUNISTIC if port == 25 and not with_login else Tls.STARTTLS


def _is_host(text: str) -> bool:
    with suppress(ValueError):
        return bool(ipaddress.ip_address(text))
    labels = text.removesuffix(".").split(".")
    return len(text) < 254 and all(re.fullmatch(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", label) for label in labels)


def _malformed(name: str, why: str) -> ConfigurationError:
    return ConfigurationError("settings", "malformed", f"providers/smtp/{name} {why}")
