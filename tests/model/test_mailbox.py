"""Parsing and comparing mailboxes: exactly one address, however it is written."""

import unicodedata

import pytest

from mailroom.model.mailbox import Mailbox, canonical, is_address, mask


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
        "ada@straße.example",
        "ada@BÜCHER。example",
        "a@" + ".".join(["x" * 60] * 4),
    ],
)
def test_a_single_address_is_accepted(address: str) -> None:
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
        "ada@💩.la",
        "ada@bücher..example",
        "ada@bücher",
        "ada@evil.com％.example",
        "x" * 65 + "@example.com",
        "a@" + ".".join(["x" * 60] * 5),
    ],
)
def test_anything_else_is_refused(address: str) -> None:
    assert not is_address(address)


def test_a_text_that_is_too_long_for_an_address_is_not_normalized(monkeypatch: pytest.MonkeyPatch) -> None:
    def normalize(form: str, text: str) -> str:
        assert len(text) <= 254
        return text

    monkeypatch.setattr(unicodedata, "normalize", normalize)
    assert not is_address("a" + "\u0301\u0316" * 15_000 + "@example.com")


@pytest.mark.parametrize(
    ("typed", "compared"),
    [
        ("Ada@STRASSE.example", "ada@strasse.example"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("ada@σας.gr", "ada@xn--mxa8ab.gr"),
        ("ada@bücher。example", "ada@xn--bcher-kva.example"),
    ],
)
def test_a_domain_compares_as_it_is_resolved_today(typed: str, compared: str) -> None:
    assert canonical(typed) == compared


@pytest.mark.parametrize(
    ("text", "mailbox"),
    [
        ("ada@example.com", Mailbox("ada@example.com")),
        ("Ada Lovelace <ada@example.com>", Mailbox("ada@example.com", "Ada Lovelace")),
        ('"Lovelace, Ada" <ada@example.com>', Mailbox("ada@example.com", "Lovelace, Ada")),
        ("Zoë 🙂 <zoe@example.com>", Mailbox("zoe@example.com", "Zoë 🙂")),
    ],
)
def test_a_mailbox_is_parsed_with_its_display_name(text: str, mailbox: Mailbox) -> None:
    assert Mailbox.parse(text) == mailbox


@pytest.mark.parametrize("text", ["", "Ada", "Ada <ada>", "Ada <a@example.com>, Eve <e@example.com>", "<a@example.com"])
def test_the_error_for_an_invalid_mailbox_shows_the_format(text: str) -> None:
    with pytest.raises(ValueError, match="write it as"):
        Mailbox.parse(text)


def test_a_mask_shows_the_domain_and_one_letter() -> None:
    assert mask("reader@example.com") == "r•••@example.com"
