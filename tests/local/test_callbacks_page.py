"""The callbacks page of the local stack in a real browser."""

from playwright.sync_api import Browser, expect

from tests.browser import assert_accessible
from tests.running import Running


def test_the_page_shows_outcome_events_as_they_come_and_is_accessible(browser: Browser, stack: Running) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, bypass_csp=True)
    page, to = context.new_page(), stack.address()
    page.goto(f"{stack.url}/callbacks")
    stack.logto({"to": to, "type": "SignIn", "payload": {"code": "424242", "locale": "en"}}, "acme")
    message_id = stack.mail_to(to).message_id
    row = page.locator("tr").filter(has_text=message_id).filter(has_text="message.sent")
    expect(row.first).to_contain_text("verified", timeout=15_000)
    row.first.locator("summary").click()
    expect(row.first.locator("pre")).to_contain_text('"kind": "sign-in-code"')
    assert_accessible(page)
    context.close()
