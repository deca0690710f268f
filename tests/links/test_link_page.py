"""The link page: mails that lead to it, the function that serves it, and what a browser does with it."""

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any, Literal

import boto3
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from mailroom import untrusted
from mailroom.aws.client import Aws
from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.model.sender import Sender
from mailroom.rendering.link_page import LinkPage
from mailroom.rendering.renderer import Renderer
from mailroom_ops.settings import catalog
from tests.browser import assert_accessible
from tests.cloud import put
from tests.command import Run
from tests.factories import message
from tests.links.servers import AuthServer, LinkServer, auth_server, link_server
from tests.running import Answer
from tests.serving import ask

ROOT = Path(__file__).parents[2]
RENDERER = Renderer(ROOT / "layers/templates")
SENDER = Sender(Mailbox("no-reply@acme.example", "Acme"))
PAGE = "https://login.acme.example/l"
BRAND = {"name": "Acme", "link_page": PAGE, "link_hosts": "app.acme.example, *.auth.acme.example"}
LINK = "https://app.acme.example/verify?token=a1b2c3"
HREF = re.compile(r'href="([^"]+)"')
HOSTS = "app.acme.example *.auth.acme.example bücher.example app.acme.example:8443 localhost:3000 127.0.0.1"


def encoded(link: str) -> str:
    return urlsafe_b64encode(link.encode()).decode().rstrip("=")


def mail(brand: dict[str, str] = BRAND, kind: str = "password-reset", locale: str = "de", **data: Any) -> Email:
    data = {"link": LINK, **data}
    return RENDERER.render(message(kind=kind, tenant="acme", locales=(locale,), data=data), SENDER, brand)


# ---- mails ----


def test_every_link_of_a_mail_leads_to_the_page_in_both_parts() -> None:
    wrapped = f"{PAGE}/acme?lang=de#{encoded(LINK)}"
    for kind in ("password-reset", "sign-in-code", "organization-invitation", "notification"):
        email = mail(kind=kind, paragraphs=["Hello.", f"Open {LINK} now."])
        links = [unescape(link) for link in HREF.findall(email.html)]
        assert wrapped in links
        assert set(links) == {wrapped}
        assert wrapped in email.text
        for part in (email.html, email.text, str(email.headers)):
            assert "token=a1b2c3" not in part
            assert "app.acme.example/verify" not in part


def test_without_the_setting_a_mail_has_its_own_link() -> None:
    email = mail({"name": "Acme"})
    assert LINK in email.text
    assert "/l/" not in email.text


def test_a_link_to_another_host_stays_and_is_reported() -> None:
    link = "https://other.example/verify?token=a1b2c3"
    rendered = RENDERER.compose(message(kind="password-reset", tenant="acme", data={"link": link}), SENDER, BRAND)
    assert link in rendered.email.text
    assert rendered.problems == (
        "link_hosts of the brand does not contain the host of a link: the mail leads there directly",
    )


def test_a_tenants_own_template_has_the_wrapped_link_under_both_its_names() -> None:
    overrides = {"emails/password-reset.txt": '{{ button.url }} {{ payload["link"] }}'}
    sent = message(kind="password-reset", tenant="acme", data={"link": LINK})
    wrapped = f"{PAGE}/acme?lang=en#{encoded(LINK)}"
    assert RENDERER.render(sent, SENDER, BRAND, overrides).text == f"{wrapped} {wrapped}\n"


def test_a_mail_renders_the_same_bytes_again() -> None:
    sent = message(kind="password-reset", tenant="acme", data={"link": LINK})
    assert RENDERER.render(sent, SENDER, BRAND) == RENDERER.render(sent, SENDER, BRAND)


@pytest.mark.parametrize("page", ["http://login.acme.example/l", "javascript:alert(1)", "//x", f"{PAGE}?x=1", "l", "#"])
def test_a_malformed_address_of_the_page_leaves_the_links_as_they_are(page: str) -> None:
    assert LINK in mail(BRAND | {"link_page": page}).text
    assert catalog.fault("brands/acme", f'{{"link_page": "{page}"}}').startswith("link_page must be the https address")


