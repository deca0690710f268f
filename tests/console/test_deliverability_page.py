"""What was sent and what became of it, as the page tells it, from tallies in a real table."""

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
from tests.browser import accessible
from tests.cloud import REGION
from tests.console.conftest import Look, Served, aws

PATH = "/console/deliverability"
Count = Callable[..., None]


@pytest.fixture
def count(cloud: str) -> Count:
    """Write what was counted in the hour that was so many hours ago."""
    dynamodb = aws("dynamodb", cloud)
    while time.time() % 3600 > 3590:  # no test may begin in one hour and end in the next
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
def served(served: Served) -> Served:
    """A console that has read nothing yet."""
    served.console._desk.hours = HourCache()
    return served


def text(served: Served, query: str = "") -> str:
    """Return what the page says, without its markup."""
    answer = served.get(f"{PATH}{query}")
    assert answer.status == 200, answer.text
    return plain(answer.text)


def plain(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_where_nothing_was_sent_the_page_says_so(served: Served) -> None:
    assert "Nothing was sent in the last 24 hours" in text(served)
    assert "Nothing was sent for acme in the last 7 days" in text(served, "?tenant=acme&since=week")


def test_what_the_functions_counted_is_shown(cloud: str, served: Served) -> None:
    tally = Tally(Aws(REGION, cloud), "ledger", 16)
    tally.count("acme", "sent", "resend", 200)
    tally.count("acme", "delivered", "resend", 190)
    tally.count("acme", "skipped", "suppressed", 3)
    tally.flush()
    said = text(served)
    assert "sent 200" in said
    assert "delivered 95.0 %" in said
    assert "skipped 3" in said
    assert "suppressed skipped not sent, on purpose 3" in said


def test_figures_are_held_against_as_long_a_time_before(count: Count, served: Served) -> None:
    count(1, sent__resend=150, delivered__resend=147, bounced__resend=3)
    count(30, sent__resend=100, delivered__resend=99, bounced__resend=1)
    said = text(served)
    assert "sent 150 +50 %" in said
    assert "delivered 98.0 % −1.00 points" in said
    assert "bounced 2.0 % +1.00 points" in said


def test_all_shards_of_an_hour_are_one(count: Count, served: Served) -> None:
    count(1, shard=3, sent__resend=100)
    count(1, shard=15, sent__resend=20)
    assert "sent 120" in text(served)


def test_the_table_below_a_chart_says_the_same_as_its_bars(count: Count, served: Served) -> None:
    count(0, sent__resend=7, sent__ses=5, skipped__expired=2)
    html = served.get(PATH).text
    (table,) = re.findall(r'id="chart-volume".*?<table.*?</table>', html, re.DOTALL)
    assert plain(table.partition("<thead>")[2]).startswith("UTC resend ses not sent")
    assert ", so far 7 5 2" in plain(table)
    (drawing,) = re.findall(r'id="chart-volume".*?</svg>\s*</div>', html, re.DOTALL)
    assert "resend 7\nses 5\nnot sent 2" in drawing
    assert drawing.count('class="s1"') == 2  # in the key, and once drawn


def test_the_share_that_a_provider_puts_up_with_is_drawn_and_who_is_over_it_comes_first(
    count: Count, served: Served
) -> None:
    count(1, sent__resend=1000, delivered__resend=990, bounced__resend=10)
    count(1, sent__ses=200, delivered__ses=180, bounced__ses=20)
    html = served.get(PATH).text
    said = plain(html)
    assert "limit 5 %" in said
    assert "limit 0.1 %" in said
    assert "ses: 10.0 % at last, 10.0 % at most" in said
    assert "ses: under 1,000 mails in 24 hours, too few for a share" in said
    providers = said.partition("Providers, worst first")[2]
    assert providers.index("ses 200") < providers.index("resend 1,000")
    assert "20 10.0 % , over the limit" in providers


def test_one_bounce_of_a_few_mails_is_no_reason_to_worry(count: Count, served: Served) -> None:
    count(1, sent__resend=4, delivered__resend=3, bounced__resend=1)
    said = text(served)
    assert "bounced 25.0 %" in said
    assert "over the limit" not in said


def test_who_reports_nothing_does_not_spoil_the_share_of_those_who_do(count: Count, served: Served) -> None:
    count(1, sent__smtp=900, sent__resend=100, delivered__resend=99)
    said = text(served)
    assert "delivered 99.0 %" in said
    assert "smtp tells nothing" in said
    assert "smtp 900 no reports" in said


def test_tenants_come_worst_first_and_lead_to_their_own_figures(count: Count, served: Served) -> None:
    store = Parameters(Environment("staging"))
    store.write({"senders/acme/auth": '{"from": "a@acme.example"}', "brands/globex": '{"name": "Globex"}'})
    count(1, "acme", sent__resend=300, bounced__resend=30, delivered__resend=270)
    count(1, "globex", sent__resend=900, delivered__resend=900)
    count(1, "default", sent__resend=50, delivered__resend=50)
    html = served.get(PATH).text
    tenants = plain(html).partition("Tenants, worst first")[2]
    assert tenants.index("acme 300") < tenants.index("globex 900") < tenants.index("default 50")
    assert 'href="/console/deliverability?tenant=acme&since=day"' in unescape(html)
    assert "sent 300" in text(served, "?tenant=acme")


def test_many_tenants_are_looked_at_for_a_shorter_time_and_the_page_says_so(
    count: Count, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom_ops.console.deliverability.tables.ROWS", 3 * 16 * 2)
    Parameters(Environment("staging")).write({f"senders/{name}/auth": '{"from": "a@b.example"}' for name in "ab"})
    count(0, "a", sent__resend=1)
    count(1, "a", sent__resend=10)
    count(4, "a", sent__resend=100)
    said = text(served).partition("Tenants, worst first")[2]
    assert said.startswith(" of the last 2 hours")
    assert "a 11 " in said
    assert "choose one for its 24 hours" in said


def test_an_hour_that_is_over_is_read_once_and_the_newest_each_time(count: Count, served: Served) -> None:
    count(2, sent__resend=10)
    assert "sent 10" in text(served)
    count(0, sent__resend=5)
    count(2, sent__resend=100)  # nobody does: it shows that the hour was not read again
    assert "sent 15" in text(served)


def test_what_may_not_be_read_leaves_the_rest_of_the_page(
    count: Count, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mailroom_ops.errors import ServiceError

    def refuse(self: Parameters, path: str = "") -> Mapping[str, str]:
        raise ServiceError("AWS does not let you call GetParametersByPath here.", "Ask for that permission.")

    monkeypatch.setattr(Parameters, "values", refuse)
    count(1, sent__resend=10)
    said = text(served)
    assert "sent 10" in said
    assert "AWS does not let you call GetParametersByPath here." in said


def test_a_month_is_told_day_by_day(count: Count, served: Served) -> None:
    count(24 * 20, sent__resend=70)
    count(24 * 20 + 24, sent__resend=30)
    count(24 * 40, sent__resend=50)
    said = text(served, "?since=month")
    assert "sent 100 +100 %" in said
    assert "The most were 70: " in said


@pytest.mark.parametrize("query", ["?since=year", "?tenant=A+B", "?tenant=%3Cb%3E"])
def test_what_there_is_not_is_a_sentence(served: Served, query: str) -> None:
    answer = served.get(PATH + query)
    assert answer.status == 400
    assert "There are" in answer.text or "no name of a tenant" in answer.text


def test_a_provider_with_a_strange_name_is_text(count: Count, served: Served) -> None:
    count(1, **{"sent__<b>&": 9, "skipped__<i>": 1})
    html = served.get(f"{PATH}?since=week").text
    assert "<b>" not in html
    assert "<i>" not in html


def test_many_providers_share_a_look(count: Count, served: Served) -> None:
    count(1, **{f"sent__resend.t{number}": 100 + number for number in range(9)})
    key = plain(served.get(PATH).text.partition('class="key"')[2].partition("</ul>")[0])
    assert key.endswith("resend.t4 4 others")


def test_the_limits_are_those_of_the_alarms_and_of_the_manual(root: Path) -> None:
    resources = loader.load(root / "template.yaml")["Resources"]
    manual = (root / "docs" / "operations.md").read_text()
    for what, alarm in (("bounced", "BounceRateAlarm"), ("complained", "ComplaintRateAlarm")):
        limit, known = LIMITS[what], resources[alarm]["Properties"]
        assert known["Threshold"] == pytest.approx(limit.alarm * 100)
        assert {one["MetricStat"]["Period"] for one in known["Metrics"][1:]} == {limit.hours * 3600}
        assert f">= {limit.min_sent}," in known["Metrics"][0]["Expression"]
        assert f"SES looks closer at {limit.share * 100:g} %" in manual


def test_every_reader_can_use_it(count: Count, served: Served, look: Look) -> None:
    for hour in range(1, 24, 3):
        count(hour, sent__resend=60, delivered__resend=59, bounced__resend=1, sent__ses=40, delivered__ses=36)
    page = look(served, bypass_csp=True)
    page.goto(f"{served.url}{PATH}")
    expect(page.get_by_role("img", name="Mails an hour")).to_be_visible()
    page.locator("#chart-volume summary").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name="UTC resend ses")).to_be_visible()
    accessible(page)
