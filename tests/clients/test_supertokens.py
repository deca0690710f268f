"""SuperTokens' SDK from npm with our email delivery."""

from pathlib import Path

import pytest

from tests.clients.tools import needs_node, run_recipe, variables
from tests.running import Running

pytestmark = pytest.mark.thorough


@needs_node
def test_each_recipe_of_supertokens_mails_through_the_client(stack: Running, tmp_path: Path) -> None:
    ada, grace, bob = stack.address(), stack.address(), stack.address()

    done = run_recipe("supertokens", tmp_path, variables(stack), ada, grace, bob)

    assert done.returncode == 0, done.stdout + done.stderr
    sign_in, reset, verification = (stack.mail_to(to) for to in (ada, grace, bob))
    assert [mail.kind for mail in (sign_in, reset, verification)] == [
        "sign-in-code",
        "password-reset",
        "email-confirmation",
    ]
    assert "482915" in sign_in.text
    assert "http://app.example.com/auth/verify?token=abc&tenantId=public#linkcode=" in sign_in.text
    assert "Valid" not in sign_in.text and "15 Minuten" in sign_in.text  # their lifetime, in the request's language
    assert "http://app.example.com/auth/reset-password?token=abc" in reset.text
    assert (reset.tenant, reset.from_) == ("acme", "Acme <login@acme.example>")
    assert (verification.locale, verification.tenant) == ("en", "default")
