"""Resend: https://resend.com/docs/api-reference/domains"""

import time
from collections.abc import Mapping
from typing import Any

import httpx

from mailroom.errors import ConfigurationError
from mailroom.providers._client import endpoint, hold_back, retry_after, secret
from mailroom_ops.domains.records import Purpose, Record, full_name
from mailroom_ops.domains.registrar import Domain, State
from mailroom_ops.errors import InvalidInput, ServiceError
from mailroom_ops.tls import ssl_context

__all__ = ["Resend"]

ENDPOINT = "https://api.resend.com"
PAGE = 100
TRIES = 4
PATIENCE = 20.0
LONGEST_WAIT = 10.0
STATES = {
    "verified": State.VERIFIED,
    "partially_verified": State.VERIFIED,  # one of sending and receiving is
    "failed": State.FAILED,
    "temporary_failure": State.FAILED,
    "partially_failed": State.FAILED,
}


class Resend:
    """Speaks for one account."""

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
            page = self._call("GET", "/domains", params={"limit": PAGE} | ({"after": after} if after else {}))
            for item in page.get("data", []):
                if item["name"] == domain:
                    return self._domain(self._call("GET", f"/domains/{item['id']}"))
            if not page.get("has_more") or not page.get("data"):
                return None
            after = page["data"][-1]["id"]

    def register(self, domain: str) -> Domain:
        if found := self.find(domain):
            return found
        body = {"name": domain, "open_tracking": False, "click_tracking": False}
        return self._domain(self._call("POST", "/domains", json=body))

    def verify(self, domain: Domain) -> Domain:
        self._call("POST", f"/domains/{domain.id}/verify")
        return self._domain(self._call("GET", f"/domains/{domain.id}"))

    def forget(self, domain: Domain) -> None:
        self._call("DELETE", f"/domains/{domain.id}")

    def usage(self) -> Mapping[str, str]:
        """Return the headers of an answer, which tell how much of the quota is used."""
        return self._send("GET", "/domains", params={"limit": 1}).headers

    def _domain(self, said: Mapping[str, Any]) -> Domain:
        name = str(said["name"])
        records = tuple(_record(item, name, self.account) for item in said.get("records", ()) if _is_for_sending(item))
        status = str(said.get("status", ""))
        tracks = bool(said.get("open_tracking") or said.get("click_tracking"))
        return Domain(name, self.account, STATES.get(status, State.PENDING), status, records, tracks, str(said["id"]))

    def _call(self, method: str, path: str, **how: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._send(method, path, **how).json()
        return found

    def _send(self, method: str, path: str, **how: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._key}"}
        for attempt in range(TRIES):
            try:
                answer = httpx.request(
                    method, self._url + path, headers=headers, timeout=PATIENCE, verify=ssl_context(), **how
                )
            except httpx.HTTPError as error:
                raise ServiceError(f"Resend does not answer: {type(error).__name__}.", "Try again.") from error
            if answer.status_code != 429 or attempt == TRIES - 1:
                break
            time.sleep(min(retry_after(answer.headers) or hold_back(answer.headers) or 1.0, LONGEST_WAIT))
        if answer.is_success:
            return answer
        raise self._refusal(answer)

    def _refusal(self, answer: httpx.Response) -> ServiceError:
        try:
            said = answer.json()
        except ValueError:
            said = {}
        name, message = str(said.get("name", "")), str(said.get("message", "")).rstrip(".")
        setting = f"providers/{self.account}/api_key"
        if name == "restricted_api_key":
            return ServiceError(
                f"The key in {setting} may only send.",
                "Give one with full access for this once with --key-file; it is not kept.",
            )
        if answer.status_code in (401, 403) and "key" in f"{name} {message}".lower():
            return ServiceError(
                f"Resend does not know the key in {setting}.", f"Replace it: mailroom secrets set {setting}"
            )
        return ServiceError(f"Resend refused: {message or name or answer.status_code}.", "")


def _is_for_sending(item: Mapping[str, Any]) -> bool:
    return item.get("record") in ("SPF", "DKIM")


def _record(item: Mapping[str, Any], domain: str, account: str) -> Record:
    kind = str(item["type"])
    purpose = Purpose.DKIM if item["record"] == "DKIM" else Purpose.RETURN_PATH if kind == "MX" else Purpose.SPF
    value = str(item["value"]).strip().strip('"').rstrip(".")
    return Record(purpose, full_name(str(item["name"]), domain), kind, value, account, int(item.get("priority") or 10))
