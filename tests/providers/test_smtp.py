"""SMTP against a real server: accepted mails, error replies, and missing replies."""

import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import pytest
import trustme

from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.providers import Receipt, load, smtp
from mailroom.providers._smtp_relay import Relay, Tls
from mailroom.providers.smtp import Smtp
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.smtp import SmtpSandbox

MESSAGE_ID = "019324a1b2c3d4e5f60718293a4b5c6d"  # a message id: the first twelve digits are milliseconds
SHORT_TIMEOUT_SECONDS = 0.3


@pytest.fixture(params=[True, False], ids=["pipelined", "one by one"])
def relay(request: pytest.FixtureRequest) -> Iterator[SmtpSandbox]:
    with SmtpSandbox(pipelining=request.param) as opened:
        yield opened


@pytest.fixture
def provider(relay: SmtpSandbox) -> Iterator[Smtp]:
    yield from adapter(relay)


def adapter(relay: SmtpSandbox, **settings: str) -> Iterator[Smtp]:
    made = Smtp.from_settings({**relay.settings("smtp"), **settings})
    yield made
    made.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def certificate(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


def reply(status: int, body: str, stage: str = "") -> Fault:
    return Fault(Kind.REPLY, status, body=body, stage=stage)


# --- Connections


def test_mails_share_one_connection_and_one_login(relay: SmtpSandbox, provider: Smtp, email: Email) -> None:
    for number in range(5):
        provider.send(email, f"key-{number}")

    assert len(relay.inbox.wait(5)) == 5
    assert relay.connections == 1
    assert relay.commands.count("auth") == 1


def test_a_connection_closed_between_two_mails_loses_none(relay: SmtpSandbox, provider: Smtp, email: Email) -> None:
    provider.send(email, "key-1")
    relay.drop_connections()

    provider.send(email, "key-2")

    assert len(relay.inbox.all()) == 2
    assert relay.connections == 2


@pytest.mark.parametrize("farewell", ["451 4.4.2 Timeout waiting for data from client.", "421 4.4.2 idle for too long"])
def test_the_timeout_reply_of_an_idle_connection_is_not_taken_for_the_next_mail(
    relay: SmtpSandbox, provider: Smtp, email: Email, farewell: str
) -> None:
    provider.send(email, "key-1")
    relay.faults.add("smtp", reply(int(farewell[:3]), farewell[4:], "mail"))

    provider.send(email, "key-2")

    assert len(relay.inbox.all()) == 2
    assert relay.connections == 2


def test_a_connection_idle_for_too_long_is_not_reused(
    relay: SmtpSandbox, provider: Smtp, email: Email, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "MAX_IDLE_SECONDS", 0.0)

    provider.send(email, "key-1")
    provider.send(email, "key-2")

    assert relay.connections == 2


def test_threads_share_an_adapter_without_mixing_mails(relay: SmtpSandbox, provider: Smtp, email: Email) -> None:
    recipients = [f"user-{number}@example.org" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda to: provider.send(replace(email, to=to, subject=to), f"key-{to}"), recipients))

    mails = relay.inbox.wait(40)
    assert sorted(mail.to for mail in mails) == sorted(recipients)
    assert all(mail.to == mail.subject for mail in mails)
    assert len({receipt.id for receipt in receipts}) == 40
    assert relay.connections <= 8


def test_the_ehlo_name_is_the_senders_domain(email: Email) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        command = pool.submit(first_command, listening)
        port = str(listening.getsockname()[1])
        made = Smtp.from_settings({"host": "127.0.0.1", "port": port, "tls": "none"})

        with pytest.raises(TemporaryFailure):
            made.send(replace(email, from_=Mailbox("hi@bücher.example")), "key-1")

        assert command.result() == "ehlo xn--bcher-kva.example"


def first_command(listening: socket.socket) -> str:
    connection, _ = listening.accept()
    with connection:
        connection.sendall(b"220 hello\r\n")
        return connection.recv(1000).decode().strip()


# --- TLS


