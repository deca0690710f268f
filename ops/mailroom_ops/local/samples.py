"""Sample emails: requests to `send` and to the webhooks, as auth services and auth servers make them.

Tenants and secrets are those of the parameter store, so that what the command adds or rotates is used at once.
"""

import http.client
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailroom.api.openapi_examples import REQUESTS
from mailroom.model.kinds import KINDS
from mailroom.rendering.renderer import Renderer
from mailroom_ops.local.source_requests import SourceRequest, SourceRequests
from mailroom_ops.sandbox.reporter import EVENTS
from mailroom_ops.settings.tenants import DEFAULT, list_tenants

__all__ = ["Sample", "Samples", "SamplesError"]

SEND = "send"  # the source of requests to the API
LOGTO = "logto"
TIMEOUT_SECONDS = 30
FIRST_TYPES = ("SignIn", "Register", "ForgotPassword", "OrganizationInvitation")
READER = "reader@example.com"
API_KEYS = "api/keys/"


class SamplesError(Exception):
    """The sample cannot be made; the message names the next step."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The choices of a sample: source, kind and recipient."""

    source: str = SEND
    kind: str = "sign-in-code"  # of Logto: its type; other sources have one mail
    to: str = READER
    tenant: str = DEFAULT
    locale: str = "en"


@dataclass(frozen=True, slots=True)
class Samples:
    """Makes and sends the samples of the inbox page; `read_settings` returns the parameters of the environment."""

    root: Path
    address: str  # host:port of the front door
    read_settings: Callable[[], Mapping[str, str]]

    def options(self) -> dict[str, Any]:
        """Return what can be chosen."""
        settings = self.read_settings()
        tenants = [tenant.name for tenant in list_tenants(settings) if not tenant.removed]
        names = [DEFAULT, *(name for name in tenants if name != DEFAULT)]
        renderer = Renderer(self._templates)
        return {
            "kinds": {name: [*KINDS, *sorted(renderer.own_kinds(name) - {*KINDS})] for name in names},
            "types": list(self._logto_bodies()),
            "sources": [SEND, *SourceRequests(self.root, settings).sources()],
            "tenants": names,
            "locales": self.locales(),
            "addresses": [READER, *(f"{name}@example.com" for name in EVENTS)],
        }

    def locales(self) -> list[str]:
        """Return the languages of the templates, English first."""
        tags = {path.stem for path in (self._templates / "locales").iterdir() if path.is_file()}
        return sorted(tags, key=lambda tag: (tag != "en", tag))

    def api_keys(self) -> list[str]:
        """Return the keys of the API that are set."""
        return _api_keys(self.read_settings())

    def request(self, sample: Sample) -> SourceRequest:
        """Return the request of a sample with a new code or link; raise SamplesError if it cannot be made."""
        settings = self.read_settings()
        if sample.source == SEND:
            return self._send_request(sample, settings)
        requests = SourceRequests(self.root, settings)
        if sample.source not in requests.sources():
            raise SamplesError(f"There is no source {sample.source} with a secret.")
        if sample.tenant not in requests.tenants(sample.source):
            name = "authorization" if sample.source == LOGTO else "secret"
            parameter = f"webhooks/{sample.source}/{sample.tenant}/{name}"
            raise SamplesError(f"{parameter} is not set: mailroom secrets set {parameter} --generate --out FILE")
        body = None
        if sample.source == LOGTO:
            bodies = self._logto_bodies()
            if sample.kind not in bodies:
                raise SamplesError(f"Logto has no type {sample.kind}: use one of {', '.join(bodies)}.")
            body = _localized(bodies[sample.kind], sample.locale)
        return requests.make(sample.source, time.time(), sample.tenant, sample.to, body)

    def send(self, sample: Sample) -> tuple[int, str]:
        """Send a sample; return the status and body of the answer."""
        request = self.request(sample)
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT_SECONDS)
        try:
            headers = {**request.headers, "user-agent": "mailroom console"}
            connection.request("POST", request.path, request.body, headers)
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        finally:
            connection.close()

    @property
    def _templates(self) -> Path:
        return self.root / "layers" / "templates"

    def _send_request(self, sample: Sample, settings: Mapping[str, str]) -> SourceRequest:
        keys = _api_keys(settings)
        if not keys:
            raise SamplesError("No API key is set: mailroom secrets set api/keys/local --generate --out FILE")
        example = REQUESTS.get(sample.kind, {"data": {"code": ""}})
        body = {
            "kind": sample.kind,
            "to": sample.to,
            "tenant": sample.tenant,
            "locale": sample.locale,
            "data": _fresh(example["data"]),
        }
        headers = {"authorization": f"Bearer {keys[0]}", "content-type": "application/json"}
        return SourceRequest(SEND, "/v1/emails", headers, json.dumps(body, ensure_ascii=False).encode())

    def _logto_bodies(self) -> dict[str, dict[str, Any]]:
        """Return the request bodies by Logto's type."""
        paths = sorted((self.root / "events").glob("logto-*.json"))
        bodies = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        return {body["type"]: body for body in sorted(bodies, key=_order)}


def _api_keys(settings: Mapping[str, str]) -> list[str]:
    return [_api_key(value) for name, value in settings.items() if name.startswith(API_KEYS)]


def _api_key(value: str) -> str:
    """Return an API key, of a restricted one without its restrictions."""
    first = value.splitlines()[0] if value else ""
    return str(json.loads(value).get("key", "")) if first.startswith("{") else first


def _order(body: Mapping[str, Any]) -> tuple[int, str]:
    return FIRST_TYPES.index(body["type"]) if body["type"] in FIRST_TYPES else len(FIRST_TYPES), body["type"]


def _localized(body: Mapping[str, Any], locale: str) -> dict[str, Any]:
    """Set the language of a request of Logto, and a new code or link."""
    payload = {**_fresh(body["payload"]), "locale": locale}
    if "application" in payload:
        payload["application"] = {**payload["application"], "branding": {}}  # the logo of the example does not exist
    return {**body, "payload": {key: value for key, value in payload.items() if key != "uiLocales"}}


def _fresh(data: Mapping[str, Any]) -> dict[str, Any]:
    """Set a new code or link: a repeated one would be dropped as a duplicate."""
    fresh = dict(data)
    if "code" in fresh:
        fresh["code"] = f"{secrets.randbelow(1_000_000):06}"
    if "link" in fresh:
        fresh["link"] = f"{fresh['link'].partition('?')[0]}?token={secrets.token_hex(8)}"
    return fresh
