"""The API page: what the OpenAPI document contains, and commands that send."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import assert_accessible
from tests.running import Running


@pytest.fixture
def page(browser: Browser, stack: Running) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, bypass_csp=True)
    opened = context.new_page()
    requests: list[str] = []
    opened.on("request", lambda request: requests.append(request.url))
    opened.goto(f"{stack.url}/docs")
    yield opened
    assert [url for url in requests if not url.startswith(stack.url)] == []
    context.close()


def test_the_page_has_each_operation_schema_field_and_example(page: Page, root: Path) -> None:
    document = json.loads((root / "functions/send/openapi.json").read_text(encoding="utf-8"))
    text = page.locator("main").text_content() or ""
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert path in text
            assert operation["summary"] in text
            examples = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for name in examples.get("examples", {}):
                expect(
                    page.locator(f"#{operation['operationId']} summary").filter(has_text=name).first
                ).to_be_attached()
            for status, response in operation["responses"].items():
                assert f"{status} {response['description']}" in text
    for name, schema in document["components"]["schemas"].items():
        section = page.locator(f"section#{name}").text_content() or ""
        assert [
            field for field in (*schema.get("properties", ()), *schema.get("enum", ())) if field not in section
        ] == []


def test_each_link_of_the_page_has_a_target(page: Page) -> None:
    targets = page.eval_on_selector_all(".api a[href^='#']", "links => links.map(link => link.hash.slice(1))")
    assert targets
    assert [target for target in set(targets) if page.locator(f"[id='{target}']").count() != 1] == []


def test_each_command_of_the_page_sends_or_looks_up(page: Page, stack: Running) -> None:
    if not shutil.which("curl"):
        pytest.skip("needs curl: install it with apt-get install curl")
    commands = page.locator("[data-copy]").all_text_contents()
    assert len(commands) > 12
    for command in commands:
        to = stack.address()
        unique = re.sub(r'("idempotency_key": ?")', rf"\g<1>{to} ", command.replace("reader@example.com", to))
        done = subprocess.run(["bash", "-c", f"{unique} --silent"], capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout)
        if "--json" in command:
            assert {result["status"] for result in answer.get("results", [answer])} <= {"sent", "accepted"}, answer
        else:
            assert answer == {"status": "refused", "errors": [{"field": "id", "message": "There is no such email."}]}


@pytest.mark.thorough
def test_the_page_is_accessible_on_a_desk_and_on_a_phone(page: Page) -> None:
    for details in page.locator("details").all():
        details.evaluate("element => element.open = true")
    assert_accessible(page)


def test_the_page_is_for_reading_and_in_the_navigation(page: Page, stack: Running) -> None:
    page.goto(stack.url)
    page.get_by_role("link", name="API", exact=True).click()
    expect(page.locator("h1")).to_have_text("Mailroom API")
    assert stack.request("POST", "/docs").status == 405
    assert stack.request("GET", "/docs/api.html").status == 404
