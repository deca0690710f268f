"""Amazon SES: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html

The request is signed and sent by us. boto3 took 200 ms and 20 MB of a cold start and half of the CPU of a mail, and
waited for an endless answer without limit (docs/performance.md). The tests compare each request with botocore's.
"""

import os
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import quote

from mailroom.errors import ConfigurationError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email, InlineImage
from mailroom.model.json_fields import compact_json
from mailroom.model.mailbox import Mailbox
from mailroom.network.http import Answer, NoAnswer, Transport, Unreachable, Url
from mailroom.network.sigv4 import Credentials, CredentialsMissing, RoleCredentials, dns_suffix, sign
from mailroom.providers import ProviderSpec, Receipt, _client
from mailroom.providers._address import ascii_address
from mailroom.providers._cases import QUOTA_RETRY_SECONDS, Case, error_of
from mailroom.providers._mime import encode_header, format_mailbox
from mailroom.providers._tags import ascii_tag

__all__ = ["PROVIDER", "Ses"]

PATH = "/v2/email/outbound-emails"
NO_TRACKING = {"Tracking": {"OpenTrackingEnabled": "DISABLED", "ClickTrackingEnabled": "DISABLED"}}
REGION = re.compile(r"[a-z][a-z0-9-]{1,38}[a-z0-9]")
ENDPOINT_ID = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*")

# https://docs.aws.amazon.com/ses/latest/APIReference-V2/CommonErrors.html. Often only the message is specific: a
# used-up quota has the name of a rate limit, an unverified sender that of any rejected mail.
ERRORS = (
    Case(message="quota", error=TemporaryFailure, code="daily_quota", retry_after=QUOTA_RETRY_SECONDS),
    Case(name="LimitExceededException", error=TemporaryFailure, code="daily_quota", retry_after=QUOTA_RETRY_SECONDS),
    Case(name="TooManyRequestsException", error=TemporaryFailure, code="rate_limited", retry_after=1.0),
    Case(name="ThrottlingException", error=TemporaryFailure, code="rate_limited", retry_after=1.0),
    Case(name="Throttling", error=TemporaryFailure, code="rate_limited", retry_after=1.0),
    Case(name="MailFromDomainNotVerifiedException", error=ConfigurationError, code="unverified_sender"),
    Case(message=r"\bnot verified", error=ConfigurationError, code="unverified_sender"),
    Case(name="AccountSuspendedException", error=ConfigurationError, code="suspended"),
    Case(name="SendingPausedException", error=ConfigurationError, code="suspended"),
    Case(name="ExpiredTokenException", error=ConfigurationError, code="bad_key"),
    Case(name="UnrecognizedClientException", error=ConfigurationError, code="bad_key"),
    Case(name="InvalidSignatureException", error=ConfigurationError, code="bad_key"),
    Case(name="InvalidClientTokenId", error=ConfigurationError, code="bad_key"),
    Case(status=400, name="MessageRejected", error=PermanentFailure, code="refused"),
)


