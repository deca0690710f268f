"""FastAPI Users from PyPI with our user manager: each mail completes the flow that sent it."""

import pytest

from tests.clients.tools import run_project
from tests.running import Running

pytestmark = pytest.mark.thorough


def test_each_flow_of_fastapi_users_completes_with_its_mail(stack: Running) -> None:
    ada, ada_new = stack.address(), stack.address()

    assert run_project("fastapi_project", stack, ada, ada_new) == {
        "verified": True,
        "notice": "Mailroom: Ihr Passwort wurde geändert",
        "changed": ada_new,
        "verified again": True,
        "endpoint": "sent",
    }
    mails = [mail for mail in stack.sandbox.inbox.all() if mail.to in (ada, ada_new)]
    assert {mail.locale for mail in mails if mail.kind != "sign-in-code"} == {"de"}
    assert "60 Minuten" in next(mail.text for mail in mails if mail.kind == "password-reset")
