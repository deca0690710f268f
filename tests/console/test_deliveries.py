"""The deliveries, in a real browser before a ledger in moto: filter, find, follow, and read what became of a mail."""

import re
import time
import urllib.request
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from mailroom.aws.dynamodb import encode
from mailroom.model.event import Event, EventType, Reason
from mailroom.model.message import new_id
from mailroom.model.outcome import Status
from tests.browser import accessible
from tests.console.conftest import Look, Mails, Serve, Served, aws

SOON = 2100  # ms: a little more than between two looks
# Presses the button and counts from that very moment, in which no look can come between.
PAUSED = """() => {
  const real = fetch;
  window.asked = 0;
  window.fetch = (...its) => (window.asked++, real(...its));
  document.getElementById("pause").click();
}"""


def rows(page: Page) -> Locator:
    return page.locator("#mails tr")


def shown(html: str) -> list[str]:
    """Return the message ids in a page, in its order."""
    return re.findall(r'id="mail-([0-9a-f]{32})"', html)


def test_the_newest_come_first_with_what_became_of_them(mails: Mails, served: Served, look: Look) -> None:
    mails.sent(ago=90, tenant="acme", kind="password-reset")
    mails.sent(ago=30, status=Status.FAILED, reason="domain_not_verified")

    page = look(served)

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


def test_filters_narrow_the_list_and_stay_in_its_address(mails: Mails, served: Served, look: Look) -> None:
    mails.sent(ago=10, tenant="acme")
    mails.sent(ago=20, tenant="acme", status=Status.FAILED, reason="bad_key")
    mails.sent(ago=30, tenant="acme", status=Status.SKIPPED, reason="suppressed")
    mails.sent(ago=40, status=Status.FAILED, reason="bad_key")
    mails.sent(ago=7200, tenant="acme", status=Status.FAILED, reason="bad_key")
    page = look(served)
    expect(rows(page)).to_have_count(5)

    page.get_by_label("Since").select_option("hour")
    page.get_by_label("Tenant").fill("acme")
    page.get_by_label("failed").check()
    page.get_by_label("skipped").check()
    page.get_by_role("button", name="Filter").click()

    expect(rows(page)).to_have_count(2)
    assert [row.locator(".status").inner_text() for row in rows(page).all()] == ["failed", "skipped"]
    expect(page.get_by_label("Tenant")).to_have_value("acme")
    expect(page.get_by_label("skipped")).to_be_checked()
    page.reload()
    expect(rows(page)).to_have_count(2)
    page.get_by_role("link", name="Show all").click()
    expect(rows(page)).to_have_count(5)


def test_an_address_is_found_and_gets_into_no_url(mails: Mails, served: Served, look: Look) -> None:
    for number in range(2):
        mails.sent(ago=number, to="ada@example.com")
    mails.sent(to="someone-else@example.com")
    page = look(served)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.get_by_role("searchbox").fill("Ada@example.com")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Found")).to_be_visible()
    expect(rows(page)).to_have_count(2)
    expect(page.get_by_text("a•••@example.com")).to_have_count(2)
    assert "ada" not in "".join([page.url, page.title(), *asked]).lower()


@pytest.mark.parametrize("name", ["id", "provider's id"])
def test_an_id_leads_to_its_mail(mails: Mails, served: Served, name: str) -> None:
    said = mails.sent()

    answer = served.post("/console/deliveries", what={"id": said.id, "provider's id": f"<re-{said.id[-6:]}>"}[name])

    assert answer.status == 303
    assert answer.headers["location"] == f"/console/deliveries/{said.id}"


def test_what_is_not_known_or_makes_no_sense_is_a_sentence(mails: Mails, served: Served) -> None:
    unknown = served.post("/console/deliveries", what="nobody@example.com")
    assert (unknown.status, "The ledger knows nothing of it" in unknown.text) == (200, True)
    nonsense = served.post("/console/deliveries", what="what became of it?")
    assert (nonsense.status, "neither a message id nor an address" in nonsense.text) == (400, True)
    for path in (f"/console/deliveries/{new_id()}", "/console/deliveries/nothing", "/console/nothing", "/nothing"):
        missing = served.get(path)
        assert (missing.status, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "<h1>" in missing.text
    for query in ("status=lost", "tenant=No%20Name", "since=ever", "before=%3Cb%3E"):
        refused = served.get(f"/console/deliveries?{query}")
        assert refused.status == 400
        assert "<b>" not in refused.text


def test_a_mail_tells_what_happened_to_it_step_by_step(mails: Mails, served: Served, look: Look) -> None:
    said = mails.sent(ago=300, to="ada@example.com")
    bounce = Event(
        EventType.BOUNCED, "resend", "1", said.created_at + 3, reason=Reason.MAILBOX_FULL, detail="452 4.2.2"
    )
    mails.ledger.record(said.id, bounce)
    page = look(served)

    rows(page).first.locator("a").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("sign-in-code for a•••@example.com")
    steps = page.get_by_role("listitem")
    assert [step.locator("strong").inner_text() for step in steps.all()] == ["accepted", "sent", "bounced"]
    expect(steps.last).to_contain_text("transient mailbox_full 452 4.2.2")
    expect(steps.last).to_contain_text("+3.00 s")
    expect(page.locator(".facts")).to_contain_text("5 minutes ago")
    assert "ada@" not in page.content()
    assert "KX7391" not in page.content()
    expect(page.get_by_role("link", name="What such a mail looks like")).to_have_attribute(
        "href", "/gallery#kind=sign-in-code"
    )


def test_the_list_follows_what_happens_and_leaves_the_reader_in_peace(mails: Mails, served: Served, look: Look) -> None:
    old = [mails.sent(ago=60 + number) for number in range(40)]
    page = look(served)
    page.evaluate("window.stayed = true")
    focused = page.locator(f"#mail-{old[25].id} a")
    focused.focus()
    place = focused.bounding_box()
    assert place

    new = mails.accepted()
    mails.ledger.record(old[0].id, Event(EventType.DELIVERED, "resend", "1", time.time()))

    page.clock.run_for(SOON)
    expect(page.locator(f"#mail-{new.id} .status")).to_have_text("accepted")
    expect(page.locator(f"#mail-{old[0].id} .status")).to_have_text("delivered")
    expect(focused).to_be_focused()
    after = focused.bounding_box()
    assert after
    assert abs(after["y"] - place["y"]) < 1
    assert page.evaluate("window.stayed")

    late = mails.sent()
    page.evaluate(PAUSED)
    page.clock.run_for(10 * SOON)
    expect(page.locator("#live-state")).to_have_text("paused")
    assert page.evaluate("window.asked") == 0
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(f"#mail-{late.id}")).to_be_visible()


