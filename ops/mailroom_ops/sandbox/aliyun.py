"""A stub of Aliyun Direct Mail: https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-singlesendmail"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

from mailroom_ops.sandbox.provider import (
    UNVERIFIED,
    RateLimit,
    Reply,
    Request,
    captured_mail,
    format_mailbox,
    json_reply,
    mailboxes,
)

__all__ = ["STUB", "Aliyun"]

AUTHORIZATION = re.compile(r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([a-z0-9;-]+),Signature=([0-9a-f]{64})")
SIGNED = {"host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"}
ALLOWED_HEADERS = re.compile(r"X-User-[\w-]+|List-Unsubscribe(-Post)?|Message-ID", re.IGNORECASE)
EVENT_HEADER = re.compile(r"X-User-Notify-([\w-]+)", re.IGNORECASE)
NAMES = {403: "Forbidden.RAM", 404: "InvalidAccessKeyId.NotFound", 429: "Throttling.User", 500: "InternalServiceError",
         503: "ServiceUnavailable"}  # fmt: skip


class Aliyun:
    """Verifies signatures, and refuses a request that it has received before."""

    name = "aliyun"

    def __init__(self, access_key_id: str = "sandbox", access_key_secret: str = "sandbox-secret") -> None:
        self.access_key_id = access_key_id
        self.access_key_secret = access_key_secret
        self._nonces: set[str] = set()

    def settings(self, url: str) -> dict[str, str]:
        return {
            "access_key_id": self.access_key_id,
            "access_key_secret": self.access_key_secret,
            "endpoint": url,
        }

    def answer(self, request: Request, work: Callable[[], None]) -> Reply:
        if (problem := self._signature_problem(request)) is not None:
            return problem
        if request.path != "/" or request.headers.get("x-acs-action") != "SingleSendMail":
            return _refusal(
                404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."
            )
        form = {
            name: values[0]
            for name, values in parse_qs(request.body.decode(errors="replace"), keep_blank_values=True).items()
        }
        if (problem := _problem(form)) is not None:
            return problem
        work()
        id_ = f"600000{secrets.randbelow(10**12):012}"
        headers = json.loads(form.get("Headers", "{}"))
        mail = captured_mail(
            self.name,
            {_tag(match[1]): value for name, value in headers.items() if (match := EVENT_HEADER.fullmatch(name))},
            id_=id_,
            from_=format_mailbox(form.get("FromAlias", ""), form["AccountName"]),
            to=form["ToAddress"],
            reply_to=format_mailbox(form.get("ReplyAddressAlias", ""), form["ReplyAddress"])
            if "ReplyAddress" in form
            else "",
            subject=form["Subject"],
            text=form.get("TextBody", ""),
            html=form.get("HtmlBody", ""),
            headers=headers,
        )
        return json_reply(200, {"EnvId": id_, "RequestId": str(uuid4())}, mail)

    def _signature_problem(self, request: Request) -> Reply | None:
        match = AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
        if not match or not set(match[2].split(";")) >= SIGNED:
            return _refusal(400, "IncompleteSignature", "The request signature does not conform to Aliyun standards.")
        if match[1] != self.access_key_id:
            return _refusal(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        names = match[2].split(";")
        signed_headers = "".join(f"{name}:{str(request.headers.get(name, '')).strip()}\n" for name in names)
        body_hash = hashlib.sha256(request.body).hexdigest()
        canonical = "\n".join((request.method, "/", "", signed_headers, match[2], body_hash))
        to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
        signature = hmac.new(self.access_key_secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature, match[3]) or request.headers.get("x-acs-content-sha256") != body_hash:
            return _refusal(400, "SignatureDoesNotMatch", "Specified signature does not match our calculation.")
        nonce = str(request.headers["x-acs-signature-nonce"])
        if nonce in self._nonces:
            return _refusal(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
        self._nonces.add(nonce)
        return None

    def error(self, status: int) -> Reply:
        return _refusal(status, NAMES.get(status, "EmailFormatError"), "This error was requested from the sandbox.")

    def throttled(self, rate: RateLimit) -> Reply:
        wait = {"x-acs-retry-after": str(round(rate.reset * 1000))}
        return _refusal(400, "Throttling.User", "Request was denied due to user flow control.", wait)

    def rate_headers(self, rate: RateLimit) -> dict[str, str]:
        return {}


def _refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    body: dict[str, Any] = {"Code": code, "Message": message, "RequestId": str(uuid4()), "HostId": "dm.aliyuncs.com"}
    return json_reply(status, body, headers=headers)


def _tag(name: str) -> str:
    return name.lower().replace("-", "_")


def _problem(form: Mapping[str, str]) -> Reply | None:
    """Return Aliyun's error for an invalid form; None for a valid one."""
    missing = [
        name for name in ("AccountName", "AddressType", "ReplyToAddress", "ToAddress", "Subject") if not form.get(name)
    ]
    if missing:
        return _refusal(400, f"Missing{missing[0]}", f"{missing[0]} is mandatory for this action.")
    if form["AccountName"].endswith(f"@{UNVERIFIED}"):
        return _refusal(404, "InvalidMailAddress.NotFound", "The specified mailAddress does not exist.")
    pairs = mailboxes(form["ToAddress"])
    if pairs is None or not all(address.isascii() for _, address in pairs):
        return _refusal(400, "InvalidToAddress", "The specified toAddress is wrongly formed.")
    if len(form.get("FromAlias", "")) > 15:
        return _refusal(400, "InvalidFromAlias.Malformed", "The specified fromAlias is wrongly formed.")
    if len(form["Subject"]) > 256:
        return _refusal(400, "InvalidSubject.Malformed", "The specified subject is wrongly formed.")
    if not form.get("HtmlBody") and not form.get("TextBody"):
        return _refusal(400, "InvalidBody", "The specified textBody or htmlBody is wrongly formed.")
    headers = json.loads(form.get("Headers") or "{}")
    if len(headers) > 10 or not all(ALLOWED_HEADERS.fullmatch(name) for name in headers):
        return _refusal(400, "InvalidHeaders.Malformed", "The specified headers are wrongly formed.")
    return None


STUB = Aliyun
