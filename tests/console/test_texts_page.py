"""The texts page: stored files edited beside a mail, checked, stored and rolled back; by HTTP, and in a browser."""

import json
import re
from html import unescape

import pytest
from playwright.sync_api import expect

from mailroom.model.stored_files import pack, unpack
from mailroom_ops.environment import Environment
from mailroom_ops.settings.parameters import Parameters
from tests.browser import assert_accessible
from tests.console.client import Client, OpenPage, page_text
from tests.pictures import base64, png

PATH = "/console/senders/acme/texts"
TEXTS = {"file:texts.toml": '[sign-in-code]\r\nsubject = "Come in, {app}"'}


@pytest.fixture
def acme(cloud: str) -> Parameters:
    """The parameters of staging, with Acme as a tenant."""
    store = Parameters(Environment("staging"))
    store.write({"brands/acme": '{"name": "Acme"}', "senders/acme/auth": '{"from": "Acme <hi@acme.example>"}'})
    return store


def files_of(store: Parameters) -> dict[str, str]:
    return dict(unpack(store.values()["templates/acme"]))


def apply(client: Client, **values: str) -> str:
    """Post a form, confirm the plan that follows, and return the plan's text."""
    page = client.post(PATH, **values)
    (fingerprint,) = re.findall(r'name="plan" value="(\w+)"', page.text)
    assert client.post(PATH, **values, confirmed="staging", plan=fingerprint).status == 303
    return page_text(page.text)


def test_texts_are_stored_after_the_plan_and_used_by_the_preview(acme: Parameters, client: Client) -> None:
    assert "This tenant has the built-in texts" in client.text(PATH)
    assert "Apply" in client.post(PATH, **TEXTS).text
    assert "templates/acme" not in acme.values()

    plan = apply(client, **TEXTS)
    assert "+ create templates/acme texts.toml" in plan
    assert "~ change brands/acme stored_templates true" in plan
    assert "+ texts.toml" in plan
    assert files_of(acme) == {"texts.toml": '[sign-in-code]\nsubject = "Come in, {app}"'}
    assert json.loads(acme.values()["brands/acme"]) == {"name": "Acme", "stored_templates": True}
    assert "Subject Come in, Acme" in client.text(PATH)
    assert "Come in, Acme" in client.text("/console/senders/acme/brand")


@pytest.mark.thorough
def test_a_logo_stays_beside_the_texts_until_it_is_removed(acme: Parameters, client: Client) -> None:
    logo = base64(png(200, 108, b"\x0b\x7a\x5c\xff"))
    brand = '{"name": "Acme", "stored_templates": true, "inline_logo": true}'
    acme.write({"brands/acme": brand, "templates/acme": pack({"logo.png": logo})})
    page = unescape(client.get(PATH).text)
    assert f'<input type="hidden" name="file:logo.png" value="{logo}">' in page
    assert "<textarea" not in page

    apply(client, **TEXTS, **{"file:logo.png": logo})
    assert sorted(files_of(acme)) == ["logo.png", "texts.toml"]
    apply(client, **TEXTS, **{"file:logo.png": logo, "remove": "logo.png"})
    assert sorted(files_of(acme)) == ["texts.toml"]


def test_files_that_cannot_be_used_stay_in_the_editor_with_their_problems(acme: Parameters, client: Client) -> None:
    broken = {"file:emails/mfa-code.html": "<p>{{ code }", **TEXTS}
    answer = client.post(PATH, **broken)
    assert answer.status == 400
    assert "These files cannot be used, and nothing is stored." in answer.text
    assert "emails/mfa-code.html: line 1" in answer.text.replace("&#x2f;", "/")
    assert "&lt;p&gt;{{ code }" in answer.text
    assert "templates/acme" not in acme.values()
    preview = client.post(f"{PATH}/preview.json", **broken).json()
    assert "emails/mfa-code.html" in preview["problems"][0]
    assert preview["subject"] == "Come in, Acme"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("texts.toml", 'subject = "Your {app} sign-in code"'),
        ("locales/de.toml", 'subject = "Ihr'),
        ("emails/sign-in-code.html", "{% extends &quot;layout.html&quot; %}"),
        ("layout.txt", "{% block body %}"),
    ],
)
def test_a_new_file_starts_with_the_built_in_content(acme: Parameters, client: Client, name: str, content: str) -> None:
    page = client.post(PATH, add="1", new_name=name).text.replace("&#x2f;", "/")
    assert f'name="file:{name}"' in page
    assert content.replace("&quot;", '"') in page.replace("&quot;", '"')
    preview = client.post(f"{PATH}/preview.json", add="1", new_name=name)
    assert preview.json()["problems"] == []


