"""The Dart files, as far as they can be checked without a Dart SDK: their requests and callbacks."""

import json
import re
from pathlib import Path

from mailroom.model.kinds import KINDS
from mailroom.sources.send_schema import SendRequest
from tests.clients.tools import CLIENTS

CLIENT = (CLIENTS / "dart" / "mailroom.dart").read_text("utf-8")
RECIPE = (CLIENTS / "dart" / "serverpod.dart").read_text("utf-8")


def test_the_dart_client_sends_the_fields_of_the_api() -> None:
    fields = CLIENT.partition("final fields = {")[2].partition("}")[0]
    assert set(re.findall(r"'(\w+)':", fields)) <= set(SendRequest.model_fields)
    assert len(re.findall(r"'(\w+)':", fields)) == 8


def test_the_dart_recipe_sends_kinds_that_exist() -> None:
    assert set(re.findall(r"_send\('([a-z-]+)'", RECIPE)) == {"sign-up-code", "password-reset"}
    assert {"sign-up-code", "password-reset"} <= set(KINDS)


def test_the_dart_recipe_has_each_callback_of_serverpod_with_its_arguments(contracts: Path) -> None:
    callbacks = json.loads((contracts / "auth-servers" / "serverpod" / "callbacks.json").read_text("utf-8"))[
        "callbacks"
    ]
    assert callbacks
    for callback in callbacks:
        name = callback["callback"].partition(".")[2]
        signature = re.search(rf"Future<(?:void|bool)> {name}\((.*?)\) =>", RECIPE, re.DOTALL)
        assert signature, name
        assert re.findall(r"(\w+)(?:,|$|\})", signature[1].strip()) == list(callback["arguments"])
