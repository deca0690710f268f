"""The keyboard: search, rows, help and the command palette on every page."""

import pytest
from playwright.sync_api import Page, expect

from mailroom_ops.environment import Environment
from mailroom_ops.settings.parameters import Parameters
from tests.browser import assert_accessible
from tests.console.client import Client, LedgerWriter, OpenPage


@pytest.fixture
def page(messages: LedgerWriter, client: Client, open_page: OpenPage) -> Page:
    Parameters(Environment("staging")).write({"senders/globex/auth": '{"from": "a@globex.example"}'})
    for ago in (10, 20, 30):
        messages.sent(ago=ago)
    return open_page(client, bypass_csp=True)


def test_a_slash_goes_to_the_search_and_is_typed_inside_it(page: Page) -> None:
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("j/k?")
    expect(page.get_by_role("searchbox")).to_have_value("j/k?")


def test_j_and_k_go_through_the_rows(page: Page) -> None:
    links = page.locator("#messages a")
    for key, row in (("j", 0), ("j", 1), ("j", 2), ("j", 2), ("k", 1)):
        page.keyboard.press(key)
        expect(links.nth(row)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("sign-in-code")


def test_a_question_mark_shows_the_keys(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Command palette")
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("queu", "/console/queues"),
        ("tenant glo", "/console/senders/globex"),
        ("add supp", "/console/suppressions/add"),
        ("failed em", "/console/deliveries?status=failed&status=unknown"),
    ],
)
def test_the_palette_leads_to_pages_tenants_and_actions(page: Page, text: str, address: str) -> None:
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Command").fill(text)
    expect(page.get_by_role("option", name="Find an email")).to_be_visible()  # all entries are loaded
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{address}")


def test_the_palette_searches_an_address_without_showing_it_in_the_url(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Command").fill("nobody@example.com")
    page.get_by_role("option", name="Find an email: nobody@example.com").click()
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    assert "nobody" not in page.url


def test_the_palette_is_accessible(page: Page) -> None:
    page.keyboard.press("Meta+k")
    page.get_by_role("combobox", name="Command").fill("e")
    expect(page.get_by_role("dialog").get_by_role("option").first).to_have_attribute("aria-selected", "true")
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
