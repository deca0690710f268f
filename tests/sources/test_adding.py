"""Adding a source takes one file and its name in one line; docs/adding-a-source.md shows this one."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from mailroom.sources import registry
from mailroom_ops.local import bytecode

ROOT = Path(__file__).parents[2]
EXAMPLE = Path(__file__).parent / "example/acme.py"
PAGE = (ROOT / "docs/adding-a-source.md").read_text(encoding="utf-8")
NAMES = re.compile(r"^NAMES = \(", re.MULTILINE)

USE = """
import base64, hashlib, hmac, json
from mailroom.errors import ConfigurationError, RequestError
from mailroom.request import Request
from mailroom.sources import registry
from mailroom_ops.settings import catalog

NOW = 1_800_000_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
source = registry.load("acme")

class Settings:
    def __init__(self, values):
        self.values = values
    def lookup(self, path, name):
        assert path == "webhooks/acme"
        return self.values.get(name, "")
    def missing(self, name):
        return ConfigurationError("settings", "missing", name)

def messages(body, at=NOW, secret=SECRET, tenant=None, values={"webhooks/acme/secret": SECRET}):
    raw = json.dumps(body).encode()
    digest = hmac.digest(base64.b64decode(secret[6:]), f"id.{at}.".encode() + raw, hashlib.sha256)
    headers = {"webhook-id": "id", "webhook-timestamp": str(at), "content-type": "application/json"}
    headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
    request = Request("POST", {"tenant": tenant} if tenant else {}, headers, raw, "203.0.113.9", at)
    return source.parse(source.authenticate(request, Settings(values), 600))

def refusal(*arguments, **options):
    try:
        messages(*arguments, **options)
    except (RequestError, ConfigurationError) as error:
        return getattr(error, "status", error.args[0])

body = {"id": "e1", "at": "2027-01-15T08:00:00Z", "ends": "2027-01-15T08:05:00Z", "purpose": "login",
        "email": "ada@example.com", "code": "482913", "language": "de"}
[message] = messages(body)
assert (message.source, message.tenant, message.kind, message.locales) == ("acme", "default", "sign-in-code", ("de",))
assert message.expires_at - message.created_at == 300
assert messages(body, at=NOW + 7200) == [message], "a retry is the same message"
assert messages({**body, "sent_by_acme": True}) == []
assert refusal({**body, "code": 1}) == 422 and refusal(body, secret="whsec_b3RoZXI=") == 401
assert refusal(body, tenant="nobody") == 401
assert refusal(body, values={}) == "settings: missing (webhooks/acme/secret)"
assert messages(body, tenant="beta", values={"webhooks/acme/beta/secret": SECRET})[0].tenant == "beta"
setting = catalog.find("webhooks/acme/beta/secret")
assert setting.is_secret and setting.is_rotatable and catalog.find("webhooks/acme/other") is None
"""


def test_one_file_and_one_name_add_a_source(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    shutil.copytree(ROOT / "layers/mailroom/mailroom", layer / "mailroom", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(EXAMPLE, layer / "mailroom/sources")
    path = layer / "mailroom/sources/registry.py"
    names, count = NAMES.subn('NAMES = ("acme", ', path.read_text(encoding="utf-8"))
    assert count == 1
    path.write_text(names, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", USE],
        env={**os.environ, **bytecode.VARIABLE, "PYTHONPATH": os.pathsep.join([str(layer), str(ROOT / "ops")])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_page_shows_the_declaration_of_the_example() -> None:
    declaration = EXAMPLE.read_text(encoding="utf-8").partition("SOURCE = ")[2]
    assert f"SOURCE = {declaration.rstrip()}" in PAGE


def test_every_source_has_its_page_and_its_tests() -> None:
    for name in registry.NAMES:
        page = "docs/logto.md" if name == "logto" else f"docs/sources/{name}.md"
        assert (ROOT / page).is_file(), page
        assert (ROOT / f"tests/sources/test_{name}.py").is_file(), name
