"""The programs of docs/send.md that use a client."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.clients.tools import CLIENTS, blocks, compile_typescript, needs_node
from tests.running import Running

LOCAL = "http://127.0.0.1:3000"


def program(stack: Running, file: str, to: str) -> str:
    """Return a program of the page that sends to an address through the stack."""
    return dict(blocks("send"))[file].replace(LOCAL, stack.url).replace("reader@example.com", to)


@needs_node
def test_the_typescript_program_sends_a_mail(stack: Running, tmp_path: Path) -> None:
    to = stack.address()
    shutil.copy(CLIENTS / "typescript" / "mailroom.ts", tmp_path)
    (tmp_path / "send.ts").write_text(program(stack, "send.ts", to), "utf-8")

    subprocess.run(["node", compile_typescript(tmp_path / "send.ts", tmp_path / "out")], check=True)

    assert "048215" in stack.mail_to(to).text
    assert stack.mail_to(to).locale == "de"


def test_the_python_program_sends_a_mail(stack: Running, tmp_path: Path) -> None:
    to = stack.address()
    shutil.copy(CLIENTS / "python" / "mailroom.py", tmp_path)
    (tmp_path / "send.py").write_text(program(stack, "send.py", to), "utf-8")

    subprocess.run([sys.executable, "send.py"], cwd=tmp_path, check=True)

    assert "048216" in stack.mail_to(to).text
    assert stack.mail_to(to).locale == "de"
