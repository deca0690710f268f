"""Who gets no more mail, on a page: found, added, removed, taken over and taken along."""

import re
import time
from html import unescape
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from mailroom.feedback.suppression import Cause
from mailroom.model.kinds import Lane
from mailroom_ops.ledger import suppressions
from mailroom_ops.ledger.queries import LedgerQueries
from tests.browser import accessible
from tests.console.conftest import KEY, Look, Served, aws
from tests.console.test_queues_page import text

HERE = "/console/suppressions"


@pytest.fixture
def queries(cloud: str) -> LedgerQueries:
    return LedgerQueries(aws("dynamodb", cloud), "ledger", 16, KEY)


def add(queries: LedgerQueries, address: str, tenant: str = "default", cause: Cause = Cause.BOUNCE) -> None:
    suppressions.add(queries, tenant, address, {Lane.CODES: 7, Lane.NOTICES: 180}, cause)


def shown(html: str) -> list[str]:
    """Return the addresses in a page, in its order."""
    return [unescape(found) for found in re.findall(r'class="address">([^<]*)<', html)]


def test_the_newest_come_first_fifty_a_page(queries: LedgerQueries, served: Served) -> None:
    for number in range(60):
        add(queries, f"reader{number:02}@example.com")

    first = served.get(HERE).text
    second = served.get(unescape(re.findall(r'class="more" href="([^"]+)"', first)[0])).text

    newest = [f"reader{number:02}@example.com" for number in reversed(range(60))]
    assert shown(first) == newest[:50]
    assert shown(second) == newest[50:]
    assert "That is all." in text(second)
    in_a_week = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 7 * 86400))
    assert f"reader59@example.com default bounce {in_a_week}" in text(first)
    assert "operator" in first


