"""Who each tenant's mail is from, and whether its domain is set up: real DNS, a provider's API over HTTP."""

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
from tests.browser import accessible
from tests.console.conftest import Look, Served
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


def text(served: Served, below: str = "") -> str:
    """Return what the page says, without its markup."""
    answer = served.get(f"{PATH}{below}")
    assert answer.status == 200, answer.text
    return plain(answer.text)


def plain(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html.partition("<main")[2])).split())


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
    """A port that takes questions and never answers."""
    with socket.socket(type=socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{deaf.getsockname()[1]}"


def test_without_a_tenant_the_page_says_how_to_add_one(cloud: str, served: Served) -> None:
    assert "mailroom tenant add default --from … --env staging" in text(served)


def test_each_tenant_is_told_with_what_it_borrows(cloud: str, served: Served) -> None:
    put(
        senders__default__auth={"from": "Main <hi@main.example>", "reply_to": "help@main.example"},
        senders__acme__auth={"from": f"Acme <login@{DOMAIN}>"},
        senders__acme__notification={"from": "News <news@acme.example>", "providers": ["ses"]},
        brands__acme={"name": "Acme Ltd", "color": "0f766e"},
        webhooks__logto__globex__authorization="Bearer nobody-may-see-this",
    )
    said = text(served)
    acme = said.partition("acme Acme Ltd")[2]
    assert acme.startswith(
        " Acme <login@auth.acme.example> replies to help@main.example (as default) through resend (as the stack)"
    )
    assert "News <news@acme.example> replies to help@main.example (as default) through ses send" in acme
    assert "globex Main <hi@main.example> (as default)" in said
    assert "as auth mail Logto, send" in said
    html = served.get(PATH).text
    assert 'fill="#0f766e"' in html
    assert "nobody-may-see-this" not in html


def test_what_is_malformed_is_a_sentence_without_the_value(cloud: str, served: Served) -> None:
    put(
        senders__acme__auth='{"from": "acme", "replyto": "s3cret"}',
        brands__acme='{"name": "Acme", "color": "<b>"}',
        senders__globex__auth={"from": "a@globex.example", "providers": ["smtp.globex"]},
        **{"providers__smtp.globex__username": "globex"},
    )
    said = text(served)
    assert "senders/acme/auth is malformed: it does not know replyto" in said
    assert "mailroom secrets set senders/acme/auth --env staging" in said
    assert "brands/acme is malformed: color is not well formed" in said
    assert "The account smtp.globex is not complete: providers/smtp.globex/host is not set" in said
    assert "s3cret" not in said
    assert "<b>" not in served.get(PATH).text
    assert "not one, so there is no domain" in text(served, "/acme")


def test_a_tenant_that_cannot_send_is_told(cloud: str, served: Served) -> None:
    put(brands__acme={"name": "Acme"}, senders__acme__auth={"providers": ["ses"]})
    assert "It has no from-address, so nothing is sent." in text(served)


def test_who_is_set_aside_is_named_with_the_way_back(cloud: str, served: Served) -> None:
    put(removed__hooli__senders__hooli__auth={"from": "a@hooli.example"})
    assert "mailroom tenant restore hooli --env staging" in text(served)
    assert "It is set aside." in text(served, "/hooli")


def test_nothing_is_asked_before_it_is_wanted(resend: Domain, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILROOM_RESOLVER", "nowhere")
    said = text(served, "/acme")
    assert "resend tells when asked which records it wants" in said
    assert "not asked DMARC" in said
    assert f"_dmarc.{DOMAIN} v=DMARC1; p=none" in said
    assert "mailroom tenant verify acme --env staging" in said


def test_records_that_are_live_missing_and_wrong_are_told_apart(
    resend: Domain, served: Served, nameserver: Zones, monkeypatch: pytest.MonkeyPatch
) -> None:
    mx = next(record for record in resend.records if record.type == "MX")
    spf = next(record for record in resend.records if record.purpose is records.Purpose.SPF)
    zone = f'{records.zone([mx])}\n{spf.name}. 300 IN TXT "v=spf1 -all"\n'
    monkeypatch.setenv("MAILROOM_RESOLVER", nameserver({"acme.example": zone, **AMAZON}))
    said = text(served, "/acme?check=1")
    assert "3 of 4 records are not live" in said
    assert f"live return path for resend MX {mx.name} 10 {mx.value}" in said
    assert f"wrong SPF for resend TXT {spf.name} {spf.value} contains v=spf1 -all" in said
    assert "missing DKIM for resend TXT" in said
    assert "is missing: add it" in said
    assert "resend is not verified: not_started" in said


def test_once_its_lines_are_in_the_zone_all_is_live(
    resend: Domain, served: Served, nameserver: Zones, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_RESOLVER", nameserver({"acme.example": "", **AMAZON}))
    html = served.get(f"{PATH}/acme?check=1").text
    zone = unescape(re.findall(r"<pre[^>]*>(.*?)</pre>", html, re.DOTALL)[0])
    monkeypatch.setenv("MAILROOM_RESOLVER", nameserver({"acme.example": f"{zone}\n", **AMAZON}))
    said = text(served, "/acme?check=1")
    assert "All records are live, but it is not ready" in said
    assert "resend is not verified yet: not_started" in said
    registrar = load("resend", Environment("staging"), settings_of("resend"))
    assert registrar
    registrar.verify(resend)
    assert "Ready: all records are live" in text(served, "/acme?check=1")


def test_a_domain_that_a_provider_of_the_chain_does_not_know_is_not_ready(
    resend: Domain, served: Served, nameserver: Zones, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(senders__acme__auth={"from": f"Acme <login@{DOMAIN}>", "providers": ["ses"]})
    live = records.zone([records.dmarc_record(DOMAIN)])
    monkeypatch.setenv("MAILROOM_RESOLVER", nameserver({"acme.example": f"{live}\n"}))
    said = text(served, "/acme?check=1")
    assert "it is not ready" in said
    assert "ses is not registered there." in said


def test_a_provider_that_refuses_is_a_sentence(
    resend: Domain, served: Served, nameserver: Zones, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_RESOLVER", nameserver({"acme.example": "", **AMAZON}))
    put(providers__resend__api_key="re_somebody_elses")
    said = text(served, "/acme?check=1")
    assert "Resend does not know the key in providers/resend/api_key" in said
    assert "re_somebody" not in said


def test_dns_that_is_silent_is_not_waited_for_forever(
    resend: Domain, served: Served, silence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_RESOLVER", silence)
    monkeypatch.setattr("mailroom_ops.domains.dns.QUERY_TIMEOUT_SECONDS", 0.2)
    said = text(served, "/acme?check=1")
    assert "not known DMARC" in said
    assert "DNS does not answer" in said
    monkeypatch.setattr("mailroom_ops.domains.dns.QUERY_TIMEOUT_SECONDS", 2)
    monkeypatch.setattr("mailroom_ops.console.senders.PATIENCE", 0.1)
    assert "did not answer within" in text(served, "/acme?check=1")


def test_a_tenant_without_a_domain_leads_to_the_default(cloud: str, served: Served) -> None:
    put(brands__acme={"name": "Acme"})
    assert "That of default counts." in text(served, "/acme")


@pytest.mark.parametrize("below", ["/nobody", "/acme/more", "/%2e%2e"])
def test_what_there_is_not_is_told_so(cloud: str, served: Served, below: str) -> None:
    assert served.get(PATH + below).status == 404


def test_every_reader_can_use_it(
    resend: Domain, served: Served, look: Look, nameserver: Zones, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(brands__acme={"name": "Acme", "color": "#0f766e"}, brands__globex="[]")
    monkeypatch.setenv("MAILROOM_RESOLVER", nameserver({"acme.example": "", **AMAZON}))
    page = look(served, bypass_csp=True, permissions=["clipboard-read", "clipboard-write"])
    for path in ("", "/acme?check=1"):
        page.goto(f"{served.url}{PATH}{path}")
        accessible(page)
    expect(page.get_by_text("4 of 4 records are not live")).to_be_visible()
    page.get_by_role("button", name="Copy the value of SPF TXT").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "v=spf1 include:amazonses.com ~all"