class Ses:
    """Not idempotent: a request without an answer may have sent a mail. Authenticated by the function's IAM role."""

    name: ClassVar = "ses"
    idempotent: ClassVar = False

    def __init__(
        self,
        region: str,
        transport: Transport,
        endpoint: str = "",
        configuration_set: str = "",
        tenant_name: str = "",
        endpoint_id: str = "",
    ) -> None:
        self._region = region
        self._transport = transport
        self._url = Url.parse((endpoint or _endpoint(region, endpoint_id)) + PATH)
        self._path = quote(self._url.target, safe="/~")  # encoded twice, as the signature requires
        self._credentials = RoleCredentials(transport)
        self._names = {
            "ConfigurationSetName": configuration_set,
            "TenantName": tenant_name,
            "EndpointId": endpoint_id,
        }

    @classmethod
    def from_settings(cls, values: Mapping[str, str], account: str = name) -> "Ses":
        region, configuration_set, tenant_name, endpoint_id = (
            values.get(name, "").strip() for name in ("region", "configuration_set", "tenant_name", "endpoint_id")
        )
        region = region or os.environ.get("AWS_REGION", "")
        if not REGION.fullmatch(region):
            hint = f"providers/{account}/region must be a region such as eu-west-1"
            raise ConfigurationError("settings", "malformed", hint)
        if endpoint_id and not ENDPOINT_ID.fullmatch(endpoint_id):
            hint = f"providers/{account}/endpoint_id must be the id of a multi-region endpoint, such as abc123.456def"
            raise ConfigurationError("settings", "malformed", hint)
        endpoint = _client.endpoint(account, values, _endpoint(region, endpoint_id))
        return cls(region, _client.shared(endpoint), endpoint, configuration_set, tenant_name, endpoint_id)

    def send(self, email: Email, key: str) -> Receipt:
        content = compact_json(self._request(email)).encode()
        answer = _client.post(self._transport, self.name, self._url, content, self._signed_headers(content))
        body = answer.json()
        if answer.is_success:
            if not isinstance(body.get("MessageId"), str) or not body["MessageId"]:
                raise UnknownOutcome(self.name, "garbage", "its answer has no id")
            return Receipt(body["MessageId"])
        message = str(body.get("message") or body.get("Message") or "")
        raise error_of(self.name, ERRORS, answer.status, _error_name(answer), message, [email])

    def _request(self, email: Email) -> dict[str, Any]:
        parts = {"Text": email.text, "Html": email.html}
        simple: dict[str, Any] = {
            "Subject": _utf8(email.subject),
            "Body": {name: _utf8(text) for name, text in parts.items() if text},
            "Headers": _headers(email),
        }
        if email.images:
            simple["Attachments"] = [_attachment(image) for image in email.images]
        request: dict[str, Any] = {
            "FromEmailAddress": _mailbox(email.from_),
            "Destination": {"ToAddresses": [ascii_address(self.name, email.to)]},
            "Content": {"Simple": simple},
            "EmailTags": _tags(email),
            "ConfigurationOverrides": NO_TRACKING,
            **{name: value for name, value in self._names.items() if value},
        }
        if email.reply_to:
            request["ReplyToAddresses"] = [_mailbox(email.reply_to)]
        return request

    def _signed_headers(self, content: bytes) -> dict[str, str]:
        headers = {"host": self._url.authority, "content-type": "application/json"}
        credentials, now = self._current_credentials(), time.time()
        if self._names["EndpointId"]:
            from mailroom.network import sigv4a  # not part of other cold starts

            return sigv4a.sign(headers, content, self.name, credentials, now, self._path)
        return sign(headers, content, self.name, self._region, credentials, now, self._path)

    def _current_credentials(self) -> Credentials:
        try:
            return self._credentials.current()
        except CredentialsMissing as error:
            raise ConfigurationError(self.name, "bad_key", str(error)) from error
        except (Unreachable, NoAnswer) as error:
            raise TemporaryFailure(self.name, "unreachable", "no credentials of the role") from error


def _endpoint(region: str, endpoint_id: str) -> str:
    """Return the API's address, by the rules that botocore has for it (2026-11)."""
    if not endpoint_id:
        return f"https://email.{region}.{dns_suffix(region)}"
    partition = "us-gov." if region.startswith("us-gov-") else ""
    return f"https://{endpoint_id}.endpoints.email.{partition}{dns_suffix(region)}"


def _mailbox(mailbox: Mailbox) -> str:
    return format_mailbox(replace(mailbox, address=ascii_address(Ses.name, mailbox.address)))


def _utf8(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


def _headers(email: Email) -> list[dict[str, str]]:
    headers = {"Content-Language": email.locale, **email.headers}
    return [{"Name": name, "Value": encode_header(value)} for name, value in headers.items()]


def _attachment(image: InlineImage) -> dict[str, str]:
    return {
        "FileName": image.name,
        "RawContent": image.content,
        "ContentType": image.type,
        "ContentId": image.cid,
        "ContentDisposition": "INLINE",
        "ContentTransferEncoding": "BASE64",
    }


def _tags(email: Email) -> list[dict[str, str]]:
    return [{"Name": ascii_tag(name), "Value": ascii_tag(value)} for name, value in email.tags.items() if value]


def _error_name(answer: Answer) -> str:
    name = answer.headers.get("x-amzn-errortype") or str(answer.json().get("__type") or "")
    return name.partition(":")[0].rpartition("#")[2]


PROVIDER = ProviderSpec(
    create=Ses.from_settings,
    optional=("region", "configuration_set", "tenant_name", "endpoint_id", "endpoint"),
    inline_images=True,
)
