"""Requests to a provider's API with the account's key, and the error for a response that is not a success."""

import time
from collections.abc import Mapping
from typing import Any

import httpx

from mailroom.errors import ConfigurationError
from mailroom.providers._client import endpoint, hold_back, retry_after, secret
from mailroom_ops.errors import InvalidInput, ServiceError
from mailroom_ops.settings.catalog import split_account
from mailroom_ops.tls import ssl_context

__all__ = ["Api", "read_key"]

TIMEOUT_SECONDS = 20.0
MAX_ATTEMPTS = 4
MAX_WAIT_SECONDS = 10.0
WITH_KEY = "Pass one that may with --key-file; it is used once and not stored."


def read_key(account: str, values: Mapping[str, str], name: str) -> str:
    """Return the key in an account's settings."""
    try:
        return secret(account, values, name)
    except ConfigurationError as error:
        raise InvalidInput(f"{error.detail}.", f"Set it: mailroom secrets set providers/{account}/{name}") from error


class Api:
    """The API of one account; `key_name` is the setting with its key, `permission` what reading a list requires."""

    def __init__(
        self, account: str, values: Mapping[str, str], default: str, *, key_name: str, permission: str, **options: Any
    ) -> None:
        self._account = account
        self._setting = f"providers/{account}/{key_name}"
        self._permission = permission
        self._options = options
        try:
            self._url = endpoint(split_account(account)[0], values, default)
        except ConfigurationError as error:
            raise InvalidInput(f"{error.detail}.") from error

    def get(self, path: str, **parameters: str | int) -> httpx.Response | None:
        """Return the response to a GET; None for a 404."""
        return self._send("GET", path, params=parameters)

    def delete(self, path: str) -> None:
        """Delete; a 404 means that it is deleted already."""
        self._send("DELETE", path)

    def post(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        response = self._send("POST", path, json=body)
        if response is None:
            raise ServiceError(f"{self._account} has no such path: {path}.", "Check the configured endpoint.")
        return response

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response | None:
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                response = httpx.request(
                    method,
                    self._url + path,
                    timeout=TIMEOUT_SECONDS,
                    verify=ssl_context(),
                    **self._options,
                    **options,
                )
            except httpx.HTTPError as error:
                todo = "Check the provider's status page, and the network of this machine."
                raise ServiceError(f"{self._account} does not answer: {type(error).__name__}.", todo) from error
            if response.status_code != 429 or attempt == MAX_ATTEMPTS:
                break
            time.sleep(min(retry_after(response.headers) or hold_back(response.headers) or 1.0, MAX_WAIT_SECONDS))
        if response.is_success:
            return response
        if response.status_code == 404:
            return None
        if response.status_code in (401, 403):
            raise ServiceError(f"The key in {self._setting} {self._permission}.", WITH_KEY)
        raise ServiceError(f"{self._account} answers with {response.status_code}.", "Try again in a minute.")
