"""SMTP against a real server: what it takes, what it refuses, and when it falls silent."""

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import trustme

from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.providers import load, smtp
from mailroom.providers._smtp_relay import Relay, Tls
from mailroom.providers.smtp import Smtp
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.smtp import SmtpSandbox

OUR_ID = "019324a1b2c3d4e5f60718293a4b5c6d"  # as Mailroom makes them: the first twelve digits are milliseconds
IMPATIENT = 0.3


@pytest.fixture
def relay() -> Iterator[SmtpSandbox]:
    with SmtpSandbox() as opened:
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


def say(status: int, body: str, stage: str = "") -> Fault:
    return Fault(Kind.REPLY, status, body=body, stage=stage)


# --- Connections


def test_mails_share_one_connection_and_one_login(relay: SmtpSandbox, provider: Smtp, email: Email) -> None:
    for number in range(5):
        provider.send(email, f"key-{number}")

    assert len(relay.inbox.wait(5)) == 5
    assert relay.connections == 1
    assert relay.commands.count("auth") == 1


def test_a_connection_dropped_between_two_mails_costs_no_mail(relay: SmtpSandbox, provider: Smtp, email: Email) -> None:
    provider.send(email, "key-1")
    relay.drop_connections()

    provider.send(email, "key-2")

    assert len(relay.inbox.all()) == 2
    assert relay.connections == 2


@pytest.mark.parametrize("farewell", ["451 4.4.2 Timeout waiting for data from client.", "421 4.4.2 idle for too long"])
def test_the_farewell_of_an_idle_connection_is_no_answer_to_the_next_mail(
    relay: SmtpSandbox, provider: Smtp, email: Email, farewell: str
) -> None:
    provider.send(email, "key-1")
    relay.faults.add("smtp", say(int(farewell[:3]), farewell[4:], "mail"))

    provider.send(email, "key-2")

    assert len(relay.inbox.all()) == 2
    assert relay.connections == 2


def test_a_connection_that_waited_too_long_is_not_used_again(
    relay: SmtpSandbox, provider: Smtp, email: Email, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "MAX_IDLE_SECONDS", 0.0)

    provider.send(email, "key-1")
    provider.send(email, "key-2")

    assert relay.connections == 2


def test_threads_share_an_adapter_without_mixing_up_their_mails(
    relay: SmtpSandbox, provider: Smtp, email: Email
) -> None:
    readers = [f"reader-{number}@example.org" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda to: provider.send(replace(email, to=to, subject=to), f"key-{to}"), readers))

    mails = relay.inbox.wait(40)
    assert sorted(mail.to for mail in mails) == sorted(readers)
    assert all(mail.to == mail.subject for mail in mails)
    assert len({receipt.id for receipt in receipts}) == 40
    assert relay.connections <= 8


def test_a_relay_that_is_greeted_hears_the_domain_of_the_sender(email: Email) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        heard = pool.submit(first_command, listening)
        port = str(listening.getsockname()[1])
        made = Smtp.from_settings({"host": "127.0.0.1", "port": port, "tls": "none"})

        with pytest.raises(TemporaryFailure):
            made.send(replace(email, from_=Mailbox("hi@bücher.example")), "key-1")

        assert heard.result() == "ehlo xn--bcher-kva.example"


def first_command(listening: socket.socket) -> str:
    connection, _ = listening.accept()
    with connection:
        connection.sendall(b"220 hello\r\n")
        return connection.recv(1000).decode().strip()


