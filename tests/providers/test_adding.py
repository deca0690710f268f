"""Adding a provider takes one file on each side and its name in one line."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mailroom_ops.local import bytecode

ROOT = Path(__file__).parents[2]
EXAMPLE = Path(__file__).parent / "example"
LAST = '"http")'  # of the line with all names

USE = """
from mailroom.errors import ConfigurationError, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.providers import BatchProvider, is_configured, load, spec_of, warm_up
from mailroom_ops import domains
from mailroom_ops.doctor import accounts
from mailroom_ops.environment import Environment
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.server import Sandbox
from mailroom_ops.settings import catalog

def error_of(email):
    try:
        provider.send(email, "key-2")
    except Exception as error:
        return type(error), error.code, error.retry_after

warm_up(["acme"])
email = Email(Mailbox("no-reply@example.com", "Acme"), "ada@example.org", "Hi", "<p>Hi</p>", "Hi", tags={"tenant": "t"})
with Sandbox() as sandbox:
    settings = sandbox.settings("acme")
    assert is_configured("acme.tenant", settings) and not is_configured("acme", {})
    provider = load("acme", settings)
    assert not isinstance(provider, BatchProvider) and not spec_of("acme").batch

    receipt = provider.send(email, "key-1")

    [mail] = sandbox.inbox.all()
    assert (mail.provider, mail.id, mail.to, mail.tenant) == ("acme", receipt.id, "ada@example.org", "t"), mail
    sandbox.faults.add("acme", Fault(Kind.STATUS, 500))
    assert error_of(email) == (UnknownOutcome, "http_500", None)
    sandbox.faults.add("acme", Fault(Kind.RATE_LIMIT, seconds=3))
    assert error_of(email) == (TemporaryFailure, "rate_limited", 4)
    unverified = Email(Mailbox("no-reply@unverified.example"), "ada@example.org", "Hi", "<p>Hi</p>", "Hi")
    assert error_of(unverified) == (ConfigurationError, "unverified_sender", None)

setting = catalog.find("providers/acme.tenant/api_key")
assert setting.is_secret and catalog.find("providers/acme/endpoint") and not catalog.find("providers/acme/other")
assert catalog.fault("senders/default/auth", '{"from": "a@example.com", "providers": ["acme"]}') == ""
assert catalog.account_fault("acme", settings) == ""
assert catalog.account_fault("acme", {}) == "providers/acme/api_key is not set"
environment = Environment("staging")
assert domains.load("acme", environment, settings) is None
[finding] = accounts.check("acme", environment, settings, ["example.com"])
assert "--send-test-to" in finding.todo, finding
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of both packages."""
    for package in ("layers/mailroom/mailroom", "ops/mailroom_ops"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "static"))
    return tmp_path


def run(copy: Path, code: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(copy / "layers/mailroom"), str(copy / "ops")])
    environment = {"PYTHONPATH": path, **bytecode.VARIABLE}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def test_a_provider_is_added_with_a_file_on_each_side_and_a_name(copy: Path) -> None:
    package = copy / "layers/mailroom/mailroom/providers"
    shutil.copy(EXAMPLE / "adapter.py", package / "acme.py")
    shutil.copy(EXAMPLE / "stub.py", copy / "ops/mailroom_ops/sandbox/acme.py")
    names = package / "__init__.py"
    assert names.read_text().count(LAST) == 1
    names.write_text(names.read_text().replace(LAST, '"http", "acme")'))

    done = run(copy, USE)

    assert (done.returncode, done.stderr) == (0, "")


def test_without_its_name_in_the_list_a_provider_is_unknown(copy: Path) -> None:
    shutil.copy(EXAMPLE / "adapter.py", copy / "layers/mailroom/mailroom/providers/acme.py")

    done = run(copy, "from mailroom.providers import load; load('acme', {'api_key': 'key'})")

    assert "unknown provider 'acme': use resend, " in done.stderr