def test_without_javascript_the_list_is_there_and_has_no_switch_that_does_nothing(
    mails: Mails, served: Served, look: Look
) -> None:
    mails.sent()
    page = look(served, java_script_enabled=False)
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()


def test_older_mails_follow_without_a_gap_or_a_repetition(mails: Mails, served: Served) -> None:
    moment = round(time.time() * 1000) - 60_000
    ids = [mails.sent(id=f"{moment:012x}{new_id()[12:]}").id for _ in range(60)]  # all in one millisecond

    first = served.get("/console/deliveries")
    older = re.search(r'href="([^"]*)" rel="next"', first.text)
    assert older
    second = served.get(older[1].replace("&#x2f;", "/").replace("&amp;", "&"))

    assert (len(shown(first.text)), len(shown(second.text))) == (50, 10)
    assert [*shown(first.text), *shown(second.text)] == sorted(ids, reverse=True)
    assert "data-live" in first.text
    assert "data-live" not in second.text


def test_a_rare_status_is_looked_for_in_portions(mails: Mails, served: Served, look: Look, cloud: str) -> None:
    put_many(cloud, 1300, rare=1250)
    counted: list[str] = []
    client: Any = served.console._desk.queries.dynamodb
    client.meta.events.register("before-call.dynamodb", lambda model, **_: counted.append(model.name))

    assert served.get("/console/deliveries?status=failed").status == 200
    assert len(counted) < 45  # 16 partitions in portions of a hundred, and the rows

    page = look(served)
    page.get_by_label("failed").check()
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#list")).to_contain_text("Looked at the 1000 newest, back to")
    page.get_by_role("link", name="Look further").click()
    expect(rows(page)).to_have_count(1)
    expect(page.locator("#list")).to_contain_text("That is all")


def put_many(url: str, number: int, rare: int) -> None:
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


def test_every_page_is_accessible_and_fits_a_phone(mails: Mails, served: Served, look: Look) -> None:
    longest = f"{'a' * 60}@{'long-' * 10}domain.example.com"
    for status in Status:
        said = mails.sent(ago=86_400, status=status, reason="domain_not_verified", tenant="northwind", to=longest)
    # Our policy keeps a test's script out as well.
    page = look(served, bypass_csp=True)
    paths = ("deliveries", "deliveries?status=failed", f"deliveries/{said.id}", "nothing", "deliveries?since=ever")
    for path in paths:
        page.goto(f"{served.url}/console/{path}")
        accessible(page)


def test_aws_that_is_away_is_a_page_and_comes_back_without_a_restart(
    mails: Mails, serve: Serve, monkeypatch: pytest.MonkeyPatch, cloud: str
) -> None:
    served = serve("staging")
    served.enter()
    mails.sent()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    answer = served.get("/console/deliveries")
    assert answer.status == 502
    assert "No AWS credentials were found." in answer.text
    assert "Log in to AWS" in answer.text
    assert "Traceback" not in answer.text

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    assert len(shown(served.get("/console/deliveries").text)) == 1

    urllib.request.urlopen(urllib.request.Request(f"{cloud}/moto-api/reset", method="POST")).close()
    gone = served.get("/console/deliveries")
    assert (gone.status, "AWS refused" in gone.text) == (502, True)
    gone = served.get("/console/deliveries")
    assert (gone.status, "There is no stack mailroom-staging" in gone.text) == (502, True)
    assert served.complaints == []


def test_a_list_that_is_open_says_when_nothing_answers(mails: Mails, served: Served, look: Look) -> None:
    mails.sent()
    page = look(served)
    expect(rows(page)).to_have_count(1)
    page.route("**/console/deliveries", lambda route: route.abort())
    page.clock.run_for(SOON)
    expect(page.locator("#live-state")).to_have_text("the console has ended")
    expect(rows(page)).to_have_count(1)
    page.unroute("**/console/deliveries")
    page.clock.run_for(SOON)
    expect(page.locator("#live-state")).to_have_text("live")


def test_times_are_utc(mails: Mails, served: Served) -> None:
    said = mails.sent()
    clock = f"{datetime.fromtimestamp(said.created_at, UTC):%H:%M:%S}"
    assert clock in served.get("/console/deliveries").text
