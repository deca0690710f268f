"""SMTP with tokens in place of a password: OAuth 2.0 client credentials and XOAUTH2, as Microsoft 365 requires."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from mailroom.errors import ConfigurationError, DeliveryError, TemporaryFailure
from mailroom.model.email import Email
from mailroom.providers import _smtp_oauth
from mailroom.providers.smtp import Smtp
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.oauth import TokenServer
from mailroom_ops.sandbox.smtp import SmtpSandbox
from mailroom_ops.settings import catalog
from tests.cli.helpers import Stored
from tests.command import Run
from tests.factories import Clock

LAYER = Path(__file__).parents[2] / "layers" / "mailroom"
CLIENT = {"tenant_id": "acme.onmicrosoft.com", "client_id": "c1", "client_secret": "s3cr3t-of-the-app"}


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    with TokenServer() as started:
        yield started


@pytest.fixture
def relay(tokens: TokenServer) -> Iterator[SmtpSandbox]:
    with SmtpSandbox(tokens=tokens) as opened:
        yield opened


@pytest.fixture
def provider(relay: SmtpSandbox) -> Iterator[Smtp]:
    with closing(Smtp.from_settings(relay.settings())) as made:
        yield made


def refusal(provider: Smtp, email: Email) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        provider.send(email, "key")
    return caught.value


def test_mails_over_several_connections_share_one_token(
    relay: SmtpSandbox, provider: Smtp, tokens: TokenServer, email: Email
) -> None:
    for number in range(3):
        provider.send(email, f"key-{number}")
        provider.close()
    assert len(relay.inbox.all()) == 3
    assert (relay.connections, tokens.requests) == (3, 1)


def test_threads_wait_for_one_token(relay: SmtpSandbox, provider: Smtp, tokens: TokenServer, email: Email) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: provider.send(replace(email, subject=str(number)), f"key-{number}"), range(8)))
    assert len(relay.inbox.all()) == 8
    assert tokens.requests == 1


@pytest.mark.parametrize(
    ("lifetime", "seconds", "requests"), [(3600, 3200, 1), (3600, 3301, 2), (3600, 3700, 2), (60, 20, 1), (60, 31, 2)]
)
def test_a_token_is_renewed_shortly_before_it_expires(lifetime: float, seconds: float, requests: int) -> None:
    clock = Clock()
    with TokenServer(lifetime=lifetime, clock=clock) as tokens:
        source = _smtp_oauth.TokenSource(_smtp_oauth.OAuthClient.parse(tokens.setting(), "smtp"), clock=clock)
        first = source.token().value
        clock.now += seconds
        second = source.token().value
        assert (tokens.requests, first != second) == (requests, requests == 2)
        assert tokens.accepts(second)


def test_a_revoked_token_is_replaced_once_and_the_mail_is_sent(
    relay: SmtpSandbox, provider: Smtp, tokens: TokenServer, email: Email
) -> None:
    provider.send(email, "key-1")
    provider.close()
    tokens.revoke()
    provider.send(email, "key-2")
    assert len(relay.inbox.all()) == 2
    assert tokens.requests == 2
    assert relay.commands.count("auth") == 3, "refused, and again on the same connection"


def test_a_new_token_that_is_refused_ends_the_login(relay: SmtpSandbox, tokens: TokenServer, email: Email) -> None:
    settings = relay.settings() | {"username": "somebody-else@acme.example"}
    with closing(Smtp.from_settings(settings)) as provider:
        error = refusal(provider, email)
    assert isinstance(error, ConfigurationError)
    assert (error.code, tokens.requests, relay.commands.count("auth")) == ("bad_key", 1, 1)
    assert "535 5.7.3 Authentication unsuccessful" in error.detail
    assert relay.inbox.all() == []


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"client_secret": "an-old-secret"}, "401 invalid_client AADSTS7000215: the client secret is wrong"),
        ({"client_id": "unknown"}, "400 unauthorized_client AADSTS700016: the client_id is unknown in this tenant"),
        ({"scope": "Mail.Send"}, "400 invalid_scope AADSTS1002012: the scope must end with /.default"),
    ],
)
def test_a_refused_client_is_reported_with_what_to_do(
    relay: SmtpSandbox, tokens: TokenServer, email: Email, changes: dict[str, str], hint: str
) -> None:
    with closing(Smtp.from_settings(relay.settings() | {"oauth": tokens.setting(**changes)})) as provider:
        error = refusal(provider, email)
    assert (type(error), error.code) == (ConfigurationError, "bad_key")
    assert hint in error.detail
    assert "Trace ID" not in error.detail
    assert tokens.client_secret not in str(error)
    assert "an-old-secret" not in str(error)
    assert relay.connections == 0, "no connection waits for a token"


@pytest.mark.parametrize(
    ("response", "code", "kind"),
    [
        ((503, {"error": "temporarily_unavailable"}), "no_token", TemporaryFailure),
        ((429, {}), "no_token", TemporaryFailure),
        ((200, {"expires_in": 3599}), "no_token", TemporaryFailure),
        ((200, {"access_token": "a b\r\nQUIT"}), "no_token", TemporaryFailure),
        ((200, {"access_token": 7}), "no_token", TemporaryFailure),
        ((200, b"<html>"), "no_token", TemporaryFailure),
        ((400, {"error": {"nested": 1}, "error_description": 3}), "bad_key", ConfigurationError),
    ],
)
def test_any_answer_of_the_token_server_has_a_meaning(
    provider: Smtp,
    tokens: TokenServer,
    email: Email,
    response: tuple[int, object],
    code: str,
    kind: type[DeliveryError],
) -> None:
    tokens.responses.append(response)
    error = refusal(provider, email)
    assert (type(error), error.code) == (kind, code)
    provider.send(email, "key")


@pytest.mark.parametrize("lifetime", [None, "3599", -5, 0, 1e300, True])
def test_any_lifetime_of_a_token_is_usable(
    relay: SmtpSandbox, provider: Smtp, tokens: TokenServer, email: Email, lifetime: object
) -> None:
    tokens._valid["abc"] = float("inf")
    tokens.responses.append((200, {"access_token": "abc", "expires_in": lifetime}))
    provider.send(email, "key")
    assert len(relay.inbox.all()) == 1


def test_an_unreachable_token_server_delays_the_mail(relay: SmtpSandbox, tokens: TokenServer, email: Email) -> None:
    oauth = tokens.setting(token_url="http://127.0.0.1:1/token")
    with closing(Smtp.from_settings(relay.settings() | {"oauth": oauth})) as provider:
        error = refusal(provider, email)
    assert (type(error), error.code) == (TemporaryFailure, "no_token")
    assert "unreachable" in error.detail


def test_a_relay_without_xoauth2_is_reported(tokens: TokenServer, email: Email) -> None:
    with SmtpSandbox() as relay:
        settings = relay.settings() | {"oauth": tokens.setting(), "password": ""}
        with closing(Smtp.from_settings(settings)) as provider:
            error = refusal(provider, email)
    assert (type(error), error.code) == (ConfigurationError, "no_login")
    assert "XOAUTH2" in error.detail


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Fault(Kind.REPLY, 454, body="4.7.0 Temporary authentication failure", stage="auth"), "try_later"),
        (
            Fault(Kind.REPLY, 535, body="5.7.139 SmtpClientAuthentication is disabled for the Tenant", stage="auth"),
            "bad_key",
        ),
        (Fault(Kind.RESET_AFTER_ACCEPT, stage="auth"), "no_answer"),
    ],
)
def test_a_failed_login_is_an_error_before_the_mail_left(
    relay: SmtpSandbox, provider: Smtp, email: Email, reply: Fault, code: str
) -> None:
    relay.faults.add("smtp", reply)
    error = refusal(provider, email)
    assert error.code == code
    assert error.category != "Ambiguous"
    assert relay.inbox.all() == []


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"oauth": "s3cr3t-of-the-app"}, "must be a JSON object of texts"),
        ({"oauth": "[]"}, "must be a JSON object of texts"),
        ({"oauth": json.dumps(CLIENT | {"client_id": 7})}, "must be a JSON object of texts"),
        ({"oauth": json.dumps(CLIENT | {"client_secret": ""})}, "must contain client_id and client_secret"),
        ({"oauth": json.dumps(CLIENT | {"tenant_id": "a/../b"})}, "must contain the tenant_id of Entra"),
        (
            {"oauth": json.dumps(CLIENT | {"token_url": "http://login.example/"})},
            "must have a token_url that is an https",
        ),
        ({"oauth": json.dumps(CLIENT | {"secret": "x"})}, "contains the unknown key secret"),
        ({"oauth": json.dumps(CLIENT), "password": "x"}, "password is set, and so is oauth"),
        ({"oauth": json.dumps(CLIENT), "username": ""}, "username is not set, but oauth is"),
    ],
)
def test_a_malformed_setting_is_named_and_not_quoted(settings: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Smtp.from_settings({"host": "smtp.office365.com", "username": "no-reply@acme.example"} | settings)
    assert problem in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    if settings.keys() == {"oauth"}:
        assert problem.partition(" ")[2] in catalog.fault("providers/smtp/oauth", settings["oauth"])


def test_the_credentials_are_a_secret_of_the_account() -> None:
    setting = catalog.find("providers/smtp.acme/oauth")
    assert setting
    assert setting.is_secret
    assert catalog.fault("providers/smtp/oauth", json.dumps(CLIENT)) == ""
    assert "s3cr3t" not in repr(_smtp_oauth.OAuthClient.parse(json.dumps(CLIENT), "smtp"))


def test_a_relay_with_a_password_loads_nothing_for_tokens() -> None:
    check = (
        "import sys; from mailroom.providers import load; "
        "load('smtp', {'host': 'smtp.example.com', 'username': 'a', 'password': 'b'}); "
        "print('mailroom.providers._smtp_oauth' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", check], env={"PYTHONPATH": str(LAYER)}, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_the_doctor_checks_the_token_and_the_login(run: Run, relay: SmtpSandbox, tokens: TokenServer) -> None:
    staging = Stored("staging")
    staging.put(senders__default__auth='{"from": "Acme <no-reply@acme.example>", "providers": ["smtp"]}')

    def examine(**changes: str) -> str:
        staging.put(**{f"providers__smtp__{name}": value for name, value in {**relay.settings(), **changes}.items()})
        return run("doctor", "--env", "staging", "--only", "providers").text

    assert f"is issued by {tokens.url}" in examine()
    assert "accepts the login" in examine()
    refused = examine(username="somebody-else@acme.example")
    assert "refuses the login (535)" in refused
    assert "register the service principal" in refused
    wrong = examine(oauth=tokens.setting(client_secret="an-old-secret"))
    assert "the client secret is wrong" in wrong
    assert "an-old-secret" not in wrong
