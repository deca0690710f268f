"""Amazon SES: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html"""

import os
import re
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
from mailroom.providers import Receipt
from mailroom.providers._address import ascii_address
from mailroom.providers._cases import QUOTA_WAIT, Case, problem
from mailroom.providers._mime import encoded, written

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sesv2.type_defs import MessageHeaderTypeDef, MessageTagTypeDef, SendEmailRequestTypeDef

__all__ = ["Ses"]

# botocore repeats a request by itself, up to three times, even after a read timeout: each may be a mail (seen 2026-11).
CONFIG = Config(connect_timeout=2, read_timeout=6, retries={"total_max_attempts": 1, "mode": "standard"})
# A kept connection that was dropped meanwhile fails in the moment we write, and then nobody knows.
IDLE = 20.0
NO_KEY = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, MetadataRetrievalError)

# https://docs.aws.amazon.com/ses/latest/APIReference-V2/CommonErrors.html. What is wrong often stands in the message
# only: a used-up quota comes as a throttling, an unverified sender as any rejected mail.
ERRORS = (
    Case(0, "", "quota", TemporaryFailure, "daily_quota", QUOTA_WAIT),
    Case(0, "LimitExceededException", "", TemporaryFailure, "daily_quota", QUOTA_WAIT),
    Case(0, "TooManyRequestsException", "", TemporaryFailure, "rate_limited", 1.0),
    Case(0, "ThrottlingException", "", TemporaryFailure, "rate_limited", 1.0),
    Case(0, "Throttling", "", TemporaryFailure, "rate_limited", 1.0),
    Case(0, "MailFromDomainNotVerifiedException", "", ConfigurationError, "unverified_sender"),
    Case(0, "", r"\bnot verified", ConfigurationError, "unverified_sender"),
    Case(0, "AccountSuspendedException", "", ConfigurationError, "suspended"),
    Case(0, "SendingPausedException", "", ConfigurationError, "suspended"),
    Case(0, "ExpiredTokenException", "", ConfigurationError, "bad_key"),
    Case(0, "UnrecognizedClientException", "", ConfigurationError, "bad_key"),
    Case(0, "InvalidSignatureException", "", ConfigurationError, "bad_key"),
    Case(0, "InvalidClientTokenId", "", ConfigurationError, "bad_key"),
    Case(400, "MessageRejected", "", PermanentFailure, "refused"),
)


class Ses:
    """Takes IAM for a key and has no idempotency: a try without an answer may have been a mail."""

    name: ClassVar = "ses"
    idempotent: ClassVar = False

    def __init__(self, client: "SESV2Client", configuration_set: str = "") -> None:
        self._client = client
        self._configuration_set = configuration_set
        self._used_at = time.time()

    @classmethod
    def from_settings(cls, values: Mapping[str, str]) -> "Ses":
        given = {name: value.strip() for name, value in values.items() if value.strip()}
        endpoint = urlsplit(given.get("endpoint", "https:"))
        if endpoint.scheme != "https" and endpoint.hostname not in ("127.0.0.1", "localhost"):
            raise ConfigurationError("settings", "malformed", "providers/ses/endpoint must be an https address")
        try:
            # botocore reads AWS_DEFAULT_REGION only, Lambda is sure to set AWS_REGION.
            region = given.get("region") or os.environ.get("AWS_REGION")
            client = boto3.client("sesv2", region_name=region, endpoint_url=given.get("endpoint"), config=CONFIG)
        except (NoRegionError, ValueError, BotoCoreError) as error:
            said = (
                "providers/ses/region must be a region such as eu-west-1, providers/ses/endpoint an address or not set"
            )
            raise ConfigurationError("settings", "malformed", said) from error
        return cls(client, given.get("configuration_set", ""))

    def send(self, email: Email, key: str) -> Receipt:
        request = self._request(email)
        if time.time() - self._used_at > IDLE:
            self._client.close()
        try:
            answer = self._client.send_email(**request)
        except ClientError as error:
            raise _refusal(error) from None  # its text quotes addresses
        except ParamValidationError:
            raise PermanentFailure(self.name, "invalid", "botocore finds a parameter it cannot send") from None
        except NO_KEY as error:
            raise ConfigurationError(self.name, "bad_key", type(error).__name__) from error
        except ConnectionError as error:
            raise TemporaryFailure(self.name, "unreachable", type(error).__name__) from error
        except HTTPClientError as error:
            raise UnknownOutcome(self.name, "no_answer", type(error).__name__) from error
        # Its parser trips over JSON of another shape with errors of Python's own (seen in 1.44).
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
    return written(replace(mailbox, address=ascii_address(Ses.name, mailbox.address)))


def _headers(email: Email) -> "list[MessageHeaderTypeDef]":
    headers = {"Content-Language": email.locale, **email.headers}
    return [{"Name": name, "Value": encoded(value)} for name, value in headers.items()]


def _tags(email: Email) -> "list[MessageTagTypeDef]":
    # As of 2026 a tag is made of ASCII letters, digits, _ and -; anything else is a BadRequestException.
    plain = [(_plain(name), _plain(value)) for name, value in email.tags.items() if value]
    return [{"Name": name, "Value": value} for name, value in plain]


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)[:256]


def _refusal(error: ClientError) -> DeliveryError:
    said = error.response.get("Error", {})
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    name, message = said.get("Code", ""), said.get("Message", "")
    if name.isdigit():  # what botocore makes up where SES itself has said nothing
        name = message = ""
    return problem(Ses.name, ERRORS, status, name, message)