class ScriptedRelay:
    """A relay that gives the next reply for each line, and notes in how many pieces the commands of a mail came."""

    def __init__(self, extension: bytes, replies: Sequence[bytes]) -> None:
        self.extension = extension
        self.replies = list(replies)
        self.pieces: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "ScriptedRelay":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()
        self.thread.join(5)

    def send(self, email: Email) -> Receipt:
        settings = {"host": "127.0.0.1", "port": str(self.listener.getsockname()[1]), "tls": "none"}
        with closing(Smtp.from_settings(settings)) as provider:
            return provider.send(email, MESSAGE_ID)

    def _serve(self) -> None:
        connection, _ = self.listener.accept()
        with connection, suppress(OSError):  # the client may end first
            connection.sendall(b"220 relay.example ESMTP\r\n")
            connection.recv(65536)
            connection.sendall(b"250-relay.example\r\n" + self.extension + b"250 8BITMIME\r\n")
            while piece := connection.recv(65536):
                self.pieces.append(piece)
                is_content = piece.startswith(b"MIME-Version") or piece.endswith(b"\r\n.\r\n")
                for _ in range(1 if is_content else piece.count(b"\r\n")):
                    if self.replies:
                        connection.sendall(self.replies.pop(0) + b"\r\n")

    @property
    def content(self) -> list[bytes]:
        return [piece for piece in self.pieces if b"MIME-Version" in piece]


TAKEN = [b"250 ok", b"250 ok", b"354 go ahead", b"250 2.0.0 Ok: queued as 4B1"]


def test_the_envelope_takes_one_round_trip_where_the_relay_offers_it(email: Email) -> None:
    with ScriptedRelay(b"250-PIPELINING\r\n", TAKEN) as relay:
        assert relay.send(email).id == "4B1"
        expected = b"MAIL FROM:<no-reply@example.com>\r\nRCPT TO:<ada@example.org>\r\nDATA\r\n"
        assert relay.pieces[0] == expected


def test_the_envelope_is_sent_one_by_one_to_any_other_relay(email: Email) -> None:
    with ScriptedRelay(b"", TAKEN) as relay:
        assert relay.send(email).id == "4B1"
        assert [piece.split()[0] for piece in relay.pieces[:3]] == [b"MAIL", b"RCPT", b"DATA"]


@pytest.mark.parametrize(
    ("replies", "stage"),
    [
        ([b"550 5.1.0 no", b"503 no sender", b"503 no recipient"], "mail"),
        ([b"250 ok", b"550 5.1.1 no such user", b"503 no recipient"], "rcpt"),
        ([b"250 ok", b"550 5.1.1 no such user", b"354 go ahead"], "rcpt"),
        ([b"550 5.1.0 no", b"250 ok", b"354 go ahead"], "mail"),
        ([b"250 ok", b"250 ok", b"554 5.5.1 no valid recipients"], "data"),
    ],
)
def test_a_refused_part_of_an_envelope_ends_without_any_content(email: Email, replies: list[bytes], stage: str) -> None:
    with ScriptedRelay(b"250-PIPELINING\r\n", replies) as relay:
        with pytest.raises(DeliveryError, match=f"\\({stage}: 5"):
            relay.send(email)
        assert relay.content == []
        assert b"\r\n.\r\n" not in b"".join(relay.pieces)


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_mail_and_login_are_encrypted(authority: trustme.CA, email: Email, tls: str) -> None:
    with SmtpSandbox(tls=tls, certificate=certificate(authority, "127.0.0.1")) as relay:
        for provider in adapter(relay, ca=pem(authority)):
            provider.send(email, "key-1")
            provider.send(email, "key-2")

        assert len(relay.inbox.all()) == 2


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize("names", [("127.0.0.1",), ("other.example",)], ids=["unknown authority", "other name"])
def test_a_relay_with_an_invalid_certificate_gets_neither_login_nor_mail(
    authority: trustme.CA, email: Email, tls: str, names: tuple[str, ...]
) -> None:
    issuer = trustme.CA() if names == ("127.0.0.1",) else authority
    with SmtpSandbox(tls=tls, certificate=certificate(issuer, *names)) as relay:
        for provider in adapter(relay, ca=pem(authority)):
            with pytest.raises(ConfigurationError) as failure:
                provider.send(email, "key-1")

        assert failure.value.code == "bad_certificate"
        assert not {"auth", "mail"} & set(relay.commands)


@pytest.mark.parametrize("tls", ["starttls", "opportunistic"])
def test_a_password_is_not_sent_in_the_clear_unless_tls_is_none(relay: SmtpSandbox, email: Email, tls: str) -> None:
    for provider in adapter(relay, tls=tls):
        with pytest.raises(ConfigurationError) as failure:
            provider.send(email, "key-1")

    assert failure.value.code == "no_tls"
    assert not {"auth", "mail"} & set(relay.commands)


