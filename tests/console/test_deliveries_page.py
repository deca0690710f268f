"""The deliveries pages, in a real browser with a ledger in moto: filter, search, live refresh, timeline."""

import re
import time
import urllib.request
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, expect

from mailroom.aws.dynamodb import encode
from mailroom.feedback.suppression import Cause
from mailroom.model.event import Event, EventType, Reason
from mailroom.model.kinds import Lane
from mailroom.model.message import new_id
from mailroom.model.outcome import Status
from mailroom_ops.ledger import suppressions
from tests.browser import assert_accessible
from tests.console.client import Client, LedgerWriter, OpenPage, StartConsole, aws, page_text

REFRESH_MS = 2100  # a little more than the refresh interval
# Presses the button and counts requests from that very moment.
PAUSE = """() => {
  const real = fetch;
  window.requests = 0;
  window.fetch = (path, ...args) => (window.requests += path !== "/console/health", real(path, ...args));
  document.getElementById("pause").click();
}"""


def rows(page: Page) -> Locator:
    return page.locator("#messages tr")


def expect_filtered(page: Page, number: int) -> None:
    """Wait for the page of a changed filter, and for its script, which applies the next change."""
    expect(rows(page)).to_have_count(number)
    expect(page.locator("html.local-time")).to_be_attached()


def message_ids(html: str) -> list[str]:
    """Return the message ids in a page, in its order."""
    return re.findall(r'id="message-([0-9a-f]{32})"', html)


def test_the_list_shows_the_newest_first_with_their_status(
    messages: LedgerWriter, client: Client, open_page: OpenPage
) -> None:
    messages.sent(ago=90, tenant="acme", kind="password-reset")
    messages.sent(ago=30, status=Status.FAILED, reason="domain_not_verified")

    page = open_page(client)

    expect(page).to_have_title("Deliveries · staging · Mailroom")
    expect(rows(page)).to_have_count(2)
    cells = rows(page).first.get_by_role("cell")
    expected = ["failed", "sign-in-code", "r•••@example.com", "default", "resend", "domain_not_verified"]
    assert cells.all_inner_texts()[1:] == expected
    when = rows(page).first.locator("time").get_attribute("datetime")
    assert when
    assert abs(datetime.fromisoformat(when).timestamp() - time.time() + 30) < 20
    expect(page.get_by_role("navigation").get_by_role("link", name="Deliveries")).to_have_attribute(
        "aria-current", "page"
    )


def test_filters_narrow_the_list_and_are_part_of_its_address(
    messages: LedgerWriter, client: Client, open_page: OpenPage
) -> None:
    messages.sent(ago=10, tenant="acme")
    messages.sent(ago=20, tenant="acme", status=Status.FAILED, reason="bad_key")
    messages.sent(ago=30, tenant="acme", status=Status.SKIPPED, reason="suppressed")
    messages.sent(ago=40, status=Status.FAILED, reason="bad_key")
    messages.sent(ago=7200, tenant="acme", status=Status.FAILED, reason="bad_key")
    page = open_page(client)
    expect(rows(page)).to_have_count(5)

    page.get_by_label("Period").select_option("hour")
    expect_filtered(page, 4)
    page.get_by_label("Tenant").select_option("acme")
    expect_filtered(page, 3)
    expect(page.get_by_label("Tenant")).to_be_focused()
    page.get_by_label("failed").check()
    expect_filtered(page, 1)
    page.get_by_label("skipped").check()

    expect_filtered(page, 2)
    assert [row.locator(".status").inner_text() for row in rows(page).all()] == ["failed", "skipped"]
    expect(page.get_by_label("Tenant")).to_have_value("acme")
    expect(page.get_by_label("skipped")).to_be_checked()
    page.reload()
    expect(rows(page)).to_have_count(2)
    page.get_by_role("link", name="Show all").click()
    expect(rows(page)).to_have_count(5)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("kind=password-reset", ["reset"]),
        ("provider=resend", ["reset", "failed"]),
        ("reason=bad_key", ["failed"]),
        ("provider=ses&reason=http_503", ["waiting"]),
        ("kind=password-reset&reason=bad_key", []),
    ],
)
def test_the_list_is_filtered_by_kind_provider_and_reason(
    messages: LedgerWriter, client: Client, query: str, expected: list[str]
) -> None:
    ids = {
        "reset": messages.sent(ago=10, kind="password-reset").id,
        "failed": messages.sent(ago=20, status=Status.FAILED, reason="bad_key").id,
        "waiting": messages.waiting(ago=30, provider="ses").id,
    }
    answer = client.get(f"/console/deliveries?{query}")
    assert answer.status == 200
    assert message_ids(answer.text) == [ids[name] for name in expected]


