"""Requests of auth servers to the local stack: the examples in events/, with new codes, signed with local secrets."""

import base64
import hashlib
import hmac
import json
import secrets
import shlex
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mailroom.sources import registry

__all__ = ["SourceRequest", "SourceRequests"]

KEYS_FILE = Path(__file__).with_name("signing_keys.json")  # made for this file, they open nothing
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")  # of a PKCS#1 signature
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
EXAMPLES = {"logto": "webhook-sign-in", "rendered": "rendered-json"}  # files whose name is not that of their source
EXAMPLE_CODE = "482913"  # in the text of an example
EXAMPLE_RECIPIENTS = ("reader@example.com", "ada@example.com")

Settings = Mapping[str, str]  # of a tenant of the source, by the last part of their names
Signer = Callable[[dict[str, Any], Settings, float], "tuple[dict[str, str], bytes]"]


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """A request to a webhook that is valid for five minutes."""

    source: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_signed(self) -> bool:
        """Whether a signature covers the bytes of the body."""
        return any("signature" in name for name in self.headers)

    def to_curl(self, origin: str) -> str:
        """Return a command for a shell that sends the request."""
        headers = [f"--header {shlex.quote(f'{name}: {value}')}" for name, value in self.headers.items()]
        lines = [f"curl {shlex.quote(origin + self.path)}", *headers, f"--data-raw {shlex.quote(self.body.decode())}"]
        return " \\\n  ".join(lines)


@dataclass(frozen=True, slots=True)
class SourceRequests:
    """Makes requests of every source that has an example and secrets: in a file, or as the parameters in use."""

    root: Path
    secrets: Path | Mapping[str, str]

    def sources(self) -> list[str]:
        return [name for name in SIGNERS if self.tenants(name)]

    def tenants(self, source: str) -> dict[str, dict[str, str]]:
        """Return the settings of each tenant of a source."""
        tenants: dict[str, dict[str, str]] = {}
        for name, value in self._values().items():
            match name.split("/"):
                case ["webhooks", owner, key] if owner == source:
                    tenants.setdefault("default", {})[key] = str(value)
                case ["webhooks", owner, tenant, key] if owner == source:
                    tenants.setdefault(tenant, {})[key] = str(value)
        return tenants

    def make(
        self, source: str, now: float, tenant: str = "default", to: str = "", example: Mapping[str, Any] | None = None
    ) -> SourceRequest:
        """Return a request of a source; raise KeyError for an unknown source or tenant.

        By default its recipient is that of the example in events/; `example` is another one.
        """
        settings, sign = self.tenants(source)[tenant], SIGNERS[source]
        body = dict(example) if example else self._example(source)
        headers, content = sign(_addressed(body, to) if to else body, settings, now)
        path = f"/webhooks/{source}" if tenant == "default" else f"/webhooks/{source}/{tenant}"
        return SourceRequest(source, path, headers, content)

    def _values(self) -> Mapping[str, Any]:
        if isinstance(self.secrets, Path):
            values: Mapping[str, Any] = yaml.safe_load(self.secrets.read_text(encoding="utf-8"))
            return values
        return self.secrets

    def _example(self, source: str) -> dict[str, Any]:
        name = EXAMPLES.get(source) or f"{'rendered' if source in registry.SEALED else 'webhook'}-{source}"
        event = json.loads((self.root / "events" / f"{name}.json").read_text(encoding="utf-8"))
        if event["isBase64Encoded"]:  # a form
            return dict(parse_qsl(base64.b64decode(event["body"]).decode()))
        body: dict[str, Any] = json.loads(event["body"])
        if isinstance(body.get("token"), str):  # Hanko's: the request as the claims of a token
            body["token"] = _claims_of(body["token"])
        return body


def _addressed(value: Any, to: str) -> Any:
    """Return a request with another recipient."""
    match value:
        case dict():
            return {name: _addressed(part, to) for name, part in value.items()}
        case list():
            return [_addressed(part, to) for part in value]
    return to if value in EXAMPLE_RECIPIENTS else value


def _logto(body: dict[str, Any], settings: Settings, now: float) -> tuple[dict[str, str], bytes]:
    if "code" in body["payload"]:
        body["payload"]["code"] = _code(6)
    return JSON | {"authorization": settings["authorization"].splitlines()[0]}, _compact(body)


def _kratos(body: dict[str, Any], settings: Settings, now: float) -> tuple[dict[str, str], bytes]:
    body["code"] = _code(6)
    return JSON | {"authorization": f"Bearer {settings['secret'].splitlines()[0]}"}, _compact(body)


def _supabase(body: dict[str, Any], settings: Settings, now: float) -> tuple[dict[str, str], bytes]:
    body["metadata"] |= {"uuid": str(uuid.uuid4()), "time": _iso(now)}
    body["email_data"] |= {"token": _code(6), "token_hash": secrets.token_hex(28)}
    return _standard_webhook(_compact(body), settings["secret"], now)


def _rendered(body: dict[str, Any], settings: Settings, now: float) -> tuple[dict[str, str], bytes]:
    text = json.dumps(body).replace(EXAMPLE_CODE, _code(6))
    return JSON | {"authorization": settings["secret"].splitlines()[0]}, _compact(json.loads(text))


def _casdoor(body: dict[str, Any], settings: Settings, now: float) -> tuple[dict[str, str], bytes]:
    form = urlencode({name: value.replace(EXAMPLE_CODE, _code(6)) for name, value in body.items()})
    return FORM | {"authorization": settings["secret"].splitlines()[0]}, form.encode()