def test_implicit_tls_on_a_plain_port_is_an_error_that_names_the_setting(relay: SmtpSandbox, email: Email) -> None:
    for provider in adapter(relay, tls="implicit"):
        with pytest.raises(ConfigurationError, match="tls to starttls"):
            provider.send(email, "key-1")


@pytest.mark.parametrize("offered", [True, False])
def test_opportunistic_tls_uses_what_the_relay_offers(authority: trustme.CA, email: Email, offered: bool) -> None:
    offer: dict[str, Any] = (
        {"tls": "starttls", "certificate": certificate(authority, "other.example")} if offered else {}
    )
    with SmtpSandbox(allow_anonymous=True, **offer) as relay:
        for provider in adapter(relay, tls="opportunistic"):
            provider.send(email, "key-1")

        assert len(relay.inbox.all()) == 1


# --- Faults


@pytest.mark.parametrize(
    ("fault", "outcome", "code"),
    [
        (reply(421, "4.3.2 shutting down", "connect"), TemporaryFailure, "busy"),
        (reply(554, "no service for you", "connect"), ConfigurationError, "forbidden"),
        (Fault(Kind.GARBAGE, stage="connect"), TemporaryFailure, "garbage"),
        (Fault(Kind.FLOOD, stage="connect"), TemporaryFailure, "garbage"),
        (Fault(Kind.RESET_BEFORE_BODY, stage="connect"), TemporaryFailure, "no_answer"),
        (Fault(Kind.RESET_BEFORE_BODY, stage="ehlo"), TemporaryFailure, "no_answer"),
        (reply(535, "5.7.8 API key not found", "auth"), ConfigurationError, "bad_key"),
        (reply(454, "4.7.0 Temporary authentication failure", "auth"), TemporaryFailure, "try_later"),
        (reply(451, "Authentication failed: Maximum credits exceeded", "auth"), TemporaryFailure, "monthly_quota"),
        (Fault(Kind.RESET_BEFORE_BODY, stage="auth"), TemporaryFailure, "no_answer"),
        (reply(530, "5.7.0 Authentication required", "mail"), ConfigurationError, "bad_key"),
        (reply(553, "5.7.1 Sender address rejected: not owned by user", "mail"), ConfigurationError, "invalid_sender"),
        (reply(436, "sender is not the login's", "mail"), ConfigurationError, "invalid_sender"),
        (reply(550, "5.1.8 Sender address rejected: domain not found", "mail"), ConfigurationError, "invalid_sender"),
        (reply(552, "5.3.4 Message size exceeds fixed limit", "mail"), PermanentFailure, "too_large"),
        (Fault(Kind.RESET_BEFORE_BODY, stage="mail"), TemporaryFailure, "no_answer"),
        (reply(550, "5.1.1 user unknown", "rcpt"), PermanentFailure, "invalid_recipient"),
        (reply(554, "5.7.1 Relay access denied", "rcpt"), ConfigurationError, "forbidden"),
        (reply(550, "relay not permitted", "rcpt"), ConfigurationError, "forbidden"),
        (reply(450, "4.2.0 Greylisted, please try again in 300 seconds", "rcpt"), TemporaryFailure, "greylisted"),
        (
            reply(450, "4.1.1 unverified address: Address verification in progress", "rcpt"),
            TemporaryFailure,
            "try_later",
        ),
        (reply(452, "4.2.2 The mailbox is over quota", "rcpt"), TemporaryFailure, "mailbox_full"),
        (reply(552, "5.2.2 The mailbox is over its daily quota", "rcpt"), PermanentFailure, "mailbox_full"),
        (reply(421, "4.7.0 closing", "rcpt"), TemporaryFailure, "busy"),
        (Fault(Kind.RESET_BEFORE_BODY, stage="rcpt"), TemporaryFailure, "no_answer"),
        (Fault(Kind.RESET_BEFORE_BODY, stage="data"), TemporaryFailure, "no_answer"),
        (reply(451, "4.3.0 no room", "data"), TemporaryFailure, "try_later"),
        (reply(250, "that is no invitation", "data"), TemporaryFailure, "garbage"),
        (reply(450, "The example.com domain is not verified."), ConfigurationError, "unverified_sender"),
        (reply(450, "You can only send testing emails to your own email address."), ConfigurationError, "test_mode"),
        (reply(450, "You have reached your daily email sending quota."), TemporaryFailure, "daily_quota"),
        (reply(554, "Message rejected: Email address is not verified."), ConfigurationError, "unverified_sender"),
        (reply(554, "Access denied: user is not authorized"), ConfigurationError, "forbidden"),
        (reply(454, "Throttling failure: Maximum sending rate exceeded."), TemporaryFailure, "rate_limited"),
        (reply(454, "Throttling failure: Daily message quota exceeded."), TemporaryFailure, "daily_quota"),
        (reply(552, "Monthly quota exceeded"), TemporaryFailure, "monthly_quota"),
        (reply(450, "5.7.1 never, whatever the first number"), PermanentFailure, "refused"),
        (reply(554, "5.7.1 spam"), PermanentFailure, "refused"),
        (reply(559, "Invalid rcptto"), PermanentFailure, "refused"),
        (reply(421, "4.4.1 lost my disk"), TemporaryFailure, "busy"),
        (reply(354, "go on, then"), UnknownOutcome, "garbage"),
    ],
    ids=lambda value: (
        f"{value.stage or 'answer'}: {value.kind} {value.status} {value.body}" if isinstance(value, Fault) else ""
    ),
)
def test_the_text_of_a_reply_decides_before_its_number(
    relay: SmtpSandbox, provider: Smtp, email: Email, fault: Fault, outcome: type[DeliveryError], code: str
) -> None:
    relay.faults.add("smtp", fault, 2 if fault.stage == "auth" else 1)  # smtplib tries every login method

    with pytest.raises(DeliveryError) as failure:
        provider.send(email, "key-1")

    assert (type(failure.value), failure.value.code, failure.value.party) == (outcome, code, "smtp")
    assert relay.inbox.all() == []
    assert relay.commands.count("mail") <= 1, "it must be tried once"
    relay.faults.clear()

    provider.send(email, "key-1")

    assert len(relay.inbox.all()) == 1


