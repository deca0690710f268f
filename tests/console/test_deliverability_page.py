"""The deliverability page, with tallies in a real table."""

import re
import time
from collections.abc import Callable, Mapping
from html import unescape
from pathlib import Path

import pytest
from playwright.sync_api import expect

from mailroom.aws.client import Aws
from mailroom.ledger.tally import EVERYONE, Tally, hour_of
from mailroom_ops.cloudformation import loader
from mailroom_ops.environment import Environment
from mailroom_ops.ledger.stats import LIMITS, HourCache
from mailroom_ops.settings.parameters import Parameters
from tests.browser import assert_accessible
from tests.cloud import REGION
from tests.console.client import Client, OpenPage, aws, page_text

PATH = "/console/deliverability"
Count = Callable[..., None]


@pytest.fixture
def count(cloud: str) -> Count:
    """Write the counts of an hour, which began so many hours ago."""
    dynamodb = aws("dynamodb", cloud)
    while time.time() % 3600 > 3590:  # a test must not begin in one hour and end in the next
        time.sleep(0.1)

    def write(hours: float = 0, tenant: str = "default", shard: int = 0, **counts: int) -> None:
        numbers = {name.replace("__", "/"): {"N": str(number)} for name, number in counts.items()}
        for scope in (tenant, EVERYONE):
            key = {"pk": {"S": f"tally#{scope}#{hour_of(time.time() - hours * 3600)}#{shard:x}"}}
            names = {f"#{at}": name for at, name in enumerate(numbers)}
            dynamodb.update_item(
                TableName="ledger",
                Key=key,
                UpdateExpression="ADD " + ", ".join(f"#{at} :{at}" for at in range(len(numbers))),
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={f":{at}": number for at, number in enumerate(numbers.values())},
            )

    return write


@pytest.fixture
def client(client: Client) -> Client:
    """A client of a console without cached hours."""
    client.console._context.hours = HourCache()
    return client


def text(client: Client, query: str = "") -> str:
    return client.text(f"{PATH}{query}")


def test_a_period_without_emails_is_stated(client: Client) -> None:
    assert "No emails in the last 24 hours" in text(client)
    assert "No emails for acme in the last 7 days" in text(client, "?tenant=acme&since=week")


def test_the_counts_of_the_functions_are_shown(cloud: str, client: Client) -> None:
    tally = Tally(Aws(REGION, cloud), "ledger", 16)
    tally.count("acme", "sent", "resend", 200)
    tally.count("acme", "delivered", "resend", 190)
    tally.count("acme", "skipped", "suppressed", 3)
    tally.flush()
    shown = text(client)
    assert "sent 200" in shown
    assert "delivered 95.0 %" in shown
    assert "skipped 3" in shown
    assert "suppressed skipped The address is on the tenant's suppression list, so nothing was sent." in shown


def test_figures_are_compared_with_the_period_before(count: Count, client: Client) -> None:
    count(1, sent__resend=150, delivered__resend=147, bounced__resend=3)
    count(30, sent__resend=100, delivered__resend=99, bounced__resend=1)
    shown = text(client)
    assert "sent 150 +50 %" in shown
    assert "delivered 98.0 % −1.00 points" in shown
    assert "bounced 2.0 % +1.00 points" in shown


def test_all_shards_of_an_hour_are_added_up(count: Count, client: Client) -> None:
    count(1, shard=3, sent__resend=100)
    count(1, shard=15, sent__resend=20)
    assert "sent 120" in text(client)


def test_the_table_below_a_chart_has_the_same_figures_as_its_bars(count: Count, client: Client) -> None:
    count(0, sent__resend=7, sent__ses=5, skipped__expired=2)
    html = client.get(PATH).text
    (table,) = re.findall(r'id="chart-volume".*?<table.*?</table>', html, re.DOTALL)
    assert page_text(table.partition("<thead>")[2]).startswith("UTC resend ses not sent")
    assert ", so far 7 5 2" in page_text(table)
    (drawing,) = re.findall(r'id="chart-volume".*?</svg>\s*</div>', html, re.DOTALL)
    assert "resend 7\nses 5\nnot sent 2" in drawing
    assert drawing.count('class="s1"') == 2  # in the key, and once drawn