# --- TLS


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_a_mail_and_its_login_travel_encrypted(authority: trustme.CA, email: Email, tls: str) -> None:
    with SmtpSandbox(tls=tls, certificate=certificate(authority, "127.0.0.1")) as relay:
        for provider in adapter(relay, ca=pem(authority)):
            provider.send(email, "key-1")
            provider.send(email, "key-2")

        assert len(relay.inbox.all()) == 2


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize("names", [("127.0.0.1",), ("other.example",)], ids=["unknown authority", "other name"])
def test_a_certificate_that_proves_nothing_gets_neither_login_nor_mail(
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
def test_a_password_is_not_sent_in_the_clear_unless_the_operator_said_so(
    relay: SmtpSandbox, email: Email, tls: str
) -> None:
    for provider in adapter(relay, tls=tls):
        with pytest.raises(ConfigurationError) as failure:
            provider.send(email, "key-1")

    assert failure.value.code == "no_tls"
    assert not {"auth", "mail"} & set(relay.commands)


def test_tls_from_the_first_byte_where_none_is_spoken_names_the_setting(relay: SmtpSandbox, email: Email) -> None:
    for provider in adapter(relay, tls="implicit"):
        with pytest.raises(ConfigurationError, match="tls to starttls"):
            provider.send(email, "key-1")


@pytest.mark.parametrize("offered", [True, False])
def test_opportunistic_takes_what_it_finds(authority: trustme.CA, email: Email, offered: bool) -> None:
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
        (say(421, "4.3.2 shutting down", "connect"), TemporaryFailure, "busy"),
        (say(554, "no service for you", "connect"), ConfigurationError, "forbidden"),
        (Fault(Kind.GARBAGE, stage="connect"), TemporaryFailure, "garbage"),
        (Fault(Kind.FLOOD, stage="connect"), TemporaryFailure, "garbage"),
        (Fault(Kind.RESET_BEFORE_BODY, stage="connect"), TemporaryFailure, "no_answer"),
        (Fault(Kind.RESET_BEFORE_BODY, stage="ehlo"), TemporaryFailure, "no_answer"),
        (say(535, "5.7.8 API key not found", "auth"), ConfigurationError, "bad_key"),
        (say(454, "4.7.0 Temporary authentication failure", "auth"), TemporaryFailure, "try_later"),
        (say(451, "Authentication failed: Maximum credits exceeded", "auth"), TemporaryFailure, "monthly_quota"),
        (Fault(Kind.RESET_BEFORE_BODY, stage="auth"), TemporaryFailure, "no_answer"),
        (say(530, "5.7.0 Authentication required", "mail"), ConfigurationError, "bad_key"),
        (say(553, "5.7.1 Sender address rejected: not owned by user", "mail"), ConfigurationError, "invalid_sender"),
        (say(436, "sender is not the login's", "mail"), ConfigurationError, "invalid_sender"),
        (say(550, "5.1.8 Sender address rejected: domain not found", "mail"), ConfigurationError, "invalid_sender"),
        (say(552, "5.3.4 Message size exceeds fixed limit", "mail"), PermanentFailure, "too_large"),
        (Fault(Kind.RESET_BEFORE_BODY, stage="mail"), TemporaryFailure, "no_answer"),
        (say(550, "5.1.1 user unknown", "rcpt"), PermanentFailure, "invalid_recipient"),
        (say(554, "5.7.1 Relay access denied", "rcpt"), ConfigurationError, "forbidden"),
        (say(550, "relay not permitted", "rcpt"), ConfigurationError, "forbidden"),
        (say(450, "4.2.0 Greylisted, please try again in 300 seconds", "rcpt"), TemporaryFailure, "greylisted"),
        (say(450, "4.1.1 unverified address: Address verification in progress", "rcpt"), TemporaryFailure, "try_later"),
        (say(452, "4.2.2 The mailbox is over quota", "rcpt"), TemporaryFailure, "mailbox_full"),
        (say(552, "5.2.2 The mailbox is over its daily quota", "rcpt"), PermanentFailure, "mailbox_full"),
        (say(421, "4.7.0 closing", "rcpt"), TemporaryFailure, "busy"),
        (Fault(Kind.RESET_BEFORE_BODY, stage="rcpt"), TemporaryFailure, "no_answer"),
        (Fault(Kind.RESET_BEFORE_BODY, stage="data"), TemporaryFailure, "no_answer"),
        (say(451, "4.3.0 no room", "data"), TemporaryFailure, "try_later"),
        (say(250, "that is no invitation", "data"), TemporaryFailure, "garbage"),
        (say(450, "The example.com domain is not verified."), ConfigurationError, "unverified_sender"),
        (say(450, "You can only send testing emails to your own email address."), ConfigurationError, "test_mode"),
        (say(450, "You have reached your daily email sending quota."), TemporaryFailure, "daily_quota"),
        (say(554, "Message rejected: Email address is not verified."), ConfigurationError, "unverified_sender"),
        (say(554, "Access denied: user is not authorized"), ConfigurationError, "forbidden"),
        (say(454, "Throttling failure: Maximum sending rate exceeded."), TemporaryFailure, "rate_limited"),
        (say(454, "Throttling failure: Daily message quota exceeded."), TemporaryFailure, "daily_quota"),
        (say(552, "Monthly quota exceeded"), TemporaryFailure, "monthly_quota"),
        (say(450, "5.7.1 never, whatever the first number says"), PermanentFailure, "refused"),
        (say(554, "5.7.1 spam"), PermanentFailure, "refused"),
        (say(559, "Invalid rcptto"), PermanentFailure, "refused"),
        (say(421, "4.4.1 lost my disk"), TemporaryFailure, "busy"),
        (say(354, "go on, then"), UnknownOutcome, "garbage"),
    ],
    ids=lambda value: (
        f"{value.stage or 'answer'}: {value.kind} {value.status} {value.body}" if isinstance(value, Fault) else ""
    ),
)
def test_a_refusal_is_what_it_says_and_not_what_its_number_says(
    relay: SmtpSandbox, provider: Smtp, email: Email, fault: Fault, outcome: type[DeliveryError], code: str
) -> None:
    relay.faults.add("smtp", fault, 2 if fault.stage == "auth" else 1)  # smtplib tries every way to log in

    with pytest.raises(DeliveryError) as failure:
        provider.send(email, "key-1")

    assert (type(failure.value), failure.value.code, failure.value.party) == (outcome, code, "smtp")
    assert relay.inbox.all() == []
    assert relay.commands.count("mail") <= 1, "it must be tried once"
    relay.faults.clear()

    provider.send(email, "key-1")

    assert len(relay.inbox.all()) == 1