@pytest.mark.parametrize(
    ("line", "wait"),
    [
        ("450 4.2.0 Greylisted, please try again in 300 seconds", 300.0),
        ("450 4.7.1 Greylisted for 5 minutes", 300.0),
        ("421 4.7.0 Try again after 2 hours", 7200.0),
        ("450 You have reached your daily email sending quota.", 3600.0),
        ("451 4.3.0 try again later", None),
    ],
)
def test_the_time_to_wait_is_read_from_a_reply(
    relay: SmtpSandbox, provider: Smtp, email: Email, line: str, wait: float | None
) -> None:
    relay.faults.add("smtp", reply(int(line[:3]), line[4:], "rcpt"))

    with pytest.raises(TemporaryFailure) as failure:
        provider.send(email, "key-1")

    assert failure.value.retry_after == wait


def test_a_connection_lost_before_the_last_byte_has_sent_nothing(
    relay: SmtpSandbox, provider: Smtp, email: Email
) -> None:
    relay.faults.add("smtp", Fault(Kind.RESET_BEFORE_BODY))

    with pytest.raises(TemporaryFailure):
        provider.send(replace(email, text="so long\n" * 800_000), "key-1")

    assert relay.contents == []


@pytest.mark.parametrize("kind", [Kind.RESET_AFTER_ACCEPT, Kind.HANG_AFTER_ACCEPT, Kind.GARBAGE, Kind.FLOOD])
def test_no_reply_after_the_last_byte_is_unknown_and_a_retry_sends_equal_bytes(
    relay: SmtpSandbox, provider: Smtp, email: Email, kind: Kind
) -> None:
    relay.faults.add("smtp", kind)
    provider.timeout = SHORT_TIMEOUT_SECONDS if kind is Kind.HANG_AFTER_ACCEPT else provider.timeout

    with pytest.raises(UnknownOutcome):
        provider.send(email, MESSAGE_ID)
    provider.timeout = smtp.REPLY_TIMEOUT_SECONDS
    provider.send(email, MESSAGE_ID)

    first, second = relay.contents
    assert first == second


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
def test_no_reply_before_the_last_byte_is_a_temporary_failure(
    relay: SmtpSandbox, provider: Smtp, email: Email, stage: str
) -> None:
    relay.faults.add("smtp", Fault(Kind.HANG, stage=stage))
    provider.timeout = SHORT_TIMEOUT_SECONDS

    with pytest.raises(TemporaryFailure):
        provider.send(email, "key-1")


