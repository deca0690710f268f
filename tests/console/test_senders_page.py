"""The senders pages: effective senders, and domain checks against a real name server and a provider's HTTP API."""

import json
import re
import socket
from collections.abc import Iterator
from html import unescape

import pytest
from playwright.sync_api import expect

from mailroom_ops.domains import load, records
from mailroom_ops.domains.registrar import Domain
from mailroom_ops.environment import Environment
from mailroom_ops.sandbox.server import Sandbox
from mailroom_ops.settings.parameters import Parameters
from mailroom_ops.settings.tenants import account_values
from tests.browser import assert_accessible
from tests.console.client import Client, OpenPage, page_text
from tests.nameserver import Zones, nameserver

__all__ = ["nameserver"]

PATH = "/console/senders"
DOMAIN = "auth.acme.example"
AMAZON = {"amazonses.com": '@ TXT "v=spf1 ip4:192.0.2.0/24 -all"\n'}


def put(**values: object) -> None:
    """Write parameters of staging; `__` stands for a slash, and what is not text becomes JSON."""
    texts = {name: text if isinstance(text, str) else json.dumps(text) for name, text in values.items()}
    Parameters(Environment("staging")).write({name.replace("__", "/"): text for name, text in texts.items()})


def settings_of(account: str) -> dict[str, str]:
    return account_values(Parameters(Environment("staging")).values(), account)


def text(client: Client, below: str = "") -> str:
    return client.text(f"{PATH}{below}")


@pytest.fixture
def resend(cloud: str) -> Iterator[Domain]:
    """Acme's domain, registered at Resend."""
    with Sandbox() as sandbox:
        settings = dict(sandbox.settings("resend"))
        put(**{f"providers__resend__{name}": value for name, value in settings.items()})
        put(senders__acme__auth={"from": f"Acme <login@{DOMAIN}>", "providers": ["resend"]})
        registrar = load("resend", Environment("staging"), settings)
        assert registrar
        yield registrar.register(DOMAIN)