@pytest.mark.parametrize(
    ("reply", "wait"),
    [
        ("450 4.2.0 Greylisted, please try again in 300 seconds", 300.0),
        ("450 4.7.1 Greylisted for 5 minutes", 300.0),
        ("421 4.7.0 Try again after 2 hours", 7200.0),
        ("450 You have reached your daily email sending quota.", 3600.0),
        ("451 4.3.0 try again later", None),
    ],
)
def test_a_wait_is_read_out_of_a_reply(
    relay: SmtpSandbox, provider: Smtp, email: Email, reply: str, wait: float | None
) -> None:
    relay.faults.add("smtp", say(int(reply[:3]), reply[4:], "rcpt"))

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
def test_silence_after_the_last_byte_is_ambiguous_and_the_next_try_sends_the_same_bytes(
    relay: SmtpSandbox, provider: Smtp, email: Email, kind: Kind
) -> None:
    relay.faults.add("smtp", kind)
    provider.timeout = IMPATIENT if kind is Kind.HANG_AFTER_ACCEPT else provider.timeout

    with pytest.raises(UnknownOutcome):
        provider.send(email, OUR_ID)
    provider.timeout = smtp.REPLY_TIMEOUT_SECONDS
    provider.send(email, OUR_ID)

    first, second = relay.contents
    assert first == second


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
def test_silence_before_the_last_byte_is_not(relay: SmtpSandbox, provider: Smtp, email: Email, stage: str) -> None:
    relay.faults.add("smtp", Fault(Kind.HANG, stage=stage))
    provider.timeout = IMPATIENT

    with pytest.raises(TemporaryFailure):
        provider.send(email, "key-1")


def test_a_relay_that_says_nothing_at_all_is_given_up(email: Email) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        relay = Relay("127.0.0.1", deaf.getsockname()[1], Tls.NONE)
        with pytest.raises(TemporaryFailure):
            Smtp(relay, connect_timeout=IMPATIENT).send(email, "key-1")


def test_an_answer_that_is_late_is_waited_for(relay: SmtpSandbox, provider: Smtp, email: Email) -> None:
    relay.faults.add("smtp", Kind.HOLD)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(provider.send, email, "key-1")
        relay.faults.wait_held()
        relay.faults.release()

        assert sending.result().id == relay.inbox.all()[0].id


def test_a_mail_larger_than_the_relay_takes_is_refused_before_it_travels(email: Email) -> None:
    with SmtpSandbox(size_limit=10_000) as relay:
        for provider in adapter(relay):
            with pytest.raises(PermanentFailure) as failure:
                provider.send(replace(email, text="so long\n" * 2_000), "key-1")

        assert failure.value.code == "too_large"
        assert "data" not in relay.commands


