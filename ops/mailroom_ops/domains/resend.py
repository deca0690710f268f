"""Resend: https://resend.com/docs/api-reference/domains"""

import time
from collections.abc import Mapping
from typing import Any

import httpx

from mailroom.errors import ConfigurationError
from mailroom.providers._client import endpoint, hold_back, retry_after, secret
from mailroom_ops.domains.records import Purpose, Record, full_name
from mailroom_ops.domains.registrar import Domain, State
from mailroom_ops.environment import Environment
from mailroom_ops.errors import InvalidInput, ServiceError
from mailroom_ops.tls import ssl_context

__all__ = ["ENDPOINT", "Resend", "registrar"]

ENDPOINT = "https://api.resend.com"
PAGE_SIZE = 100
MAX_ATTEMPTS = 4
TIMEOUT_SECONDS = 20.0
MAX_WAIT_SECONDS = 10.0
STATES = {
    "verified": State.VERIFIED,
    "partially_verified": State.VERIFIED,  # for one of sending and receiving
    "failed": State.FAILED,
    "temporary_failure": State.FAILED,
    "partially_failed": State.FAILED,
}


class Resend:
    """The domains of one Resend account."""

    def __init__(self, account: str, values: Mapping[str, str], key: str = "") -> None:
        self.account = account
        try:
            self._key = key or secret("resend", values, "api_key")
            self._url = endpoint("resend", values, ENDPOINT)
        except ConfigurationError as error:
            setting = f"providers/{account}/api_key"
            raise InvalidInput(f"{error.detail}.", f"Set it: mailroom secrets set {setting}") from error

    def find(self, domain: str) -> Domain | None:
        after = ""
        while True:
            page = self._call("GET", "/domains", params={"limit": PAGE_SIZE} | ({"after": after} if after else {}))
            for item in page.get("data", []):
                if item["name"] == domain:
                    return self._domain(self._call("GET", f"/domains/{item['id']}"))
            if not page.get("has_more") or not page.get("data"):
                return None
            after = page["data"][-1]["id"]

    def register(self, domain: str) -> Domain:
        if registered := self.find(domain):
            return registered
        body = {"name": domain, "open_tracking": False, "click_tracking": False}
        return self._domain(self._call("POST", "/domains", json=body))

    def verify(self, domain: Domain) -> Domain:
        self._call("POST", f"/domains/{domain.id}/verify")
        return self._domain(self._call("GET", f"/domains/{domain.id}"))

    def delete(self, domain: Domain) -> None:
        self._call("DELETE", f"/domains/{domain.id}")

    def usage(self) -> Mapping[str, str]:
        """Return the headers of a response, which contain the used quota."""
        return self._send("GET", "/domains", params={"limit": 1}).headers

    def _domain(self, fields: Mapping[str, Any]) -> Domain:
        name, status = str(fields["name"]), str(fields.get("status", ""))
        records = tuple(
            _record(item, name, self.account) for item in fields.get("records", ()) if _is_for_sending(item)
        )
        has_tracking = bool(fields.get("open_tracking") or fields.get("click_tracking"))
        state = STATES.get(status, State.PENDING)
        return Domain(name, self.account, state, status, records, has_tracking, str(fields["id"]))

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        body: dict[str, Any] = self._send(method, path, **options).json()
        return body

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._key}"}
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                response = httpx.request(
                    method, self._url + path, headers=headers, timeout=TIMEOUT_SECONDS, verify=ssl_context(), **options
                )
            except httpx.HTTPError as error:
                raise ServiceError(f"Resend does not answer: {type(error).__name__}.", "Try again.") from error
            if response.status_code != 429 or attempt == MAX_ATTEMPTS:
                break
            time.sleep(min(retry_after(response.headers) or hold_back(response.headers) or 1.0, MAX_WAIT_SECONDS))
        if response.is_success:
            return response
        raise self._error(response)

    def _error(self, response: httpx.Response) -> ServiceError:
        try:
            body = response.json()
        except ValueError:
            body = {}
        name, message = str(body.get("name", "")), str(body.get("message", "")).rstrip(".")
        setting = f"providers/{self.account}/api_key"
        if name == "restricted_api_key":
            return ServiceError(
                f"The key in {setting} may only send.",
                "Pass a key with full access with --key-file; it is used once and not stored.",
            )
        if response.status_code in (401, 403) and "key" in f"{name} {message}".lower():
            return ServiceError(f"Resend rejects the key in {setting}.", f"Replace it: mailroom secrets set {setting}")
        return ServiceError(f"Resend refused: {message or name or response.status_code}.", "")


def _is_for_sending(item: Mapping[str, Any]) -> bool:
    return item.get("record") in ("SPF", "DKIM")


def _record(item: Mapping[str, Any], domain: str, account: str) -> Record:
    kind = str(item["type"])
    purpose = Purpose.DKIM if item["record"] == "DKIM" else Purpose.RETURN_PATH if kind == "MX" else Purpose.SPF
    value = str(item["value"]).strip().strip('"').rstrip(".")
    return Record(purpose, full_name(str(item["name"]), domain), kind, value, account, int(item.get("priority") or 10))


def registrar(account: str, environment: Environment, values: Mapping[str, str], key: str) -> Resend:
    return Resend(account, values, key)
