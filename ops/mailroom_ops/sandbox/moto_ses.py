"""SES features that moto 5.2 lacks: DKIM tokens, a MAIL FROM domain, and the account's status.

An identity is verified as soon as it exists, except UNVERIFIED.
"""

import hashlib
import json
from typing import Any

from mailroom_ops.sandbox.provider import UNVERIFIED

__all__ = ["extend"]


def extend() -> None:
    """Add the features to the moto of this process, before its server starts; idempotent."""
    from moto.ses.models import EmailIdentity
    from moto.sesv2.responses import SESV2Response
    from moto.sesv2.urls import url_paths

    original = vars(EmailIdentity)["get_response_object"].fget

    def get_response_object(self: Any) -> dict[str, Any]:
        identity: dict[str, Any] = original(self)
        if self.identity_type != "DOMAIN":
            return identity
        verified = not self.email_identity.endswith(UNVERIFIED)
        digests = [hashlib.sha256(f"{self.email_identity} {number}".encode()).hexdigest() for number in range(3)]
        dkim = {
            **identity["DkimAttributes"],
            "SigningEnabled": True,
            "Status": "SUCCESS" if verified else "PENDING",
            "Tokens": [digest[:32] for digest in digests],
        }
        mail_from = {"MailFromDomainStatus": "SUCCESS" if verified else "PENDING", **getattr(self, "mail_from", {})}
        mail_from_attributes = {"MailFromAttributes": mail_from} if hasattr(self, "mail_from") else {}
        return {**identity, **mail_from_attributes, "DkimAttributes": dkim, "VerifiedForSendingStatus": verified}

    def put_email_identity_mail_from_attributes(self: Any) -> str:
        identity = self.sesv2_backend.get_email_identity(email_identity=self._get_param("EmailIdentity"))
        identity.mail_from = {
            "MailFromDomain": self._get_param("MailFromDomain"),
            "BehaviorOnMxFailure": self._get_param("BehaviorOnMxFailure"),
        }
        return "{}"

    def get_account(self: Any) -> str:
        account = {
            "DedicatedIpAutoWarmupEnabled": False,
            "EnforcementStatus": "HEALTHY",
            "ProductionAccessEnabled": False,
            "SendingEnabled": True,
            "SendQuota": {"Max24HourSend": 200.0, "MaxSendRate": 1.0, "SentLast24Hours": 0.0},
        }
        return json.dumps(account)

    if not hasattr(SESV2Response, "get_account"):
        url_paths["{0}/v2/email/account$"] = SESV2Response.dispatch
        url_paths["{0}/v2/email/identities/(?P<EmailIdentity>[^/]+)/mail-from$"] = SESV2Response.dispatch
        EmailIdentity.get_response_object = property(get_response_object)  # type: ignore[method-assign,assignment]
        SESV2Response.put_email_identity_mail_from_attributes = put_email_identity_mail_from_attributes  # type: ignore[attr-defined]
        SESV2Response.get_account = get_account  # type: ignore[attr-defined]
