"""The Dart client and the callbacks of Serverpod: compiled by Dart, and run."""

import json
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import pytest

from mailroom.sources.send_schema import SendRequest
from tests.clients.scripted import SCENARIOS, assert_report, serve
from tests.clients.tools import CLIENTS, blocks
from tests.running import Running

HERE = Path(__file__).parent
PACKAGED = HERE / "node_modules/sass-embedded-linux-ia32/dart-sass/src/dart"
LOADER = Path("/lib/ld-linux.so.2")  # of 32-bit programs, from libc6-i386
SDK = shutil.which("dart")
CAN_RUN_PACKAGED = platform.machine() == "x86_64" and PACKAGED.is_file() and LOADER.exists()
LOCAL = "http://127.0.0.1:3000"
SETUP = """import 'mailroom.dart';
import 'serverpod.dart';
import 'serverpod_types.dart';

void configure(Serverpod pod) {
%s}
"""

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(
        not (SDK or CAN_RUN_PACKAGED),
        reason="needs Dart: an SDK; or `npm ci` in tests/dart (`make test` does) and apt-get install libc6-i386",
    ),
]


def run(folder: Path, program: str, *arguments: str) -> list[str]:
    """Compile a program beside the client, and run it; return the lines that it prints."""
    for path in (*(CLIENTS / "dart").glob("*.dart"), *HERE.glob("*.dart")):
        shutil.copy(path, folder)
    dart = [SDK, "run"] if SDK else [str(PACKAGED)]
    done = subprocess.run([*dart, program, *arguments], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def bodies(requests: Iterable[tuple[object, dict[str, object]]]) -> list[dict[str, object]]:
    return [{name: value for name, value in body.items() if name != "idempotency_key"} for _, body in requests]


def test_the_dart_client_retries_and_reports_as_described(tmp_path: Path) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(serve(*scenario.replies)) for scenario in SCENARIOS]
        reports = run(tmp_path, "driver.dart", *(server.url for server in servers))
    for scenario, server, report in zip(SCENARIOS, servers, reports, strict=True):
        assert_report(scenario, server, json.loads(report))
        for body in bodies(server.requests):
            SendRequest.model_validate(body)


def test_each_callback_of_serverpod_sends_its_mail_or_fails(stack: Running, tmp_path: Path) -> None:
    code = "".join(block for _, block in blocks("integrations/serverpod"))
    (tmp_path / "setup.dart").write_text(SETUP % code, "utf-8")
    readers = [stack.address() for _ in range(4)]

    results = run(tmp_path, "serverpod_flows.dart", stack.url, *readers, "local-api-key", "another-key")

    assert [line for line in results if "HTTP 401" not in line] == ["true", "true", "undone: 401", "false", "false"]
    assert len(results) == 8  # `onError` has reported each of the three failures
    mails = [stack.mail_to(to) for to in readers]
    assert [mail.kind for mail in mails] == ["sign-up-code", "password-reset"] * 2
    for mail, code in zip(mails, ("k3x9q0ab", "z8m2p4cd", "A1B2C3D4", "B2C3D4E5"), strict=True):
        assert code in mail.text.replace("-", "")
        assert "15 Minuten" in mail.text and "Acme App" in mail.text


def test_the_dart_program_of_the_page_sends_a_mail_and_ends(stack: Running, tmp_path: Path) -> None:
    to = stack.address()
    code = dict(blocks("send"))["send.dart"].replace(LOCAL, stack.url).replace("reader@example.com", to)
    (tmp_path / "send.dart").write_text(code, "utf-8")

    run(tmp_path, "send.dart")

    assert "048217" in stack.mail_to(to).text
    assert stack.mail_to(to).locale == "de"


def test_the_dart_recipe_has_each_callback_of_serverpod_with_its_arguments(contracts: Path) -> None:
    recipe = (CLIENTS / "dart" / "serverpod.dart").read_text("utf-8")
    path = contracts / "auth-servers" / "serverpod" / "callbacks.json"
    callbacks = json.loads(path.read_text("utf-8"))["callbacks"]
    assert callbacks
    for callback in callbacks:
        name = callback["callback"].partition(".")[2]
        signature = re.search(rf"Future<(?:void|bool)> {name}\((.*?)\) =>", recipe, re.DOTALL)
        assert signature, name
        assert re.findall(r"(\w+)(?:,|$|\})", signature[1].strip()) == list(callback["arguments"])
