"""Security notices: words for each event, a way to secure the account, and no words of a stranger's."""

from pathlib import Path
from typing import Any

import pytest

from mailroom.model.email import Email
from mailroom.model.kinds import has_caller_text
from mailroom.model.mailbox import Mailbox
from mailroom.model.security_events import SecurityEvent, security_event
from mailroom.model.sender import Sender
from mailroom.rendering.renderer import Renderer
from tests.rendering.requests import mail_request

TEMPLATES = Path(__file__).parents[2] / "layers" / "templates"
SENDER = Sender(Mailbox("no-reply@example.com", "Acme"))
ACCOUNT = "https://app.example.com/account"
REQUEST: dict[str, Any] = {
    "ip": "203.0.113.9",
    "device": "Firefox on Linux",
    "place": "Berlin, Germany",
    "time": "2026-05-01T09:41:00Z",
}


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(TEMPLATES)


def notice(renderer: Renderer, event: Any, brand: dict[str, str] | None = None, **data: Any) -> Email:
    return renderer.render(mail_request("security-notice", "en", event=event, **data), SENDER, brand or {})


def visible(text: str) -> str:
    """Return a text without the invisible characters that keep mail clients from making links of it."""
    return text.replace("\u2060", "").replace("\u200c", "")


@pytest.mark.parametrize("locale", Renderer(TEMPLATES).locales)
def test_every_event_has_words_of_its_own(renderer, locale):
    mails = [
        renderer.render(mail_request("security-notice", locale, event=event), SENDER, {}) for event in SecurityEvent
    ]
    assert len({mail.subject for mail in mails}) == len({mail.text for mail in mails}) == len(SecurityEvent)
    assert all("Acme" in mail.subject for mail in mails)


def test_a_notice_states_what_happened_and_what_to_do(renderer):
    mail = notice(renderer, "password-changed")
    assert mail.subject == "Acme: Your password was changed"
    assert mail.text.startswith("Your password was changed\n\nThe password of your Acme account was changed.\n")
    assert "reset your password right away" in mail.text
    assert "http" not in mail.text


def test_a_notice_leads_to_the_brands_account_page(renderer):
    mail = notice(renderer, "new-sign-in", {"account_url": ACCOUNT})
    assert f"If not, secure your account right away:\n{ACCOUNT}" in mail.text
    assert f'href="{ACCOUNT}"' in mail.html and ">Secure account</a>" in mail.html
    assert mail.text.count("If this was you") == 1


def test_a_deleted_account_has_no_page_to_secure_it(renderer):
    mail = notice(renderer, "account-deleted", {"account_url": ACCOUNT})
    assert ACCOUNT not in mail.html + mail.text
    assert "contact us right away" in mail.text


def test_an_unknown_event_is_a_notice_without_details(renderer):
    assert notice(renderer, "volcano-erupted").subject == notice(renderer, None).subject
    assert notice(renderer, ["password-changed"]).subject == notice(renderer, None).subject


def test_the_callers_text_has_priority_over_the_events(renderer):
    mail = notice(renderer, "password-changed", title="We changed your password", paragraphs=["As you asked."])
    assert mail.subject == "We changed your password"
    assert "As you asked." in mail.text


@pytest.mark.parametrize("field", ["title", "paragraphs", "facts", "button", "link", "code"])
def test_an_event_with_text_of_a_caller_is_text_of_a_caller(field):
    assert not has_caller_text("security-notice", {"event": "password-changed", field: None, "request": REQUEST})
    assert has_caller_text("security-notice", {"event": "password-changed", field: "https://example.com/"})


@pytest.mark.parametrize("event", ["", "volcano-erupted", None, 7, [], {}])
def test_a_notice_without_a_known_event_is_text_of_a_caller(event):
    assert security_event("security-notice", {"event": event}) is None
    assert has_caller_text("security-notice", {"event": event})


def test_events_concern_security_notices_only():
    assert security_event("notification", {"event": "password-changed"}) is None
    assert has_caller_text("notification", {"event": "password-changed"})
    assert not has_caller_text("sign-in-code", {"code": "123456"})


def test_a_brand_decides_whether_the_request_is_shown(renderer):
    shown = notice(renderer, "new-sign-in", {"request_context": "true"}, request=REQUEST)
    rows = "Time: 2026-05-01 09:41 UTC\nPlace: Berlin, Germany\nDevice: Firefox on Linux\nIP address: 203.0.113.9"
    assert rows in visible(shown.text)
    hidden = notice(renderer, "new-sign-in", request=REQUEST)
    assert "Berlin" not in hidden.text + hidden.html


def test_a_code_mail_has_the_request_in_one_line(renderer):
    request = mail_request("mfa-code", "en", code="123456", request=REQUEST)
    mail = renderer.render(request, SENDER, {"request_context": "true"})
    line = "Requested: 2026-05-01 09:41 UTC · Berlin, Germany · Firefox on Linux · 203.0.113.9"
    assert line in visible(mail.text) and line in visible(mail.html)


def test_an_ordinary_notification_has_no_request_context(renderer):
    request = mail_request("notification", "en", title="Hello", request=REQUEST)
    assert "Berlin" not in renderer.render(request, SENDER, {"request_context": "true"}).text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ip", "evil.example"),
        ("ip", 7),
        ("time", True),
        ("time", "yesterday"),
        ("time", -1),
        ("time", 1e300),
        ("time", float("nan")),
        ("time", "9" * 999),
        ("device", ["x"]),
        ("place", {}),
    ],
)
def test_a_malformed_piece_of_the_request_is_left_out(renderer, field, value):
    mail = notice(renderer, "new-sign-in", {"request_context": "true"}, request=REQUEST | {field: value})
    assert str(value)[:7] not in mail.text or field == "time"
    assert "Berlin" in mail.text or field == "place"


def test_a_device_cannot_become_a_link_or_a_letter(renderer):
    request = REQUEST | {"device": "https://evil.example/ " + "call us " * 99}
    mail = notice(renderer, "new-sign-in", {"request_context": "true"}, request=request)
    assert "evil.example" not in mail.text
    (row,) = [line for line in mail.text.splitlines() if line.startswith("Device: ")]
    assert len(visible(row)) <= len("Device: ") + 64