@pytest.mark.parametrize(
    "hosts", ["", "*.com", "app.acme.example,", "https://app.acme.example", "acme", "a..b", "*", "a b"]
)
def test_the_list_of_hosts_is_checked_when_it_is_set(hosts: str) -> None:
    is_valid = hosts == "app.acme.example,"
    value = f'{{"link_page": "{PAGE}", "link_hosts": "{hosts}"}}'
    assert (catalog.fault("brands/acme", value) == "") == (is_valid or not hosts)
    organization = f'{{"organizations": {{"org_1": {{"link_hosts": "{hosts}"}}}}}}'
    assert "unknown key link_hosts" in catalog.fault("brands/acme", organization)


# ---- the function ----


@pytest.fixture
def deployed(cloud: str) -> None:
    """A deployed staging stack, of which the doctor needs the addresses only."""
    outputs = {name: {"Value": "http://127.0.0.1:1"} for name in ("WebhookUrl", "SendUrl", "FeedbackUrl")}
    body = json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}, "Outputs": outputs})
    boto3.client("cloudformation").create_stack(StackName="mailroom-staging", TemplateBody=body)


@pytest.fixture
def server(environment: object, aws: Aws) -> Iterator[LinkServer]:
    with link_server(aws) as started:
        put(aws, "brands/acme", {"name": "Acme", "color": "#0f766e", "link_page": started.url, "link_hosts": HOSTS})
        yield started


def get(server: LinkServer, path: str, method: str = "GET", **headers: str) -> Answer:
    return ask(server.port, method, path, None, {name.replace("_", "-"): value for name, value in headers.items()})


def test_the_page_is_in_the_language_of_the_mail_and_loads_nothing(server: LinkServer) -> None:
    answer = get(server, "/l/acme?lang=de")
    assert answer.status == 200
    assert '<html lang="de" dir="ltr">' in answer.text
    assert "Weiter zu Acme" in answer.text
    assert "#0f766e" in answer.text
    assert not re.search(r"(src|href|action|url\()\s*=?", answer.text.partition("<script>")[0])
    policy = answer.headers["content-security-policy"]
    assert re.fullmatch(
        r"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        r"style-src 'sha256-[^' ]+'; script-src 'sha256-[^' ]+'",
        policy,
    )
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in answer.headers
    head = get(server, "/l/acme?lang=de", "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert server.function.logged() == [], "a view is in no log"


@pytest.mark.parametrize(
    ("query", "accepted", "language"),
    [
        ("", "pl-PL,pl;q=0.9", "pl-PL"),
        ("", "", "en"),
        ("?lang=tlh", "ar", "ar"),
        ("?lang=" + "a-" * 3000, "he;q=1", "he"),
        ("?lang=de&lang=fr", "", "en"),
        ("?lang=%22%3E%3Cscript%3E", "*", "en"),
    ],
)
def test_any_language_parameter_gets_a_page(server: LinkServer, query: str, accepted: str, language: str) -> None:
    answer = get(server, f"/l/acme{query}", accept_language=accepted)
    assert answer.status == 200
    assert f'<html lang="{language}"' in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/l/nobody", 404), ("GET", "/l/A%20cme", 404), ("POST", "/l/acme", 405), ("PUT", "/l/nobody", 405)],
)
def test_what_is_no_page_gets_one_sentence(server: LinkServer, method: str, path: str, status: int) -> None:
    answer = get(server, path, method)
    assert answer.status == status
    assert answer.text in ("There is no such page.", "Use GET.")
    assert (answer.headers.get("allow") == "GET, HEAD") or status == 404


def test_a_strangers_name_causes_no_call_of_its_own(server: LinkServer, aws: Aws) -> None:
    assert get(server, "/l/acme").status == 200
    calls = server.function.record_calls()
    for number in range(100):
        assert get(server, f"/l/stranger-{number}").status == 404
    assert calls == []


def test_a_tenant_inherits_the_page_of_the_default_brand(server: LinkServer, aws: Aws) -> None:
    put(aws, "brands/default", {"name": "Everybody", "link_page": server.url, "link_hosts": "id.example.com"})
    put(aws, "brands/globex", {"name": "Globex"})
    assert 'data-hosts="id.example.com"' in get(server, "/l/globex").text
    assert "Everybody" in get(server, "/l/only-a-sender").text


