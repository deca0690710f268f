"""The bytes of a mail, parsed by another parser than the one that wrote them."""

import email.policy
from dataclasses import replace
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr, parsedate_to_datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox, clean_name
from mailroom.providers._mime import compose

OUR_ID = "019324a1b2c3d4e5f60718293a4b5c6d"
lines = st.text(st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"]) | st.sampled_from(' ,;:.()[]\\"=?_<>@äß中'))
bodies = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), min_size=1)
letters = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(letter: bytes) -> EmailMessage:
    assert letter.isascii()
    assert letter.count(b"\n") == letter.count(b"\r\n") == letter.count(b"\r"), "lines must end in CRLF"
    assert all(len(line) <= 998 for line in letter.split(b"\r\n"))
    parsed = message_from_bytes(letter, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    assert not parsed.defects
    return parsed


def header(letter: bytes, name: str) -> str:
    return str(message_from_bytes(letter, policy=email.policy.compat32)[name]).replace("\r\n", "")


def decoded(value: str) -> str:
    return str(make_header(decode_header(value)))


@letters
@given(name=lines, subject=lines)
def test_any_name_and_subject_are_decoded_without_a_change(email: Email, name: str, subject: str) -> None:
    name, subject = clean_name(name), " ".join(subject.split())
    letter = compose(replace(email, from_=Mailbox("no-reply@example.com", name), subject=subject), OUR_ID, {})

    read(letter)
    shown, address = parseaddr(header(letter, "From"))
    assert (decoded(shown), address) == (name, "no-reply@example.com")
    assert decoded(header(letter, "Subject")).strip() == subject


@letters
@given(text=bodies, html=bodies)
def test_text_and_html_are_decoded_without_a_change(email: Email, text: str, html: str) -> None:
    parts = {"plain": text, "html": html}
    letter = read(compose(replace(email, text=text, html=html), OUR_ID, {}))

    parsed = [(part.get_content_subtype(), part.get_content()) for part in letter.iter_parts()]
    assert [(subtype, content.replace("\r\n", "\n")) for subtype, content in parsed] == list(parts.items())


def test_the_text_part_comes_before_the_html_part(email: Email) -> None:
    letter = read(compose(email, OUR_ID, {}))

    assert letter.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in letter.iter_parts()] == ["text/plain", "text/html"]


def test_a_mail_with_the_same_key_has_the_same_bytes(email: Email) -> None:
    assert compose(email, OUR_ID, {}) == compose(email, OUR_ID, {})


def test_the_date_is_the_creation_time_of_the_message(email: Email) -> None:
    letter = read(compose(email, OUR_ID, {}))

    assert parsedate_to_datetime(letter["Date"]).timestamp() == int(OUR_ID[:12], 16) // 1000


def test_another_key_or_recipient_is_another_mail(email: Email) -> None:
    mails = [(email, "key-1"), (email, "key-2"), (replace(email, to="bob@example.org"), "key-1")]
    ids = {read(compose(mail, key, {}))["Message-ID"] for mail, key in mails}

    assert len(ids) == 3
    assert all(id_.endswith("@example.com>") for id_ in ids)


def test_a_mail_has_headers_for_ids_and_language_and_its_own_ones(email: Email) -> None:
    letter = read(compose(email, OUR_ID, {"X-Extra": "1"}))

    expected = {
        "X-Mailroom-Message-Id": "0123456789ab",
        "X-Mailroom-Tenant": "default",
        "X-Mailroom-Kind": "sign-in-code",
        "X-Entity-Ref-ID": "123",
        "X-Extra": "1",
        "Content-Language": "de",
        "To": "ada@example.org",
        "Reply-To": '"Help, please" <help@example.com>',
    }
    assert expected == {name: letter[name] for name in expected}
    assert "Bcc" not in letter


def test_a_long_link_in_a_header_stays_in_one_piece(email: Email) -> None:
    link = f"<https://example.com/{'x' * 300}>"
    letter = compose(replace(email, headers={"List-Unsubscribe": link}), OUR_ID, {})

    assert link.encode() in letter


@pytest.mark.parametrize("name", ["=?utf-8?q?evil?=", "=?utf-8?b?PGV2aWxAZXhhbXBsZS5jb20+?="])
def test_a_name_that_looks_encoded_is_shown_unchanged(email: Email, name: str) -> None:
    letter = compose(replace(email, from_=Mailbox("no-reply@example.com", name), subject=name), OUR_ID, {})

    assert decoded(parseaddr(header(letter, "From"))[0]) == name
    assert decoded(header(letter, "Subject")) == name


def test_a_line_break_in_a_subject_or_header_adds_no_header(email: Email) -> None:
    broken = "Hi\r\nBcc: mallory@example.org"
    letter = read(compose(replace(email, subject=broken, headers={"X-Entity-Ref-ID": broken}), OUR_ID, {}))

    assert "Bcc" not in letter
    assert letter["Subject"] == "Hi Bcc: mallory@example.org"