def test_a_waiting_mail_shows_its_last_attempt_and_the_next_one(messages: LedgerWriter, client: Client) -> None:
    waiting = messages.waiting(ago=5, attempts=2, retry_in=45)
    shown = client.text("/console/deliveries")
    assert re.search(r"resend http_503 third attempt in (3|4)\d s", shown)
    page = client.text(f"/console/deliveries/{waiting.id}")
    assert re.search(r"third attempt in (3|4)\d s, after 2 failed attempts at resend", page)
    assert "The provider answered with HTTP 503" in page


def test_filters_work_without_javascript(messages: LedgerWriter, client: Client, open_page: OpenPage) -> None:
    messages.sent(tenant="acme")
    messages.sent()
    page = open_page(client, java_script_enabled=False)
    page.get_by_label("Tenant").select_option("acme")
    page.get_by_role("button", name="Filter").click()
    expect(rows(page)).to_have_count(1)


def test_a_search_for_an_address_puts_it_into_no_url(
    messages: LedgerWriter, client: Client, open_page: OpenPage
) -> None:
    for number in range(2):
        messages.sent(ago=number, to="ada@example.com")
    messages.sent(to="someone-else@example.com")
    page = open_page(client)
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))

    page.get_by_role("searchbox").fill("Ada@example.com")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Emails to Ada@example.com")).to_be_visible()
    expect(rows(page)).to_have_count(2)
    expect(page.get_by_text("a•••@example.com")).to_have_count(2)
    assert "ada" not in "".join([page.url, page.title(), *urls]).lower()


@pytest.mark.parametrize("name", ["id", "provider's id", "address"])
def test_a_search_with_one_hit_leads_to_its_message(messages: LedgerWriter, client: Client, name: str) -> None:
    message = messages.sent()

    term = {"id": message.id, "provider's id": f"<re-{message.id[-6:]}>", "address": message.to}[name]
    answer = client.post("/console/deliveries", what=term)

    assert answer.status == 303
    assert answer.headers["location"] == f"/console/deliveries/{message.id}"


