"""API keys: the parameters `api/keys/{name}`, each for every tenant and kind, or for some only.

A parameter holds the key itself, or {"key": "…", "tenants": ["acme"], "kinds": ["sign-in-code"]}. While a key is
being rotated, the parameter holds both values: one per line, or as a list.
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


class Key(BaseModel):
    """A parameter that is a JSON object. An unknown field is an error: a misspelled limit would limit nothing."""

    model_config = ConfigDict(extra="forbid", strict=True)

    key: str | list[str]
    tenants: list[str] | None = None
    kinds: list[str] | None = None


def authenticate(request: Request, settings: Settings) -> Caller:
    """Return the caller whose key a request carries."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    presented = token.strip().encode("utf-8", "surrogatepass") if scheme.lower() == "bearer" else b""
    caller, malformed = None, ""
    # Compare with every key, also after a match: the response time must not reveal which one was close.
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
