"""SuperTokens' API and SDK from npm with our email delivery, and a stand-in for its core."""

import json
from pathlib import Path

import pytest

from tests.clients.tools import needs_node, run_recipe, variables
from tests.running import Running

pytestmark = pytest.mark.thorough


@needs_node
def test_each_recipe_of_supertokens_mails_through_the_client(stack: Running, tmp_path: Path) -> None:
    ada, grace, bob, stranger = (stack.address() for _ in range(4))

    done = run_recipe("supertokens", tmp_path, variables(stack), ada, grace, bob, stranger)

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == ['{"status":"OK"}'] * 2  # the same to a stranger, who gets no mail
    sign_in, sign_in_again = stack.mails_to(ada, 2)
    reset = stack.mail_to(grace)
    verification, own_reset = stack.mails_to(bob, 2)
    assert stranger not in {mail.to for mail in stack.sandbox.inbox.all()}
    assert [mail.kind for mail in (sign_in, sign_in_again, reset, verification, own_reset)] == [
        "sign-in-code",
        "sign-in-code",
        "password-reset",
        "email-confirmation",
        "password-reset",
    ]
    assert "482915" in sign_in.text
    assert "http://app.example.com/auth/verify?preAuthSessionId=session&tenantId=public#linkcode" in sign_in.text
    assert "Valid" not in sign_in.text and "15 Minuten" in sign_in.text  # their lifetime, in the request's language
    assert "http://app.example.com/auth/reset-password?token=abc&tenantId=public" in reset.text
    assert (reset.locale, verification.locale) == ("de", "en")  # a call of the SDK has no request
    assert "http://app.example.com/auth/verify-email?token=abc" in verification.text
    assert (own_reset.tenant, own_reset.from_) == ("acme", "Acme <login@acme.example>")