def test_limits_are_drawn_and_providers_above_them_come_first(count: Count, client: Client) -> None:
    count(1, sent__resend=1000, delivered__resend=990, bounced__resend=10)
    count(1, sent__ses=200, delivered__ses=180, bounced__ses=20)
    html = client.get(PATH).text
    shown = page_text(html)
    assert "limit 5 %" in shown
    assert "limit 0.1 %" in shown
    assert "ses: 10.0 % now, 10.0 % at most" in shown
    assert "ses: under 1,000 emails in 24 hours, too few for a share" in shown
    providers = shown.partition("Providers, worst first")[2]
    assert providers.index("ses 200") < providers.index("resend 1,000")
    assert "20 10.0 % , over the limit" in providers


def test_one_bounce_among_few_emails_is_not_over_the_limit(count: Count, client: Client) -> None:
    count(1, sent__resend=4, delivered__resend=3, bounced__resend=1)
    shown = text(client)
    assert "bounced 25.0 %" in shown
    assert "over the limit" not in shown


def test_providers_without_reports_are_left_out_of_shares(count: Count, client: Client) -> None:
    count(1, sent__smtp=900, sent__resend=100, delivered__resend=99)
    shown = text(client)
    assert "delivered 99.0 %" in shown
    assert "smtp sends no delivery reports" in shown
    assert "smtp 900 no reports" in shown


def test_tenants_come_worst_first_and_link_to_their_own_figures(count: Count, client: Client) -> None:
    store = Parameters(Environment("staging"))
    store.write({"senders/acme/auth": '{"from": "a@acme.example"}', "brands/globex": '{"name": "Globex"}'})
    count(1, "acme", sent__resend=300, bounced__resend=30, delivered__resend=270)
    count(1, "globex", sent__resend=900, delivered__resend=900)
    count(1, "default", sent__resend=50, delivered__resend=50)
    html = client.get(PATH).text
    tenants = page_text(html).partition("Tenants, worst first")[2]
    assert tenants.index("acme 300") < tenants.index("globex 900") < tenants.index("default 50")
    assert 'href="/console/deliverability?tenant=acme&since=day"' in unescape(html)
    assert "sent 300" in text(client, "?tenant=acme")


