"""A stub of Resend's domains: https://resend.com/docs/api-reference/domains"""

import json
import secrets
import threading
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mailroom_ops.sandbox.provider import UNVERIFIED, Reply, Request, json_reply

__all__ = ["Domains"]

REGION = "eu-west-1"
OWN_DOMAIN = "mailroom.example"  # the sender's domain of the local stack, verified from the start
TAKEN = "taken.example"  # a domain in another account


class Domains:
    """Registers, lists, verifies and deletes domains; verifying succeeds for every domain but UNVERIFIED."""

    def __init__(self) -> None:
        self._domains: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._create({"name": OWN_DOMAIN})
        for domain in self._domains.values():
            self._verify(domain)

    def export(self) -> dict[str, Any]:
        """Return every domain, by its id."""
        with self._lock:
            return json.loads(json.dumps(self._domains))  # type: ignore[no-any-return]

    def load(self, domains: Mapping[str, Any]) -> None:
        """Add exported domains."""
        with self._lock:
            names = {domain["name"] for domain in self._domains.values()}
            self._domains |= {id_: domain for id_, domain in domains.items() if domain["name"] not in names}

    def answer(self, request: Request) -> Reply:
        """Return the answer to a request to `/domains` or a path below."""
        url = urlsplit(request.path)
        with self._lock:
            match request.method, url.path.strip("/").split("/")[1:]:
                case "POST", []:
                    return self._create(request.json())
                case "GET", []:
                    return self._list({key: values[-1] for key, values in parse_qs(url.query).items()})
                case "GET", [id_] if id_ in self._domains:
                    return json_reply(200, {"object": "domain", **self._domains[id_]})
                case "DELETE", [id_] if id_ in self._domains:
                    del self._domains[id_]
                    return json_reply(200, {"object": "domain", "id": id_, "deleted": True})
                case "POST", [id_, "verify"] if id_ in self._domains:
                    self._verify(self._domains[id_])
                    return json_reply(200, {"object": "domain", "id": id_})
                case "GET" | "DELETE" | "POST", _:
                    return _refusal(404, "not_found", "Domain not found")
        return _refusal(405, "method_not_allowed", "Method is not allowed for the requested path")

    def _create(self, body: Any) -> Reply:
        name = body.get("name") if isinstance(body, dict) else None
        if not isinstance(name, str) or "." not in name or "@" in name or " " in name:
            return _refusal(422, "validation_error", "Invalid `name` field.")
        if name.endswith(TAKEN) or any(domain["name"] == name for domain in self._domains.values()):
            return _refusal(403, "validation_error", f"The {name} domain has been registered already.")
        domain = {
            "id": str(uuid.uuid4()),
            "name": name,
            "created_at": "2026-11-20 12:00:00.000000+00",
            "status": "not_started",
            "region": body.get("region", REGION),
            "open_tracking": body.get("open_tracking", False),
            "click_tracking": body.get("click_tracking", False),
            "records": _records(name, body.get("custom_return_path", "send")),
        }
        self._domains[domain["id"]] = domain
        return json_reply(201, domain)

    def _list(self, query: dict[str, str]) -> Reply:
        domains = list(self._domains.values())
        start = next((number for number, domain in enumerate(domains, 1) if domain["id"] == query.get("after")), 0)
        size = int(query.get("limit", "20"))
        page = [
            {key: value for key, value in item.items() if key != "records"} for item in domains[start : start + size]
        ]
        return json_reply(200, {"object": "list", "has_more": len(domains) > start + size, "data": page})

    def _verify(self, domain: dict[str, Any]) -> None:
        status = "failed" if domain["name"].endswith(UNVERIFIED) else "verified"
        domain["status"] = status
        for record in domain["records"]:
            record["status"] = status


def _records(name: str, return_path: str) -> list[dict[str, Any]]:
    """Return the records with names relative to the zone, which is assumed to be the last two labels."""
    below = "".join(f".{label}" for label in name.split(".")[:-2])
    key = f"p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQ{secrets.token_hex(90)}IDAQAB"
    shared = {"ttl": "Auto", "status": "not_started"}
    exchange = f"feedback-smtp.{REGION}.amazonses.com"
    return [
        {"record": "SPF", "name": f"{return_path}{below}", "type": "MX", "value": exchange, "priority": 10, **shared},
        {
            "record": "SPF",
            "name": f"{return_path}{below}",
            "type": "TXT",
            "value": '"v=spf1 include:amazonses.com ~all"',
            **shared,
        },
        {"record": "DKIM", "name": f"resend._domainkey{below}", "type": "TXT", "value": key, **shared},
    ]


def _refusal(status: int, name: str, message: str) -> Reply:
    return json_reply(status, {"statusCode": status, "name": name, "message": message})
