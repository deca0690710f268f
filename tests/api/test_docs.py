"""The examples of docs/send.md and events/ work."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.api.client import KEY, Client
from tests.cloud import ROOT
from tests.running import Running

PAGE = (ROOT / "docs/send.md").read_text(encoding="utf-8")
LOCAL = "http://127.0.0.1:3000"
EVENTS = sorted((ROOT / "events").glob("send-*.json"), key=lambda path: path.name)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("text", blocks("json"), ids=["one", "many"])
def test_each_request_in_the_docs_is_accepted(client: Client, text: str) -> None:
    answer = client.invoke(json.loads(text))
    assert {result["status"] for result in answer.get("results", [answer])} <= {"sent", "accepted"}


def test_the_commands_in_the_docs_send_a_mail(stack: Running) -> None:
    if not shutil.which("curl"):
        pytest.skip("needs curl: install it with apt-get install curl")
    to = stack.address()
    command, _ = blocks("console")[0].removeprefix("$ ").split("\n{")
    command = command.replace(LOCAL, stack.url).replace("reader@example.com", to)

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)

    assert json.loads(done.stdout)["message_id"] == stack.mail_to(to).message_id


def test_the_program_in_the_docs_sends_a_mail(stack: Running) -> None:
    to = stack.address()
    program = blocks("python")[0].replace(LOCAL, stack.url).replace("reader@example.com", to)

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == ""
    assert stack.mail_to(to).locale == "de"


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_each_sample_event_is_answered(client: Client, path: Path) -> None:
    event: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if "routeKey" not in event:
        answer = client.invoke(event)
        assert {result["status"] for result in answer.get("results", [answer])} <= {"sent", "accepted"}
        return
    client.put("api/keys/shown", event["headers"]["authorization"].removeprefix("Bearer "))
    assert client.function(event)["statusCode"] == (404 if "{id}" in event["routeKey"] else 200)
    event["headers"]["authorization"] = f"Bearer {KEY}x"
    assert client.function(event)["statusCode"] == 401


def test_the_docs_name_every_field_status_and_kind(root: Path) -> None:
    described = json.loads((root / "functions/send/openapi.json").read_text(encoding="utf-8"))["components"]["schemas"]
    kinds = described["Kind"]["enum"]
    words = [*described["SendRequest"]["properties"], *described["Answer"]["properties"]["status"]["enum"], *kinds]
    assert [word for word in words if f"`{word}`" not in PAGE] == []
