"""Better Auth from npm with our callbacks: each of its mails, read from the inbox, completes the flow that sent it."""

import json
from pathlib import Path

import pytest

from tests.clients.tools import needs_node, run_recipe, variables
from tests.running import Running

pytestmark = pytest.mark.thorough

SECRET = "a-secret-for-tests-that-is-long-enough-0123456789"


@needs_node
def test_each_flow_of_better_auth_completes_with_its_mail(stack: Running, tmp_path: Path) -> None:
    ada, grace, ada_new = stack.address(), stack.address(), stack.address()

    settings = variables(stack) | {"BETTER_AUTH_URL": "http://app.example.com", "BETTER_AUTH_SECRET": SECRET}

    done = run_recipe("better-auth", tmp_path, settings, ada, grace, ada_new)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "verified": True,
        "reset": ada,
        "otp": ada,
        "emailOtp": True,
        "resetOtp": True,
        "magicLink": ada,
        "invitation": True,
        "invitedAgain": True,
        "changed": ada_new,
        "twoFactor": ada_new,
        "deleted": True,
    }
    mails = [mail for mail in stack.sandbox.inbox.all() if mail.to in (ada, grace, ada_new)]
    assert {mail.locale for mail in mails} == {"de"}  # of the user, and of the request where there is no user
    assert [mail.kind for mail in mails if "Acme App" not in mail.subject] == ["organization-invitation"] * 2
    assert "Böx & Co" in stack.mail_to(grace).text
