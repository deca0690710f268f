"""No page of the console and no command shows what is for the recipient alone: codes, links, text, addresses."""

import json
import re
from collections.abc import Iterator
from html import unescape

import pytest
import yaml

from mailroom.model.message import Message, Parcel, new_id
from mailroom_ops.cli.main import main
from mailroom_ops.local.stack import SECRETS
from tests.running import Running, running

pytestmark = pytest.mark.thorough

CODE, LINK, BODY = "KX9044", "https://app.example.com/invite/canary-5512", "Canary of a paragraph"
READER, COMPLAINER = "reader-canary@example.com", "complained+canary@example.com"  # the second one is suppressed
ADDRESSED = ("/console/suppressions", "suppressions")  # the only place with complete addresses, to act on them
HREF = re.compile(r'(?:href|action)="(/console/[^"#]+)"')


@pytest.fixture(scope="module")
def used() -> Iterator[Running]:
    """A stack with delivered, bounced, complained and undeliverable messages."""
    with running(reports=True) as stack:
        for to in (READER, COMPLAINER):
            stack.logto({"to": to, "type": "SignIn", "payload": {"code": CODE}})
            stack.logto({"to": to, "type": "OrganizationInvitation", "payload": {"link": LINK}})
        body = {"kind": "notification", "to": READER, "data": {"title": BODY, "paragraphs": [BODY]}}
        stack.request("POST", "/2015-03-31/functions/send/invocations", json.dumps(body))
        stack.mails_to(READER, 3)
        stack.until(lambda: COMPLAINER in stack.request("GET", "/console/suppressions").text)
        bury(stack)
        yield stack


def bury(stack: Running) -> None:
    """Add a copy of a parcel, and an unreadable message, to the dead letters."""
    data = {"code": CODE, "link": LINK, "title": BODY}
    parcel = Parcel.of(Message(new_id(), "default", "sign-in-code", READER, data, 1.0, 2.0, "logto"))
    url = stack.stack.blueprint.queue_url("CodesDeadLetterQueue")
    for body in (parcel.to_json(), f"{READER} {CODE} {LINK} {BODY}"):
        stack.aws("sqs").send_message(QueueUrl=url, MessageBody=body)


def secrets() -> list[str]:
    """Return the values of the local stack that are secrets."""
    values: dict[str, str] = yaml.safe_load(SECRETS.read_text("utf-8"))
    return [value for name, value in values.items() if re.search("authorization|key|secret|token|password", name)]


def private_data(output: str, place: str) -> list[str]:
    text = unescape(output)
    addresses = () if place.startswith(ADDRESSED) else (READER, COMPLAINER)
    return [canary for canary in (CODE, LINK, BODY, *addresses, *secrets()) if canary in text]


def test_no_page_shows_private_data(used: Running) -> None:
    page = used.request("GET", "/console/queues").text
    token = re.findall(r'name="token" value="([^"]+)"', page)[0]
    form = {"content-type": "application/x-www-form-urlencoded"}
    started = used.request("POST", "/console/queues/codes", f"token={token}&do=look", form)
    assert started.status in (200, 303)
    used.until(lambda: "unreadable" in used.request("GET", "/console/queues/codes").text)
    queue, seen = ["/console/deliveries", "/console/queues/codes"], dict[str, str]()
    while queue:
        path = queue.pop()
        answer = used.request("GET", path)
        seen[path] = answer.text
        links = [unescape(link) for link in HREF.findall(answer.text)]
        queue += [
            link for link in dict.fromkeys(links) if link not in {*seen, *queue} and not re.search(r"\.|check=", link)
        ]
    results = used.request("POST", "/console/deliveries", f"token={token}&what={READER}", form).text
    assert results.count("r•••@example.com") == 3
    assert len([path for path in seen if re.match(r"/console/deliveries/[0-9a-f]{32}", path)]) >= 5
    assert {path: leaks for path, shown in seen.items() if (leaks := private_data(shown, path))} == {}
    # A search repeats its term, and shows nothing else.
    assert private_data(results.replace(READER, ""), "") == []


def test_no_command_prints_private_data(
    used: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MAILROOM_URL", used.url)
    commands = [
        *(f"{command} {READER}{form}" for command in ("trace",) for form in ("", " --json")),
        *("log", "log --json", "stats", "stats --json", "dlq list", "dlq list --json", "suppressions list"),
        *("tenant list", "secrets list", "secrets list --json"),
    ]
    printed = {}
    for command in commands:
        assert main([*command.split(), "--env", "local"]) == 0, command
        printed[command] = "".join(capsys.readouterr())
    assert "sign-in-code" in printed[f"trace {READER}"]
    assert "unreadable" in printed["dlq list"]
    assert COMPLAINER in printed["suppressions list"]
    assert {command: leaks for command, shown in printed.items() if (leaks := private_data(shown, command))} == {}
