"""Sample mails: the bodies in events/, sent through the real webhook as Logto would send them."""

import http.client
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Samples"]

WAIT_SECONDS = 30
USUAL = ("SignIn", "Register", "ForgotPassword", "OrganizationInvitation")


@dataclass(frozen=True, slots=True)
class Samples:
    """What can be sent from the console, and how."""

    root: Path
    address: str  # host:port of the front door
    secrets_file: Path

    def kinds(self) -> dict[str, dict[str, Any]]:
        """Return the bodies by Logto's name of their type."""
        bodies = [
            json.loads(path.read_text(encoding="utf-8")) for path in sorted((self.root / "events").glob("logto-*.json"))
        ]
        return {body["type"]: body for body in sorted(bodies, key=_first_the_usual)}

    def locales(self) -> list[str]:
        """Return the languages there are texts in, English first."""
        found = {path.stem for path in (self.root / "layers" / "templates" / "locales").iterdir() if path.is_file()}
        return sorted(found, key=lambda tag: (tag != "en", tag))

    def tenants(self) -> dict[str, str]:
        """Return each tenant with the authorization its Logto sends."""
        lines = yaml.safe_load(self.secrets_file.read_text(encoding="utf-8"))
        prefix, suffix = "webhooks/logto/", "authorization"
        found = {
            name[len(prefix) : -len(suffix)].strip("/"): str(value)
            for name, value in lines.items()
            if name.startswith(prefix)
        }
        return {name or "default": value.splitlines()[0] for name, value in found.items()}

    def send(self, type_: str, locale: str, tenant: str) -> tuple[int, str]:
        """Send one; return what the webhook answered. KeyError when there is no such type or tenant."""
        authorization = self.tenants()[tenant]
        body = _fresh(self.kinds()[type_], locale)
        path = "/webhooks/logto" if tenant == "default" else f"/webhooks/logto/{tenant}"
        connection = http.client.HTTPConnection(self.address, timeout=WAIT_SECONDS)
        try:
            headers = {
                "content-type": "application/json",
                "authorization": authorization,
                "user-agent": "mailroom console",
            }
            connection.request("POST", path, json.dumps(body).encode(), headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()


def _first_the_usual(body: Mapping[str, Any]) -> tuple[int, str]:
    return USUAL.index(body["type"]) if body["type"] in USUAL else len(USUAL), body["type"]


def _fresh(body: Mapping[str, Any], locale: str) -> dict[str, Any]:
    """Give a body its own code or link, or it would be the same mail said twice, and a language."""
    payload = {**body["payload"], "locale": locale}
    if "code" in payload:
        payload["code"] = f"{secrets.randbelow(1_000_000):06}"
    if "link" in payload:
        payload["link"] = f"{payload['link'].partition('?')[0]}?token={secrets.token_hex(8)}"
    if "application" in payload:
        payload["application"] = {**payload["application"], "branding": {}}  # the example's logo is nowhere to be had
    return {**body, "payload": {key: value for key, value in payload.items() if key != "uiLocales"}}
