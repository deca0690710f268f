"""The brand page: its form, the mails beside it, and the plan; by HTTP, and in a browser."""

import json
import re
import shlex
from html import unescape
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from mailroom.model.stored_files import unpack
from mailroom_ops.console.brand_form import BrandForm
from mailroom_ops.environment import Environment
from mailroom_ops.settings.parameters import Parameters
from tests.browser import assert_accessible
from tests.command import Run
from tests.console.client import Client, OpenPage, StartConsole, page_text
from tests.pictures import Publish, base64, png

PATH = "/console/senders/acme/brand"
PARAMETERS = {
    "brands/default": {"company": "Holding\nStreet 1", "request_context": True},
    "brands/acme": {"name": "Acme", "color": "#0f766e", "logo_url": "https://acme.example/logo.png"},
    "senders/default/auth": {"from": "Main <hi@main.example>", "reply_to": "help@main.example"},
    "senders/acme/auth": {"from": "Acme <login@auth.acme.example>", "providers": ["ses", "resend"]},
}


@pytest.fixture
def acme(cloud: str) -> Parameters:
    """The parameters of staging, with Acme as a tenant."""
    store = Parameters(Environment("staging"))
    store.write({name: json.dumps(value) for name, value in PARAMETERS.items()})
    return store


def entered(store: Parameters, **changes: str) -> dict[str, str]:
    """Return the fields of the form as a browser submits them, with some of them changed."""
    values = BrandForm.of_settings("acme", store.values()).values
    return {**values, **{name.replace("__", "."): value for name, value in changes.items()}}


def fingerprint(html: str) -> str:
    found = re.search(r'name="plan" value="(\w+)"', html)
    assert found
    return found[1]


def preview(client: Client, values: dict[str, str]) -> dict[str, object]:
    answer: dict[str, object] = client.get(f"{PATH}/preview.json?{urlencode(values)}").json()
    return answer


def test_the_form_has_the_tenants_own_values_and_shows_what_it_inherits(acme: Parameters, client: Client) -> None:
    html = client.get(PATH).text
    assert re.search(r'name="color" value="#0f766e"', html)
    assert re.search(r'name="auth.providers" value="ses, resend"', html)
    assert re.search(r'name="auth.reply_to" value="" placeholder="help@main.example"', html)
    assert re.search(r'<textarea[^>]*name="company"[^>]*placeholder="Holding\nStreet 1"', html)
    assert "as default (on)" in html
    # A key without a field would be removed by the next change.
    assert {name for name in entered(acme) if f'name="{name}"' not in html} == set()


def test_the_mails_are_rendered_from_what_is_entered_and_not_saved(acme: Parameters, client: Client) -> None:
    values = entered(acme, name="Globex", color="#ff00aa", notification__from="News <news@globex.example>")
    shown = preview(client, values)
    assert (shown["subject"], shown["from"]) == ("Your Globex sign-in code", "Acme <login@auth.acme.example>")
    assert preview(client, {**values, "kind": "notification"})["from"] == "News <news@globex.example>"
    assert "Holding" in str(shown["text"])
    html = client.get(f"{PATH}/mail.html?{urlencode({**values, 'kind': 'email-confirmation'})}").text
    assert "#ff00aa" in html
    assert "https://acme.example/logo.png" not in html
    assert (
        "https://acme.example/logo.png" in client.get(f"{PATH}/mail.html?{urlencode({**values, 'images': '1'})}").text
    )
    assert "Globex" not in str(acme.values())


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"color": "#ffd60a"}, "have the color #ffd60a with black text"),
        ({"color": "#ffd60a"}, "on white"),
        ({"color": "#000000"}, "has buttons in #f2f4f8"),
        ({"logo_url": "https://acme.example/logo.svg"}, "is an SVG, which Gmail and Outlook do not show"),
        ({"logo_url": "https://acme.example/logo.webp"}, "is a WebP, which Outlook for Windows does not show"),
        ({"logo_url": "", "dark_logo_url": "https://acme.example/d.png"}, "is set for dark mode only"),
        ({}, "gets a light background in dark mode"),
        ({}, "a dark logo on a transparent ground disappears"),
        ({"code_in_subject": "true"}, "providers store it in events and logs"),
        ({"text_only": "true"}, "have no HTML part"),
    ],
)
def test_the_notes_name_what_recipients_see_differently(
    acme: Parameters, client: Client, changes: dict[str, str], note: str
) -> None:
    assert note in str(preview(client, entered(acme, **changes))["notes"])


