"""Amazon SES: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html"""

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
)

from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.providers import ProviderSpec, Receipt
from mailroom.providers._address import ascii_address
from mailroom.providers._cases import QUOTA_RETRY_SECONDS, Case, error_of
from mailroom.providers._mime import encode_header, format_mailbox
from mailroom.providers._tags import ascii_tag

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sesv2.type_defs import MessageHeaderTypeDef, MessageTagTypeDef, SendEmailRequestTypeDef

__all__ = ["CONFIG", "PROVIDER", "Ses"]

# botocore repeats a request up to three times, even after a read timeout: each may send a mail (seen 2026-11).
CONFIG = Config(connect_timeout=2, read_timeout=6, retries={"total_max_attempts": 1, "mode": "standard"})
# Writing to a connection that SES has closed meanwhile is an unknown outcome.
MAX_IDLE_SECONDS = 20.0
CREDENTIAL_ERRORS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, MetadataRetrievalError)

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

    def __init__(self, client: "SESV2Client", configuration_set: str = "") -> None:
        self._client = client
        self._configuration_set = configuration_set
        self._used_at = time.time()

    @classmethod
    def from_settings(cls, values: Mapping[str, str], account: str = name) -> "Ses":
        settings = {name: value.strip() for name, value in values.items() if value.strip()}
        endpoint = urlsplit(settings.get("endpoint", "https:"))
        if endpoint.scheme != "https" and endpoint.hostname not in ("127.0.0.1", "localhost"):
            raise ConfigurationError("settings", "malformed", f"providers/{account}/endpoint must be an https address")
        try:
            # botocore reads AWS_DEFAULT_REGION only; Lambda sets AWS_REGION.
            region = settings.get("region") or os.environ.get("AWS_REGION")
            client = boto3.client("sesv2", region_name=region, endpoint_url=settings.get("endpoint"), config=CONFIG)
        except (NoRegionError, ValueError, BotoCoreError) as error:
            hint = "must be a region such as eu-west-1, and endpoint a URL or not set"
            raise ConfigurationError("settings", "malformed", f"providers/{account}/region {hint}") from error
        return cls(client, settings.get("configuration_set", ""))

    def send(self, email: Email, key: str) -> Receipt:
        request = self._request(email)
        if time.time() - self._used_at > MAX_IDLE_SECONDS:
            self._client.close()
        try:
            answer = self._client.send_email(**request)
        except ClientError as error:
            raise _error(error, email) from None  # its text may quote the mail
        except ParamValidationError:
            raise PermanentFailure(self.name, "invalid", "botocore refused a parameter of the request") from None
        except CREDENTIAL_ERRORS as error:
            raise ConfigurationError(self.name, "bad_key", type(error).__name__) from error
        except ConnectionError as error:
            raise TemporaryFailure(self.name, "unreachable", type(error).__name__) from error
        except HTTPClientError as error:
            raise UnknownOutcome(self.name, "no_answer", type(error).__name__) from error
        # Its parser raises errors of Python's own for JSON of another shape (seen in 1.44).
        except (BotoCoreError, AttributeError, TypeError) as error:
            raise UnknownOutcome(self.name, "garbage", type(error).__name__) from error
        finally:
            self._used_at = time.time()
        if not answer.get("MessageId"):
            raise UnknownOutcome(self.name, "garbage", "its answer has no id")
        return Receipt(answer["MessageId"])

    def close(self) -> None:
        self._client.close()

    def _request(self, email: Email) -> "SendEmailRequestTypeDef":
        request: SendEmailRequestTypeDef = {
            "FromEmailAddress": _mailbox(email.from_),
            "Destination": {"ToAddresses": [ascii_address(self.name, email.to)]},
            "Content": {
                "Simple": {
                    "Subject": {"Data": email.subject, "Charset": "UTF-8"},
                    "Body": {
                        "Text": {"Data": email.text, "Charset": "UTF-8"},
                        "Html": {"Data": email.html, "Charset": "UTF-8"},
                    },
                    "Headers": _headers(email),
                }
            },
            "EmailTags": _tags(email),
        }
        if email.reply_to:
            request["ReplyToAddresses"] = [_mailbox(email.reply_to)]
        if self._configuration_set:
            request["ConfigurationSetName"] = self._configuration_set
        return request


def _mailbox(mailbox: Mailbox) -> str:
    return format_mailbox(replace(mailbox, address=ascii_address(Ses.name, mailbox.address)))


def _headers(email: Email) -> "list[MessageHeaderTypeDef]":
    headers = {"Content-Language": email.locale, **email.headers}
    return [{"Name": name, "Value": encode_header(value)} for name, value in headers.items()]


def _tags(email: Email) -> "list[MessageTagTypeDef]":
    return [{"Name": ascii_tag(name), "Value": ascii_tag(value)} for name, value in email.tags.items() if value]


def _error(error: ClientError, email: Email) -> DeliveryError:
    body = error.response.get("Error", {})
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    name, message = body.get("Code", ""), body.get("Message", "")
    if name.isdigit():  # botocore's own placeholder for an answer without a name
        name = message = ""
    return error_of(Ses.name, ERRORS, status, name, message, [email])


PROVIDER = ProviderSpec(create=Ses.from_settings, optional=("region", "configuration_set", "endpoint"))
