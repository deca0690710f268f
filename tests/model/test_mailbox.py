"""Exactly one mailbox, whoever writes it."""

import pytest

from mailroom.model.mailbox import Mailbox, is_address, mask


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.com",
        "ada+news@example.com",
        "o'brien@example.com",
        "ADA@Example.COM",
        "jörg@example.com",
        "ada@bücher.example",
        "用户@例子.广告",
        "a@" + ".".join(["x" * 60] * 4),
    ],
)
def test_one_address_is_one_address(address: str) -> None:
    assert is_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@localhost",
        "ada@example.com,eve@example.org",
        "ada@example.com;eve@example.org",
        "ada@example.com eve@example.org",
        "Ada <ada@example.com>",
        "<ada@example.com>",
        '"ada"@example.com',
        "ada@example.com\r\nBcc: eve@example.org",
        "ada@example.com\n",
        " ada@example.com",
        "ada\x00@example.com",
        "ada\u202e@example.com",
        "ada\u200b@example.com",
        "ada\N{FULLWIDTH COMMA}eve@example.com",
        "ada@example.com\N{FULLWIDTH COMMA}eve@example.org",
        "ada\N{FULLWIDTH COMMERCIAL AT}x@example.com",
        "a@b@example.com",
        ".ada@example.com",
        "ada.@example.com",
        "a..b@example.com",
        "ada@-example.com",
        "ada@example..com",
        "ada@example.com.",
        "ada@[127.0.0.1]",
        "ada@127.0.0.1",
        "ada(comment)@example.com",
        "x" * 65 + "@example.com",
        "a@" + ".".join(["x" * 60] * 5),
    ],
)
def test_anything_else_is_not(address: str) -> None:
    assert not is_address(address)


@pytest.mark.parametrize(
    ("text", "mailbox"),
    [
        ("ada@example.com", Mailbox("ada@example.com")),
        ("Ada Lovelace <ada@example.com>", Mailbox("ada@example.com", "Ada Lovelace")),
        ('"Lovelace, Ada" <ada@example.com>', Mailbox("ada@example.com", "Lovelace, Ada")),
        ("Zoë 🙂 <zoe@example.com>", Mailbox("zoe@example.com", "Zoë 🙂")),
    ],
)
def test_a_mailbox_is_read_with_its_name(text: str, mailbox: Mailbox) -> None:
    assert Mailbox.parse(text) == mailbox


@pytest.mark.parametrize("text", ["", "Ada", "Ada <ada>", "Ada <a@example.com>, Eve <e@example.com>", "<a@example.com"])
def test_what_is_no_mailbox_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="write it as"):
        Mailbox.parse(text)


def test_a_mask_shows_the_domain_and_one_letter() -> None:
    assert mask("reader@example.com") == "r•••@example.com"
