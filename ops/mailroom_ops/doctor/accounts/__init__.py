"""Whether a provider account can send now: its key, what is left of its quota, whether it only plays. One file each."""

from collections.abc import Iterator, Mapping, Sequence

from mailroom_ops.environment import Environment
from mailroom_ops.finding import Finding, warning
from mailroom_ops.settings.catalog import split

__all__ = ["check"]


def check(
    account: str, environment: Environment, values: Mapping[str, str], domains: Sequence[str]
) -> Iterator[Finding]:
    """Ask a provider about an account; nothing is sent. `domains` are those that mail leaves from through it."""
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
            yield warning(account, "can only be tried by sending", "Add --send-test-to with an address of yours.")