def test_a_parameter_store_that_fails_is_a_503_and_logged(server: LinkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from mailroom.errors import TemporaryFailure

    def fail(*_: object, **__: object) -> None:
        raise TemporaryFailure("ssm", "unreachable")

    monkeypatch.setattr(server.function.aws, "call", fail)
    answer = get(server, "/l/acme")
    assert (answer.status, answer.text[:15]) == (503, "This page canno")
    assert server.function.logged("Page not shown: a dependency failed")


def test_the_doctor_loads_the_page_of_each_tenant(server: LinkServer, aws: Aws, run: Run, deployed: object) -> None:
    def examine(**brand: str) -> str:
        put(aws, "brands/acme", {"name": "Acme", **brand}, "staging")
        return run("doctor", "--env", "staging", "--only", "endpoints").text

    assert "link page" not in examine()
    assert f"link page acme: is at {server.url}/acme" in examine(link_page=server.url, link_hosts=HOSTS)
    assert "link page acme: leads to no host" in examine(link_page=server.url)
    assert "link page acme: is not at" in examine(link_page=f"{server.url}/x", link_hosts=HOSTS)
    assert "link page acme: cannot be reached" in examine(link_page="http://127.0.0.1:1/l", link_hosts=HOSTS)


# ---- the browser ----


@pytest.fixture
def auth() -> Iterator[AuthServer]:
    with auth_server() as started:
        yield started


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Open an address in a new browser; fails on errors of the page, such as a script that its policy blocks."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_(url: str, scheme: Literal["light", "dark"] = "light", **options: Any) -> Page:
        context = browser.new_context(color_scheme=scheme, viewport={"width": 390, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda entry: errors.append(entry.text) if entry.type == "error" else None)
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [error for error in errors if "410" not in error and "favicon" not in error] == []


def wrapped_link(server: LinkServer, auth: AuthServer, aws: Aws, token: str) -> str:
    """Render a mail with a one-time link of the auth server; return the link of the mail."""
    brand = {"name": "Acme", "link_page": server.url, "link_hosts": auth.host}
    put(aws, "brands/acme", brand)
    email = mail(brand, link=auth.link(token))
    (link,) = {unescape(link) for link in HREF.findall(email.html)}
    return link


def test_scanners_do_not_use_a_link_and_a_click_does(
    server: LinkServer, auth: AuthServer, aws: Aws, open_page: OpenPage
) -> None:
    link = wrapped_link(server, auth, aws, "t1")
    # As Safe Links and its like: GET and HEAD of each address in the mail, and of each in the answer.
    for method in ("HEAD", "GET", "GET"):
        path = link.partition(f":{server.port}")[2].partition("#")[0]
        answer = get(server, path, method)
        assert answer.status == 200
        assert HREF.findall(answer.text) == []
    # As those with a headless browser: load, run scripts, wait, collect addresses and text, scroll, click by script.
    page = open_page(link)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("[...document.querySelectorAll('[href],[src],[action]')].length") == 0
    assert "token" not in page.content() + page.inner_text("body")
    page.evaluate("document.querySelectorAll('button').forEach((button) => button.click())")
    page.evaluate("document.getElementById('go').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    page.wait_for_timeout(50)
    assert auth.uses == {}, "no scanner has used the link"

    reader = open_page(link)
    expect(reader.locator("#host")).to_have_text(auth.host)
    reader.get_by_role("button", name="Weiter").click()

    expect(reader.locator("body")).to_contain_text("You are signed in.")
    assert auth.uses == {"token=t1": 1}
    seen = "\n".join([*server.requests, server.function.log.getvalue()])
    assert "t1" not in seen
    assert encoded(auth.link("t1")) not in seen


def test_the_link_is_followed_by_keyboard_too(
    server: LinkServer, auth: AuthServer, aws: Aws, open_page: OpenPage
) -> None:
    page = open_page(wrapped_link(server, auth, aws, "t2"))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("body")).to_contain_text("You are signed in.")
    page.go_back()
    assert auth.uses == {"token=t2": 1}


def test_without_javascript_the_page_explains_what_to_do(server: LinkServer, open_page: OpenPage) -> None:
    page = open_page(f"{server.url}/acme?lang=en#{encoded(LINK)}", java_script_enabled=False)
    expect(page.get_by_text("To continue, allow JavaScript for this page")).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)
    expect(page.get_by_text("Continue only if")).to_be_hidden()


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("link", [LINK, "https://evil.example/"])
def test_the_page_is_accessible_in_both_directions_and_modes(
    server: LinkServer, open_page: OpenPage, language: str, link: str
) -> None:
    page = open_page(f"{server.url}/acme?lang={language}#{encoded(link)}", bypass_csp=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert_accessible(page)


LOOK_ALIKES = [
    "",
    "x",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "javascript://app.acme.example/%0aalert(1)",
    "data:text/html,x",
    "vbscript:x",
    "blob:https://app.acme.example/x",
    "file:///etc/passwd",
    "//app.acme.example/",
    "/login",
    "https:",
    "https://",
    "https:app.acme.example",
    "https:/app.acme.example",
    "https:\\\\app.acme.example\\",
    "http://app.acme.example/",
    "ftp://app.acme.example/",
    "https://app.acme.example.evil.example/",
    "https://app.acme.example@evil.example/",
    "https://@app.acme.example/",
    "https://user:pass@app.acme.example/",
    "https://evil.example/app.acme.example",
    "https://evil.example#app.acme.example",
    "https://evil.example?app.acme.example",
    "https://evil.example\\@app.acme.example/",
    "https://app.acme.example\\.evil.example/",
    "https://app.acme.example%2eevil.example/",
    "https://app%2eacme.example/",
    "https://app.acme.example:8080/",
    "https://app.acme.example:443/",
    "https://app.acme.example:/",
    "https://app.acme.example./",
    "https://xapp.acme.example/",
    "https://auth.acme.example/",
    "https://evilauth.acme.example/",
    "https://x.auth.acme.example:8443/",
    "https://acme.example/",
    "https://аpp.acme.example/",
    "https://xn--pp-7cd.acme.example/",
    "https://app。acme。example/",
    "https://app.acme.example／.evil.example/",
    "https://app.acme.example\u200b/",
    "https://app.acme.example/\n",
    "https://app.acme\n.example/",
    " https://app.acme.example/",
    "https://app.acme.example /",
    'https://app.acme.example/"><b>',
    "https://app.acme.example/<script>",
    "https://app.acme.example/\u202e",
    "https://[::1]/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://app.acme.example/" + "x" * 2048,
]
OWN = [
    "https://app.acme.example",
    "https://app.acme.example/",
    "HTTPS://APP.acme.example/Path?token=a%2Fb#part",
    "https://app.acme.example?x",
    "https://app.acme.example#x",
    "https://app.acme.example:8443/",
    "https://eu.auth.acme.example/verify",
    "https://a.b.auth.acme.example/",
    "https://xn--bcher-kva.example/",
    "http://localhost:3000/x",
    "http://127.0.0.1/x",
    "https://127.0.0.1/x",
]


def test_no_look_alike_gets_a_button_and_python_and_script_agree(server: LinkServer, open_page: OpenPage) -> None:
    page = open_page(f"{server.url}/acme#")
    rule = LinkPage.of({"link_page": server.url, "link_hosts": HOSTS}, "acme")
    assert rule
    assert len(rule.hosts) == 6
    opened = page.evaluate(
        """(fragments) => fragments.map((fragment) => {
            history.replaceState(null, "", "#" + fragment);
            dispatchEvent(new HashChangeEvent("hashchange"));
            return [!document.getElementById("ready").hidden, document.getElementById("refused").hidden];
        })""",
        [encoded(link) for link in [*LOOK_ALIKES, *OWN]],
    )
    for link, (is_ready, is_accepted) in zip([*LOOK_ALIKES, *OWN], opened, strict=True):
        assert is_ready == is_accepted == (link in OWN), link
        assert is_ready == bool(untrusted.link(link) and rule.leads_to(untrusted.link(link)) and link.isascii()), link


@pytest.mark.parametrize("fragment", ["", "%", "a", "https://app.acme.example/", "aHR0cHM6Ly8===", "💥", "A" * 100_000])
def test_a_damaged_fragment_is_refused_with_what_to_do(server: LinkServer, open_page: OpenPage, fragment: str) -> None:
    page = open_page(f"{server.url}/acme?lang=en#{fragment}")
    expect(page.get_by_text("This link is incomplete")).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)
