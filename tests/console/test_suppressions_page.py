"""The suppressions pages: list, search, add, remove, import and export."""

import re
import time
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from mailroom.feedback.suppression import Cause
from mailroom.model.kinds import Lane
from mailroom_ops.ledger import suppressions
from mailroom_ops.ledger.queries import LedgerQueries
from mailroom_ops.sandbox.server import Sandbox
from tests.browser import assert_accessible
from tests.console.client import Client, LedgerWriter, OpenPage, aws, page_text
from tests.factories import KEY

PATH = "/console/suppressions"


@pytest.fixture
def queries(cloud: str) -> LedgerQueries:
    return LedgerQueries(aws("dynamodb", cloud), "ledger", 16, KEY)


def add(queries: LedgerQueries, address: str, tenant: str = "default", cause: Cause = Cause.BOUNCE) -> None:
    suppressions.add(queries, tenant, address, {Lane.CODES: 7, Lane.NOTICES: 180}, cause)


def addresses(html: str) -> list[str]:
    """Return the addresses in a page, in its order."""
    return [unescape(address) for address in re.findall(r'class="address">([^<]*)<', html)]


def test_the_newest_come_first_fifty_a_page(queries: LedgerQueries, client: Client) -> None:
    for number in range(60):
        add(queries, f"reader{number:02}@example.com")

    first = client.get(PATH).text
    second = client.get(unescape(re.findall(r'class="more" href="([^"]+)"', first)[0])).text

    newest = [f"reader{number:02}@example.com" for number in reversed(range(60))]
    assert addresses(first) == newest[:50]
    assert addresses(second) == newest[50:]
    assert "End of list." in page_text(second)
    in_a_week = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 7 * 86400))
    assert f"reader59@example.com default bounce {in_a_week}" in page_text(first)
    assert "operator" in first


