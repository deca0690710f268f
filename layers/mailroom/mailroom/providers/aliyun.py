"""Aliyun Direct Mail: https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-singlesendmail"""

import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlencode

import httpx

from mailroom.errors import ConfigurationError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.providers import Receipt, _client
from mailroom.providers._address import ascii_address
from mailroom.providers._client import Case

__all__ = ["Aliyun", "authorization"]

HOME = "cn-hangzhou"
ALIAS_LENGTH = 15
# As of 2026 any other header is refused; X-User-Notify-… come back in the events.
CARRIED = re.compile(r"X-User-[\w-]+|List-Unsubscribe(?:-Post)?", re.IGNORECASE)

# https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-errorcodes. InvalidSendMail.Spam means a spent
# quota, a frequency, an account in arrears or, really, spam: an operator has to look which.
ERRORS = (
    Case(0, "InvalidAccessKeyId.NotFound", "", ConfigurationError, "bad_key"),
    Case(0, "InvalidAccessKeyId.Inactive", "", ConfigurationError, "bad_key"),
    Case(0, "SignatureDoesNotMatch", "", ConfigurationError, "bad_key"),
    Case(0, "IncompleteSignature", "", ConfigurationError, "bad_key"),
    Case(0, "Forbidden", "", ConfigurationError, "forbidden"),
    Case(0, "Forbidden.RAM", "", ConfigurationError, "forbidden"),
    Case(0, "NoPermission", "", ConfigurationError, "forbidden"),
    Case(0, "InvalidMailAddress.NotFound", "", ConfigurationError, "unverified_sender"),
    Case(0, "InvalidMailAddressStatus.Malformed", "", ConfigurationError, "unverified_sender"),
    Case(0, "InvalidMailAddressDomain.Malformed", "", ConfigurationError, "unverified_sender"),
    Case(0, "InvalidMailAddressName.Malformed", "", ConfigurationError, "invalid_sender"),
    Case(0, "InvalidMailAddressSendType.Malformed", "", ConfigurationError, "invalid_sender"),
    Case(0, "InvalidFromAlias.Malformed", "", ConfigurationError, "invalid_sender"),
    Case(0, "InvalidTag.NotFound", "", ConfigurationError, "unknown_tag"),
    Case(0, "InvalidTagName.Malformed", "", ConfigurationError, "unknown_tag"),
    Case(0, "InvalidSendMail.Spam", "", ConfigurationError, "quota_or_spam"),
    Case(0, "InvalidToAddress", "", PermanentFailure, "invalid_recipient"),
    Case(0, "InvalidToAddress.Spam", "", PermanentFailure, "invalid_recipient"),
    Case(0, "InvalidReceiverName.Malformed", "", PermanentFailure, "invalid_recipient"),
    Case(0, "Throttling", "", TemporaryFailure, "rate_limited", 1.0),
    Case(0, "Throttling.User", "", TemporaryFailure, "rate_limited", 1.0),
    Case(0, "Throttling.Api", "", TemporaryFailure, "rate_limited", 1.0),
    Case(429, "", "", TemporaryFailure, "rate_limited", 1.0),
)


class Aliyun:
    """Has no idempotency: a try without an answer may have been a mail."""

    name: ClassVar = "aliyun"
    idempotent: ClassVar = False

    def __init__(
        self,
        access_key_id: str,
        access_key_secret: str,
        transport: httpx.BaseTransport,
        endpoint: str = "",
        tag_name: str = "",
    ) -> None:
        self._key = (access_key_id, access_key_secret)
        self._transport = transport
        self._url = httpx.URL((endpoint or _endpoint(HOME)) + "/")
        self._tag_name = tag_name

    @classmethod
    def from_settings(cls, values: Mapping[str, str]) -> "Aliyun":
        key_id, secret = (_client.secret(cls.name, values, name) for name in ("access_key_id", "access_key_secret"))
        region = values.get("region", "").strip() or HOME
        if not re.fullmatch(r"[a-z0-9-]{1,40}", region):
            said = f"providers/{cls.name}/region must be a region such as {HOME}"
            raise ConfigurationError("settings", "malformed", said)
        endpoint = _client.endpoint(cls.name, values, _endpoint(region))
        return cls(key_id, secret, _client.shared(endpoint), endpoint, values.get("tag_name", "").strip())

    def send(self, email: Email, key: str) -> Receipt:
        body = urlencode(self._form(email)).encode()
        answer = _client.post(self._transport, self.name, self._url, body, self._signed(body))
        said = answer.json()
        if answer.is_success:
            if not isinstance(said.get("EnvId"), str) or not said["EnvId"]:
                raise UnknownOutcome(self.name, "garbage", "its answer has no id")
            return Receipt(said["EnvId"])
        name, message = str(said.get("Code") or ""), str(said.get("Message") or "")
        raise _client.problem(self.name, ERRORS, answer.status, name, message, _wait(answer.headers))

    def _form(self, email: Email) -> dict[str, str]:
        form = {
            "AccountName": ascii_address(self.name, email.from_.address),
            "AddressType": "1",
            "ClickTrace": "0",
            "FromAlias": _alias(email.from_.name),
            "Headers": json.dumps(_headers(email)),
            "HtmlBody": email.html,
            "ReplyToAddress": "false",  # true is the reply address of the console
            "Subject": email.subject,
            "TagName": self._tag_name,
            "TextBody": email.text,
            "ToAddress": ascii_address(self.name, email.to),
        }
        if email.reply_to:
            form["ReplyAddress"] = ascii_address(self.name, email.reply_to.address)
            form["ReplyAddressAlias"] = _alias(email.reply_to.name)
        return {name: value for name, value in form.items() if value}

    def _signed(self, body: bytes) -> dict[str, str]:
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "host": self._url.netloc.decode(),
            "x-acs-action": "SingleSendMail",
            "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
            "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "x-acs-signature-nonce": secrets.token_hex(16),
            "x-acs-version": "2015-11-23",
        }
        signature = authorization(*self._key, "POST", "", headers, headers["x-acs-content-sha256"])
        return {**headers, "authorization": signature}


def authorization(key_id: str, secret: str, method: str, query: str, headers: Mapping[str, str], body_hash: str) -> str:
    """Return the ACS3-HMAC-SHA256 authorization of a request to `/` whose `headers` have lower-case names.

    https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
    """
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    canonical = f"{method}\n/\n{query}\n{lines}\n{names}\n{body_hash}"
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(secret.encode(), text.encode(), "sha256").hex()
    return f"ACS3-HMAC-SHA256 Credential={key_id},SignedHeaders={names},Signature={signature}"


def _endpoint(region: str) -> str:
    return "https://dm.aliyuncs.com" if region == HOME else f"https://dm.{region}.aliyuncs.com"


def _alias(name: str) -> str:
    return name if len(name) <= ALIAS_LENGTH else name[: ALIAS_LENGTH - 1].rstrip() + "…"


def _headers(email: Email) -> dict[str, str]:
    ours = {f"X-User-Notify-{tag.replace('_', '-').title()}": value for tag, value in email.tags.items() if value}
    return ours | {name: value for name, value in email.headers.items() if CARRIED.fullmatch(name)}


def _wait(headers: Mapping[str, str]) -> float | None:
    # Milliseconds, as Aliyun's own clients read it (tea-openapi 0.4.6, 2026).
    asked = headers.get("x-acs-retry-after", "")
    return int(asked) / 1000 if re.fullmatch(r"[0-9]{1,9}", asked) else None
