"""Amazon SES: https://docs.aws.amazon.com/ses/latest/dg/send-email-authentication-dkim-easy.html"""

from collections.abc import Mapping
from typing import Any

from mailroom_ops.domains.records import Purpose, Record
from mailroom_ops.domains.registrar import Domain, State
from mailroom_ops.environment import Environment, aws_error

__all__ = ["Ses", "registrar"]

MAIL_FROM_LABEL = "bounce"  # not Resend's `send`: both may serve one domain, and a return path takes only one
STATES = {"FAILED": State.FAILED, "TEMPORARY_FAILURE": State.FAILED}


class Ses:
    """The domain identities of this AWS account, in the region that the account's settings name."""

    def __init__(self, account: str, environment: Environment, values: Mapping[str, str]) -> None:
        self.account = account
        self.region = values.get("region", "").strip() or environment.region
        self.client: Any = environment.client("sesv2", self.region)

    def find(self, domain: str) -> Domain | None:
        """Return the identity that mail from this domain is signed for: itself, or the nearest registered parent."""
        labels = domain.split(".")
        for size in range(len(labels), 1, -1):
            name = ".".join(labels[-size:])
            if identity := self._get(name):
                return self._domain(name, identity)
        return None

    def register(self, domain: str) -> Domain:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            if self._get(domain) is None:
                key_length = {"NextSigningKeyLength": "RSA_2048_BIT"}
                self.client.create_email_identity(EmailIdentity=domain, DkimSigningAttributes=key_length)
            identity = self._get(domain) or {}
            if not identity.get("MailFromAttributes", {}).get("MailFromDomain"):
                self.client.put_email_identity_mail_from_attributes(
                    EmailIdentity=domain,
                    MailFromDomain=f"{MAIL_FROM_LABEL}.{domain}",
                    BehaviorOnMxFailure="USE_DEFAULT_VALUE",
                )
        except (BotoCoreError, ClientError) as error:
            raise aws_error(error) from error
        return self._domain(domain, self._get(domain) or {})

    def verify(self, domain: Domain) -> Domain:
        """Return the current state: SES checks DNS by itself, for 72 hours."""
        return self._domain(domain.name, self._get(domain.name) or {})

    def delete(self, domain: Domain) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self.client.delete_email_identity(EmailIdentity=domain.name)
        except (BotoCoreError, ClientError) as error:
            raise aws_error(error) from error

    def _get(self, name: str) -> dict[str, Any] | None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            identity: dict[str, Any] = self.client.get_email_identity(EmailIdentity=name)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NotFoundException":
                return None
            raise aws_error(error) from error
        except BotoCoreError as error:
            raise aws_error(error) from error
        return identity

    def _domain(self, name: str, identity: Mapping[str, Any]) -> Domain:
        dkim, mail_from = identity.get("DkimAttributes", {}), identity.get("MailFromAttributes", {})
        host = dkim.get("SigningHostedZone") or "dkim.amazonses.com"
        # A key that the customer brought has a selector in place of tokens, and SES does not name its record.
        tokens = dkim.get("Tokens", ()) if dkim.get("SigningAttributesOrigin") != "EXTERNAL" else ()
        records = [
            Record(Purpose.DKIM, f"{token}._domainkey.{name}", "CNAME", f"{token}.{host}", self.account)
            for token in tokens
        ]
        if return_path := mail_from.get("MailFromDomain"):
            exchange = f"feedback-smtp.{self.region}.amazonses.com"
            records.append(Record(Purpose.RETURN_PATH, return_path, "MX", exchange, self.account, 10))
            records.append(Record(Purpose.SPF, return_path, "TXT", "v=spf1 include:amazonses.com ~all", self.account))
        status = str(dkim.get("Status", ""))
        state = State.VERIFIED if identity.get("VerifiedForSendingStatus") else STATES.get(status, State.PENDING)
        return Domain(name, self.account, state, status.lower() or "unknown", tuple(records))


def registrar(account: str, environment: Environment, values: Mapping[str, str], key: str) -> Ses:
    return Ses(account, environment, values)