def test_a_value_that_cannot_be_used_is_named_and_the_plan_refused(acme: Parameters, client: Client) -> None:
    values = entered(acme, color="red", auth__from="nobody", support_url="http://acme.example")
    assert preview(client, values)["problems"] == {
        "color": "Color must be a color such as #0f766e.",
        "support_url": "Support_url must be an https address.",
        "auth.from": "This is not a mailbox: write it as `Name <name@example.com>` or `name@example.com`.",
    }
    before, answer = acme.values(), client.post(PATH, **values)
    assert answer.status == 400
    assert "Some values are not usable." in answer.text
    assert 'name="color" value="red"' in answer.text
    assert acme.values() == before


def test_the_plan_is_the_one_of_the_command_and_nothing_changes_before_it_is_applied(
    acme: Parameters, client: Client, run: Run
) -> None:
    values = entered(
        acme, color="#123456", logo_url="", auth__reply_to="help@acme.example", notification__from="n@acme.example"
    )
    before, page = acme.values(), client.post(PATH, **values)
    shown = page_text(page.text)
    assert "~ change brands/acme color #0f766e #123456 logo_url https://acme.example/logo.png inherited again" in shown
    assert "~ change senders/acme/auth reply_to help@acme.example" in shown
    assert "+ create senders/acme/notification from n@acme.example" in shown
    assert acme.values() == before

    confirmed = {**values, "confirmed": "staging", "plan": fingerprint(page.text)}
    assert client.post(PATH, **confirmed).status == 303
    after = acme.values()
    assert json.loads(after["brands/acme"]) == {"name": "Acme", "color": "#123456"}
    assert json.loads(after["senders/acme/notification"]) == {"from": "n@acme.example"}

    acme.write(before)
    acme.delete(set(after) - set(before))
    lines = re.findall(r'data-copy="the command">([^<]*)<', page.text)
    for line in lines:
        assert run(*shlex.split(unescape(line))[1:]).code == 0
    assert acme.values() == after


def test_a_plan_that_is_outdated_is_shown_again_instead_of_applied(acme: Parameters, client: Client) -> None:
    values = entered(acme, color="#123456")
    plan = fingerprint(client.post(PATH, **values).text)
    acme.put("brands/acme", '{"name": "Somebody else was quicker"}')
    answer = client.post(PATH, **{**values, "confirmed": "staging", "plan": plan})
    assert "The settings have changed since this plan was made." in answer.text
    assert json.loads(acme.values()["brands/acme"]) == {"name": "Somebody else was quicker"}


def test_emptied_fields_are_inherited_again(acme: Parameters, client: Client) -> None:
    values = entered(acme, name="", auth__providers="")
    page = client.post(PATH, **values)
    assert client.post(PATH, **{**values, "confirmed": "staging", "plan": fingerprint(page.text)}).status == 303
    after = acme.values()
    # Without a name of its own, a brand has that of its sender.
    assert json.loads(after["senders/acme/auth"]) == {"from": "Acme <login@auth.acme.example>"}
    assert "name" not in json.loads(after["brands/acme"])


def test_without_a_change_there_is_nothing_to_apply(acme: Parameters, client: Client) -> None:
    page = client.post(PATH, **entered(acme)).text
    assert "Nothing changes." in page
    assert 'name="plan"' not in page


def test_in_production_the_name_of_the_environment_is_typed(cloud: str, start_console: StartConsole) -> None:
    store = Parameters(Environment("production"))
    store.write({name: json.dumps(value) for name, value in PARAMETERS.items()})
    client = start_console("production")
    client.log_in()
    values = entered(store, color="#123456")
    plan = fingerprint(client.post(PATH, **values).text)
    wrong = client.post(PATH, **{**values, "plan": plan, "confirmed": "prod"})
    assert "This is not the name of the environment. Nothing was changed." in wrong.text
    assert json.loads(store.values()["brands/acme"])["color"] == "#0f766e"
    assert client.post(PATH, **{**values, "plan": plan, "confirmed": "production"}).status == 303


@pytest.mark.parametrize("path", ["/console/senders/nobody/brand", f"{PATH}/more", f"{PATH}/mail.txt"])
def test_another_address_is_not_found(acme: Parameters, client: Client, path: str) -> None:
    assert client.get(path).status == 404


