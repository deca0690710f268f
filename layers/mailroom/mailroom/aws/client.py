"""Signed JSON calls to AWS.

Not boto3, which costs 200 ms of cold start and 20 MB (measured, docs/architecture.md) while somebody waits for a code.
The tests compare every signature with that of botocore.
"""

import json
import os
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

from mailroom.errors import ConfigurationError, DeliveryError, TemporaryFailure
from mailroom.model.json_fields import compact_json
from mailroom.model.redaction import redact
from mailroom.network.http import Connections, Limits, NoAnswer, Unreachable, Url
from mailroom.network.sigv4 import CredentialsMissing, RoleCredentials, dns_suffix, sign
from mailroom.network.tls import tls_context

__all__ = ["MAX_ATTEMPTS", "TIMEOUT_SECONDS", "Aws", "AwsError"]

TARGETS = {
    "sqs": ("AmazonSQS", "1.0"),
    "ssm": ("AmazonSSM", "1.1"),
    "dynamodb": ("DynamoDB_20120810", "1.0"),
    "events": ("AWSEvents", "1.1"),
}
MAX_ATTEMPTS = 3
TIMEOUT_SECONDS = 1.5  # of one attempt: three of them fit into the time a sign-in page waits
PAUSES_SECONDS = (0.05, 0.2)
IDLE_SECONDS = 300.0  # a connection that AWS has closed meanwhile is noticed before it is used
MAX_ANSWER_BYTES = 32 * 1024 * 1024  # a batch of DynamoDB has up to 16 MB
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


class Aws:
    """One per process: keeps connections open, and signs each call.

    A call that fails after `retry_until` is not repeated: its invocation must end in time.
    """

    retry_until = float("inf")

    def __init__(self, region: str, endpoint: str = "") -> None:
        self._region = region
        self._endpoint = endpoint
        self._connections = Connections(_limits, tls_context)
        self._credentials = RoleCredentials(self._connections)
        if not endpoint.startswith("http:"):
            tls_context()  # during the cold start

    @classmethod
    def from_env(cls) -> "Aws":
        return cls(os.environ["AWS_REGION"], os.environ.get("AWS_ENDPOINT_URL", ""))

    def call(
        self, service: str, operation: str, payload: Mapping[str, Any], *, attempts: int = MAX_ATTEMPTS
    ) -> dict[str, Any]:
        """Call `operation` of `service`; raise AwsError, TemporaryFailure or ConfigurationError where that fails.

        Up to `attempts` are made where SSM, SQS or DynamoDB is slow, throttled or away.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                status, answer = self._post(service, operation, payload)
            except (Unreachable, NoAnswer, ValueError) as error:
                failure: DeliveryError = TemporaryFailure(service, type(error.__cause__ or error).__name__)
            except CredentialsMissing as error:
                raise ConfigurationError(service, "no_credentials", str(error)) from error
            else:
                if status == 200:
                    return answer
                failure = _failure(service, status, answer)
            is_last = attempt == attempts or not isinstance(failure, TemporaryFailure)
            if is_last or time.time() > self.retry_until:
                try:
                    raise failure
                finally:
                    del failure  # else it holds this frame, and this frame it, until a garbage collection
            time.sleep(PAUSES_SECONDS[attempt - 1])

    def close(self) -> None:
        self._connections.close()

    def _post(self, service: str, operation: str, payload: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        body = compact_json(payload).encode()
        url = _url(service, self._region, self._endpoint)
        name, version = TARGETS[service]
        headers = {
            "host": url.authority,
            "content-type": f"application/x-amz-json-{version}",
            "x-amz-target": f"{name}.{operation}",
        }
        signed = sign(headers, body, service, self._region, self._credentials.current(), time.time())
        answer = self._connections.request("POST", url, signed, body)
        text = answer.content
        return answer.status, json.loads(text or b"{}") if answer.status < 500 or text[:1] == b"{" else {}


@cache
def _url(service: str, region: str, endpoint: str) -> Url:
    return Url.parse(endpoint or f"https://{service}.{region}.{dns_suffix(region)}")


def _limits() -> Limits:
    seconds = TIMEOUT_SECONDS
    return Limits(connect=seconds, read=seconds, total=2 * seconds, idle=IDLE_SECONDS, size=MAX_ANSWER_BYTES)


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
