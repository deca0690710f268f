"""The code for receivers in docs/callbacks.md, run as it stands there, with the standard's libraries."""

import json
import re
import subprocess
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from mailroom.callbacks.endpoint import post
from mailroom.model.callback import Callback
from mailroom.network.http import Answer, Url
from tests.callbacks.process import outcome_event
from tests.callbacks.receivers import OTHER_SECRET, SECRET

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "callbacks.md").read_text(encoding="utf-8")
DRIVER = """
const handled = [], seen = new Set();
const isNew = (id) => !seen.has(id) && seen.add(id);
const handle = (type, data) => handled.push([type, data.message_id]);
const requests = JSON.parse(await new Response(process.stdin).text());
const statuses = requests.map(({ body, headers }) => receive(body, headers));
console.log(JSON.stringify({ statuses, handled }));
"""


class Captured:
    """In place of the connections to endpoints: keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def request(self, method: str, url: Url, headers: Any, content: bytes = b"") -> Answer:
        self.requests.append({"body": content.decode(), "headers": dict(headers)})
        return Answer(204, {}, b"")


def snippet(language: str) -> str:
    match = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert match
    return match[1].replace("whsec_…", SECRET)


@pytest.fixture
def requests() -> list[dict[str, Any]]:
    """An event that comes twice, during a rotation, and one that somebody else has signed."""
    import time

    captured = Captured()
    both = Callback.of("callbacks/acme", {"url": "https://hooks.example.com", "secrets": [OTHER_SECRET, SECRET]})
    other = Callback.of("callbacks/acme", {"url": "https://hooks.example.com", "secrets": [OTHER_SECRET]})
    for callback in (both, both, other):
        assert post(captured, callback, outcome_event(), time.time()).is_accepted
    return captured.requests


EXPECTED = {"statuses": [204, 204, 401], "handled": [["message.sent", outcome_event().message_id]]}


def test_the_receiver_in_python_accepts_our_events_and_no_others(requests: list[dict[str, Any]]) -> None:
    handled: list[list[str]] = []
    seen: set[str] = set()

    def is_new(id_: str) -> bool:
        return not (id_ in seen or seen.add(id_))  # type: ignore[func-returns-value]

    names: dict[str, Any] = {
        "is_new": is_new,
        "handle": lambda type_, data: handled.append([type_, data["message_id"]]),
    }
    exec(snippet("python"), names)  # noqa: S102
    statuses = [names["receive"](request["body"].encode(), request["headers"]) for request in requests]
    assert {"statuses": statuses, "handled": handled} == EXPECTED


@pytest.mark.skipif(
    which("node") is None or not (HERE / "node_modules").is_dir(),
    reason="needs node and its packages: install node, then `npm ci` in tests/callbacks (`make test` does)",
)
def test_the_receiver_in_javascript_accepts_our_events_and_no_others(requests: list[dict[str, Any]]) -> None:
    script = snippet("javascript").replace("export function", "function") + DRIVER
    command = ["node", "--input-type=module", "--eval", script]
    done = subprocess.run(command, cwd=HERE, input=json.dumps(requests), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == EXPECTED


def test_the_event_on_the_page_has_the_fields_of_a_real_one() -> None:
    match = re.search(r"^```json\n(\{\n.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert match
    shown = json.loads(match[1])
    real = outcome_event(idempotency_key="key", provider="resend", reason="no_mailbox", permanent=True)
    assert list(shown["data"]) == list(json.loads(real.to_json())["data"])
    assert list(shown) == list(json.loads(real.to_json()))
