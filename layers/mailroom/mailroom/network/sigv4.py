"""AWS's Signature Version 4, and the credentials of the function's role.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. The tests compare every
signature with that of botocore.
"""

import hashlib
import hmac
import os
import time
from calendar import timegm
from collections.abc import Mapping
from dataclasses import dataclass

from mailroom.network.http import Transport, Url

__all__ = ["Credentials", "CredentialsMissing", "RoleCredentials", "dns_suffix", "sign"]

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
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    token = {"x-amz-security-token": credentials.token} if credentials.token else {}
    to_sign = {**headers, "x-amz-date": moment, **token}
    names = ";".join(sorted(to_sign))
    lines = "".join(f"{name}:{to_sign[name]}\n" for name in sorted(to_sign))
    canonical = f"POST\n{path}\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={credentials.key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    )
    return {**to_sign, "authorization": authorization}
