"""The bytes of a mail, parsed by another parser than the one that wrote them."""

import email.policy
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr, parsedate_to_datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailroom.model.email import Email, InlineImage
from mailroom.model.mailbox import Mailbox, clean_name
from mailroom.providers._mime import compose
from mailroom.rendering.inline_logos import MAX_LOGO_BYTES
from tests.pictures import base64

OUR_ID = "019324a1b2c3d4e5f60718293a4b5c6d"
lines = st.text(st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"]) | st.sampled_from(' ,;:.()[]\\"=?_<>@äß中'))
bodies = st.builds(
    str.__mul__,
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), min_size=1),
    st.integers(1, 99),
)
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


languages = st.sampled_from(
    [
        *("Ihr Code für Böx", "Votre code à l’été", "Ваш код подтверждения", "رمز التحقق الخاص بك"),
        *("您的验证码是", "確認コード", "Código", "🔑 ✓", "รหัสของคุณ"),
        "<title>Código = 1</title>\n</head>\n<body>",  # of HTML, the head is encoded once
    ]
)


@letters
@given(
    subject=st.lists(languages | lines, max_size=30).map(" ".join),
    name=lines,
    text=st.lists(languages | bodies, min_size=1, max_size=8).map("\n".join),
    html=st.lists(languages | bodies, min_size=1, max_size=8).map("\n".join),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=1200),
    tag=languages | lines,
)
def test_a_mail_in_any_language_keeps_its_meaning_and_short_lines(
    email: Email, subject: str, name: str, text: str, html: str, value: str, tag: str
) -> None:
    subject, name = " ".join(subject.split()), clean_name(name)
    mail = replace(
        email,
        from_=Mailbox("no-reply@example.com", name),
        subject=subject,
        text=text,
        html=html,
        headers={"X-Value": value},
        tags={"kind": tag},
    )
    letter = compose(mail, OUR_ID, {})

    parsed = read(letter)
    assert decoded(header(letter, "Subject")) == subject
    assert decoded(header(letter, "X-Value")) == value
    assert decoded(header(letter, "X-Mailroom-Kind")) == " ".join(tag.splitlines())
    assert [part.get_content().replace("\r\n", "\n") for part in parsed.iter_parts()] == [text, html]
    for line in letter.split(b"\r\n"):
        assert len(line) <= 76 or b" " not in line.strip(b" "), "a long line could have been folded"
        assert line.strip() or not line, "a line of spaces only is not a header's"


def test_an_address_outside_ascii_is_written_in_utf_8(email: Email) -> None:
    mail = replace(email, from_=Mailbox("jürgen@example.com", "Jürgen"), to="ada@example.org")
    letter = compose(mail, OUR_ID, {})

    assert "From: =?utf-8?b?SsO8cmdlbg==?= <jürgen@example.com>\r\n".encode() in letter


def test_the_date_is_in_english_and_in_the_form_of_the_standard(email: Email) -> None:
    for day in range(400):
        seconds = int(OUR_ID[:12], 16) // 1000 + day * 86_399
        letter = compose(email, f"{seconds * 1000:012x}{OUR_ID[12:]}", {})
        assert header(letter, "Date") == format_datetime(datetime.fromtimestamp(seconds, UTC))


def test_the_text_part_comes_before_the_html_part(email: Email) -> None:
    letter = read(compose(email, OUR_ID, {}))

    assert letter.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in letter.iter_parts()] == ["text/plain", "text/html"]


pictures = st.lists(
    st.builds(
        InlineImage,
        st.from_regex(r"logo(-dark)?\.(png|jpg)@[0-9a-f]{12}", fullmatch=True),
        st.sampled_from(["image/png", "image/jpeg"]),
        st.binary(min_size=1, max_size=3000).map(base64),
    ),
    min_size=1,
    max_size=2,
)


@pytest.mark.thorough
@letters
@given(images=pictures, html=bodies, text=bodies | st.just(""))
def test_pictures_and_the_html_that_shows_them_are_one_part(
    email: Email, images: list[InlineImage], html: str, text: str
) -> None:
    letter = read(compose(replace(email, text=text, html=html, images=tuple(images)), OUR_ID, {}))

    *plain, related = letter.iter_parts()
    assert [part.get_content().replace("\r\n", "\n") for part in plain] == [text] * bool(text)
    assert (related.get_content_type(), related.get_param("type")) == ("multipart/related", "text/html")
    shown, *parts = related.iter_parts()
    assert shown.get_content().replace("\r\n", "\n") == html
    sent = [(f"<{image.cid}>", image.type, image.content) for image in images]
    assert [(part["Content-ID"], part.get_content_type(), base64(part.get_content())) for part in parts] == sent
    assert {part.get_content_disposition() for part in parts} == {"inline"}
    assert [part.get_filename() for part in parts] == [image.name for image in images]


def test_a_mail_with_the_largest_logos_stays_below_60_kb(pictured: Email) -> None:
    mail = replace(pictured, html=pictured.html + "x" * 15_000, text="x" * 5_000)

    assert sum(len(b64decode(image.content)) for image in mail.images) == MAX_LOGO_BYTES
    assert len(compose(mail, OUR_ID, {})) < 60_000


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
