"""Clients generated from the OpenAPI document: they compile without complaint, and send."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.tools import HERE, compile_typescript, needs_node
from tests.running import Running

pytestmark = pytest.mark.thorough

KEY = "local-api-key"
PROGRAM = """
import sys

from mailroom_client import AuthenticatedClient
from mailroom_client.api.send import send
from mailroom_client.models import Answer, Data, Kind, Refusal, SendRequest

url, key, to = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=key)
request = SendRequest(kind=Kind.SIGN_IN_CODE, to=to, locale="de", data=Data(code="048213"))
answer = send.sync(client=client, body=request)
assert isinstance(answer, Answer), answer
refusal = send.sync(client=client, body=SendRequest(kind="sign-in-cod", to=to, data=Data(code="048213")))
assert isinstance(refusal, Refusal), refusal
assert refusal.errors[0].message == "There is no kind sign-in-cod. Did you mean sign-in-code?"
"""


def test_a_client_by_openapi_python_client_sends(stack: Running, root: Path, tmp_path: Path) -> None:
    folder = str(Path(sys.executable).parent)
    variables = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}  # it runs ruff
    generate = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"]
    document = root / "functions" / "send" / "openapi.json"
    to = stack.address()

    generated = subprocess.run(
        [*generate, "--path", str(document), "--output-path", "mailroom_client"],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
    )
    assert generated.returncode == 0, generated.stdout + generated.stderr
    (tmp_path / "program.py").write_text(PROGRAM, "utf-8")
    done = subprocess.run(
        [sys.executable, "program.py", stack.url, KEY, to], cwd=tmp_path, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert (stack.mail_to(to).kind, stack.mail_to(to).locale) == ("sign-in-code", "de")


@needs_node
def test_types_by_openapi_typescript_compile_strictly_and_send(stack: Running, root: Path, tmp_path: Path) -> None:
    to = stack.address()
    tool = HERE / "node_modules" / "openapi-typescript" / "bin" / "cli.js"
    document = root / "functions" / "send" / "openapi.json"

    subprocess.run(["node", tool, document, "-o", tmp_path / "schema.ts"], capture_output=True, check=True)
    shutil.copy(HERE / "generated.ts", tmp_path)
    program = compile_typescript(tmp_path / "generated.ts", tmp_path / "out")
    done = subprocess.run(["node", program, stack.url, KEY, to], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sent"] == "sent"
    assert "Did you mean sign-in-code?" in json.loads(done.stdout)["refused"]
    assert (stack.mail_to(to).kind, stack.mail_to(to).locale) == ("sign-in-code", "de")


@needs_node
def test_a_misspelled_field_does_not_compile(root: Path, tmp_path: Path) -> None:
    tool = HERE / "node_modules" / "openapi-typescript" / "bin" / "cli.js"
    document = root / "functions" / "send" / "openapi.json"
    subprocess.run(["node", tool, document, "-o", tmp_path / "schema.ts"], capture_output=True, check=True)
    source = (HERE / "generated.ts").read_text("utf-8").replace("locale: [", "locales: [")
    (tmp_path / "generated.ts").write_text(source, "utf-8")

    with pytest.raises(AssertionError, match="'locales' does not exist"):
        compile_typescript(tmp_path / "generated.ts", tmp_path / "out")