def test_an_error_holds_no_address_and_no_password(relay: SmtpSandbox, provider: Smtp, email: Email) -> None:
    relay.faults.add("smtp", say(550, f"5.1.1 <{email.to}> unknown, call 555123456", "rcpt"))

    with pytest.raises(PermanentFailure) as failure:
        provider.send(email, "key-1")

    said = f"{failure.value} {failure.value.__cause__} {failure.value.__context__}"
    assert "@" not in said
    assert "555123456" not in said
    assert relay.login[1] not in said


# --- Addresses


def test_a_domain_beyond_ascii_travels_as_punycode(relay: SmtpSandbox, provider: Smtp, email: Email) -> None:
    provider.send(replace(email, to="ada@bücher.example"), "key-1")

    [mail] = relay.inbox.all()
    assert mail.to == "ada@xn--bcher-kva.example"
    assert mail.headers["To"] == "ada@xn--bcher-kva.example"


def test_a_german_sharp_s_is_not_taken_for_two_s(relay: SmtpSandbox, provider: Smtp, email: Email) -> None:
    provider.send(replace(email, to="ada@straße.example"), "key-1")

    assert relay.inbox.all()[0].to == "ada@xn--strae-oqa.example"


def test_a_name_beyond_ascii_before_the_at_needs_a_relay_that_can(email: Email) -> None:
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
    ids=["reader", "sender", "reply-to"],
)
def test_a_relay_that_cannot_is_not_tried_with_a_mangled_address(
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
def test_nobody_is_added_to_the_readers(relay: SmtpSandbox, provider: Smtp, email: Email, to: str) -> None:
    with pytest.raises(PermanentFailure):
        provider.send(replace(email, to=to), "key-1")

    assert relay.connections == 0


# --- Relays we know


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every host is this machine."""
    here = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: here("127.0.0.1", *rest, **more))


@pytest.mark.usefixtures("everywhere")
def test_resends_relay_is_told_the_key_and_so_knows_a_second_try(authority: trustme.CA, email: Email) -> None:
    with SmtpSandbox(tls="implicit", certificate=certificate(authority, "smtp.resend.com")) as relay:
        for provider in adapter(relay, host="smtp.resend.com", ca=pem(authority)):
            assert provider.idempotent
            provider.send(email, "key-1")

        assert relay.inbox.all()[0].headers["Resend-Idempotency-Key"] == "key-1"


@pytest.mark.usefixtures("everywhere")
def test_sess_relay_is_told_the_configuration_set_and_our_tags(authority: trustme.CA, email: Email) -> None:
    host = "email-smtp.eu-west-1.amazonaws.com"
    with SmtpSandbox(tls="starttls", certificate=certificate(authority, host)) as relay:
        for provider in adapter(relay, host=host, ca=pem(authority), configuration_set="events"):
            assert not provider.idempotent
            provider.send(replace(email, tags={**email.tags, "tenant": "Böx & Co"}), "key-1")

        headers = relay.inbox.all()[0].headers
        assert headers["X-SES-CONFIGURATION-SET"] == "events"
        assert headers["X-SES-MESSAGE-TAGS"] == "message_id=0123456789ab, tenant=B_x___Co, kind=sign-in-code"


def test_any_other_relay_is_told_neither(relay: SmtpSandbox, provider: Smtp, email: Email) -> None:
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
def test_the_relays_name_for_the_mail_is_kept(
    relay: SmtpSandbox, provider: Smtp, email: Email, answer: str, id_: str
) -> None:
    relay.faults.add("smtp", say(250, answer))

    assert provider.send(email, "key-1").id == id_


# --- Settings


@pytest.mark.parametrize(
    ("given", "port", "tls"),
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
def test_a_port_implies_how_tls_is_spoken_and_the_other_way_round(given: dict[str, str], port: int, tls: Tls) -> None:
    relay = Relay.from_settings({"host": "smtp.example.com", **given})

    assert (relay.port, relay.tls) == (port, tls)


@pytest.mark.parametrize(
    ("given", "names"),
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
def test_a_setting_that_cannot_be_is_named(given: dict[str, str], names: str) -> None:
    with pytest.raises(ConfigurationError, match=names):
        load("smtp", {"host": "smtp.example.com", **given})