def test_a_name_that_is_no_file_of_a_tenant_is_refused(acme: Parameters, client: Client) -> None:
    assert client.post(PATH, add="1", new_name="../secrets.yaml").status == 400


@pytest.mark.thorough
def test_an_emptied_file_is_removed_and_an_older_version_used_again(acme: Parameters, client: Client) -> None:
    apply(client, **TEXTS)
    assert "- texts.toml" in apply(client, **{"file:texts.toml": " "})
    assert files_of(acme) == {}
    assert "stored_templates" not in acme.values()["brands/acme"]
    page = client.text(PATH)
    assert "Versions SSM keeps a hundred" in page
    apply(client, version="1")
    assert "Come in" in files_of(acme)["texts.toml"]


def test_a_broken_version_is_listed_and_cannot_be_used(acme: Parameters, client: Client) -> None:
    acme.put("templates/acme", "no files")
    acme.put("templates/acme", pack({}))
    assert "it was not written by `mailroom templates push`" in client.text(PATH)
    assert client.post(PATH, version="1").status == 400


def test_a_draft_of_an_earlier_run_asks_to_reload(acme: Parameters, client: Client) -> None:
    assert "reload the page" in client.get(f"{PATH}/mail.html?draft=0").text


@pytest.mark.thorough
def test_typing_redraws_the_mail_and_names_the_problem(acme: Parameters, client: Client, open_page: OpenPage) -> None:
    apply(client, **TEXTS)
    page = open_page(client)
    page.goto(f"{client.url}{PATH}")
    editor = page.get_by_label("texts.toml")
    editor.fill('[sign-in-code]\nsubject = "Hello from {app}"\nheading = "Hello again"')
    page.clock.run_for(500)
    expect(page.locator("#subject")).to_have_text("Hello from Acme")
    expect(page.frame_locator("[data-scheme=light]").locator("h1")).to_have_text("Hello again")
    editor.fill('[sign-in-code]\nsubject = "Hello {nobody}"')
    page.clock.run_for(500)
    expect(page.locator("#problems")).to_contain_text("unknown placeholder {nobody}")
    editor.fill('[sign-in-code]\nsubject = "Hello {app}"')
    page.get_by_role("button", name="Check and review").click()
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("status").first).to_contain_text("Stored.")
    assert "Hello {app}" in files_of(acme)["texts.toml"]


def test_it_works_without_javascript(acme: Parameters, client: Client, open_page: OpenPage) -> None:
    page = open_page(client, java_script_enabled=False)
    page.goto(f"{client.url}{PATH}")
    page.get_by_label("Add a file").fill("texts.toml")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_label("texts.toml").fill('[sign-in-code]\nheading = "Hello again"')
    page.get_by_role("button", name="Preview").click()
    expect(page.frame_locator("[data-scheme=dark]").locator("h1")).to_have_text("Hello again")


@pytest.mark.thorough
def test_it_is_accessible_and_fits_the_width(acme: Parameters, client: Client, open_page: OpenPage) -> None:
    apply(client, **TEXTS, **{"file:emails/mfa-code.html": "<p>{{ code.text }}</p>"})
    page = open_page(client, bypass_csp=True)
    page.goto(f"{client.url}{PATH}?kind=mfa-code&locale=ar")
    assert_accessible(page)
