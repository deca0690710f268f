"""Access to the console: the one-time key, the cookie, foreign hosts and sites, and the token of forms."""

import re
from urllib.parse import urlencode

import pytest

from tests.console.client import Client, LedgerWriter, StartConsole


def test_without_the_key_only_the_locked_page_is_shown(start_console: StartConsole) -> None:
    locked = start_console("staging")
    for path in (
        "/",
        "/?key=",
        "/?key=wrong",
        "/?key=%C3%A9",
        "/console/deliveries",
        "/gallery",
        "/gallery/options.json",
    ):
        answer = locked.get(path)
        assert answer.status == 401
        assert "Open the address printed by the console." in answer.text
        assert "staging" not in answer.text
    assert locked.ask("POST", "/console/deliveries", "what=x").status == 401
    assert locked.ask("GET", "/", cookie=f"mailroom_console_{locked.port}=wrong").status == 401
    assert locked.get("/console/console.css").status == 200
    assert locked.get("/console/live.js").status == 401


def test_the_printed_address_works_once_and_leads_to_a_clean_one(
    start_console: StartConsole, messages: LedgerWriter
) -> None:
    locked = start_console("staging")
    address = f"/?key={locked.access.one_time_key}"
    assert locked.ask("HEAD", address).status == 401  # a link preview does not use up the key

    opened = locked.get(address)
    assert opened.status == 200
    cookie = opened.headers["set-cookie"]
    assert re.fullmatch(rf"mailroom_console_{locked.port}=[\w-]{{43}}; Path=/; HttpOnly; SameSite=Strict", cookie)
    assert 'content="0; url=&#x2f;console&#x2f;deliveries"' in opened.text
    assert locked.get(address).status == 401

    locked.cookie = cookie.partition(";")[0]
    assert locked.get("/").headers["location"] == "/console/deliveries"
    assert locked.get("/console/deliveries").status == 200


def test_two_consoles_of_one_machine_have_cookies_of_their_own(start_console: StartConsole) -> None:
    first, second = start_console("staging"), start_console("production")
    first.log_in()
    second.cookie = first.cookie

    assert second.get("/gallery").status == 401
    second.cookie = first.cookie.replace(str(first.port), str(second.port))
    assert second.get("/gallery").status == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:3001", "127.0.0.1.evil.example", "", "["])
def test_another_host_name_is_refused(client: Client, host: str) -> None:
    assert client.ask("GET", "/console/deliveries", host=host).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "null", "sec_fetch_site": "cross-site"},
        {"origin": "https://["},
    ],
    ids=str,
)
def test_another_site_cannot_post(client: Client, messages: LedgerWriter, headers: dict[str, str]) -> None:
    body = urlencode({"token": client.console.frame.token, "what": messages.sent().id})
    assert client.ask("POST", "/console/deliveries", body, **headers).status == 403
    own = {"origin": "null", "sec_fetch_site": "same-origin"}  # a browser sends this for the console's own form
    assert client.ask("POST", "/console/deliveries", body, **own).status == 303


def test_a_form_is_accepted_behind_the_port_forwarding_of_a_dev_container(
    client: Client, messages: LedgerWriter
) -> None:
    body = urlencode({"token": client.console.frame.token, "what": messages.sent().id})
    forwarded = {"origin": "https://name-3000.app.github.dev", "sec_fetch_site": "same-origin"}
    assert client.ask("POST", "/console/deliveries", body, **forwarded).status == 303


@pytest.mark.parametrize("token", [None, "", "stale", "é"])
def test_a_form_without_the_token_of_this_run_changes_nothing(
    client: Client, messages: LedgerWriter, token: str | None
) -> None:
    body = urlencode({"what": messages.sent().id} | ({} if token is None else {"token": token}))
    answer = client.ask("POST", "/console/deliveries", body)
    assert answer.status == 403
    assert "This form is from an earlier run of the console." in answer.text
    assert client.ask("PUT", "/console/deliveries", body).status == 405


@pytest.mark.parametrize(
    "path",
    [
        "/console/../access.py",
        "/console/..%2faccess.py",
        "/console/%2e%2e/access.py",
        "/console/%2fetc%2fpasswd",
        "/console/static/console.css",
        "/console/templates/frame.html",
        "/console/.css",
        "/console/../../local/inbox/inbox.css",
        "/console/..%2f..%2flocal%2finbox%2finbox.css",
    ],
)
def test_no_path_leads_out_of_the_folder_of_static_files(
    client: Client, start_console: StartConsole, path: str
) -> None:
    assert client.get("/console/console.css").status == 200
    assert client.get(path).status == 404
    assert start_console("staging").get(path).status == 401
