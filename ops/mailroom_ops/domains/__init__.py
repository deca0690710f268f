"""Sending domains at providers that let us register them: one file each."""

from collections.abc import Mapping

from mailroom_ops.domains.registrar import Registrar
from mailroom_ops.environment import Environment
from mailroom_ops.settings.catalog import split

__all__ = ["BY_HAND", "load"]

# Where a domain is added at the other providers. Their DNS records are shown there.
BY_HAND: Mapping[str, str] = {
    "sendgrid": "https://app.sendgrid.com/settings/sender_auth",
    "mailgun": "https://app.mailgun.com/mg/sending/domains",
    "postmark": "https://account.postmarkapp.com/signature_domains",
    "aliyun": "https://dm.console.aliyun.com",
}


def load(account: str, environment: Environment, values: Mapping[str, str], key: str = "") -> Registrar | None:
    """Return who registers domains for an account; None where that is done by hand, or by nobody.

    `values` are the account's settings; `key` is one with more rights than the stored one, for this once.
    """
    match split(account)[0]:
        case "resend":
            from mailroom_ops.domains.resend import Resend

            return Resend(account, values, key)
        case "ses":
            from mailroom_ops.domains.ses import Ses

            return Ses(account, environment, values)
    return None
