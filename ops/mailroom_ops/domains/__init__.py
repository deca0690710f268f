"""Sending domains: their records and DNS, and the registrars of providers that have an API for them."""

from collections.abc import Mapping

from mailroom_ops.domains.registrar import Registrar
from mailroom_ops.environment import Environment
from mailroom_ops.settings.catalog import split

__all__ = ["BY_HAND", "load"]

# Where domains are added at providers whose API is not used here. The pages show the DNS records.
BY_HAND: Mapping[str, str] = {
    "sendgrid": "https://app.sendgrid.com/settings/sender_auth",
    "mailgun": "https://app.mailgun.com/mg/sending/domains",
    "postmark": "https://account.postmarkapp.com/signature_domains",
    "aliyun": "https://dm.console.aliyun.com",
}


def load(account: str, environment: Environment, values: Mapping[str, str], key: str = "") -> Registrar | None:
    """Return the registrar of an account; None where domains are added by hand, or not at all.

    `values` are the account's settings; `key` replaces the stored API key for this call, with wider permissions.
    """
    match split(account)[0]:
        case "resend":
            from mailroom_ops.domains.resend import Resend

            return Resend(account, values, key)
        case "ses":
            from mailroom_ops.domains.ses import Ses

            return Ses(account, environment, values)
    return None
