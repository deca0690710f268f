"""AWS's Signature Version 4, and the credentials of the function's role.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. The tests compare every
signature with that of botocore.
"""

import hashlib
import hmac
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from mailroom.network.http import Transport, Url

__all__ = [
    "Credentials",
    "CredentialsMissing",
    "RoleCredentials",
    "authorized",
    "date_headers",
    "dns_suffix",
    "sign",
    "string_to_sign",
]

ALGORITHM = "AWS4-HMAC-SHA256"
REFRESH_SECONDS = 60  # before they expire
SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "us-isof-": "csp.hci.ic.gov",
}


class CredentialsMissing(Exception):
    """The environment has no credentials, or its endpoint gives none. `str()` is for the log."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials that sign requests, valid until `expires_at`."""

    key: str
    secret: str
    token: str = ""
    expires_at: float = float("inf")


class RoleCredentials:
    """The credentials of the function's role, read again before they expire."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._current = Credentials("", "", expires_at=0)

    def current(self) -> Credentials:
        """Return valid credentials; raise CredentialsMissing, Unreachable or NoAnswer where there are none."""
        if self._current.expires_at < time.time() + REFRESH_SECONDS:
            self._current = self._load()
        return self._current

    def _load(self) -> Credentials:
        env = os.environ
        if env.get("AWS_ACCESS_KEY_ID") and env.get("AWS_SECRET_ACCESS_KEY"):
            return Credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env.get("AWS_SESSION_TOKEN", ""))
        # With SnapStart the environment has no keys: a local endpoint returns temporary ones.
        # https://docs.aws.amazon.com/lambda/latest/dg/snapstart-best-practices.html (2026-11)
        url = env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        if not url:
            raise CredentialsMissing("neither AWS_ACCESS_KEY_ID nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set")
        headers = {"Authorization": env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")}
        answer = self._transport.request("GET", Url.parse(url), headers)
        from calendar import timegm  # with SnapStart only; it loads `locale`

        values = answer.json()
        try:
            expires_at = timegm(time.strptime(values["Expiration"][:19], "%Y-%m-%dT%H:%M:%S"))
            return Credentials(values["AccessKeyId"], values["SecretAccessKey"], values["Token"], expires_at)
        except (KeyError, TypeError, ValueError) as error:
            raise CredentialsMissing(f"the endpoint of credentials answers {answer.status}") from error


def dns_suffix(region: str) -> str:
    """Return the domain of AWS's endpoints in a region."""
    return next((suffix for prefix, suffix in SUFFIXES.items() if region.startswith(prefix)), "amazonaws.com")


def sign(
    headers: Mapping[str, str],
    body: bytes,
    service: str,
    region: str,
    credentials: Credentials,
    now: float,
    path: str = "/",
) -> dict[str, str]:
    """Return `headers` with a signature added, for a POST of `body` to a `path` that needs no percent-encoding."""
    to_sign = {**headers, **date_headers(credentials, now)}
    scope = f"{to_sign['x-amz-date'][:8]}/{region}/{service}/aws4_request"
    text = string_to_sign(ALGORITHM, to_sign, body, scope, path)
    signature = hmac.digest(_signing_key(credentials.secret, scope), text.encode(), "sha256")
    return authorized(ALGORITHM, to_sign, scope, credentials, signature.hex())


@lru_cache(maxsize=8)  # valid for a day, a region and a service
def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def date_headers(credentials: Credentials, now: float) -> dict[str, str]:
    """Return the headers that each signature covers."""
    token = {"x-amz-security-token": credentials.token} if credentials.token else {}
    return {"x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now)), **token}


def string_to_sign(algorithm: str, headers: Mapping[str, str], body: bytes, scope: str, path: str) -> str:
    """Return the text whose signature stands for a POST request with these headers, all of which are signed."""
    names = sorted(headers)
    lines = "".join(f"{name}:{headers[name]}\n" for name in names)
    canonical = f"POST\n{path}\n\n{lines}\n{';'.join(names)}\n{hashlib.sha256(body).hexdigest()}"
    return f"{algorithm}\n{headers['x-amz-date']}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"


def authorized(
    algorithm: str, headers: Mapping[str, str], scope: str, credentials: Credentials, signature: str
) -> dict[str, str]:
    """Return signed headers with their signature."""
    names = ";".join(sorted(headers))
    value = f"{algorithm} Credential={credentials.key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "authorization": value}
