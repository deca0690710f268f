"""Who may send over HTTP: named keys in `api/keys/{name}`, each perhaps for some tenants and some kinds only.

A parameter holds the key itself, or {"key": "…", "tenants": ["acme"], "kinds": ["sign-in-code"]}. While a key is
being replaced, both are there: one a line, or as a list.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from mailroom.errors import ConfigurationError, InvalidRequest
from mailroom.request import Request
from mailroom.settings import Settings

__all__ = ["INVOKER", "Caller", "authenticate"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and for which tenants and kinds they may; None is all."""

    name: str
    tenants: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None

    def may(self, tenant: str, kind: str) -> bool:
        return not list(self._problems(tenant, kind))

    def require(self, tenant: str, kind: str) -> None:
        """Refuse what is beyond this caller, and say all that is."""
        if problems := list(self._problems(tenant, kind)):
            raise InvalidRequest(403, *problems)

    def _problems(self, tenant: str, kind: str) -> Iterable[tuple[str, str]]:
        if self.tenants is not None and tenant not in self.tenants:
            yield "tenant", "This API key may not send for this tenant."
        if self.kinds is not None and kind not in self.kinds:
            yield "kind", "This API key may not send mails of this kind."


INVOKER = Caller("invoke")  # IAM has decided who may invoke the function


class Key(BaseModel):
    """What a parameter may hold beside a bare key. No field is unknown: a misspelt limit would be none."""

    model_config = ConfigDict(extra="forbid", strict=True)

    key: str | list[str]
    tenants: list[str] | None = None
    kinds: list[str] | None = None


def authenticate(request: Request, settings: Settings) -> Caller:
    """Return whose key the request bears."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    presented = given.strip().encode("utf-8", "surrogatepass") if scheme.lower() == "bearer" else b""
    caller, malformed = None, ""
    # Compare with each of them, always: the time must not tell which one came close.
    for name, value in settings.tree("api/keys").items():
        try:
            key = _read(value)
        except ValidationError:
            malformed = name
            continue
        if sum([hmac.compare_digest(presented, secret.encode()) for secret in _secrets(key)]):
            caller = Caller(name, _scope(key.tenants), _scope(key.kinds))
    if caller:
        return caller
    sentence = "The API key is missing or wrong: send it as `Authorization: Bearer <key>`."
    refusal = InvalidRequest(401, ("authorization", sentence))
    if malformed:
        detail = f'api/keys/{malformed} must be a key or {{"key": …, "tenants": […], "kinds": […]}}'
        raise refusal from ConfigurationError("settings", "malformed", detail)
    raise refusal


def _read(value: str) -> Key:
    return Key.model_validate_json(value) if value.lstrip().startswith("{") else Key(key=value)


def _secrets(key: Key) -> list[str]:
    lines = key.key.splitlines() if isinstance(key.key, str) else key.key
    return [line.strip() for line in lines if line.strip()]


def _scope(names: list[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)
