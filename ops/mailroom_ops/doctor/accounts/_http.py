"""One request to a provider's API, and the finding for a response that is not a success."""

from collections.abc import Mapping
from typing import Any

import httpx

from mailroom.providers._client import endpoint
from mailroom_ops.errors import ServiceError
from mailroom_ops.finding import Finding, failed, warning
from mailroom_ops.settings.catalog import split_account
from mailroom_ops.tls import ssl_context

__all__ = ["finding_of", "get"]

TIMEOUT_SECONDS = 10.0


def get(account: str, values: Mapping[str, str], default: str, path: str, **options: Any) -> httpx.Response:
    """Get `path` from the endpoint that the account sends through."""
    try:
        url = endpoint(split_account(account)[0], values, default) + path
        return httpx.get(url, timeout=TIMEOUT_SECONDS, verify=ssl_context(), **options)
    except httpx.HTTPError as error:
        todo = "Check the provider's status page, and the network of this machine."
        raise ServiceError(f"{account} does not answer: {type(error).__name__}.", todo) from error


def finding_of(account: str, response: httpx.Response, key: str) -> Finding:
    """Return the finding for a response that is not a success; `key` is the setting with the credentials."""
    name = f"providers/{account}/{key}"
    if response.status_code in (401, 403):
        return failed(account, f"rejects the key in {name}", f"Replace it: mailroom secrets rotate {name}")
    if response.status_code == 429:
        return warning(account, "is rate limited at the moment", "Try again in a minute.")
    todo = "Check the provider's status page, and the configured endpoint."
    return failed(account, f"answers with {response.status_code}", todo)
