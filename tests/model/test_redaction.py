"""An adapter removes what a provider quotes of a mail, and keeps what an operator has to read."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.model.redaction import redact, remove_quotes

LINK = "https://auth.acme.example/reset/qwertzuiop?token=S3cretToken&next=abcdefgh"
EMAIL = Email(
    from_=Mailbox("no-reply@mail2.acme.example", "Acme"),
    to="ada.lovelace@reader.example",
    subject="Your code is K7QX9P",
    html='<p>Hello Ada Lovelace, your code is <b>K7QX9P</b>, or <a href="'
    + LINK.replace("/", "&#x2f;").replace("&next", "&amp;next")
    + '">this link</a>. It expires in 10 minutes.</p>',
    text=f"Hello Ada Lovelace, your code is K7QX9P (K 7 Q X 9 P), or kqxmpafh, or 48-29-13, ABCD, or\n{LINK}\n"
    "It expires in 10 minutes. If you have not requested it, change your password.",
    headers={"List-Unsubscribe": "<https://acme.example/u/zyxwvuts>"},
)

QUOTES = {
    "code of letters and digits": ("body was 'Your code is K7QX9P'", ["K7QX9P"]),
    "code in lower case": ("rejected: k7qx9p", ["k7qx9p"]),
    "spelled code": ("rejected: K 7 Q X 9 P", ["K 7 Q", "9 P"]),
    "code of letters": ("rejected: kqxmpafh.", ["kqxmpafh"]),
    "code of a few capitals": ("rejected: ABCD", ["ABCD"]),
    "code in groups of two": ("rejected: 48-29-13", ["48-29", "29-13"]),
    "link": (f"see {LINK}", ["reset", "S3cret", "abcdefgh", "qwertz"]),
    "link without a scheme": ("see auth.acme.example/reset/qwertzuiop", ["reset", "qwertz"]),
    "query of the link": ("see ?token=S3cretToken&next=abcdefgh", ["S3cret", "abcdefgh"]),
    "token of the link": ("found abcdefgh, qwertzuiop and S3cretToken", ["abcdefgh", "qwertz", "S3cret"]),
    "part of the token": ("found wertzuio", ["wertzuio"]),
    "link of a header": ("bad header zyxwvuts", ["zyxwvuts"]),
    "name": ("spam for Ada Lovelace", ["Lovelace"]),
    "address": ("no ada.lovelace here", ["lovelace"]),
    "sentence": ("Hello Ada Lovelace, your code", ["Hello", "Lovelace"]),
}


@pytest.mark.parametrize(("text", "private"), QUOTES.values(), ids=QUOTES)
def test_a_quote_of_the_mail_is_removed(text: str, private: list[str]) -> None:
    for message in (text, f"554 5.7.1 {text}", f"<<{text}>>"):
        shown = redact(message, EMAIL)
        assert [part for part in private if part in shown] == []
        assert "…" in shown


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ("code 482913", "482913"),
        ("code 482-913", "482-913"),
        ("code 'ZX81Q9'", "ZX81Q9"),
        ("code XK42-9PLM", "XK42"),
        ("grace@reader.example unknown", "grace"),
        ("see app.example/reset", "reset"),
        ("see myapp://open/reset", "reset"),
        ("see ?a=b", "a=b"),
        ("key re_secret", "re_secret"),
        ("token whsec_c2VjcmV0", "c2VjcmV0"),
        ("Bearer abcdef", "abcdef"),
    ],
)
def test_a_code_a_link_or_a_key_is_removed_without_a_mail_to_compare(text: str, private: str) -> None:
    assert private not in redact(text)
    assert private not in redact(text, EMAIL)


@pytest.mark.parametrize(
    "text",
    [
        "The mail2.acme.example domain is not verified. Please, add and verify your domain",
        "550 5.1.1 The email account that you tried to reach does not exist.",
        "421-4.7.0 Try again later, closing connection.",
        "Your request was not accepted: you can only make 10 requests per second.",
        "Please change your password: your account was suspended, and the link has expired.",
        "Invalid `to` field. The email address needs to follow the `Name <address>` format",
        "Daily message quota exceeded, try again in 10 minutes",
    ],
)
def test_what_an_operator_has_to_read_stays(text: str) -> None:
    assert redact(text, EMAIL) == text


def test_a_link_to_the_senders_domain_is_removed() -> None:
    email = replace(EMAIL, from_=Mailbox("no-reply@auth.acme.example"))

    assert redact("see auth.acme.example/reset/qwertzuiop", email) == "see …"
    assert redact("auth.acme.example is not verified", email) == "auth.acme.example is not verified"


def test_each_mail_of_a_batch_is_compared() -> None:
    other = replace(EMAIL, text="Your code is qyxwvm", html="", subject="")

    assert redact("rejected: qyxwvm and kqxmpafh", other, EMAIL) == "rejected: … and …"


def test_an_id_is_no_quote() -> None:
    assert remove_quotes("OK 1743 d9443c01a7336-1ce - gsmtp", EMAIL) == "OK 1743 d9443c01a7336-1ce - gsmtp"
    assert remove_quotes("OK kqxmpafh", EMAIL) == "OK …"


def test_a_redacted_text_is_one_short_printable_line() -> None:
    shown = redact("no\r\n\0such\ud800 user" + " x" * 500)

    assert shown.startswith("no such user x x")
    assert len(shown) == 200


@given(st.text("?=@./-:a1 \u0301", max_size=700))
@example("?" * 700)
@example("a." * 350)
@example("1-" * 350)
def test_any_text_is_redacted(text: str) -> None:
    assert len(redact(text, EMAIL)) <= 200


@given(code=st.from_regex(r"[A-HJ-NP-Z2-9]{6,12}|[a-z]{8,12}", fullmatch=True), before=st.text(" '\"(:,#>", max_size=2))
def test_no_code_of_a_mail_survives(code: str, before: str) -> None:
    email = replace(EMAIL, subject=f"{code} is your code", text=f"Your code:\n\n{code}\n", html=f"<b>{code}</b>")

    assert code not in redact(f"554 rejected {before}{code}{before} as spam", email)