def test_a_relay_without_a_greeting_is_a_temporary_failure(email: Email) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        relay = Relay("127.0.0.1", deaf.getsockname()[1], Tls.NONE)
        with pytest.raises(TemporaryFailure):
            Smtp(relay, connect_timeout=SHORT_TIMEOUT_SECONDS).send(email, "key-1")


def test_a_late_reply_is_a_success(relay: SmtpSandbox, provider: Smtp, email: Email) -> None:
    relay.faults.add("smtp", Kind.HOLD)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(provider.send, email, "key-1")
        relay.faults.wait_paused()
        relay.faults.release()

        assert sending.result().id == relay.inbox.all()[0].id


def test_a_mail_above_the_relays_size_limit_is_refused_before_it_is_sent(email: Email) -> None:
    with SmtpSandbox(size_limit=10_000) as relay:
        for provider in adapter(relay):
            with pytest.raises(PermanentFailure) as failure:
                provider.send(replace(email, text="so long\n" * 2_000), "key-1")

        assert failure.value.code == "too_large"
        assert relay.inbox.all() == []


def test_an_error_contains_no_address_and_no_password(relay: SmtpSandbox, provider: Smtp, email: Email) -> None:
    relay.faults.add("smtp", reply(550, f"5.1.1 <{email.to}> unknown, call 555123456", "rcpt"))

    with pytest.raises(PermanentFailure) as failure:
        provider.send(email, "key-1")

    shown = f"{failure.value} {failure.value.__cause__} {failure.value.__context__}"
    assert "@" not in shown
    assert "555123456" not in shown
    assert relay.login[1] not in shown


# --- Addresses


def test_a_domain_beyond_ascii_is_sent_as_punycode(relay: SmtpSandbox, provider: Smtp, email: Email) -> None:
    provider.send(replace(email, to="ada@bücher.example"), "key-1")

    [mail] = relay.inbox.all()
    assert mail.to == "ada@xn--bcher-kva.example"
    assert mail.headers["To"] == "ada@xn--bcher-kva.example"


def test_a_german_sharp_s_is_not_sent_as_ss(relay: SmtpSandbox, provider: Smtp, email: Email) -> None:
    provider.send(replace(email, to="ada@straße.example"), "key-1")

    assert relay.inbox.all()[0].to == "ada@xn--strae-oqa.example"


def test_a_local_part_beyond_ascii_requires_smtputf8(email: Email) -> None:
    with SmtpSandbox(utf8=True) as relay:
        for provider in adapter(relay):
            provider.send(replace(email, to="jürgen@example.org"), "key-1")
            provider.send(email, "key-2")

        second, first = relay.inbox.all()
        assert (first.to, second.to) == ("jürgen@example.org", email.to)
        assert "To: jürgen@example.org".encode() in relay.contents[0]


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"to": "jürgen@example.org"}, PermanentFailure),
        ({"from_": Mailbox("jürgen@example.com")}, ConfigurationError),
        ({"reply_to": Mailbox("jürgen@example.com")}, ConfigurationError),
    ],
    ids=["recipient", "sender", "reply-to"],
)
def test_a_relay_without_smtputf8_gets_no_mangled_address(
    email: Email, change: dict[str, Any], outcome: type[DeliveryError]
) -> None:
    with SmtpSandbox(utf8=False) as relay:
        for provider in adapter(relay):
            with pytest.raises(outcome) as failure:
                provider.send(replace(email, **change), "key-1")

        assert failure.value.code == "non_ascii_address"
        assert "mail" not in relay.commands


@pytest.mark.parametrize(
    "to", ["a@example.org,b@example.org", "a@example.org>\r\nRCPT TO:<b@example.org", "<a@b.example>"]
)
def test_the_recipient_is_the_only_one(relay: SmtpSandbox, provider: Smtp, email: Email, to: str) -> None:
    with pytest.raises(PermanentFailure):
        provider.send(replace(email, to=to), "key-1")

    assert relay.connections == 0


