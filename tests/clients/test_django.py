"""django-allauth from PyPI with our adapter and email backend: each mail completes the flow that sent it."""

import pytest

from tests.clients.tools import run_project
from tests.running import Running

pytestmark = pytest.mark.thorough

ADDRESSES = 3
# The lifetimes of allauth's settings, as the mails state them.
LIFETIMES = {
    "link": {"email-confirmation": "3 Tage", "password-reset": "3 Tage", "sign-in-code": "3 Minuten"},
    "code": {"email-confirmation": "15 Minuten", "password-reset": "3 Minuten", "sign-in-code": "3 Minuten"},
}


@pytest.mark.parametrize("mode", ["link", "code"])
def test_each_flow_of_allauth_completes_with_its_mail(stack: Running, mode: str) -> None:
    ada, ada_new, bob = (stack.address() for _ in range(ADDRESSES))

    assert run_project("django_project", stack, mode, ada, ada_new, bob) == {
        "signed up": ada,
        "by code": ada,
        "notice": "Mailroom: Ihr Passwort wurde geändert",
        "reset": ada,
        "changed": ada_new,
        "rendered": "[testserver] Unbekanntes Konto",
        "examples": ["Your invoice", "de"],
    }
    mails = [mail for mail in stack.sandbox.inbox.all() if mail.to in (ada, ada_new)]
    assert {mail.locale for mail in mails} == {"de"}
    for mail in mails:
        assert LIFETIMES[mode].get(mail.kind, "") in mail.text
