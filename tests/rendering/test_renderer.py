from dataclasses import replace
from email.utils import parsedate_to_datetime
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


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("048291", '>048<span style="padding-left:14px">291</span></p>'),
        ("04829155", '>0482<span style="padding-left:14px">9155</span></p>'),
        ("0482915", ">0482915</p>"),
        ("AB82CD", ">AB82CD</p>"),
        ("WDKF-9JQR", ">WDKF-9JQR</p>"),
    ],
)
def test_the_digits_of_a_code_are_in_two_groups_without_a_space(renderer, code, shown):
    email = renderer.render(mail_request(code=code), SENDER, {})
    assert shown in email.html
    assert f"\n{code}\n" in email.text


def test_the_link_is_shown_after_all_else(renderer):
    html = renderer.render(mail_request("password-reset", link=LINK, code="048291"), SENDER, {}).html
    assert html.count('href="{}"'.format(LINK.replace("&", "&amp;"))) == 2
    places = [html.index(text) for text in (">Reset password</a>", "Didn’t ask for this?", ">https://app.example.com/")]
    assert places == sorted(places)


def test_the_middle_of_a_long_link_is_not_shown(renderer):
    link = "https://app.example.com/verify?token=" + "aZ09" * 100
    email = renderer.render(mail_request("password-reset", link=link), SENDER, {})
    assert email.html.count(f'href="{link}"') == 2
    assert ">https://app.example.com/verify?t…aZ09aZ09</a>" in email.html
    assert f"\n{link}\n" in email.text


def test_a_notification_has_no_second_link(renderer):
    assert renderer.render(mail_request("notification", title="Hello", link=LINK), SENDER, {}).html.count("href=") == 1


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("sign-in-code", "Sign in to Acme"),
        ("sign-up-code", "Welcome to Acme"),
        ("mfa-code", "Acme: Verify that it’s you"),
        ("generic-code", "Your link for Acme"),
        ("password-reset", "Reset your password for Acme"),
    ],
)
def test_a_mail_with_a_link_only_announces_no_code(renderer, kind, subject):
    email = renderer.render(mail_request(kind, link=LINK), SENDER, {})
    assert email.subject == subject
    assert "code" not in (email.subject + email.text.partition("\n")[0]).lower()


def test_no_mail_with_a_link_only_has_the_subject_of_a_code(renderer):
    for locale in renderer.locales:
        for kind in ("sign-in-code", "sign-up-code", "mfa-code", "generic-code"):
            with_code = renderer.render(mail_request(kind, locale, code="048291"), SENDER, {}).subject
            with_link = renderer.render(mail_request(kind, locale, link=LINK), SENDER, {}).subject
            assert with_code != with_link, (locale, kind)


@pytest.mark.parametrize("kind", ["email-confirmation", "bind-mfa-code", "bind-identifier-code"])
def test_a_mail_about_an_address_shows_it(renderer, kind):
    email = renderer.render(mail_request(kind, code="048291"), SENDER, {})
    assert "\nreader@example.com\n" in email.text and ">reader@example.com</p>" in email.html


def test_a_code_is_in_the_subject_only_where_the_brand_wants_it(renderer):
    request = mail_request(code="048291")
    assert renderer.render(request, SENDER, {}).subject == "Your Acme sign-in code"
    assert renderer.render(request, SENDER, {"code_in_subject": "true"}).subject == "048291 – Your Acme sign-in code"
    link = mail_request("sign-in-code", link=LINK)
    assert renderer.render(link, SENDER, {"code_in_subject": "true"}).subject == "Sign in to Acme"


def test_a_brand_may_send_text_only(renderer):
    email = renderer.render(mail_request(code="048291"), SENDER, {"text_only": "true"})
    assert email.html == ""
    assert email.text == renderer.render(mail_request(code="048291"), SENDER, {}).text


