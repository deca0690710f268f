"""The kinds that the clients list are those of the API."""

import re
from pathlib import Path

import pytest

from mailroom.api.openapi import document
from tests.clients.tools import CLIENTS

LISTS = {
    "typescript/mailroom.ts": re.compile(r"export type Kind =(.*?);", re.DOTALL),
    "python/mailroom.py": re.compile(r"^Kind = \((.*?)^\)", re.DOTALL | re.MULTILINE),
}


@pytest.mark.parametrize("file", LISTS)
def test_a_client_lists_the_kinds_of_the_api(file: str) -> None:
    block = LISTS[file].search((CLIENTS / file).read_text("utf-8"))
    assert block
    assert re.findall(r'"([a-z-]+)"', block[1]) == document()["components"]["schemas"]["Kind"]["enum"]


RECIPES = [path for path in sorted(CLIENTS.rglob("*")) if path.suffix in (".dart", ".py", ".ts")]
NAME = re.compile(r"""["']((?:[a-z]+-)+(?:code|reset|confirmation|link|notice|invitation|changed|added|removed))["']""")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_a_recipe_sends_kinds_and_events_of_the_api(path: Path) -> None:
    schemas = document()["components"]["schemas"]
    known = {*schemas["Kind"]["enum"], *schemas["SecurityEvent"]["enum"]}
    assert set(NAME.findall(path.read_text("utf-8"))) <= known
