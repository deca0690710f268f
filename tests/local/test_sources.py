"""`mailroom sources` against the running stack: each printed command sends a mail."""

import shutil
import subprocess

import pytest

from mailroom.sources import registry
from tests.command import Run
from tests.running import Running

TIMEOUT_SECONDS = 30
KINDS = {
    "logto": "sign-in-code",
    "supabase": "sign-in-code",
    "kratos": "sign-in-code",
    "entra": "sign-up-code",
    "hanko": "sign-in-code",
    "neon": "sign-in-code",
}


def commands(run: Run, *names: str) -> list[str]:
    printed = run("sources", *(("list", *names) if names else ()))
    assert printed.code == 0
    return [block for block in printed.out.split("\n\n") if block.strip()]


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
@pytest.mark.parametrize("name", [*registry.NAMES, *registry.SEALED])
def test_the_printed_command_of_a_source_sends_its_mail(
    run: Run, stack: Running, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_URL", stack.url)
    stack.clear()
    (command,) = commands(run, name)
    assert command.startswith(f"# {name}: {stack.url}/webhooks/{name}\n")
    done = subprocess.run(["sh", "-c", f"{command} --silent --fail"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (mail,) = stack.sandbox.inbox.wait(1, TIMEOUT_SECONDS)
    assert mail.to.endswith("@example.com")
    assert mail.kind == KINDS.get(name, mail.kind)


def test_all_sources_are_listed_with_a_command(run: Run) -> None:
    listed = [block.splitlines()[0].split(":")[0] for block in commands(run)]
    assert set(listed) == {f"# {name}" for name in (*registry.NAMES, *registry.SEALED)}


def test_an_unknown_source_is_refused_with_the_known_ones(run: Run) -> None:
    done = run("sources", "list", "nobody")
    assert done.code == 2
    assert "There is no source nobody. Use logto, supabase" in done.text
