"""The banner: failing providers, dead letters and rates, on every page and without slowing it down."""

import time
from html import unescape

import pytest
from botocore.exceptions import ConnectionClosedError
from playwright.sync_api import expect

from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, UnknownOutcome
from mailroom.ledger.tally import Tally
from mailroom.model.kinds import Lane
from mailroom.model.outcome import Attempt, Outcome, Status
from mailroom_ops.console.context import SharedEnvironment
from mailroom_ops.console.queues import QueueDepth
from mailroom_ops.ledger.stats import HourCache
from tests.browser import assert_accessible
from tests.console.client import Client, LedgerWriter, OpenPage, page_text

HEALTH = "/console/health"


def banner(client: Client) -> str:
    client.console._context.alerts.forget()
    return page_text(client.get(HEALTH).text)


def fail(messages: LedgerWriter, number: int, error: type[DeliveryError], answer: str = "http_503") -> None:
    """Record failed attempts at resend, a second apart, the last one now."""
    mail, now = messages.accepted(60), time.time()
    tries = tuple(Attempt(now - n, "resend", answer, error=error) for n in reversed(range(number)))
    messages.ledger.release(mail.id, "token", number, Outcome(Status.ACCEPTED, answer, tries=tries, retry_in=9))


def test_without_trouble_there_is_no_banner(messages: LedgerWriter, client: Client) -> None:
    messages.sent()
    assert banner(client) == ""


def test_a_provider_is_down_after_three_failures_in_a_row(messages: LedgerWriter, client: Client) -> None:
    fail(messages, 2, UnknownOutcome)
    assert banner(client) == ""
    fail(messages, 3, UnknownOutcome)
    assert "resend is down: the last 5 attempts failed" in banner(client)
    assert "Mail waits at its gate." in banner(client)
    assert 'href="/console/deliveries?provider=resend"' in unescape(client.get(HEALTH).text)


def test_a_provider_that_accepts_again_is_not_down(messages: LedgerWriter, client: Client) -> None:
    fail(messages, 5, UnknownOutcome)
    messages.sent(ago=-0.5)
    assert banner(client) == ""


def test_refusals_of_single_mails_do_not_mean_that_a_provider_is_down(messages: LedgerWriter, client: Client) -> None:
    for _ in range(4):
        fail(messages, 1, PermanentFailure, "invalid_recipient")
    assert banner(client) == ""


def test_a_misconfigured_provider_is_shown_at_its_first_failure(messages: LedgerWriter, client: Client) -> None:
    fail(messages, 1, ConfigurationError, "bad_key")
    assert "resend is misconfigured (bad_key). The provider refused the key, or the login." in banner(client)
    assert 'href="/console/doctor?area=providers"' in unescape(client.get(HEALTH).text)


def test_a_share_of_bounces_that_rings_the_alarm_is_shown(
    messages: LedgerWriter, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.console._context, "hours", HourCache())
    tally: Tally = messages.ledger.tally
    tally.count("default", "sent", "resend", 200)
    tally.count("default", "bounced", "resend", 9)
    tally.flush()
    assert "More than 4.00% of the emails of 6 hours bounced" in banner(client)


def test_the_banner_is_loaded_after_each_page_and_stays_on_the_next_one(
    messages: LedgerWriter, client: Client, open_page: OpenPage
) -> None:
    fail(messages, 3, UnknownOutcome)
    page = open_page(client, bypass_csp=True)
    alert = page.get_by_role("region", name="Needs attention")
    expect(alert).to_contain_text("resend is down")
    assert_accessible(page)
    page.route("**/console/health", lambda route: route.abort())
    page.goto(f"{client.url}/console/suppressions")
    expect(alert).to_contain_text("resend is down")
    alert.get_by_role("link", name="Its emails").click()
    expect(page.locator("#messages tr")).to_have_count(1)


def test_the_alerts_are_cached_for_some_seconds(messages: LedgerWriter, client: Client) -> None:
    assert banner(client) == ""
    fail(messages, 3, UnknownOutcome)
    assert page_text(client.get(HEALTH).text) == ""
    assert "resend is down" in banner(client)


def test_a_service_that_closes_its_connection_is_shown_as_unreachable(
    messages: LedgerWriter, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(environment: SharedEnvironment, lane: Lane, *, is_dead: bool) -> QueueDepth:
        raise ConnectionClosedError(endpoint_url="https://sqs.eu-west-1.amazonaws.com")

    outputs = client.console._context.environment.outputs
    urls = {f"{lane.title()}DeadLetterQueueUrl": "https://sqs.eu-west-1.amazonaws.com" for lane in Lane}
    monkeypatch.setitem(vars(client.console._context.environment), "outputs", {**outputs, **urls})
    monkeypatch.setattr("mailroom_ops.console.health.queue_depth", closed)
    assert banner(client) == ""
    assert "The state of dead letters is not known: AWS cannot be reached" in client.text("/console/doctor")
