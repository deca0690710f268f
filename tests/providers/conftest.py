"""The mail that every adapter sends."""

import pytest

from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox


@pytest.fixture
def email() -> Email:
    return Email(
        from_=Mailbox("no-reply@example.com", "Acme"),
        to="ada@example.org",
        subject="Your code",
        html="<p>Your code is <b>000000</b></p>",
        text="Your code is 000000",
        reply_to=Mailbox("help@example.com", "Help, please"),
        headers={"X-Entity-Ref-ID": "123"},
        tags={"message_id": "0123456789ab", "tenant": "default", "kind": "sign-in-code"},
        locale="de",
    )
