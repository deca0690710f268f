"""A stub of Amazon SES in front of moto: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html

moto stores only the HTML of a mail. So this stub forwards every request to moto, and stores the mails that it accepts.
"""

import http.client
import json
import re
import threading
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from mailroom_ops.sandbox.headers import decoded, mailbox
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.provider import UNVERIFIED, RateLimit, Reply, Request, captured_mail, data_url, json_reply
from mailroom_ops.sandbox.suppressed import cause_of_mail

__all__ = ["Ses"]

SEND = "/v2/email/outbound-emails"
SUPPRESSED = "/v2/email/suppression/addresses"
IDENTITIES = "/v2/email/identities"
FORWARDED_HEADERS = ("Authorization", "Content-Type", "X-Amz-Date", "X-Amz-Security-Token")
REGIONAL, MULTI_REGION = "AWS4-HMAC-SHA256 ", "AWS4-ECDSA-P256-SHA256 "
# moto finds the region of a request in its signature, and that of a multi-region endpoint has none.
PRIMARY_REGION = f"{REGIONAL}Credential=AKIAEXAMPLE/20150830/us-east-1/ses/aws4_request, SignedHeaders=, Signature="
TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")
NAMES = {
    403: "AccessDeniedException",
    404: "NotFoundException",
    408: "RequestTimeout",
    429: "TooManyRequestsException",
    500: "InternalFailure",
    503: "ServiceUnavailable",
}


class Ses:
    """Forwards to the moto server at `aws`, and verifies every sender's domain there but UNVERIFIED."""

    name = "ses"

    def __init__(self, aws: str) -> None:
        self._aws = urlsplit(aws)
        self._verified: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def settings(self, url: str) -> dict[str, str]:
        return {"endpoint": url}

    def answer(self, request: Request, work: Callable[[], None]) -> Reply:
        authorization = request.headers.get("Authorization", "")
        if not authorization.startswith((REGIONAL, MULTI_REGION)):
            return _refusal(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        if (request.method, request.path) != ("POST", SEND):
            return self._forward(request.method, request.path, request)
        body = request.json()
        if authorization.startswith(MULTI_REGION):
            if "EndpointId" not in body:
                return _refusal(403, "InvalidSignatureException", "The request is not for a multi-region endpoint.")
            headers = copy(request.headers)
            headers.replace_header("Authorization", PRIMARY_REGION)
            request = replace(request, headers=headers)
        if (problem := _problem(body)) is not None:
            return _refusal(400, "BadRequestException", problem)
        self._verify(mailbox(body["FromEmailAddress"]).rpartition("@")[2].rstrip(">"), request)
        work()
        reply = self._forward("POST", SEND, request)
        if reply.status != 200:
            return reply
        mail = _read(body, json.loads(reply.body)["MessageId"])
        if cause := cause_of_mail(mail):
            entry = {"EmailAddress": mail.to, "Reason": cause.upper()}
            self._forward("PUT", SUPPRESSED, request, json.dumps(entry).encode())
        return Reply(reply.status, reply.body, reply.headers, (mail,))

    def _verify(self, domain: str, request: Request) -> None:
        identity = (domain, request.headers["Authorization"].split("/")[2])  # an identity belongs to a region
        with self._lock:
            if domain != UNVERIFIED and identity not in self._verified:
                self._forward("POST", IDENTITIES, request, json.dumps({"EmailIdentity": domain}).encode())
                self._verified.add(identity)

    def _forward(self, method: str, path: str, request: Request, body: bytes | None = None) -> Reply:
        headers = {name: request.headers[name] for name in FORWARDED_HEADERS if name in request.headers}
        connection = http.client.HTTPConnection(self._aws.netloc)
        try:
            connection.request(method, path, request.body if body is None else body, headers)
            answer = connection.getresponse()
            headers = {
                name: value for name, value in answer.getheaders() if name.lower().startswith(("x-amz", "content-t"))
            }
            return Reply(answer.status, answer.read(), headers)
        finally:
            connection.close()

    def error(self, status: int) -> Reply:
        return _refusal(status, NAMES.get(status, "BadRequestException"), "This error was requested from the sandbox.")

    def throttled(self, rate: RateLimit) -> Reply:
        return _refusal(429, "TooManyRequestsException", "Maximum sending rate exceeded.")

    def rate_headers(self, rate: RateLimit) -> dict[str, str]:
        return {}


def _refusal(status: int, name: str, message: str) -> Reply:
    return json_reply(status, {"message": message}, headers={"x-amzn-ErrorType": name})


def _problem(body: Any) -> str | None:
    """Return SES's error for what moto does not check; None for a valid body."""
    if not isinstance(body, dict) or "Simple" not in body.get("Content", {}):
        return "The sandbox takes simple content only."
    recipients = body.get("Destination", {}).get("ToAddresses", [])
    if not all(address.isascii() for address in [body["FromEmailAddress"], *recipients]):
        return "Local address contains control or whitespace"
    for tag in body.get("EmailTags", []):
        if not TAG.fullmatch(tag["Name"]) or not TAG.fullmatch(tag["Value"]):
            return f"Invalid email tag value <{tag['Value']}>, only alphanumeric ASCII characters, '_' and '-'."
    files = body["Content"]["Simple"].get("Attachments", [])
    if not all(data_url(file["ContentType"], file["RawContent"]) for file in files):
        return "The sandbox takes pictures only."
    headers = body["Content"]["Simple"].get("Headers", [])
    if len(headers) > 15 or not all(re.fullmatch(r"[ -~]{1,995}", header["Value"]) for header in headers):
        return "Invalid header."
    return None


def _read(body: Any, id_: str) -> Captured:
    simple = body["Content"]["Simple"]
    replies = body.get("ReplyToAddresses", [])
    return captured_mail(
        Ses.name,
        {tag["Name"]: tag["Value"] for tag in body.get("EmailTags", [])},
        id_=id_,
        from_=mailbox(body["FromEmailAddress"]),
        to=", ".join(body["Destination"]["ToAddresses"]),
        reply_to=", ".join(map(mailbox, replies)),
        subject=simple["Subject"]["Data"],
        text=simple["Body"].get("Text", {}).get("Data", ""),
        html=simple["Body"].get("Html", {}).get("Data", ""),
        headers={header["Name"]: decoded(header["Value"]) for header in simple.get("Headers", [])},
        images={
            file["ContentId"]: url
            for file in simple.get("Attachments", [])
            if file["ContentDisposition"] == "INLINE" and (url := data_url(file["ContentType"], file["RawContent"]))
        },
    )