def test_a_long_list_is_sorted_in_portions_and_none_is_left_out(
    queries: LedgerQueries, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom_ops.console.suppressions.SORT_SIZE", 4)
    monkeypatch.setattr("mailroom_ops.console.suppressions.PAGE_SIZE", 3)
    for number in range(10):
        add(queries, f"reader{number}@example.com", cause=Cause.BOUNCE if number % 2 else Cause.COMPLAINT)
    for path, numbers in ((PATH, range(10)), (f"{PATH}?cause=bounce", range(1, 10, 2))):
        seen, page = [], client.get(path).text
        assert "The list is long" in page
        seen += addresses(page)
        while following := re.findall(r'class="more" href="([^"]+)"', page):
            page = client.get(unescape(following[0])).text
            seen += addresses(page)
        assert sorted(seen) == [f"reader{number}@example.com" for number in numbers]


def test_the_filter_by_tenant_and_cause_applies_to_list_and_export(queries: LedgerQueries, client: Client) -> None:
    add(queries, "a@example.com", "acme")
    add(queries, "b@example.com", "acme", Cause.COMPLAINT)
    add(queries, "c@example.com")
    assert addresses(client.get(f"{PATH}?tenant=acme&cause=complaint").text) == ["b@example.com"]
    assert len(addresses(client.get(f"{PATH}?tenant=acme").text)) == 2
    assert "No suppressed address matches this filter." in client.get(f"{PATH}?tenant=nobody").text
    file = client.get(f"{PATH}/list.csv?tenant=acme&cause=bounce")
    assert file.headers["content-disposition"] == 'attachment; filename="suppressions-staging-acme-bounce.csv"'
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    lines = file.text.splitlines()
    assert lines[0] == "tenant,address,cause,codes_until,notices_until"
    assert [line.split(",")[:3] for line in lines[1:]] == [["acme", "a@example.com", "bounce"]]


def test_an_address_is_found_for_every_tenant_and_is_in_no_url(queries: LedgerQueries, client: Client) -> None:
    for tenant in ("acme", "default"):
        add(queries, "Ada@Example.com", tenant)
    add(queries, "other@example.com")
    results = client.post(PATH, what="ada@example.com").text
    assert addresses(results) == ["Ada@Example.com"] * 2
    assert not [link for link in re.findall(r'(?:href|action)="([^"]+)"', results) if "ada" in link.lower()]
    assert "This address is not suppressed for any tenant." in client.post(PATH, what="nobody@example.com").text
    wrong = client.post(PATH, what="no address")
    assert wrong.status == 400
    assert "That is not one address." in page_text(wrong.text)
    assert 'value="no address"' in wrong.text


def test_an_address_is_added_for_the_period_of_its_cause_or_as_entered(
    queries: LedgerQueries, client: Client, cloud: str
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
        confirmation = client.post(f"{PATH}/add", **values)
        assert f"Suppress reader{number}@example.com?" in page_text(confirmation.text)
        assert list(suppressions.find(queries, values["address"])) == []
        again = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', confirmation.text))
        added = client.ask("POST", f"{PATH}/add", urlencode({name: unescape(value) for name, value in again.items()}))
        assert (added.status, added.headers["location"]) == (303, f"{PATH}?done=added")
        (entry,) = suppressions.find(queries, values["address"])
        ends = [
            (end.timestamp() - time.time()) / 86400 if end else 0 for end in (entry.codes_until, entry.notices_until)
        ]
        assert ends == pytest.approx(days, abs=0.01)
        assert (entry.tenant, entry.cause) == (values["tenant"], values["cause"])
    assert "The address is suppressed." in client.get(f"{PATH}?done=added").text


def test_wrong_input_is_explained_beside_the_form_and_kept(client: Client) -> None:
    good = {"address": "ada@example.com", "tenant": "acme", "cause": "bounce", "codes": "3", "notices": "0"}
    for name, value, sentence in (
        ("address", "<nobody>", "That is not one address."),
        ("tenant", "A cme", "That is not the name of a tenant."),
        ("cause", "spite", "There is no cause"),
        ("codes", "soon", "This is not a number of days."),
        ("codes", "nan", "This is not a number of days."),
        ("notices", "99999", "This is not a number of days."),
        ("codes", "0", "This suppresses nothing."),
    ):
        answer = client.post(f"{PATH}/add", **good | {name: value})
        assert answer.status == 400
        assert sentence in page_text(answer.text)
        for kept in ({**good, name: value}[field] for field in ("address", "tenant", "codes", "notices")):
            assert f'value="{kept}"' in unescape(answer.text)
    assert client.get(f"{PATH}?tenant=A%20cme").status == 400
    assert "This is not a tenant name." in client.get(f"{PATH}?tenant=A%20cme").text
    for path in ("?cause=spite", "?after=x", "?start=-1", "?start=x", "/list.csv?tenant=A", "/remove", "/nowhere"):
        assert client.get(f"{PATH}{path}").status in (400, 404), path
    assert client.post(f"{PATH}/remove", address="nobody").status == 400


def test_a_suppression_is_removed_after_confirmation(queries: LedgerQueries, client: Client) -> None:
    add(queries, "ada@example.com", "acme")
    values = {"address": "ada@example.com", "tenant": "acme"}
    confirmation = client.post(f"{PATH}/remove", **values)
    assert "Remove the suppression of ada@example.com?" in page_text(confirmation.text)
    assert len(list(suppressions.find(queries, "ada@example.com"))) == 1
    assert client.post(f"{PATH}/remove", **values, confirmed="production").status == 200
    assert client.post(f"{PATH}/remove", **values, confirmed="staging").status == 303
    assert list(suppressions.find(queries, "ada@example.com")) == []


def test_a_list_is_imported_and_its_errors_are_named_by_line(queries: LedgerQueries, client: Client) -> None:
    bad = "email\na@example.com\nnobody\n"
    refused = client.post(f"{PATH}/import", tenant="acme", csv=bad)
    assert refused.status == 400
    assert "line 3: the address is invalid" in page_text(refused.text)
    assert "a@example.com\nnobody" in refused.text
    good = "address,cause\na@example.com,complaint\nb@example.com,\n"
    confirmation = client.post(f"{PATH}/import", tenant="acme", csv=good)
    assert "Suppress 2 addresses? Tenant acme sends no more email to them." in page_text(confirmation.text)
    assert client.post(f"{PATH}/import", tenant="acme", csv=good, confirmed="staging").status == 303
    assert {entry.address for entry in suppressions.entries(queries, "acme")} == {"a@example.com", "b@example.com"}
    long = client.post(f"{PATH}/import", tenant="acme", csv="email\n" + "a@example.com\n" * 1001)
    assert "mailroom suppressions import" in page_text(long.text)
    assert client.post(f"{PATH}/import", tenant="acme", csv="").status == 400


def test_an_operator_adds_and_removes_an_address_in_the_browser(
    queries: LedgerQueries, client: Client, open_page: OpenPage
) -> None:
    add(queries, f"{'a' * 60}@{'long-' * 10}domain.example.com", "northwind-traders")
    page = open_page(client, 360, bypass_csp=True)
    page.get_by_role("link", name="Suppressions").click()
    page.get_by_role("link", name="Add an address").click()
    page.get_by_label("Address").fill("nobody")
    page.get_by_role("button", name="Suppress …").click()
    expect(page.get_by_role("alert")).to_contain_text("That is not one address.")
    assert_accessible(page)
    page.get_by_label("Address").fill("ada@example.com")
    page.get_by_role("button", name="Suppress …").click()
    page.get_by_role("button", name="Suppress", exact=True).click()
    expect(page.get_by_role("status")).to_have_text("The address is suppressed.")
    expect(page.locator(".address")).to_have_count(2)
    assert_accessible(page)
    page.get_by_role("button", name="Remove ada@example.com").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.locator(".address")).to_have_count(1)


@pytest.fixture
def resend(cloud: str, sandbox: Sandbox) -> Sandbox:
    """Resend as the provider of staging."""
    for name, value in {
        "senders/default/auth": '{"from": "Acme <login@acme.example>", "providers": ["resend", "smtp"]}',
        **{f"providers/resend/{key}": value for key, value in sandbox.settings("resend").items()},
    }.items():
        aws("ssm", cloud).put_parameter(Name=f"/mailroom/staging/{name}", Value=value, Type="SecureString")
    return sandbox


def test_an_address_is_checked_on_every_list_and_removed_from_all(
    queries: LedgerQueries, client: Client, resend: Sandbox
) -> None:
    stub: Any = resend.stubs["resend"]
    stub.suppressed.add("ada@acme.example", Cause.BOUNCE)
    add(queries, "ada@acme.example")

    assert "/console/suppressions/check" in client.post(PATH, what="ada@acme.example").text
    checked = page_text(client.post(f"{PATH}/check", address="Ada@acme.example").text)
    confirmation = client.post(f"{PATH}/remove", tenant="default", address="ada@acme.example", at_provider="1").text

    assert "ours, default bounce no codes until" in checked
    assert "resend bounce since" in checked
    assert "smtp unknown has no list that can be asked" in checked
    assert "our list the list of resend" in page_text(confirmation)
    assert stub.suppressed.find("ada@acme.example")
    again = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', confirmation))
    removed = client.ask("POST", f"{PATH}/remove", urlencode({name: unescape(value) for name, value in again.items()}))
    assert removed.headers["location"] == f"{PATH}?done=removed-everywhere"
    assert stub.suppressed.find("ada@acme.example") is None
    assert "resend not suppressed" in page_text(client.post(f"{PATH}/check", address="ada@acme.example").text)
    wrong = client.post(f"{PATH}/check", address="nobody")
    assert (wrong.status, 'value="nobody"' in wrong.text) == (400, True)


def test_the_page_of_a_mail_checks_the_lists_of_its_tenant(
    messages: LedgerWriter, client: Client, open_page: OpenPage, resend: Sandbox
) -> None:
    mail = messages.sent(tenant="acme", to="ada@acme.example")
    page = open_page(client, bypass_csp=True)
    page.goto(f"{client.url}/console/deliveries/{mail.id}")
    page.get_by_label("Is it suppressed?").fill("ada@acme.example")
    page.get_by_role("button", name="Check every list").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("ada@acme.example")
    expect(page.get_by_role("table")).to_contain_text("not suppressed")
    assert "ada" not in page.url
    assert_accessible(page)
