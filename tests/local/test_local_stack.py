"""The local stack as a whole: what DESIGN promises at http://127.0.0.1:PORT."""

import json

import pytest

from tests.running import Running

FIELDS = {
    "id",
    "message_id",
    "to",
    "from",
    "reply_to",
    "subject",
    "text",
    "html",
    "headers",
    "provider",
    "tenant",
    "kind",
    "locale",
    "received_at",
}


def test_a_mail_goes_from_the_webhook_to_the_inbox(stack: Running) -> None:
    to = stack.address()

    answer = stack.logto({"to": to, "type": "SignIn", "payload": {"code": "482913", "locale": "de"}})

    assert answer.status == 200
    mail = stack.mail_to(to)
    assert mail.message_id == answer.json()["message_id"]
    assert "482913" in mail.text
    assert (mail.kind, mail.locale, mail.tenant, mail.provider) == ("sign-in-code", "de", "default", "resend")
