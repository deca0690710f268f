"""`MAILROOM_PROVIDER=<any> make run` ends in the inbox."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailroom.providers import NAMES
from mailroom_ops.local.stack import SECRETS
from tests.running import TOKENS, Running, running


@pytest.fixture(scope="module")
def each(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A stack with one tenant for each provider: a stack for each provider would take a minute."""
    file: Path = tmp_path_factory.mktemp("secrets") / "secrets.yaml"
    lines = [
        f"webhooks/logto/{name}/authorization: {TOKENS['default']}\n"
        f"senders/{name}/auth: {{from: Sender <from@{name}.example>, providers: [{name}]}}\n"
        for name in NAMES
    ]
    file.write_text(SECRETS.read_text() + "".join(lines))
    with running(secrets=file) as stack:
        yield stack


@pytest.mark.parametrize("provider", NAMES)
def test_mail_through_each_provider_ends_in_the_inbox(each: Running, provider: str) -> None:
    to = each.address()

    answer = each.logto({"to": to, "type": "SignIn", "payload": {"code": "482913", "locale": "de"}}, provider)

    mail = each.mail_to(to)
    assert (mail.provider, mail.message_id) == (provider, answer.json()["message_id"])
    assert (mail.tenant, mail.kind) == (provider, "sign-in-code")
    assert mail.from_ == f"Sender <from@{provider}.example>"
    assert "482913" in mail.text
    assert "482913" in re.sub(r"<[^<>]*>", "", mail.html)


@pytest.mark.thorough
def test_the_chosen_provider_applies_to_all_tenants() -> None:
    with running(provider="smtp") as own:
        to = own.address()

        own.logto({"to": to, "type": "SignIn", "payload": {"code": "482913"}})

        assert own.mail_to(to).provider == "smtp"


@pytest.mark.thorough
def test_without_a_provider_nothing_is_sent_and_logto_gets_no_error() -> None:
    with running(provider="none") as own:
        answer = own.logto({"to": own.address(), "type": "SignIn", "payload": {"code": "482913"}})

        assert answer.status == 200
        assert "email_not_configured" in own.line_with(answer.json()["message_id"], "deliver")
        assert own.inbox() == []