def test_advice_to_secure_the_account_leads_to_its_page(renderer):
    email = renderer.render(mail_request("mfa-code", code="048291"), SENDER, {"account_url": LINK})
    assert f"Change it now.\nSecure account: {LINK}" in email.text
    assert ">Secure account</a>" in email.html
    assert "Secure account" not in renderer.render(mail_request("mfa-code", code="048291"), SENDER, {}).text


def test_the_validity_stands_right_after_the_code(renderer):
    email = renderer.render(mail_request("password-reset", code="048291", link=LINK), SENDER, {})
    assert "\n048291\n\nValid for 10 minutes.\n\nOr use this link:\n" in email.text


def test_lines_of_a_callers_paragraph_stay_lines(renderer):
    email = renderer.render(mail_request("notification", title="Hi", paragraphs=["One.\nTwo.", "Three."]), SENDER, {})
    assert "\nOne.\nTwo.\n\nThree.\n" in email.text
    assert ">One.<br>Two.</p>" in email.html


def test_the_address_of_support_is_complete_in_the_text(renderer):
    text = renderer.render(mail_request(code="1"), SENDER, {"support_url": "https://example.com/help"}).text
    assert "Need help? https://example.com/help" in text


def test_an_svg_logo_is_replaced_by_the_name(renderer):
    brand = {"name": "Acme", "logo_url": "https://example.com/logo.SVG?v=2"}
    html = renderer.render(mail_request(code="048291"), SENDER, brand).html
    assert "<img" not in html and ">Acme</p>" in html


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
    assert "zoe has invited you to join Acme GmbH & Söhne on Acme." in email.text
    assert "zoe has invited you to join Acme GmbH &amp; Söhne on Acme." in email.html


def test_an_invitation_shows_the_inviters_address(renderer):
    zoe = {"name": "Zoë", "primaryEmail": "zoe@example.com"}
    email = renderer.render(mail_request("organization-invitation", organization="Söhne", inviter=zoe), SENDER, {})
    text = email.text.replace("\u2060", "").replace("\u200c", "")
    assert "Zoë (zoe@example.com) has invited you to join Söhne on Acme." in text
    assert "zoe@example.com" not in email.text  # no mail client makes a link of it


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
    assert "default" not in str(email.headers)  # the internal name of the tenant
    assert email.headers["Feedback-ID"].startswith("sign-in-code:")
    assert email.headers["Feedback-ID"].endswith(":codes:mailroom")


def test_a_mail_with_a_code_expires_and_a_notice_does_not(renderer):
    expires = renderer.render(mail_request(code="123456"), SENDER, {}).headers["Expires"]
    assert parsedate_to_datetime(expires).timestamp() == mail_request().expires_at
    assert "Expires" not in renderer.render(mail_request("notification", title="Hi"), SENDER, {}).headers


def test_only_a_notification_can_be_unsubscribed(renderer):
    url = "https://example.com/unsubscribe?token=1"
    email = renderer.render(mail_request("notification", title="Hi", unsubscribe_url=url), SENDER, {})
    assert email.headers["List-Unsubscribe"] == f"<{url}>"
    assert email.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"Unsubscribe: {url}" in email.text and f'href="{url}"' in email.html
    for kind in ("sign-in-code", "security-notice", "organization-invitation", "password-reset"):
        email = renderer.render(mail_request(kind, code="1", title="Hi", unsubscribe_url=url), SENDER, {})
        assert url not in str(email.headers) + email.html + email.text
    own_kind = renderer.render(mail_request("newsletter", title="Hi", unsubscribe_url=url), SENDER, {})
    assert "List-Unsubscribe" in own_kind.headers


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://a.example/>\r\nBcc: x@example.com", 7, ["x"], ""])
def test_a_malformed_unsubscribe_link_is_left_out(renderer, url):
    email = renderer.render(mail_request("notification", title="Hi", unsubscribe_url=url), SENDER, {})
    assert not any(name.startswith("List-") for name in email.headers)


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
