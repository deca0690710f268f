"""One question to a provider's API, and what is the matter where it has no answer."""

from collections.abc import Mapping
from typing import Any

import httpx

from mailroom.providers._client import endpoint
from mailroom_ops.errors import ServiceError
from mailroom_ops.finding import Finding, failed, warning
from mailroom_ops.settings.catalog import split
from mailroom_ops.tls import ssl_context

__all__ = ["ask", "refused"]

PATIENCE = 10.0


def ask(account: str, values: Mapping[str, str], default: str, path: str, **how: Any) -> httpx.Response:
    """Get `path` from where the account's mail goes."""
    provider = split(account)[0]
    try:
        return httpx.get(endpoint(provider, values, default) + path, timeout=PATIENCE, verify=ssl_context(), **how)
    except httpx.HTTPError as error:
        todo = "Look at its status page, and at the network of this machine."
        raise ServiceError(f"{account} does not answer: {type(error).__name__}.", todo) from error


def refused(account: str, answer: httpx.Response, key: str) -> Finding:
    """Say what an answer that is no success means for whoever keeps the key."""
    name = f"providers/{account}/{key}"
    if answer.status_code in (401, 403):
        return failed(account, f"does not know the key in {name}", f"Replace it: mailroom secrets rotate {name}")
    if answer.status_code == 429:
        return warning(account, "is asked too often just now", "Try again in a minute.")
    return failed(
        account, f"answers with {answer.status_code}", "Look at its status page, and at the endpoint set for it."
    )
