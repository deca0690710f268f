"""The callbacks of tenants: where their outcome events go, and the secrets that sign them, rotated without a gap."""

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from mailroom.model.callback import PREFIX, Callback
from mailroom.model.json_settings import InvalidSetting, json_object
from mailroom.model.parameter_names import callback_name
from mailroom_ops.errors import InvalidInput
from mailroom_ops.settings.parameters import Parameters

__all__ = ["cancel_rotation", "changed", "finish_rotation", "parse", "read", "read_all", "rotated", "written"]

SECRET_BYTES = 32


def read(store: Parameters, tenant: str) -> dict[str, Any]:
    """Return a tenant's callback as it is stored; raise InvalidInput where it has none."""
    values = read_all(store).get(tenant)
    if values is None:
        hint = f"Set it: mailroom callbacks set {tenant} --url https://…"
        raise InvalidInput(f"The tenant {tenant} has no callback.", hint)
    return values


def read_all(store: Parameters) -> dict[str, dict[str, Any]]:
    """Return the callbacks of all tenants; one that is malformed is empty."""
    values = store.values("callbacks")
    return {
        name.removeprefix(callback_name("")): _with_list(json_object(value) or {}) for name, value in values.items()
    }


def parse(tenant: str, values: Mapping[str, Any]) -> Callback:
    """Return a stored callback; raise InvalidInput for one that is malformed."""
    try:
        return Callback.of(callback_name(tenant), values)
    except InvalidSetting as error:
        raise InvalidInput(f"{error.name} is malformed: {error}.") from error


def changed(
    current: Mapping[str, Any], url: str, events: Sequence[str], include_address: bool | None
) -> tuple[dict[str, Any], str]:
    """Return a callback with other options, and its first secret if it was generated just now."""
    values = dict(current)
    if url:
        values["url"] = url
    if events:
        values["events"] = [] if "all" in events else list(events)
    if include_address is not None:
        values["include_address"] = include_address
    secret = "" if values.get("secrets") else _new_secret()
    return values | ({"secrets": [secret]} if secret else {}), secret


def rotated(values: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return a callback that is signed by a new secret beside the old one, and the new one."""
    if len(values["secrets"]) > 1:
        hint = "Finish it with --finish, or undo it with --cancel."
        raise InvalidInput("The secret is being rotated already: events have two signatures.", hint)
    secret = _new_secret()
    return {**values, "secrets": [secret, values["secrets"][0]]}, secret


def finish_rotation(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a callback that is signed by its new secret alone."""
    return {**values, "secrets": _two_secrets(values)[:1]}


def cancel_rotation(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a callback that is signed by its old secret alone."""
    return {**values, "secrets": _two_secrets(values)[1:]}


def written(values: Mapping[str, Any]) -> str:
    """Return a callback as it is stored."""
    return json.dumps(values)


def _with_list(values: dict[str, Any]) -> dict[str, Any]:
    """Return a callback with its secrets as a list; whoever writes it by hand may give one text."""
    secrets = values.pop("secret", values.get("secrets", []))
    return values | {"secrets": secrets.split() if isinstance(secrets, str) else secrets}


def _two_secrets(values: Mapping[str, Any]) -> list[str]:
    secrets: list[str] = values["secrets"]
    if len(secrets) != 2:
        raise InvalidInput("The secret is not being rotated.", "Begin with `mailroom callbacks rotate`.")
    return secrets


def _new_secret() -> str:
    return f"{PREFIX}{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"
