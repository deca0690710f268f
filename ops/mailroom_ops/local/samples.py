"""Sample emails: the request bodies in events/, posted to the real webhook as Logto and other auth servers do."""

import http.client
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mailroom_ops.local.source_requests import SourceRequests

__all__ = ["Samples"]

LOGTO = "logto"
TIMEOUT_SECONDS = 30
FIRST_TYPES = ("SignIn", "Register", "ForgotPassword", "OrganizationInvitation")


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of the inbox page."""

    root: Path
    address: str  # host:port of the front door
    secrets_file: Path

    def kinds(self) -> dict[str, dict[str, Any]]:
        """Return the request bodies by Logto's type."""
        bodies = [
            json.loads(path.read_text(encoding="utf-8")) for path in sorted((self.root / "events").glob("logto-*.json"))
        ]
        return {body["type"]: body for body in sorted(bodies, key=_order)}

    def locales(self) -> list[str]:
        """Return the languages of the templates, English first."""
        tags = {path.stem for path in (self.root / "layers" / "templates" / "locales").iterdir() if path.is_file()}
        return sorted(tags, key=lambda tag: (tag != "en", tag))

    def tenants(self) -> dict[str, str]:
        """Return the authorization of each tenant's webhook."""
        lines = yaml.safe_load(self.secrets_file.read_text(encoding="utf-8"))
        prefix, suffix = "webhooks/logto/", "authorization"
        values = {
            name[len(prefix) : -len(suffix)].strip("/"): str(value)
            for name, value in lines.items()
            if name.startswith(prefix)
        }
        return {name or "default": value.splitlines()[0] for name, value in values.items()}

    def sources(self) -> list[str]:
        """Return the auth servers other than Logto, of which one sample each can be sent."""
        return [name for name in self._requests.sources() if name != LOGTO]

    def send_source(self, source: str) -> tuple[int, str]:
        """Post a request of an auth server; return the status and body of the answer. Raises KeyError for another."""
        request = self._requests.make(source, time.time())
        return self._post(request.path, request.headers, request.body)

    @property
    def _requests(self) -> SourceRequests:
        return SourceRequests(self.root, self.secrets_file)

    def send(self, type_: str, locale: str, tenant: str) -> tuple[int, str]:
        """Post a sample to the webhook; return its status and body. Raises KeyError for an unknown type or tenant."""
        authorization = self.tenants()[tenant]
        body = _fresh(self.kinds()[type_], locale)
        path = "/webhooks/logto" if tenant == "default" else f"/webhooks/logto/{tenant}"
        headers = {"content-type": "application/json", "authorization": authorization}
        return self._post(path, headers, json.dumps(body).encode())

    def _post(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("POST", path, body, {**headers, "user-agent": "mailroom console"})
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        finally:
            connection.close()


def _order(body: Mapping[str, Any]) -> tuple[int, str]:
    return FIRST_TYPES.index(body["type"]) if body["type"] in FIRST_TYPES else len(FIRST_TYPES), body["type"]


def _fresh(body: Mapping[str, Any], locale: str) -> dict[str, Any]:
    """Set the language, and a new code or link: a repeated one would be dropped as a duplicate."""
    payload = {**body["payload"], "locale": locale}
    if "code" in payload:
        payload["code"] = f"{secrets.randbelow(1_000_000):06}"
    if "link" in payload:
        payload["link"] = f"{payload['link'].partition('?')[0]}?token={secrets.token_hex(8)}"
    if "application" in payload:
        payload["application"] = {**payload["application"], "branding": {}}  # the logo of the example does not exist
    return {**body, "payload": {key: value for key, value in payload.items() if key != "uiLocales"}}
