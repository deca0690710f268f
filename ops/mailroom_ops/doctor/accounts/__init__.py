"""Check that a provider account can send: key, quota, and production access. One file per provider."""

from collections.abc import Iterator, Mapping, Sequence

from mailroom_ops.environment import Environment
from mailroom_ops.finding import Finding, warning
from mailroom_ops.settings.catalog import split

__all__ = ["check"]


def check(
    account: str, environment: Environment, values: Mapping[str, str], domains: Sequence[str]
) -> Iterator[Finding]:
    """Check an account at its provider, without sending; `domains` are those that it sends from."""
    match split(account)[0]:
        case "resend":
            from mailroom_ops.doctor.accounts import resend

            yield from resend.check(account, values)
        case "ses":
            from mailroom_ops.doctor.accounts import ses

            yield from ses.check(account, environment, values)
        case "smtp":
            from mailroom_ops.doctor.accounts import smtp

            yield from smtp.check(account, values, domains)
        case "sendgrid":
            from mailroom_ops.doctor.accounts import sendgrid

            yield from sendgrid.check(account, values)
        case "mailgun":
            from mailroom_ops.doctor.accounts import mailgun

            yield from mailgun.check(account, values, domains)
        case "postmark":
            from mailroom_ops.doctor.accounts import postmark

            yield from postmark.check(account, values)
        case _:
            yield warning(account, "can only be checked by sending", "Add --send-test-to with an address of yours.")
