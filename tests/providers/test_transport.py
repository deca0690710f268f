"""The transport of all HTTP providers: shared connections, limits, proxies, and nothing in the log."""

import logging
import socket
from collections.abc import Iterator

import pytest

from mailroom.errors import TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.providers import _client, load
from mailroom_ops.sandbox.faults import Kind
from mailroom_ops.sandbox.server import Sandbox


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Reserve a port on which no server listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_providers_share_one_transport() -> None:
    assert _client.shared("https://api.example.com") is _client.shared("https://other.example.com")


def test_a_failure_of_tls_is_a_temporary_failure(sandbox: Sandbox, email: Email) -> None:
    settings = sandbox.settings("postmark")
    provider = load("postmark", {**settings, "endpoint": settings["endpoint"].replace("http:", "https:")})

    with pytest.raises(TemporaryFailure) as failure:
        provider.send(email, "1")

    assert failure.value.code == "unreachable"
    assert sandbox.requests["postmark"] == 0


def test_a_proxy_of_the_environment_is_used_but_not_for_loopback(
    sandbox: Sandbox, email: Email, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{closed_port}")

    assert load("resend", sandbox.settings("resend")).send(email, "1").id
    with pytest.raises(TemporaryFailure):
        load("resend", {"api_key": "re_1"}).send(email, "2")

    monkeypatch.setenv("no_proxy", ".example.com")
    assert _client.shared("https://mail.example.com") is not _client.shared("https://api.resend.com")


def test_a_slow_endless_answer_is_given_up(sandbox: Sandbox, email: Email, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_client, "TOTAL_TIMEOUT_SECONDS", 0.1)
    sandbox.faults.add("resend", Kind.DRIP)

    with pytest.raises(UnknownOutcome, match="does not end"):
        load("resend", sandbox.settings("resend")).send(email, "1")


@pytest.mark.parametrize("name", ["resend", "sendgrid", "mailgun", "postmark", "http"])
def test_nothing_of_a_mail_nor_a_key_is_logged_even_at_debug(
    name: str, sandbox: Sandbox, email: Email, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = sandbox.settings(name)
    load(name, settings).send(email, "1")

    for private in (email.to, "000000", "Your code", *settings.values()):
        assert private not in caplog.text
