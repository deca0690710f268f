"""The mails that every adapter sends."""

from dataclasses import replace
from hashlib import shake_256

import pytest

from mailroom.model.email import Email, InlineImage
from mailroom.model.mailbox import Mailbox
from tests.pictures import base64


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


@pytest.fixture
def pictured(email: Email) -> Email:
    """Return a mail with two pictures inside, whose bytes are any."""
    light, dark = (
        InlineImage(
            f"{name}@0123456789ab",
            type_,
            base64(shake_256(name.encode()).digest(size)),
            f"https://cdn.example.com/{name}?a=1&b=2",
        )
        for name, type_, size in (("logo.png", "image/png", 12_000), ("logo-dark.jpg", "image/jpeg", 8_000))
    )
    html = f'<p><img src="cid:{light.cid}" alt="Acme"><img src="cid:{dark.cid}" alt="Acme"></p>'
    return replace(email, html=html, images=(light, dark))
