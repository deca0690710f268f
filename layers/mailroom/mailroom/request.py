"""HTTP requests as API Gateway hands them over, and the responses it takes."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from mailroom.errors import ConfigurationError, RequestError

__all__ = ["MAX_BODY_BYTES", "AllowedNetworks", "Request", "json_response", "parse_json", "request_id", "text_response"]

MAX_BODY_BYTES = 64 * 1024  # with its rendered Email beside it, a parcel still fits into one SQS message
MAX_DEPTH = 32
REQUEST_ID = re.compile(r"[\w=-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class AllowedNetworks:
    """The networks that may call a function, parsed once per process from a stack parameter. None listed allows any."""

    parameter: str
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    malformed: tuple[str, ...] = ()

    @classmethod
    def parse(cls, parameter: str, cidrs: str) -> "AllowedNetworks":
        """Parse a comma-separated list; an address with host bits, such as 203.0.113.5/24, stands for its network."""
        networks, malformed = [], []
        for entry in filter(None, map(str.strip, cidrs.split(","))):
            try:
                networks.append(ip_network(entry, strict=False))
            except ValueError:
                malformed.append(entry)
        return cls(parameter, tuple(networks), tuple(malformed))

    def require(self, address: str) -> None:
        """Raise a RequestError for an address outside the networks; a ConfigurationError if an entry is malformed."""
        if self.malformed:
            problem = f"{self.parameter} contains {', '.join(self.malformed)}, which is not a network"
            raise ConfigurationError("settings", "malformed", f"{problem}: change the parameter and deploy the stack")
        if self.networks and not any(ip_address(address) in network for network in self.networks):
            raise RequestError(403, "This address is not allowed to send mail here.")


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request, with header names in lower case and the body as bytes."""

    method: str
    path: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    source_ip: str
    received_at: float

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "Request":
        context = event["requestContext"]
        http = context["http"]
        body = (event.get("body") or "").encode("utf-8", "surrogatepass")
        if event.get("isBase64Encoded"):
            try:
                body = base64.b64decode(body, validate=True)
            except binascii.Error as error:
                raise RequestError(400, "The request body is not valid base64.") from error
        return cls(
            http["method"].upper(),
            event.get("pathParameters") or {},
            {name.lower(): value for name, value in (event.get("headers") or {}).items()},
            body,
            http["sourceIp"],
            context["timeEpoch"] / 1000,
        )

    def require_post(self) -> None:
        if self.method != "POST":
            raise RequestError(405, "Use POST.")

    def json(self, limit: int = MAX_BODY_BYTES) -> Any:
        """Return the parsed body; raise a RequestError with one sentence about the problem."""
        if self.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise RequestError(415, "Send the request as application/json.")
        if len(self.body) > limit:
            raise RequestError(413, "The request is too large.")
        return parse_json(self.body)


def request_id(event: Any) -> str | None:
    """Return API Gateway's id of an HTTP request, under which the access log has it; None for any other event."""
    context = event.get("requestContext") if isinstance(event, Mapping) else None
    id_ = context.get("requestId") if isinstance(context, Mapping) else None
    return id_ if isinstance(id_, str) and REQUEST_ID.fullmatch(id_) else None


def parse_json(body: bytes) -> Any:
    """Parse JSON strictly: UTF-8, no duplicate keys, no NaN, no lone surrogates, limited nesting."""
    try:
        value = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise RequestError(400, "The request is not valid UTF-8.") from error
    except RecursionError as error:
        raise RequestError(400, "The request is nested too deeply.") from error
    except ValueError as error:
        raise RequestError(400, "The request is not valid JSON.") from error
    if _depth(value) > MAX_DEPTH:
        raise RequestError(400, "The request is nested too deeply.")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("duplicate key")
    return values


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _depth(value: Any) -> int:
    depth, layer = 0, [value]
    while layer:
        depth += 1
        layer = [
            child
            for parent in layer
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
    return depth


def json_response(status: int, body: Mapping[str, Any] | str, headers: Mapping[str, str] = {}) -> dict[str, Any]:
    """Return a JSON response for API Gateway; a body that is a text is JSON already."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", "cache-control": "no-store", **headers},
        "body": body if isinstance(body, str) else json.dumps(body),
    }


def text_response(status: int, sentence: str, headers: Mapping[str, str] = {}) -> dict[str, Any]:
    """Return a response of one plain sentence: Logto shows it to the person who waits for the mail."""
    headers = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store", **headers}
    if status == 405:
        headers.setdefault("allow", "POST")
    return {"statusCode": status, "headers": headers, "body": sentence}
