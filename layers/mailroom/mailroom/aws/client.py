"""Signed JSON calls to AWS.

Not boto3, which costs 200 ms of cold start and 20 MB (measured, docs/architecture.md) while somebody waits for a code.
The tests compare every signature with that of botocore.
"""

import hashlib
import hmac
import http.client
import json
import os
import ssl
import time
from calendar import timegm
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from threading import get_ident
from typing import Any
from urllib.parse import urlsplit

from mailroom.errors import ConfigurationError, DeliveryError, TemporaryFailure
from mailroom.model.redaction import redact

__all__ = ["TIMEOUT_SECONDS", "Aws", "AwsError", "Credentials", "sign"]

TARGETS = {"sqs": ("AmazonSQS", "1.0"), "ssm": ("AmazonSSM", "1.1"), "dynamodb": ("DynamoDB_20120810", "1.0")}
MAX_ATTEMPTS = 3
TIMEOUT_SECONDS = 1.5  # of one attempt: three of them fit into the time a sign-in page waits
PAUSES_SECONDS = (0.05, 0.2)
TRANSIENT = frozenset(
    {
        "ThrottlingException",
        "Throttling",
        "RequestThrottled",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
    }
    | {"InternalServerError", "InternalFailure", "ServiceUnavailable", "KmsThrottled", "TooManyUpdates"}
)
DENIED = frozenset(
    {
        "AccessDeniedException",
        "AccessDenied",
        "UnrecognizedClientException",
        "ExpiredTokenException",
        "InvalidSignatureException",
    }
    | {"ResourceNotFoundException", "QueueDoesNotExist", "KmsAccessDenied", "MissingAuthenticationToken"}
)


class AwsError(DeliveryError):
    """AWS rejected the request. `body` is its whole answer, which for a failed condition contains the old item."""

    category = "AwsRefusal"

    def __init__(self, service: str, code: str, body: Mapping[str, Any]) -> None:
        super().__init__(service, code, _message(body))
        self.body = body


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials that sign requests, valid until `expires_at`."""

    key: str
    secret: str
    token: str = ""
    expires_at: float = float("inf")


class Aws:
    """One per process: keeps a connection per service and thread, and signs each call."""

    def __init__(self, region: str, endpoint: str = "") -> None:
        self._region = region
        self._endpoint = endpoint
        self._tls = ssl.create_default_context() if not endpoint.startswith("http:") else None
        self._connections: dict[tuple[str, int], http.client.HTTPConnection] = {}
        self._credentials = Credentials("", "", expires_at=0)

    @classmethod
    def from_env(cls) -> "Aws":
        return cls(os.environ["AWS_REGION"], os.environ.get("AWS_ENDPOINT_URL", ""))

    def call(
        self, service: str, operation: str, payload: Mapping[str, Any], *, attempts: int = MAX_ATTEMPTS
    ) -> dict[str, Any]:
        """Call `operation` of `service`; raise AwsError, TemporaryFailure or ConfigurationError where that fails.

        Up to `attempts` are made where SSM, SQS or DynamoDB is slow, throttled or away.
        """
        body = json.dumps(payload).encode()
        failure: DeliveryError = TemporaryFailure(service, "not_tried")
        for attempt in range(attempts):
            if attempt:
                time.sleep(PAUSES_SECONDS[attempt - 1])
            try:
                status, answer = self._post(service, operation, body)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self._drop(service)
                failure = TemporaryFailure(service, type(error).__name__)
                continue
            if status == 200:
                return answer
            failure = _failure(service, status, answer)
            if not isinstance(failure, TemporaryFailure):
                break
        raise failure

    def close(self) -> None:
        while self._connections:
            self._connections.popitem()[1].close()

    def _post(self, service: str, operation: str, body: bytes) -> tuple[int, dict[str, Any]]:
        connection = self._connections.get((service, get_ident())) or self._connect(service)
        name, version = TARGETS[service]
        host = connection.host if connection.port in (80, 443) else f"{connection.host}:{connection.port}"
        headers = {
            "host": host,
            "content-type": f"application/x-amz-json-{version}",
            "x-amz-target": f"{name}.{operation}",
        }
        signed = sign(headers, body, service, self._region, self._fresh_credentials(), time.time())
        connection.request("POST", "/", body, signed)
        response = connection.getresponse()
        text = response.read()
        return response.status, json.loads(text or b"{}") if response.status < 500 or text[:1] == b"{" else {}

    def _connect(self, service: str) -> http.client.HTTPConnection:
        url = urlsplit(self._endpoint or f"https://{service}.{self._region}.{_suffix(self._region)}")
        if url.scheme == "http":
            connection = http.client.HTTPConnection(url.netloc, timeout=TIMEOUT_SECONDS)
        else:
            connection = http.client.HTTPSConnection(url.netloc, timeout=TIMEOUT_SECONDS, context=self._tls)
        return self._connections.setdefault((service, get_ident()), connection)

    def _drop(self, service: str) -> None:
        # Lambda freezes a process between calls; a kept connection may be long dead when it wakes up.
        if connection := self._connections.pop((service, get_ident()), None):
            connection.close()

    def _fresh_credentials(self) -> Credentials:
        if self._credentials.expires_at < time.time() + 60:
            self._credentials = _load_credentials()
        return self._credentials


def _suffix(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def _load_credentials() -> Credentials:
    env = os.environ
    if "AWS_ACCESS_KEY_ID" in env:
        return Credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env.get("AWS_SESSION_TOKEN", ""))
    # With SnapStart the environment has no keys: a local endpoint returns temporary ones.
    # https://docs.aws.amazon.com/lambda/latest/dg/snapstart-best-practices.html (2026-11)
    url = urlsplit(env["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
    connection = http.client.HTTPConnection(url.netloc, timeout=TIMEOUT_SECONDS)
    connection.request("GET", url.path, headers={"Authorization": env["AWS_CONTAINER_AUTHORIZATION_TOKEN"]})
    with closing(connection):
        values = json.loads(connection.getresponse().read())
    expires_at = timegm(time.strptime(values["Expiration"][:19], "%Y-%m-%dT%H:%M:%S"))
    return Credentials(values["AccessKeyId"], values["SecretAccessKey"], values["Token"], expires_at)


def _failure(service: str, status: int, answer: Mapping[str, Any]) -> DeliveryError:
    code = str(answer.get("__type") or status).rpartition("#")[2]
    code = code.rpartition("AWS.SimpleQueueService.")[2]
    if status >= 500 or code in TRANSIENT:
        return TemporaryFailure(service, code)
    if code in DENIED:
        return ConfigurationError(service, code, _message(answer))
    return AwsError(service, code, answer)


def _message(answer: Mapping[str, Any]) -> str:
    return redact(str(answer.get("message") or answer.get("Message") or ""))


def sign(
    headers: Mapping[str, str], body: bytes, service: str, region: str, credentials: Credentials, now: float
) -> dict[str, str]:
    """Return `headers` with Signature Version 4 added, for a POST of `body` to `/`.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    token = {"x-amz-security-token": credentials.token} if credentials.token else {}
    to_sign = {**headers, "x-amz-date": moment, **token}
    names = ";".join(sorted(to_sign))
    lines = "".join(f"{name}:{to_sign[name]}\n" for name in sorted(to_sign))
    canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={credentials.key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    )
    return {**to_sign, "authorization": authorization}
