"""API keys: the parameters `api/keys/{name}`, each for every tenant and kind, or for some only.

A parameter holds the key itself, or {"key": "…", "tenants": ["acme"], "kinds": ["sign-in-code"]}. While a key is
being rotated, the parameter holds both values: one per line, or as a list.
"""

import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mailroom.errors import ConfigurationError, InvalidRequest
from mailroom.request import Request
from mailroom.settings import Settings

__all__ = ["INVOKER", "Caller", "authenticate"]


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller, and the tenants and kinds that it may send; None stands for all."""

    name: str
    tenants: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None

    def may_send(self, tenant: str, kind: str) -> bool:
        return not list(self._problems(tenant, kind))

    def may_use(self, tenant: str) -> bool:
        return self.tenants is None or tenant in self.tenants

    def require(self, tenant: str, kind: str) -> None:
        """Raise an InvalidRequest that names each field beyond this caller's permissions."""
        if problems := list(self._problems(tenant, kind)):
            raise InvalidRequest(403, *problems)

    def _problems(self, tenant: str, kind: str) -> Iterable[tuple[str, str]]:
        if not self.may_use(tenant):
            yield "tenant", "This API key may not send for this tenant."
        if self.kinds is not None and kind not in self.kinds:
            yield "kind", "This API key may not send mails of this kind."


INVOKER = Caller("invoke")  # IAM decides who may invoke the function


@dataclass(frozen=True, slots=True)
class Key:
    """A parameter that is a JSON object. An unknown field is an error: a misspelled limit would limit nothing."""

    secrets: list[str]
    tenants: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None

    @classmethod
    def parse(cls, text: str) -> "Key":
        """Read a parameter; raise ValueError if it is neither a key nor such an object."""
        if not text.lstrip().startswith("{"):
            return cls(_lines(text.splitlines()))
        values = json.loads(text)
        if "key" not in values or not values.keys() <= {"key", "tenants", "kinds"}:
            raise ValueError("unknown fields, or no key")
        key = values["key"]
        return cls(
            _lines(key.splitlines() if isinstance(key, str) else _texts(key)),
            None if values.get("tenants") is None else tuple(_texts(values["tenants"])),
            None if values.get("kinds") is None else tuple(_texts(values["kinds"])),
        )


def authenticate(request: Request, settings: Settings) -> Caller:
    """Return the caller whose key a request carries."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    presented = token.strip().encode("utf-8", "surrogatepass") if scheme.lower() == "bearer" else b""
    caller, malformed = None, ""
    # Compare with every key, also after a match: the response time must not reveal which one was close.
    for name, value in settings.tree("api/keys").items():
        try:
            key = Key.parse(value)
        except (ValueError, RecursionError):
            malformed = name
            continue
        if sum([hmac.compare_digest(presented, secret.encode()) for secret in key.secrets]):
            caller = Caller(name, key.tenants, key.kinds)
    if caller:
        return caller
    sentence = "The API key is missing or wrong: send it as `Authorization: Bearer <key>`."
    refusal = InvalidRequest(401, ("authorization", sentence))
    if malformed:
        detail = f'api/keys/{malformed} must be a key or {{"key": …, "tenants": […], "kinds": […]}}'
        raise refusal from ConfigurationError("settings", "malformed", detail)
    raise refusal


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("not a list of texts")
    return value


def _lines(lines: Iterable[str]) -> list[str]:
    return [line.strip() for line in lines if line.strip()]
