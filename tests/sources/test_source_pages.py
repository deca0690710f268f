"""The pages of docs/sources: their settings exist, and the requests that they show are accepted."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom_ops.settings import catalog
from tests.cloud import put
from tests.sources.rendered import Rendered

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs/sources").glob("*.md"))
COMMAND = re.compile(r"mailroom secrets set ([^`\n]*)")
BODY = re.compile(r"^(?:```json\n|\$ curl .* -d ')(?P<body>\{.*?\})(?:\n```|'\n)", re.MULTILINE | re.DOTALL)
NOW = 1_800_000_000.0
BEARER = {"authorization": "Bearer a-token-of-the-tests", "content-type": "application/json"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_settings_of_a_page_exist_and_its_values_are_valid(page: Path) -> None:
    for command in COMMAND.findall(page.read_text("utf-8")):
        name, *values = shlex.split(command.partition(" --")[0])
        assert catalog.find(name), command
        for value in values:
            assert not catalog.fault(name, value), command


def bodies(page: str) -> list[dict[str, Any]]:
    """Return the JSON bodies of requests that a page shows."""
    text = (ROOT / "docs/sources" / f"{page}.md").read_text("utf-8")
    return [json.loads(match["body"]) for match in BODY.finditer(text)]


@pytest.mark.parametrize("page", ["curity", "rendered"])
def test_a_rendered_mail_on_a_page_is_accepted(aws: Aws, environment: pytest.MonkeyPatch, page: str) -> None:
    put(aws, "webhooks/rendered/secret", BEARER["authorization"])
    rendered = Rendered(aws)
    (body,) = bodies(page)
    assert rendered.post("rendered", BEARER, json.dumps(body), NOW).status == 200
    message = rendered.message()
    assert message.content
    assert (message.to, message.content.subject) == (body["to"], body["subject"])


def test_every_page_is_in_the_list_of_pages() -> None:
    index = (ROOT / "docs/sources/README.md").read_text("utf-8")
    assert [page.name for page in PAGES if f"({page.name})" not in index and page.name != "README.md"] == []
