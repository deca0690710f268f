"""FastAPI Users from PyPI with our user manager: each mail completes the flow that sent it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.clients.tools import variables
from tests.running import Running


def test_each_flow_of_fastapi_users_completes_with_its_mail(stack: Running, root: Path) -> None:
    ada, ada_new = stack.address(), stack.address()

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.clients.fastapi_project", ada, ada_new],
        cwd=root,
        env={**os.environ, **variables(stack), "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "verified": True,
        "notice": "Mailroom: Ihr Passwort wurde geändert",
        "changed": ada_new,
        "verified again": True,
        "endpoint": "sent",
    }
    mails = [mail for mail in stack.sandbox.inbox.all() if mail.to in (ada, ada_new)]
    assert {mail.locale for mail in mails if mail.kind != "sign-in-code"} == {"de"}
    assert "60 Minuten" in next(mail.text for mail in mails if mail.kind == "password-reset")
