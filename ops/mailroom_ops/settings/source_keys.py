"""The public keys of auth servers that sign their requests: read from the auth server, and kept as a parameter.

The webhook function asks nobody while somebody waits for a code; so its keys are refreshed out of band.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx

from mailroom.model.parameter_names import webhook_setting
from mailroom.sources import registry
from mailroom.webhooks.json_web_signatures import MalformedKeys, compact_keys
from mailroom_ops.errors import ServiceError
from mailroom_ops.tls import ssl_context

__all__ = ["KeySet", "fetch", "key_sets"]

TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of one tenant of a source: their parameter, their value now, and the address that publishes them."""

    parameter: str
    url: str
    current: str = ""


def key_sets(values: Mapping[str, str]) -> Iterator[KeySet]:
    """Yield the key sets that an environment needs, by its parameters."""
    for name in registry.NAMES:
        source = registry.load(name)
        if source.keys_url is None:
            continue
        for tenant, settings in sorted(_tenants(name, values).items()):
            try:
                url = source.keys_url(settings)
            except KeyError:  # the setting that it is made from is not set yet
                continue
            yield KeySet(webhook_setting(name, tenant, "keys"), url, settings.get("keys", ""))


def fetch(url: str) -> str:
    """Return the key set at an address, reduced to the fields that verify a signature."""
    try:
        response = httpx.get(url, timeout=TIMEOUT_SECONDS, verify=ssl_context())
        response.raise_for_status()
        return compact_keys(response.text)
    except httpx.HTTPStatusError as error:
        problem = f"{url} answers with {error.response.status_code}."
        raise ServiceError(problem, "Check the settings of this source.") from error
    except httpx.HTTPError as error:
        raise ServiceError(f"{url} does not answer: {type(error).__name__}.", "Try again later.") from error
    except MalformedKeys as error:
        raise ServiceError(f"The answer of {url} {error}.", "Check the settings of this source.") from error


def _tenants(source: str, values: Mapping[str, str]) -> dict[str, dict[str, str]]:
    tenants: dict[str, dict[str, str]] = {}
    for name, value in values.items():
        match name.split("/"):
            case ["webhooks", owner, key] if owner == source:
                tenants.setdefault("default", {})[key] = value
            case ["webhooks", owner, tenant, key] if owner == source:
                tenants.setdefault(tenant, {})[key] = value
    return tenants