def test_unknown_and_malformed_input_is_an_error_in_one_sentence(messages: LedgerWriter, client: Client) -> None:
    unknown = client.post("/console/deliveries", what="nobody@example.com")
    assert unknown.status == 200
    assert "No email has the address nobody@example.com ." in page_text(unknown.text)
    nonsense = client.post("/console/deliveries", what="an email I sent")
    assert (nonsense.status, "neither a message id nor an address" in nonsense.text) == (400, True)
    for path in (f"/console/deliveries/{new_id()}", "/console/deliveries/nothing", "/console/nothing", "/nothing"):
        missing = client.get(path)
        assert (missing.status, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "<h1>" in missing.text
    for query in (
        "status=lost",
        "tenant=No%20Name",
        "kind=%3Cb%3E",
        "provider=%3Cb%3E",
        "reason=%3Cb%3E",
        "since=ever",
        "before=%3Cb%3E",
    ):
        refused = client.get(f"/console/deliveries?{query}")
        assert refused.status == 400
        assert "<b>" not in refused.text


def test_the_page_of_a_message_shows_its_timeline(messages: LedgerWriter, client: Client, open_page: OpenPage) -> None:
    message = messages.sent(ago=300, to="ada@example.com")
    bounce = Event(
        EventType.BOUNCED, "resend", "1", message.created_at + 3, reason=Reason.MAILBOX_FULL, detail="452 4.2.2"
    )
    messages.ledger.record(message.id, bounce)
    page = open_page(client)

    rows(page).first.locator("a").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("sign-in-code for a•••@example.com")
    steps = page.locator(".timeline").get_by_role("listitem")
    assert [step.locator("strong").inner_text() for step in steps.all()] == ["received", "sent", "bounced"]
    expect(steps.last).to_contain_text("transient mailbox_full 452 4.2.2")
    expect(steps.last).to_contain_text("+3.00 s")
    expect(page.locator(".facts")).to_contain_text("5 minutes ago")
    assert "ada@" not in page.content()
    assert "KX7391" not in page.content()
    expect(page.locator(".facts").get_by_role("link", name="sign-in-code")).to_have_attribute(
        "href", "/gallery#kind=sign-in-code"
    )
    expect(page.get_by_role("note")).to_contain_text("The mailbox of the recipient is full.")
    expect(page.locator(".facts").get_by_role("link", name="default")).to_have_attribute(
        "href", "/console/senders/default"
    )


def test_a_mail_leads_to_the_suppression_of_its_recipient(messages: LedgerWriter, client: Client) -> None:
    message = messages.sent(to="ada@example.com")
    assert "Its recipient is suppressed" not in client.text(f"/console/deliveries/{message.id}")
    queries = client.console._context.queries
    suppressions.add(queries, "default", "ada@example.com", {Lane.CODES: 7, Lane.NOTICES: 0}, Cause.BOUNCE)
    page = client.get(f"/console/deliveries/{message.id}").text
    assert "Its recipient is suppressed (bounce); no codes until" in page_text(page)
    assert "ada@" not in page
    assert "ada@example.com default bounce" in client.text(f"/console/suppressions/of/{message.id}")


@pytest.mark.parametrize(
    ("status", "has_button"), [(Status.FAILED, True), (Status.UNKNOWN, True), (Status.SENT, False)]
)
def test_a_mail_that_was_not_sent_leads_to_its_dead_letter(
    messages: LedgerWriter, client: Client, status: Status, has_button: bool
) -> None:
    page = client.text(f"/console/deliveries/{messages.sent(status=status).id}")
    assert ("Find its dead letter to replay it" in page) is has_button


@pytest.mark.parametrize(("source", "has_preview"), [("logto", True), ("clerk", True), ("zitadel", False)])
def test_a_mail_that_its_auth_server_rendered_has_no_preview(
    messages: LedgerWriter, client: Client, source: str, has_preview: bool
) -> None:
    message = messages.sent(source=source)
    page = client.get(f"/console/deliveries/{message.id}")
    assert ("/gallery#kind=sign-in-code" in page.text) is has_preview


def test_the_list_refreshes_without_moving_focus_or_scroll_position(
    messages: LedgerWriter, client: Client, open_page: OpenPage
) -> None:
    old = [messages.sent(ago=60 + number) for number in range(40)]
    page = open_page(client)
    page.evaluate("window.stayed = true")
    focused = page.locator(f"#message-{old[25].id} a")
    focused.focus()
    place = focused.bounding_box()
    assert place

    new = messages.accepted()
    messages.ledger.record(old[0].id, Event(EventType.DELIVERED, "resend", "1", time.time()))

    page.clock.run_for(REFRESH_MS)
    expect(page.locator(f"#message-{new.id} .status")).to_have_text("accepted")
    expect(page.locator(f"#message-{old[0].id} .status")).to_have_text("delivered")
    expect(focused).to_be_focused()
    after = focused.bounding_box()
    assert after
    assert abs(after["y"] - place["y"]) < 1
    assert page.evaluate("window.stayed")

    late = messages.sent()
    page.evaluate(PAUSE)
    page.clock.run_for(10 * REFRESH_MS)
    expect(page.locator("#live-state")).to_have_text("paused")
    assert page.evaluate("window.requests") == 0
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(f"#message-{late.id}")).to_be_visible()


def test_without_javascript_the_list_is_shown_without_the_pause_button(
    messages: LedgerWriter, client: Client, open_page: OpenPage
) -> None:
    messages.sent()
    page = open_page(client, java_script_enabled=False)
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()


def test_pages_of_the_list_have_no_gap_and_no_repetition(messages: LedgerWriter, client: Client) -> None:
    moment = round(time.time() * 1000) - 60_000
    ids = [messages.sent(id=f"{moment:012x}{new_id()[12:]}").id for _ in range(60)]  # all in one millisecond

    first = client.get("/console/deliveries")
    older = re.search(r'href="([^"]*)" rel="next"', first.text)
    assert older
    second = client.get(older[1].replace("&#x2f;", "/").replace("&amp;", "&"))

    assert (len(message_ids(first.text)), len(message_ids(second.text))) == (50, 10)
    assert [*message_ids(first.text), *message_ids(second.text)] == sorted(ids, reverse=True)
    assert "data-live" in first.text
    assert "data-live" not in second.text


@pytest.mark.thorough
def test_a_rare_status_is_searched_in_bounded_portions(
    messages: LedgerWriter, client: Client, open_page: OpenPage, cloud: str
) -> None:
    write_many(cloud, 1300, rare=1250)
    calls: list[str] = []
    dynamodb: Any = client.console._context.queries.dynamodb
    dynamodb.meta.events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name))

    assert client.get("/console/deliveries?status=failed").status == 200
    assert len(calls) < 45  # 16 partitions in portions of a hundred, and the rows

    page = open_page(client)
    page.get_by_label("failed").check()
    expect(page.locator("#list")).to_contain_text("Searched the newest 1000 emails, back to")
    page.get_by_role("link", name="Search older ones").click()
    expect(rows(page)).to_have_count(1)
    expect(page.locator("#list")).to_contain_text("End of list")