def test_a_longer_list_is_looked_at_in_portions_of_which_none_is_lost(
    queries: LedgerQueries, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom_ops.console.suppressions.LOOKED_AT", 4)
    monkeypatch.setattr("mailroom_ops.console.suppressions.SHOWN", 3)
    for number in range(10):
        add(queries, f"reader{number}@example.com", cause=Cause.BOUNCE if number % 2 else Cause.COMPLAINT)
    for path, wanted in ((HERE, range(10)), (f"{HERE}?cause=bounce", range(1, 10, 2))):
        seen, page = [], served.get(path).text
        assert "The list is longer" in page
        seen += shown(page)
        while following := re.findall(r'class="more" href="([^"]+)"', page):
            page = served.get(unescape(following[0])).text
            seen += shown(page)
        assert sorted(seen) == [f"reader{number}@example.com" for number in wanted]


def test_it_is_filtered_by_tenant_and_cause_and_exported_so(queries: LedgerQueries, served: Served) -> None:
    add(queries, "a@example.com", "acme")
    add(queries, "b@example.com", "acme", Cause.COMPLAINT)
    add(queries, "c@example.com")
    assert shown(served.get(f"{HERE}?tenant=acme&cause=complaint").text) == ["b@example.com"]
    assert len(shown(served.get(f"{HERE}?tenant=acme").text)) == 2
    assert "Nobody is, of this tenant" in served.get(f"{HERE}?tenant=nobody").text
    file = served.get(f"{HERE}/list.csv?tenant=acme&cause=bounce")
    assert file.headers["content-disposition"] == 'attachment; filename="suppressions-staging-acme-bounce.csv"'
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    lines = file.text.splitlines()
    assert lines[0] == "tenant,address,cause,codes_until,notices_until"
    assert [line.split(",")[:3] for line in lines[1:]] == [["acme", "a@example.com", "bounce"]]


def test_an_address_is_found_for_every_tenant_and_is_in_no_url(queries: LedgerQueries, served: Served) -> None:
    for tenant in ("acme", "default"):
        add(queries, "Ada@Example.com", tenant)
    add(queries, "other@example.com")
    found = served.post(HERE, what="ada@example.com").text
    assert shown(found) == ["Ada@Example.com"] * 2
    assert not [link for link in re.findall(r'(?:href|action)="([^"]+)"', found) if "ada" in link.lower()]
    assert "It is not suppressed for any tenant." in served.post(HERE, what="nobody@example.com").text
    wrong = served.post(HERE, what="no address")
    assert wrong.status == 400
    assert "That is not one address." in text(wrong.text)
    assert 'value="no address"' in wrong.text


def test_one_is_added_for_as_long_as_its_cause_has_it_or_as_is_said(
    queries: LedgerQueries, served: Served, cloud: str
) -> None:
    policy = '{"bounce": {"codes": 3}}'
    aws("ssm", cloud).put_parameter(Name="/mailroom/staging/suppression/acme", Value=policy, Type="String")
    cases = (
        ({"tenant": "acme", "cause": "bounce"}, (3, 180)),
        ({"tenant": "acme", "cause": "complaint"}, (0, 1825)),
        ({"tenant": "default", "cause": "manual"}, (365, 365)),
        ({"tenant": "default", "cause": "bounce", "codes": "0", "notices": "2.5"}, (0, 2.5)),
    )
    for number, (values, days) in enumerate(cases):
        values = {"address": f"reader{number}@example.com", **values}
        asked = served.post(f"{HERE}/add", **values)
        assert f"Suppress reader{number}@example.com?" in text(asked.text)
        assert list(suppressions.find(queries, values["address"])) == []
        again = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', asked.text))
        added = served.ask("POST", f"{HERE}/add", urlencode({name: unescape(value) for name, value in again.items()}))
        assert (added.status, added.headers["location"]) == (303, f"{HERE}?done=added")
        (one,) = suppressions.find(queries, values["address"])
        ends = [(end.timestamp() - time.time()) / 86400 if end else 0 for end in (one.codes_until, one.notices_until)]
        assert ends == pytest.approx(days, abs=0.01)
        assert (one.tenant, one.cause) == (values["tenant"], values["cause"])
    assert "It is on the list." in served.get(f"{HERE}?done=added").text


def test_what_is_typed_wrong_is_said_beside_the_form_and_kept(served: Served) -> None:
    good = {"address": "ada@example.com", "tenant": "acme", "cause": "bounce", "codes": "3", "notices": "0"}
    for name, value, sentence in (
        ("address", "<nobody>", "That is not one address."),
        ("tenant", "A cme", "That is not the name of a tenant."),
        ("cause", "spite", "There is no cause"),
        ("codes", "soon", "That is no number of days."),
        ("codes", "nan", "That is no number of days."),
        ("notices", "99999", "That is no number of days."),
        ("codes", "0", "That keeps nothing back."),
    ):
        answer = served.post(f"{HERE}/add", **good | {name: value})
        assert answer.status == 400
        assert sentence in text(answer.text)
        for kept in ({**good, name: value}[field] for field in ("address", "tenant", "codes", "notices")):
            assert f'value="{kept}"' in unescape(answer.text)
    assert served.get(f"{HERE}?tenant=A%20cme").status == 400
    assert 'value="A cme"' in served.get(f"{HERE}?tenant=A%20cme").text
    for path in ("?cause=spite", "?after=x", "?start=-1", "?start=x", "/list.csv?tenant=A", "/remove", "/nowhere"):
        assert served.get(f"{HERE}{path}").status in (400, 404), path
    assert served.post(f"{HERE}/remove", address="nobody").status == 400


def test_one_is_removed_after_a_yes(queries: LedgerQueries, served: Served) -> None:
    add(queries, "ada@example.com", "acme")
    values = {"address": "ada@example.com", "tenant": "acme"}
    asked = served.post(f"{HERE}/remove", **values)
    assert "Let ada@example.com have mail again?" in text(asked.text)
    assert len(list(suppressions.find(queries, "ada@example.com"))) == 1
    assert served.post(f"{HERE}/remove", **values, confirmed="production").status == 200
    assert served.post(f"{HERE}/remove", **values, confirmed="staging").status == 303
    assert list(suppressions.find(queries, "ada@example.com")) == []


def test_a_list_is_pasted_and_a_fault_in_it_is_named_by_line(queries: LedgerQueries, served: Served) -> None:
    bad = "email\na@example.com\nnobody\n"
    refused = served.post(f"{HERE}/import", tenant="acme", csv=bad)
    assert refused.status == 400
    assert "line 3: the address is invalid" in text(refused.text)
    assert "a@example.com\nnobody" in refused.text
    good = "address,cause\na@example.com,complaint\nb@example.com,\n"
    asked = served.post(f"{HERE}/import", tenant="acme", csv=good)
    assert "Suppress 2 addresses? They get no more mail of acme." in text(asked.text)
    assert served.post(f"{HERE}/import", tenant="acme", csv=good, confirmed="staging").status == 303
    assert {one.address for one in suppressions.entries(queries, "acme")} == {"a@example.com", "b@example.com"}
    long = served.post(f"{HERE}/import", tenant="acme", csv="email\n" + "a@example.com\n" * 1001)
    assert "mailroom suppressions import" in text(long.text)
    assert served.post(f"{HERE}/import", tenant="acme", csv="").status == 400


def test_an_operator_adds_and_removes_one_in_the_browser(queries: LedgerQueries, served: Served, look: Look) -> None:
    add(queries, f"{'a' * 60}@{'long-' * 10}domain.example.com", "northwind-traders")
    page = look(served, 360, bypass_csp=True)
    page.get_by_role("link", name="Suppressions").click()
    page.get_by_role("link", name="Add an address").click()
    page.get_by_label("Address").fill("nobody")
    page.get_by_role("button", name="Suppress …").click()
    expect(page.get_by_role("alert")).to_contain_text("That is not one address.")
    accessible(page)
    page.get_by_label("Address").fill("ada@example.com")
    page.get_by_role("button", name="Suppress …").click()
    page.get_by_role("button", name="Suppress it").click()
    expect(page.get_by_role("status")).to_have_text("It is on the list.")
    expect(page.locator(".address")).to_have_count(2)
    accessible(page)
    page.get_by_role("button", name="Remove ada@example.com").click()
    page.get_by_role("button", name="Take it off the list").click()
    expect(page.locator(".address")).to_have_count(1)