def test_a_table_of_many_tenants_covers_fewer_hours_and_states_it(
    count: Count, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom_ops.console.deliverability.tables.MAX_ROWS_READ", 3 * 16 * 2)
    Parameters(Environment("staging")).write({f"senders/{name}/auth": '{"from": "a@b.example"}' for name in "ab"})
    count(0, "a", sent__resend=1)
    count(1, "a", sent__resend=10)
    count(4, "a", sent__resend=100)
    shown = text(client).partition("Tenants, worst first")[2]
    assert shown.startswith(" in the last 2 hours")
    assert "a 11 " in shown
    assert "Choose one tenant to see all 24 hours" in shown


def test_past_hours_are_read_once_and_the_newest_each_time(count: Count, client: Client) -> None:
    count(2, sent__resend=10)
    assert "sent 10" in text(client)
    count(0, sent__resend=5)
    count(2, sent__resend=100)  # never happens; shows that the hour was not read again
    assert "sent 15" in text(client)


def test_a_missing_permission_leaves_the_rest_of_the_page(
    count: Count, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mailroom_ops.errors import ServiceError

    def refuse(self: Parameters, path: str = "") -> Mapping[str, str]:
        raise ServiceError("AWS does not let you call GetParametersByPath here.", "Ask for that permission.")

    monkeypatch.setattr(Parameters, "values", refuse)
    count(1, sent__resend=10)
    shown = text(client)
    assert "sent 10" in shown
    assert "AWS does not let you call GetParametersByPath here." in shown


def test_reasons_have_a_meaning_a_next_step_and_lead_to_their_emails(count: Count, client: Client) -> None:
    count(1, sent__resend=10, failed__resend__quota=2, suppressed__resend__previous_bounce=1)
    html = client.get(PATH).text
    shown = page_text(html).partition("Not sent, by reason")[2]
    assert "quota failed The account at the provider has used up its quota. Raise the quota" in shown
    assert "previous_bounce suppressed The provider did not send it" in shown
    assert 'href="/console/deliveries?since=day&status=failed&reason=quota"' in unescape(html)


def test_a_provider_shows_what_it_did_not_send_and_its_failed_attempts(count: Count, client: Client) -> None:
    count(1, sent__resend=10, failed__ses__http_503=5, attempt__ses__http_503=20, attempt__resend__busy=1)
    providers = text(client).partition("Providers, worst first")[2]
    assert "resend 10 no reports none 0 1" in providers
    assert "ses 0 no reports none 5 20" in providers


def test_the_tenants_add_up_to_all_emails(count: Count, client: Client) -> None:
    count(1, "default", sent__resend=39)
    count(1, "gone", sent__resend=1)
    tenants = text(client).partition("Tenants, worst first")[2]
    assert "default 39" in tenants
    assert "others, removed since 1" in tenants


def test_a_chart_begins_with_the_first_email(count: Count, client: Client) -> None:
    count(1, sent__resend=3)
    html = client.get(PATH).text
    (table,) = re.findall(r'id="chart-volume".*?<table.*?</table>', html, re.DOTALL)
    assert table.count('scope="row"') == 2
    (bar,) = re.findall(r'<rect class="s1" x="([\d.]+)%"', html)
    assert float(bar) < 100 / 8
    count(30, sent__resend=3)
    client.console._context.hours = HourCache()
    (table,) = re.findall(r'id="chart-volume".*?<table.*?</table>', client.get(PATH).text, re.DOTALL)
    assert table.count('scope="row"') == 24


def test_without_earlier_emails_there_is_no_comparison(count: Count, client: Client) -> None:
    count(1, sent__resend=150, delivered__resend=147)
    assert "sent 150 – delivered 98.0 % – bounced 0 % –" in text(client)


def test_a_month_is_shown_day_by_day(count: Count, client: Client) -> None:
    count(24 * 20, sent__resend=70)
    count(24 * 20 + 24, sent__resend=30)
    count(24 * 40, sent__resend=50)
    shown = text(client, "?since=month")
    assert "sent 100 +100 %" in shown
    assert "Peak: 70, " in shown


@pytest.mark.parametrize("query", ["?since=year", "?tenant=A+B", "?tenant=%3Cb%3E"])
def test_unknown_parameters_are_an_error_in_one_sentence(client: Client, query: str) -> None:
    answer = client.get(PATH + query)
    assert answer.status == 400
    assert "Choose from" in answer.text or "not a tenant name" in answer.text


def test_a_provider_name_cannot_be_markup(count: Count, client: Client) -> None:
    count(1, **{"sent__<b>&": 9, "skipped__<i>": 1})
    html = client.get(f"{PATH}?since=week").text
    assert "<b>" not in html
    assert "<i>" not in html


def test_many_providers_share_a_style(count: Count, client: Client) -> None:
    count(1, **{f"sent__resend.t{number}": 100 + number for number in range(9)})
    key = page_text(client.get(PATH).text.partition('class="key"')[2].partition("</ul>")[0])
    assert key.endswith("resend.t4 4 others")


def test_the_limits_are_those_of_the_alarms_and_the_manual(root: Path) -> None:
    resources = loader.load(root / "template.yaml")["Resources"]
    manual = (root / "docs" / "operations.md").read_text()
    for outcome, alarm in (("bounced", "BounceRateAlarm"), ("complained", "ComplaintRateAlarm")):
        limit, properties = LIMITS[outcome], resources[alarm]["Properties"]
        assert properties["Threshold"] == pytest.approx(limit.alarm * 100)
        assert {metric["MetricStat"]["Period"] for metric in properties["Metrics"][1:]} == {limit.hours * 3600}
        assert f">= {limit.min_sent}," in properties["Metrics"][0]["Expression"]
        assert f"SES reviews an account at {limit.share * 100:g} %" in manual


@pytest.mark.thorough
def test_it_is_accessible(count: Count, client: Client, open_page: OpenPage) -> None:
    for hour in range(1, 24, 3):
        count(hour, sent__resend=60, delivered__resend=59, bounced__resend=1, sent__ses=40, delivered__ses=36)
    page = open_page(client, bypass_csp=True)
    page.goto(f"{client.url}{PATH}")
    expect(page.get_by_role("img", name="Emails per hour")).to_be_visible()
    page.locator("#chart-volume .slot").first.hover()
    expect(page.locator(".tip")).to_contain_text("resend 60\nses 40")
    page.locator("#chart-volume summary").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name="UTC resend ses")).to_be_visible()
    assert_accessible(page)


def test_the_time_to_inbox_is_shown_by_provider_and_receiving_domains(client: Client, count: Count) -> None:
    count(
        **{"sent__resend": 4, "sent@gmail__resend": 4, "delivered<5@gmail__resend": 3, "delivered<300@gmail__resend": 1}
    )
    count(hours=1, **{"bounced@gmail__resend": 1})
    assert "resend gmail 4 4 (100.0%) 0 1 (25.0%) 5 s 5 min" in text(client)
