from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailroom.model.kinds import KINDS
from mailroom.model.mailbox import Mailbox
from mailroom.model.sender import Sender
from mailroom.rendering.renderer import Renderer
from tests.rendering.requests import mail_request

TEMPLATES = Path(__file__).parents[2] / "layers" / "templates"
SENDER = Sender(Mailbox("no-reply@example.com", "Acme"), Mailbox("help@example.com"), ("resend",))
LINK = "https://app.example.com/callback?token=a%2Fb&next=1"
MODES: dict[str, dict[str, Any]] = {
    "a code": {"code": "048291"},
    "a link": {"link": LINK},
    "both": {"code": "048291", "link": LINK},
    "neither": {},
}
ODD: tuple[Any, ...] = (
    None,
    7,
    7.5,
    True,
    [],
    {},
    [None],
    {"name": None},
    {"name": {"x": []}},
    [[1, 2], "x", None],
    "\ud83d",
)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(TEMPLATES)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("locale", ["en", "de"])
def test_every_kind_is_complete_with_a_code_a_link_both_or_neither(renderer, kind, locale, mode):
    email = renderer.render(mail_request(kind, locale, **MODES[mode]), SENDER, {})
    assert email.locale == locale
    assert email.subject and f"<title>{email.subject}" in email.html.replace("&#x27;", "'").replace("’", "’")
    for text in MODES[mode].values():
        assert text in email.text
        assert text.replace("&", "&amp;") in email.html
    assert not {"{", "}"} & set(email.text + email.subject)
    assert "undefined" not in email.html + email.text


def test_a_code_is_one_word_and_screen_readers_spell_it(renderer):
    html = renderer.render(mail_request(code="048291"), SENDER, {}).html
    assert ">048291</p>" in html
    assert 'aria-label="0 4 8 2 9 1"' in html


def test_the_link_is_shown_below_its_button(renderer):
    html = renderer.render(mail_request("password-reset", link=LINK), SENDER, {}).html
    shown = LINK.replace("&", "&amp;")
    assert html.count(f'href="{shown}"') == 2
    assert html.index(f">{shown}</a>") > html.index(">Reset password</a>")


@pytest.mark.parametrize(
    ("locale", "minutes", "text"),
    [
        ("en", 1, "Valid for 1 minute."),
        ("en", 10, "Valid for 10 minutes."),
        ("en", 60, "Valid for 60 minutes."),
        ("en", 150, "Valid for 2 hours."),
        ("en", 7 * 1440, "Valid for 7 days."),
        ("de", 1, "1 Minute gültig."),
        ("de", 10, "10 Minuten gültig."),
    ],
)
def test_a_mail_with_a_code_shows_its_validity(renderer, locale, minutes, text):
    email = renderer.render(mail_request("mfa-code", locale, minutes=minutes, code="123456"), SENDER, {})
    assert text in email.text and text in email.html


def test_an_invitation_names_the_inviter_and_the_organization(renderer):
    logto: dict[str, Any] = {
        "organization": {"id": "1", "name": "Acme GmbH & Söhne"},
        "inviter": {"name": None, "username": "zoe"},
        "link": LINK,
    }
    email = renderer.render(mail_request("organization-invitation", **logto), SENDER, {})
    assert "zoe has invited you to join Acme GmbH & Söhne." in email.text
    assert "zoe has invited you to join Acme GmbH &amp; Söhne." in email.html


def test_a_notification_shows_the_callers_content(renderer):
    data: dict[str, Any] = {
        "title": "Your booking is confirmed",
        "paragraphs": ["We look forward to your visit.", "Bring this mail."],
        "button": {"text": "View booking", "url": "https://example.com/b/1"},
        "facts": [["Date", "1 May"], ["Guests", 2]],
    }
    email = renderer.render(mail_request("notification", **data), SENDER, {})
    assert email.subject == "Your booking is confirmed"
    for text in ("We look forward to your visit.", "Bring this mail.", "View booking", "https://example.com/b/1"):
        assert text in email.text and text in email.html
    assert "Guests: 2" in email.text


@pytest.mark.parametrize("data", [{"code": "123456"}, {"title": "Hello", "paragraphs": "One.\n\nTwo."}])
def test_a_tenants_own_kind_gets_a_body_that_fits_its_data(renderer, data):
    email = renderer.render(mail_request("welcome", **data), SENDER, {})
    for text in (data.get("code", "One."), data.get("title", "Acme")):
        assert text in email.text


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize(
    "key",
    [
        "application",
        "organization",
        "inviter",
        "user",
        "title",
        "paragraphs",
        "button",
        "facts",
        "link",
        "locale",
        "template",
        "self",
    ],
)
def test_a_code_is_sent_with_malformed_data_beside_it(renderer, key, odd):
    for kind in ("sign-in-code", "organization-invitation", "notification"):
        assert "123456" in renderer.render(mail_request(kind, **{"code": "123456", key: odd}), SENDER, {}).text


def test_the_headers_mark_the_mail_as_automatic(renderer):
    email = renderer.render(mail_request(code="123456"), SENDER, {})
    assert email.headers["Auto-Submitted"] == "auto-generated"
    assert email.headers["X-Entity-Ref-ID"] == email.tags["message_id"] == mail_request().id
    assert email.reply_to == SENDER.reply_to
    assert not any(name.lower().startswith("list-") for name in email.headers)


def test_a_sender_without_a_name_gets_the_brands(renderer):
    nameless = Sender(Mailbox("no-reply@example.com"))
    hinted = replace(mail_request(code="123456"), brand={"name": "Acme Web"})
    assert renderer.render(mail_request(code="123456"), SENDER, {"name": "Other"}).from_.name == "Acme"
    assert renderer.render(hinted, nameless, {"name": "Contoso <ceo@bank.com>"}).from_.name == "Contoso ceo bank.com"
    assert renderer.render(hinted, nameless, {}).from_.name == "Acme Web"
    assert renderer.render(mail_request(code="123456"), nameless, {}).from_.name == ""


def test_the_same_message_renders_to_the_same_bytes():
    first, second = (Renderer(TEMPLATES).render(mail_request(code="123456", link=LINK), SENDER, {}) for _ in range(2))
    assert first == second


def test_a_mail_stays_small(renderer):
    for kind in KINDS:
        assert len(renderer.render(mail_request(kind, code="048291", link=LINK), SENDER, {}).html.encode()) < 15_000