# --- Relays we know


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve every host to loopback."""
    here = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: here("127.0.0.1", *rest, **more))


@pytest.mark.usefixtures("everywhere")
def test_resends_relay_gets_the_idempotency_key(authority: trustme.CA, email: Email) -> None:
    with SmtpSandbox(tls="implicit", certificate=certificate(authority, "smtp.resend.com")) as relay:
        for provider in adapter(relay, host="smtp.resend.com", ca=pem(authority)):
            assert provider.idempotent
            provider.send(email, "key-1")

        assert relay.inbox.all()[0].headers["Resend-Idempotency-Key"] == "key-1"


@pytest.mark.usefixtures("everywhere")
def test_sess_relay_gets_the_configuration_set_and_the_tags(authority: trustme.CA, email: Email) -> None:
    host = "email-smtp.eu-west-1.amazonaws.com"
    with SmtpSandbox(tls="starttls", certificate=certificate(authority, host)) as relay:
        for provider in adapter(relay, host=host, ca=pem(authority), configuration_set="events"):
            assert not provider.idempotent
            provider.send(replace(email, tags={**email.tags, "tenant": "Böx & Co"}), "key-1")

        headers = relay.inbox.all()[0].headers
        assert headers["X-SES-CONFIGURATION-SET"] == "events"
        assert headers["X-SES-MESSAGE-TAGS"] == "message_id=0123456789ab, tenant=B_x___Co, kind=sign-in-code"


def test_another_relay_gets_no_such_headers(relay: SmtpSandbox, provider: Smtp, email: Email) -> None:
    provider.send(email, "key-1")

    assert not [name for name in relay.inbox.all()[0].headers if name.startswith(("X-SES", "Resend"))]
    assert not provider.idempotent


@pytest.mark.parametrize(
    ("answer", "id_"),
    [
        ("Ok 010001867f6a0000-11111111-2222-000000", "010001867f6a0000-11111111-2222-000000"),
        ("2.0.0 Ok: queued as 4XyZ1234", "4XyZ1234"),
        ("OK id=1tDxyz-0001Ab-2C", "1tDxyz-0001Ab-2C"),
        ("2.0.0 OK 1732135000 a640c23a62f3a-aa20df28b12 - gsmtp", "OK 1732135000 a640c23a62f3a-aa20df28b12 - gsmtp"),
        ("2.6.0 <c0ffee@mail.example> Queued mail for delivery", "Queued mail for delivery"),
        ("OK ada@example.org", "OK"),
    ],
)  # fmt: skip
def test_the_receipt_has_the_relays_queue_id(
    relay: SmtpSandbox, provider: Smtp, email: Email, answer: str, id_: str
) -> None:
    relay.faults.add("smtp", reply(250, answer))

    assert provider.send(email, "key-1").id == id_


# --- Settings


@pytest.mark.parametrize(
    ("settings", "port", "tls"),
    [
        ({}, 587, Tls.STARTTLS),
        ({"tls": "implicit"}, 465, Tls.IMPLICIT),
        ({"port": "465"}, 465, Tls.IMPLICIT),
        ({"port": "2465"}, 2465, Tls.IMPLICIT),
        ({"port": "2587"}, 2587, Tls.STARTTLS),
        ({"port": "25"}, 25, Tls.OPPORTUNISTIC),
        ({"port": "25", "username": "u", "password": "p"}, 25, Tls.STARTTLS),
        ({"port": "1025", "tls": "none"}, 1025, Tls.NONE),
    ],
)
def test_port_and_tls_mode_are_defaults_for_each_other(settings: dict[str, str], port: int, tls: Tls) -> None:
    relay = Relay.from_settings({"host": "smtp.example.com", **settings})

    assert (relay.port, relay.tls) == (port, tls)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"host": ""}, "providers/smtp/host"),
        ({"host": "smtps://smtp.example.com"}, "providers/smtp/host"),
        ({"host": "smtp.example.com:587"}, "providers/smtp/host"),
        ({"port": "smtp"}, "providers/smtp/port"),
        ({"port": "70000"}, "providers/smtp/port"),
        ({"tls": "yes"}, "providers/smtp/tls"),
        ({"username": "u"}, "providers/smtp/password"),
        ({"password": "p"}, "providers/smtp/username"),
        ({"username": "ü", "password": "p"}, "providers/smtp/username"),
        ({"ca": "no certificate"}, "providers/smtp/ca"),
        ({"ehlo_name": "my host"}, "providers/smtp/ehlo_name"),
    ],
)
def test_a_malformed_setting_is_named(settings: dict[str, str], names: str) -> None:
    with pytest.raises(ConfigurationError, match=names):
        load("smtp", {"host": "smtp.example.com", **settings})
