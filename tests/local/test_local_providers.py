"""`MAILROOM_PROVIDER=<any> make run` ends in the inbox."""

import pytest

from mailroom.providers import NEEDS
from tests.running import running


@pytest.mark.parametrize("provider", NEEDS)
def test_whatever_provider_is_chosen_a_mail_ends_in_the_inbox(provider: str) -> None:
    with running(provider=provider) as stack:
        to = stack.address()

        answer = stack.logto({"to": to, "type": "SignIn", "payload": {"code": "482913", "locale": "de"}})

        mail = stack.mail_to(to)
        assert (mail.provider, mail.message_id) == (provider, answer.json()["message_id"])
        assert (mail.tenant, mail.kind) == ("default", "sign-in-code")
        assert mail.from_ == "Mailroom <hello@mailroom.example>"
        assert "482913" in mail.text
        assert "482913" in mail.html


def test_with_no_provider_nothing_is_sent_and_logto_hears_no_error() -> None:
    with running(provider="none") as stack:
        to = stack.address()

        answer = stack.logto({"to": to, "type": "SignIn", "payload": {"code": "482913"}})

        assert answer.status == 200
        assert "email_not_configured" in stack.line_with(answer.json()["message_id"], "deliver")
        assert stack.inbox() == []
