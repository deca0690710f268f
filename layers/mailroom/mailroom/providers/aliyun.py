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

from mailroom.errors import ConfigurationError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.network.http import Transport, Url
from mailroom.providers import ProviderSpec, Receipt, _client
from mailroom.providers._address import ascii_address
from mailroom.providers._cases import Case, error_of

__all__ = ["PROVIDER", "Aliyun", "authorization"]

DEFAULT_REGION = "cn-hangzhou"
MAX_ALIAS_LENGTH = 15
# As of 2026 any other header is refused; X-User-Notify-… are part of the events.
ALLOWED_HEADERS = re.compile(r"X-User-[\w-]+|List-Unsubscribe(?:-Post)?", re.IGNORECASE)

# https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-errorcodes. InvalidSendMail.Spam means a used-up
# quota, a rate limit, an account in arrears, or spam: an operator has to find out which.
ERRORS = (
    Case(name="InvalidAccessKeyId.NotFound", error=ConfigurationError, code="bad_key"),
    Case(name="InvalidAccessKeyId.Inactive", error=ConfigurationError, code="bad_key"),
    Case(name="SignatureDoesNotMatch", error=ConfigurationError, code="bad_key"),
    Case(name="IncompleteSignature", error=ConfigurationError, code="bad_key"),
    Case(name="Forbidden", error=ConfigurationError, code="forbidden"),
    Case(name="Forbidden.RAM", error=ConfigurationError, code="forbidden"),
    Case(name="NoPermission", error=ConfigurationError, code="forbidden"),
    Case(name="InvalidMailAddress.NotFound", error=ConfigurationError, code="unverified_sender"),
    Case(name="InvalidMailAddressStatus.Malformed", error=ConfigurationError, code="unverified_sender"),
    Case(name="InvalidMailAddressDomain.Malformed", error=ConfigurationError, code="unverified_sender"),
    Case(name="InvalidMailAddressName.Malformed", error=ConfigurationError, code="invalid_sender"),
    Case(name="InvalidMailAddressSendType.Malformed", error=ConfigurationError, code="invalid_sender"),
    Case(name="InvalidFromAlias.Malformed", error=ConfigurationError, code="invalid_sender"),
    Case(name="InvalidTag.NotFound", error=ConfigurationError, code="unknown_tag"),
    Case(name="InvalidTagName.Malformed", error=ConfigurationError, code="unknown_tag"),
    Case(name="InvalidSendMail.Spam", error=ConfigurationError, code="quota_or_spam"),
    Case(name="InvalidToAddress", error=PermanentFailure, code="invalid_recipient"),
    Case(name="InvalidToAddress.Spam", error=PermanentFailure, code="invalid_recipient"),
    Case(name="InvalidReceiverName.Malformed", error=PermanentFailure, code="invalid_recipient"),
    Case(name="Throttling", error=TemporaryFailure, code="rate_limited", retry_after=1.0),
    Case(name="Throttling.User", error=TemporaryFailure, code="rate_limited", retry_after=1.0),
    Case(name="Throttling.Api", error=TemporaryFailure, code="rate_limited", retry_after=1.0),
    Case(status=429, error=TemporaryFailure, code="rate_limited", retry_after=1.0),
)


class Aliyun:
    """Not idempotent: a request without an answer may have sent a mail."""

    name: ClassVar = "aliyun"
    idempotent: ClassVar = False

    def __init__(
        self,
        access_key_id: str,
        access_key_secret: str,
        transport: Transport,
        endpoint: str = "",
        tag_name: str = "",
    ) -> None:
        self._key = (access_key_id, access_key_secret)
        self._transport = transport
        self._url = Url.parse((endpoint or _endpoint(DEFAULT_REGION)) + "/")
        self._tag_name = tag_name

    @classmethod
    def from_settings(cls, values: Mapping[str, str], account: str = name) -> "Aliyun":
        key_id, secret = (_client.secret(account, values, name) for name in ("access_key_id", "access_key_secret"))
        region = values.get("region", "").strip() or DEFAULT_REGION
        if not re.fullmatch(r"[a-z0-9-]{1,40}", region):
            hint = f"providers/{account}/region must be a region such as {DEFAULT_REGION}"
            raise ConfigurationError("settings", "malformed", hint)
        endpoint = _client.endpoint(account, values, _endpoint(region))
        return cls(key_id, secret, _client.shared(endpoint), endpoint, values.get("tag_name", "").strip())

    def send(self, email: Email, key: str) -> Receipt:
        content = urlencode(self._form(email)).encode()
        answer = _client.post(self._transport, self.name, self._url, content, self._signed_headers(content))
        body = answer.json()
        if answer.is_success:
            if not isinstance(body.get("EnvId"), str) or not body["EnvId"]:
                raise UnknownOutcome(self.name, "garbage", "its answer has no id")
            return Receipt(body["EnvId"])
        name, message = str(body.get("Code") or ""), str(body.get("Message") or "")
        raise error_of(self.name, ERRORS, answer.status, name, message, [email], _retry_after(answer.headers))

    def _form(self, email: Email) -> dict[str, str]:
        form = {
            "AccountName": ascii_address(self.name, email.from_.address),
            "AddressType": "1",
            "ClickTrace": "0",
            "FromAlias": _alias(email.from_.name),
            "Headers": json.dumps(_headers(email)),
            "HtmlBody": email.html,
            "ReplyToAddress": "false",  # true: the reply address set in the console
            "Subject": email.subject,
            "TagName": self._tag_name,
            "TextBody": email.text,
            "ToAddress": ascii_address(self.name, email.to),
        }
        if email.reply_to:
            form["ReplyAddress"] = ascii_address(self.name, email.reply_to.address)
            form["ReplyAddressAlias"] = _alias(email.reply_to.name)
        return {name: value for name, value in form.items() if value}

    def _signed_headers(self, content: bytes) -> dict[str, str]:
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "host": self._url.authority,
            "x-acs-action": "SingleSendMail",
            "x-acs-content-sha256": hashlib.sha256(content).hexdigest(),
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
    return "https://dm.aliyuncs.com" if region == DEFAULT_REGION else f"https://dm.{region}.aliyuncs.com"


def _alias(name: str) -> str:
    return name if len(name) <= MAX_ALIAS_LENGTH else name[: MAX_ALIAS_LENGTH - 1].rstrip() + "…"


def _headers(email: Email) -> dict[str, str]:
    tags = {f"X-User-Notify-{tag.replace('_', '-').title()}": value for tag, value in email.tags.items() if value}
    return tags | {name: value for name, value in email.headers.items() if ALLOWED_HEADERS.fullmatch(name)}


def _retry_after(headers: Mapping[str, str]) -> float | None:
    # In milliseconds, according to Aliyun's own clients (tea-openapi 0.4.6, 2026).
    value = headers.get("x-acs-retry-after", "")
    return int(value) / 1000 if re.fullmatch(r"[0-9]{1,9}", value) else None


PROVIDER = ProviderSpec(
    create=Aliyun.from_settings,
    required=("access_key_id", "access_key_secret"),
    optional=("region", "tag_name", "endpoint"),
    secrets=("access_key_secret",),
    domains_page="https://dm.console.aliyun.com",
)