def _zitadel(body: dict[str, Any], settings: Settings, now: float) -> tuple[dict[str, str], bytes]:
    sent = _compact(json.loads(json.dumps(body).replace(EXAMPLE_CODE, _code(6))))
    key, timestamp = settings["secret"].splitlines()[0].encode(), f"{int(now)}"
    signature = hmac.digest(key, f"{timestamp}.".encode() + sent, hashlib.sha256).hex()
    return JSON | {"zitadel-signature": f"t={timestamp},v1={signature}"}, sent


def _auth0(body: dict[str, Any], settings: Settings, now: float) -> tuple[dict[str, str], bytes]:
    sent = _compact(json.loads(json.dumps(body).replace(EXAMPLE_CODE, _code(6))))
    return _standard_webhook(sent, settings["secret"], now)


def _clerk(body: dict[str, Any], settings: Settings, now: float) -> tuple[dict[str, str], bytes]:
    body["timestamp"] = int(now * 1000)
    return _auth0(body, settings, now)


def _standard(body: dict[str, Any], settings: Settings, now: float) -> tuple[dict[str, str], bytes]:
    body["timestamp"] = _iso(now)
    return _auth0(body, settings, now)


def _standard_webhook(body: bytes, secret: str, now: float) -> tuple[dict[str, str], bytes]:
    """Sign a body as https://www.standardwebhooks.com describes."""
    key = base64.b64decode(secret.splitlines()[0].rpartition("whsec_")[2])
    id_, timestamp = str(uuid.uuid4()), f"{int(now)}"
    digest = hmac.digest(key, f"{id_}.{timestamp}.".encode() + body, hashlib.sha256)
    signature = f"v1,{base64.b64encode(digest).decode()}"
    headers = {"webhook-id": id_, "webhook-timestamp": timestamp, "webhook-signature": signature}
    return JSON | headers, body


def _code(digits: int) -> str:
    return f"{secrets.randbelow(10**digits):0{digits}}"


def _iso(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _compact(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _entra(body: dict[str, Any], settings: Settings, now: float) -> tuple[dict[str, str], bytes]:
    data, directory = body["data"], settings["directory_id"]
    data["otpContext"]["oneTimeCode"] = _code(8)
    data["authenticationContext"]["correlationId"] = str(uuid.uuid4())
    claims = {
        "aud": settings["audience"],
        "iss": f"https://{directory}.ciamlogin.com/{directory}/v2.0",
        "iat": int(now),
        "nbf": int(now),
        "exp": int(now) + 300,
        "azp": "99045fe1-7639-4a75-9d4a-577b6ca3810f",
        "tid": directory,
        "ver": "2.0",
    }
    return JSON | {"authorization": f"Bearer {_token(claims, 'entra')}"}, _compact(body)


def _hanko(body: dict[str, Any], settings: Settings, now: float) -> tuple[dict[str, str], bytes]:
    claims = body["token"] | {"iat": int(now), "exp": int(now) + 300, "aud": [settings["audience"]]}
    claims["data"]["data"] |= {"otp_code": _code(6), "valid_until": int(now) + 300}
    return JSON, _compact(body | {"token": _token(claims, "hanko")})


def _claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims


def _neon(body: dict[str, Any], settings: Settings, now: float) -> tuple[dict[str, str], bytes]:
    body |= {"event_id": str(uuid.uuid4()), "timestamp": _iso(now)}
    body["event_data"] |= {"otp_code": _code(6), "expires_at": _iso(now + 600)}
    key = json.loads(KEYS_FILE.read_text(encoding="utf-8"))["neon"]
    content, timestamp = _compact(body), f"{int(now * 1000)}"
    header = _base64url(_compact({"alg": "EdDSA", "typ": "JWS", "kid": key["kid"][:8]}))
    signed = f"{header}.{_base64url(f'{timestamp}.{_base64url(content)}'.encode())}"
    private_key = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(key["d"] + "=="))
    headers = {
        "x-neon-signature": f"{header}..{_base64url(private_key.sign(signed.encode()))}",
        "x-neon-signature-kid": key["kid"],
        "x-neon-timestamp": timestamp,
        "x-neon-event-type": body["event_type"],
        "x-neon-event-id": body["event_id"],
        "x-neon-delivery-attempt": "1",
    }
    return JSON | headers, content


def _token(claims: Mapping[str, Any], source: str) -> str:
    """Return a JSON Web Token, signed by RS256 with the source's local key."""
    key = json.loads(KEYS_FILE.read_text(encoding="utf-8"))[source]
    header = {"alg": "RS256", "kid": key["kid"], "typ": "JWT"}
    signed = f"{_base64url(_compact(header))}.{_base64url(_compact(claims))}"
    modulus, exponent = (int.from_bytes(base64.urlsafe_b64decode(key[name] + "==")) for name in ("n", "d"))
    size = (modulus.bit_length() + 7) // 8
    digest = SHA256_PREFIX + hashlib.sha256(signed.encode()).digest()
    padded = b"\x00\x01".ljust(size - len(digest) - 1, b"\xff") + b"\x00" + digest
    return f"{signed}.{_base64url(pow(int.from_bytes(padded), exponent, modulus).to_bytes(size))}"


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


SIGNERS: Mapping[str, Signer] = {
    "logto": _logto,
    "supabase": _supabase,
    "kratos": _kratos,
    "entra": _entra,
    "hanko": _hanko,
    "neon": _neon,
    "rendered": _rendered,
    "casdoor": _casdoor,
    "zitadel": _zitadel,
    "auth0": _auth0,
    "clerk": _clerk,
    "standard": _standard,
}