def write_many(url: str, number: int, rare: int) -> None:
    """Write that many mails, a second apart; the one at `rare` has failed."""
    now = time.time()
    items: list[Any] = []
    for n in range(number):
        row = {
            "pk": f"message#{int((now - n) * 1000):012x}{new_id()[12:]}",
            "tenant": "default",
            "kind": "notification",
            "source": "logto",
            "recipient": "0" * 32,
            "to": "r•••@example.com",
            "created": now - n,
            "status": "failed" if n == rare else "sent",
            "timeline": [],
            "shard": f"{n % 16:x}",
            "tenant_shard": f"default#{n % 16:x}",
        }
        items.append({"PutRequest": {"Item": {name: encode(value) for name, value in row.items()}}})
    for start in range(0, number, 25):
        aws("dynamodb", url).batch_write_item(RequestItems={"ledger": items[start : start + 25]})


@pytest.mark.thorough
def test_every_page_is_accessible_and_fits_a_phone(messages: LedgerWriter, client: Client, open_page: OpenPage) -> None:
    longest = f"{'a' * 60}@{'long-' * 10}domain.example.com"
    for status in Status:
        message = messages.sent(ago=86_400, status=status, reason="domain_not_verified", tenant="northwind", to=longest)
    # Our policy keeps a test's script out as well.
    page = open_page(client, bypass_csp=True)
    paths = ("deliveries", "deliveries?status=failed", f"deliveries/{message.id}", "nothing", "deliveries?since=ever")
    for path in paths:
        page.goto(f"{client.url}/console/{path}")
        assert_accessible(page)
    for term in (longest, "nobody@example.com"):
        page.goto(f"{client.url}/console/deliveries")
        page.get_by_role("searchbox").fill(term)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).not_to_have_text("Deliveries")
        assert_accessible(page)


def test_on_a_phone_the_navigation_is_one_row_with_the_current_page_in_sight(
    client: Client, open_page: OpenPage
) -> None:
    page = open_page(client, 390)
    page.goto(f"{client.url}/console/doctor")
    navigation = page.get_by_role("navigation").bounding_box()
    assert navigation
    assert navigation["height"] < 50
    link = page.get_by_role("link", name="Doctor").bounding_box()
    assert link
    assert 0 <= link["x"] <= 390 - link["width"]


def test_an_aws_failure_is_a_page_and_recovery_needs_no_restart(
    messages: LedgerWriter, start_console: StartConsole, monkeypatch: pytest.MonkeyPatch, cloud: str
) -> None:
    client = start_console("staging")
    client.log_in()
    messages.sent()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    answer = client.get("/console/deliveries")
    assert answer.status == 502
    assert "No AWS credentials were found." in answer.text
    assert "Log in to AWS" in answer.text
    assert "Traceback" not in answer.text

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    assert len(message_ids(client.get("/console/deliveries").text)) == 1

    urllib.request.urlopen(urllib.request.Request(f"{cloud}/moto-api/reset", method="POST")).close()
    gone = client.get("/console/deliveries")
    assert (gone.status, "AWS refused" in gone.text) == (502, True)
    gone = client.get("/console/deliveries")
    assert (gone.status, "There is no stack mailroom-staging" in gone.text) == (502, True)
    assert client.errors == []


def test_an_open_list_shows_that_the_console_is_not_running(
    messages: LedgerWriter, client: Client, open_page: OpenPage
) -> None:
    messages.sent()
    page = open_page(client)
    expect(rows(page)).to_have_count(1)
    page.route("**/console/deliveries", lambda route: route.abort())
    page.clock.run_for(REFRESH_MS)
    expect(page.locator("#live-state")).to_have_text("The console is not running.")
    expect(rows(page)).to_have_count(1)
    page.unroute("**/console/deliveries")
    page.clock.run_for(REFRESH_MS)
    expect(page.locator("#live-state")).to_have_text("live")


def test_times_are_utc_without_javascript(messages: LedgerWriter, client: Client) -> None:
    message = messages.sent()
    clock = f"{datetime.fromtimestamp(message.created_at, UTC):%H:%M:%S}"
    assert clock in client.get("/console/deliveries").text


def test_times_are_those_of_the_reader_with_utc_on_hover(
    messages: LedgerWriter, client: Client, open_page: OpenPage
) -> None:
    message = messages.sent(ago=3 * 86_400)
    at = datetime.fromtimestamp(message.created_at, UTC)
    page = open_page(client, timezone_id="Asia/Tokyo")
    when = rows(page).first.locator("time")
    expect(when).to_have_text(f"{at.astimezone(ZoneInfo('Asia/Tokyo')):%Y-%m-%d %H:%M:%S}")
    expect(when).to_have_attribute("title", f"{at:%Y-%m-%d %H:%M:%S} UTC")
    expect(page.get_by_role("columnheader", name="Time", exact=True)).to_be_visible()