@pytest.fixture
def silence() -> Iterator[str]:
    """A port that never answers."""
    with socket.socket(type=socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{deaf.getsockname()[1]}"


def test_without_a_tenant_the_page_shows_how_to_add_one(cloud: str, client: Client) -> None:
    assert "mailroom tenant add default --from … --env staging" in text(client)


def test_each_tenant_is_shown_with_its_inherited_settings(cloud: str, client: Client) -> None:
    put(
        senders__default__auth={"from": "Main <hi@main.example>", "reply_to": "help@main.example"},
        senders__acme__auth={"from": f"Acme <login@{DOMAIN}>"},
        senders__acme__notification={"from": "News <news@acme.example>", "providers": ["ses"]},
        brands__acme={"name": "Acme Ltd", "color": "0f766e"},
        webhooks__logto__globex__authorization="Bearer nobody-may-see-this",
    )
    shown = text(client)
    acme = shown.partition("acme Acme Ltd")[2]
    assert acme.startswith(
        " Acme <login@auth.acme.example> reply to help@main.example (from default) via resend (stack default)"
    )
    assert "News <news@acme.example> reply to help@main.example (from default) via ses send" in acme
    assert "globex Main <hi@main.example> (from default)" in shown
    assert "same as auth mail Logto, send" in shown
    html = client.get(PATH).text
    assert 'fill="#0f766e"' in html
    assert "nobody-may-see-this" not in html


def test_a_malformed_setting_is_explained_without_its_value(cloud: str, client: Client) -> None:
    put(
        senders__acme__auth='{"from": "acme", "replyto": "s3cret"}',
        brands__acme='{"name": "Acme", "color": "<b>"}',
        senders__globex__auth={"from": "a@globex.example", "providers": ["smtp.globex"]},
        **{"providers__smtp.globex__username": "globex"},
    )
    shown = text(client)
    assert "senders/acme/auth is malformed: it contains the unknown key replyto" in shown
    assert "mailroom secrets set senders/acme/auth --env staging" in shown
    assert "brands/acme is malformed: color must be a color such as #0f766e" in shown
    assert "The account smtp.globex is incomplete: providers/smtp.globex/host is not set" in shown
    assert "s3cret" not in shown
    assert "<b>" not in client.get(PATH).text
    assert "The from-address is malformed, so there is no domain to check." in text(client, "/acme")


def test_a_tenant_without_a_from_address_is_marked(cloud: str, client: Client) -> None:
    put(brands__acme={"name": "Acme"}, senders__acme__auth={"providers": ["ses"]})
    assert "There is no from-address, so nothing is sent." in text(client)


def test_a_removed_tenant_is_listed_with_the_command_that_restores_it(cloud: str, client: Client) -> None:
    put(removed__hooli__senders__hooli__auth={"from": "a@hooli.example"})
    assert "mailroom tenant restore hooli --env staging" in text(client)
    assert "This tenant is removed." in text(client, "/hooli")


def test_dns_and_providers_are_not_asked_before_the_button_is_pressed(
    resend: Domain, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_RESOLVER", "nowhere")
    shown = text(client, "/acme")
    assert "resend lists its records when it is checked" in shown
    assert "not checked DMARC" in shown
    assert f"_dmarc.{DOMAIN} v=DMARC1; p=none" in shown
    assert "mailroom tenant verify acme --env staging" in shown


def test_live_missing_and_wrong_records_are_distinguished(
    resend: Domain, client: Client, nameserver: Zones, monkeypatch: pytest.MonkeyPatch
) -> None:
    mx = next(record for record in resend.records if record.type == "MX")
    spf = next(record for record in resend.records if record.purpose is records.Purpose.SPF)
    zone = f'{records.zone([mx])}\n{spf.name}. 300 IN TXT "v=spf1 -all"\n'
    monkeypatch.setenv("MAILROOM_RESOLVER", nameserver({"acme.example": zone, **AMAZON}))
    shown = text(client, "/acme?check=1")
    assert "3 of 4 records are not live" in shown
    assert f"live return path for resend MX {mx.name} 10 {mx.value}" in shown
    assert f"wrong SPF for resend TXT {spf.name} {spf.value} contains v=spf1 -all" in shown
    assert "missing DKIM for resend TXT" in shown
    assert "is missing: add it" in shown
    assert "resend is not verified: not_started" in shown


def test_the_zone_file_makes_all_records_live(
    resend: Domain, client: Client, nameserver: Zones, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_RESOLVER", nameserver({"acme.example": "", **AMAZON}))
    html = client.get(f"{PATH}/acme?check=1").text
    zone = unescape(re.findall(r"<pre[^>]*>(.*?)</pre>", html, re.DOTALL)[0])
    monkeypatch.setenv("MAILROOM_RESOLVER", nameserver({"acme.example": f"{zone}\n", **AMAZON}))
    shown = text(client, "/acme?check=1")
    assert "All records are live, but the domain is not ready" in shown
    assert "resend is not verified yet: not_started" in shown
    registrar = load("resend", Environment("staging"), settings_of("resend"))
    assert registrar
    registrar.verify(resend)
    assert "Ready: all records are live" in text(client, "/acme?check=1")


def test_a_domain_unknown_to_a_provider_of_the_chain_is_not_ready(
    resend: Domain, client: Client, nameserver: Zones, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(senders__acme__auth={"from": f"Acme <login@{DOMAIN}>", "providers": ["ses"]})
    live = records.zone([records.dmarc_record(DOMAIN)])
    monkeypatch.setenv("MAILROOM_RESOLVER", nameserver({"acme.example": f"{live}\n"}))
    shown = text(client, "/acme?check=1")
    assert "not ready" in shown
    assert "ses is not registered there." in shown


def test_a_refusal_of_a_provider_is_shown_in_one_sentence(
    resend: Domain, client: Client, nameserver: Zones, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_RESOLVER", nameserver({"acme.example": "", **AMAZON}))
    put(providers__resend__api_key="re_somebody_elses")
    shown = text(client, "/acme?check=1")
    assert "Resend rejects the key in providers/resend/api_key" in shown
    assert "re_somebody" not in shown


def test_a_check_ends_when_dns_does_not_answer(
    resend: Domain, client: Client, silence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_RESOLVER", silence)
    monkeypatch.setattr("mailroom_ops.domains.dns.QUERY_TIMEOUT_SECONDS", 0.2)
    shown = text(client, "/acme?check=1")
    assert "not known DMARC" in shown
    assert "DNS does not answer" in shown
    monkeypatch.setattr("mailroom_ops.domains.dns.QUERY_TIMEOUT_SECONDS", 2)
    monkeypatch.setattr("mailroom_ops.console.senders.CHECK_TIMEOUT_SECONDS", 0.1)
    assert "did not answer within" in text(client, "/acme?check=1")


NEW = {"name": "hooli", "from": f"Hooli <login@{DOMAIN}>", "providers": "resend", "color": "#0f766e", "register": "1"}


def test_a_tenant_is_added_by_the_plan_of_the_command_and_its_records_are_shown(
    cloud: str, client: Client, nameserver: Zones, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_RESOLVER", nameserver({"acme.example": "", **AMAZON}))
    with Sandbox() as sandbox:
        settings = dict(sandbox.settings("resend"))
        put(**{f"providers__resend__{name}": value for name, value in settings.items()})
        page = client.post(PATH, **NEW)
        shown = page_text(page.text)
        assert (
            f"+ create brands/hooli color #0f766e name Hooli + create senders/hooli/auth from Hooli <login@{DOMAIN}>"
            in shown
        )
        assert f"{DOMAIN} is registered with resend, and the DNS records follow." in shown
        command = "mailroom tenant add hooli --from 'Hooli <login@auth.acme.example>' --providers resend"
        assert f"{command} --brand 'color=#0f766e' --env staging" in shown
        assert "senders/hooli/auth" not in Parameters(Environment("staging")).values()
        registrar = load("resend", Environment("staging"), settings)
        assert registrar and registrar.find(DOMAIN) is None

        plan = re.findall(r'name="plan" value="(\w+)"', page.text)[0]
        answer = client.post(PATH, **NEW, confirmed="staging", plan=plan)
        assert (answer.status, answer.headers["location"]) == (303, f"{PATH}/hooli?check=1")
        assert registrar.find(DOMAIN)
        shown = text(client, "/hooli?check=1")
    assert "4 of 4 records are not live" in shown
    assert "Hooli <login@auth.acme.example>" in shown


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "Hooli!"}, "is not a valid name of a tenant."),
        ({"from": ""}, "A new tenant needs --from."),
        ({"from": "nobody"}, "--from is not a mailbox"),
        ({"providers": "pigeon"}, "There is no provider"),
        ({"color": "red"}, "color must be a color such as #0f766e"),
        ({"name": "acme"}, "There is a tenant acme already."),
    ],
)
def test_a_tenant_that_cannot_be_added_is_explained_beside_what_was_entered(
    cloud: str, client: Client, changes: dict[str, str], sentence: str
) -> None:
    put(brands__acme={"name": "Acme"})
    answer = client.post(PATH, **{**NEW, **changes})
    assert answer.status == 400
    assert sentence in unescape(answer.text)
    assert 'name="logo_url"' in answer.text


def test_verify_has_the_provider_check_again_once_all_records_are_live(
    resend: Domain, client: Client, nameserver: Zones, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = records.zone([*resend.records, records.dmarc_record(DOMAIN)])
    monkeypatch.setenv("MAILROOM_RESOLVER", nameserver({"acme.example": f"{zone}\n", **AMAZON}))
    assert "All records are live, but the domain is not ready" in text(client, "/acme?check=1")
    assert "Ready: all records are live" in client.post(f"{PATH}/acme").text


def test_a_tenant_without_a_domain_links_to_the_default(cloud: str, client: Client) -> None:
    put(brands__acme={"name": "Acme"})
    assert "It uses that of default ." in text(client, "/acme")


@pytest.mark.parametrize("below", ["/nobody", "/acme/more", "/%2e%2e"])
def test_an_unknown_tenant_is_not_found(cloud: str, client: Client, below: str) -> None:
    assert client.get(PATH + below).status == 404


@pytest.mark.thorough
def test_it_is_accessible(
    resend: Domain, client: Client, open_page: OpenPage, nameserver: Zones, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(brands__acme={"name": "Acme", "color": "#0f766e"}, brands__globex="[]")
    monkeypatch.setenv("MAILROOM_RESOLVER", nameserver({"acme.example": "", **AMAZON}))
    page = open_page(client, bypass_csp=True, permissions=["clipboard-read", "clipboard-write"])
    for path in ("", "?add=1", "/acme?check=1"):
        page.goto(f"{client.url}{PATH}{path}")
        assert_accessible(page)
    expect(page.get_by_text("4 of 4 records are not live")).to_be_visible()
    expect(page.get_by_role("button", name="Verify")).to_be_visible()
    page.get_by_role("button", name="Copy the value of SPF TXT").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "v=spf1 include:amazonses.com ~all"