@pytest.mark.thorough
def test_the_saved_logos_are_loaded_into_mails(acme: Parameters, client: Client, publish: Publish) -> None:
    logo = png(200, 108, b"\x0b\x7a\x5c\xff")
    brand = json.loads(acme.values()["brands/acme"])
    acme.write({"brands/acme": json.dumps({**brand, "logo_url": publish("acme.png", logo)})})
    assert "None is stored." in client.text(PATH)

    page = client.post(PATH, load_logos="1")
    assert "mailroom templates logos --tenant acme --env staging" in page.text
    assert "templates/acme" not in acme.values()
    assert client.post(PATH, load_logos="1", confirmed="staging", plan=fingerprint(page.text)).status == 303

    assert dict(unpack(acme.values()["templates/acme"])) == {"logo.png": base64(logo)}
    assert f"Stored: logo.png ({len(logo)} bytes)" in client.text(PATH)
    values = entered(acme)
    assert values["inline_logo"] == "true"
    assert "make each mail" in str(preview(client, values)["notes"])
    shown = client.get(f"{PATH}/mail.html?{urlencode(values)}").text
    assert f'src="data:image/png;base64,{base64(logo)}"' in shown


def test_logos_that_mails_cannot_contain_are_refused_with_the_reason(
    acme: Parameters, client: Client, publish: Publish
) -> None:
    acme.write({"brands/acme": json.dumps({"logo_url": publish("logo.webp", b"RIFF\0\0\0\0WEBPVP8 ")})})
    answer = client.post(PATH, load_logos="1")
    assert (answer.status, "is a WebP: mails can contain a PNG or a JPEG." in answer.text) == (400, True)


def test_typing_redraws_the_mails_and_applying_saves_them(
    acme: Parameters, client: Client, open_page: OpenPage
) -> None:
    page = open_page(client)
    page.goto(f"{client.url}{PATH}?preview=1&{urlencode(entered(acme))}&kind=email-confirmation")
    button = page.frame_locator("[data-scheme=light]").locator("td.button").first
    expect(button).to_have_css("background-color", "rgb(15, 118, 110)")
    page.get_by_label("Color", exact=True).fill("#ff00aa")
    page.clock.run_for(300)
    expect(button).to_have_css("background-color", "rgb(255, 0, 170)")
    expect(page.locator("#notes")).to_contain_text("#ff00aa")
    page.get_by_label("Color", exact=True).fill("red")
    page.clock.run_for(300)
    expect(page.get_by_text("Color must be a color such as #0f766e.")).to_be_visible()
    page.get_by_label("Pick the color").fill("#123456")
    page.clock.run_for(300)
    expect(page.get_by_label("Color", exact=True)).to_have_value("#123456")
    dark = page.frame_locator("[data-scheme=dark]").locator(".card")
    expect(dark).to_have_css("background-color", "rgb(26, 29, 35)")
    page.get_by_role("button", name="Review changes").click()
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("status").first).to_contain_text("Saved.")
    assert json.loads(acme.values()["brands/acme"])["color"] == "#123456"


def test_it_works_without_javascript(acme: Parameters, client: Client, open_page: OpenPage) -> None:
    page = open_page(client, java_script_enabled=False)
    page.goto(f"{client.url}{PATH}")
    page.get_by_label("Name", exact=True).fill("Globex")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Globex")
    expect(page.locator("#subject")).to_have_text("Your Globex sign-in code")
    expect(page.frame_locator("[data-scheme=dark]").locator("h1")).to_have_text("Sign in to Globex")
    assert "token=" not in page.url
    page.get_by_role("button", name="Review changes").click()
    page.get_by_role("button", name="Apply").click()
    assert json.loads(acme.values()["brands/acme"])["name"] == "Globex"


@pytest.mark.thorough
def test_it_is_accessible_and_fits_the_width(acme: Parameters, client: Client, open_page: OpenPage) -> None:
    page = open_page(client, bypass_csp=True)
    page.goto(f"{client.url}{PATH}?preview=1&{urlencode(entered(acme, color='red'))}&kind=password-reset&locale=ar")
    assert_accessible(page)
    page.goto(f"{client.url}{PATH}")
    page.get_by_label("Name", exact=True).fill("Globex")
    page.get_by_role("button", name="Review changes").click()
    assert_accessible(page)
