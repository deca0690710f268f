"""The doctor page: the checks of the command as a job, with progress, advice and copyable commands."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from mailroom_ops import doctor as checks
from mailroom_ops.finding import Finding, failed, ok, warning
from tests.browser import assert_accessible
from tests.console.client import Client, LedgerWriter, OpenPage, StartConsole
from tests.running import Running

PATH = "/console/doctor"
FINDINGS = {
    "stack": [ok("stack", "is deployed")],
    "providers": [failed("resend", "answers with 503", "Check it: `mailroom doctor --only providers`.")],
    "queues": [warning("codes", "5 dead letters", "mailroom dlq list --env staging")],
}


@pytest.fixture
def client(messages: LedgerWriter, start_console: StartConsole, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client of a console whose checks have the findings above: the checks have tests of their own."""

    def run(context: checks.Context, areas: list[str]) -> Iterator[tuple[str, Finding]]:
        for area in areas:
            yield from ((area, finding) for finding in FINDINGS.get(area, []))

    monkeypatch.setattr("mailroom_ops.console.doctor.run_checks", run)
    client = start_console("staging")
    client.log_in()
    return client


def finished(client: Client) -> str:
    Running.until(lambda: "<progress" not in client.get(PATH).text)
    return client.text(PATH)


def test_the_checks_run_on_request_and_show_each_finding_with_its_advice(client: Client) -> None:
    assert "Run the checks" in client.text(PATH)
    answer = client.post(PATH)
    assert (answer.status, answer.headers["location"]) == (303, PATH)
    shown = finished(client)
    assert "1 ok, 1 warning, 1 failed" in shown
    assert "resend failed: answers with 503 Check it: mailroom doctor --only providers ." in shown
    assert "Domains DNS of the sending domains nothing to check" in shown


def test_some_areas_are_checked_alone(client: Client) -> None:
    assert 'value="providers" checked' in client.get(f"{PATH}?area=providers").text
    client.post(PATH, area="providers")
    shown = finished(client)
    assert "Providers" in shown
    assert "Queues queues and dead letters" not in shown


def test_an_unknown_area_is_an_error_in_one_sentence(client: Client) -> None:
    answer = client.get(f"{PATH}?area=%3Cb%3E")
    assert (answer.status, "<b>" in answer.text) == (400, False)


def test_a_request_of_another_page_starts_no_check(client: Client) -> None:
    assert client.post(PATH, token="guess").status == 403
    assert "Run the checks" in client.text(PATH)


def test_the_command_of_an_advice_is_copied(client: Client, open_page: OpenPage) -> None:
    page = open_page(client, bypass_csp=True)
    page.goto(f"{client.url}{PATH}")
    page.get_by_role("button", name="Run the checks").click()
    page.clock.run_for(2000)
    copy = page.get_by_role("button", name="Copy mailroom dlq list --env staging")
    expect(copy).to_be_visible()
    assert_accessible(page)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    copy.click()
    expect(copy).to_have_text("Copied")
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('denied')); }")
    copy.click()
    expect(copy).to_have_text("Not allowed: press Ctrl-C")
    assert page.evaluate("getSelection().toString()") == "mailroom dlq list --env staging"


def test_the_alerts_of_the_banner_are_shown_without_javascript(
    client: Client, messages: LedgerWriter, open_page: OpenPage
) -> None:
    messages.waiting(attempts=3)
    page = open_page(client, java_script_enabled=False)
    page.get_by_role("navigation").get_by_role("link", name="Doctor").click()
    expect(page.get_by_role("region", name="Needs attention")).to_contain_text("resend is down")
