"""SMTP against a second server that others wrote: Debian's Exim, which uses GnuTLS."""

import email.policy
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from pathlib import Path
from typing import Self

import pytest
import trustme

from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure
from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.providers.smtp import Smtp

EXIM = shutil.which("exim4", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
CONFIGURATION = """
primary_hostname = exim.example
exim_user = {user}
never_users =
spool_directory = {folder}/spool
log_file_path = {folder}/log/%s
keep_environment =
host_lookup =
rfc1413_hosts =
smtputf8_advertise_hosts = *
tls_advertise_hosts = *
tls_certificate = {folder}/certificate.pem
tls_privatekey = {folder}/key.pem
auth_advertise_hosts = *
acl_smtp_rcpt = recipients
begin acl
recipients:
  deny    !authenticated = *
          message = relay not permitted
  deny    local_parts = nobody
          message = 5.1.1 no such user
  accept
begin routers
everyone:
  driver = accept
  transport = folder
begin transports
folder:
  driver = appendfile
  directory = {folder}/mail
  maildir_format
  envelope_to_add
  user = {user}
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and {{{{eq{{$auth2}}{{user}}}}{{eq{{$auth3}}{{pa ss}}}}}}}}
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and {{{{eq{{$auth1}}{{user}}}}{{eq{{$auth2}}{{pa ss}}}}}}}}
"""


class Exim:
    """Starts one Exim per connection, as inetd does; it ends with the connection. No daemon, no fixed port."""

    def __init__(self, folder: Path, *, implicit: bool) -> None:
        assert EXIM
        self._command = [EXIM, "-C", str(folder / "exim.conf"), "-odq", "-bs"]
        self._command += ["-tls-on-connect"] if implicit else []
        self._folder = folder
        self._children: list[subprocess.Popen[bytes]] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.port = str(self._listening.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()
        for child in self._children:
            child.kill()
            child.wait()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                ends = connection.fileno()
                child = subprocess.Popen(self._command, stdin=ends, stdout=ends, stderr=subprocess.DEVNULL)
                self._children.append(child)

    @property
    def connections(self) -> int:
        return len(self._children)

    def delivered(self) -> list[EmailMessage]:
        """Wait until all connections end, run Exim's queue, and return the delivered mails."""
        for child in self._children:
            child.wait(30)
        subprocess.run([*self._command[:3], "-qff"], check=True, capture_output=True, timeout=60)
        files = sorted((self._folder / "mail" / "new").glob("*"))
        return [message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def folder(authority: trustme.CA) -> Iterator[Path]:
    if not EXIM:
        pytest.skip(
            "needs a second SMTP server: install with `apt-get install --no-install-recommends exim4-daemon-light`"
        )
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name  # Exim never delivers as root
    with tempfile.TemporaryDirectory(prefix="exim-") as name:
        folder = Path(name)
        for part in ("spool", "log", "mail"):
            (folder / part).mkdir()
        issued = authority.issue_cert("127.0.0.1")
        issued.private_key_pem.write_to_path(str(folder / "key.pem"))
        (folder / "certificate.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        if os.geteuid() == 0:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, user)
        (folder / "exim.conf").write_text(CONFIGURATION.format(folder=folder, user=user))
        yield folder


@pytest.fixture(params=["implicit", "starttls"])
def exim(folder: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Exim, dict[str, str]]]:
    with Exim(folder, implicit=request.param == "implicit") as server:
        yield server, {"host": "127.0.0.1", "port": server.port, "tls": request.param}


@pytest.fixture
def opened(exim: tuple[Exim, dict[str, str]], authority: trustme.CA) -> Iterator[tuple[Exim, Smtp]]:
    server, settings = exim
    ca = authority.cert_pem.bytes().decode()
    provider = Smtp.from_settings({**settings, "ca": ca, "username": "user", "password": "pa ss"})
    with ExitStack() as ending:
        ending.callback(provider.close)
        yield server, provider


def test_a_mail_is_delivered_unchanged(opened: tuple[Exim, Smtp], email: Email) -> None:
    exim, provider = opened
    written = replace(
        email,
        from_=Mailbox("no-reply@example.com", 'Böx, "Acme" & 中文有限公司'),
        to="ada@bücher.example",
        subject="Ihr Code für Acme ✓ – " + "sehr lang " * 12,
        text=".\n..\nFrom here\nÄ und ende",
        html="<p>Ä</p>\n" + "<b>中文</b>" * 200 + "\n.\n",
    )

    receipt = provider.send(written, "key-1")
    provider.close()

    [mail] = exim.delivered()
    assert mail["Envelope-to"] == mail["To"] == "ada@xn--bcher-kva.example"
    assert f"id {receipt.id}" in mail["Received"]
    [sender] = mail["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (written.from_.name, "no-reply@example.com")
    assert str(make_header(decode_header(mail["Subject"]))).strip() == written.subject.strip()
    assert [part.get_content() for part in mail.iter_parts()] == [written.text, written.html]
    assert (mail["Reply-To"], mail["X-Entity-Ref-ID"]) == ('"Help, please" <help@example.com>', "123")
    assert not mail.defects


def test_many_mails_share_one_connection(opened: tuple[Exim, Smtp], email: Email) -> None:
    exim, provider = opened

    receipts = [provider.send(email, f"key-{number}") for number in range(5)]
    provider.close()

    mails = exim.delivered()
    assert len({receipt.id for receipt in receipts}) == len(mails) == 5
    assert exim.connections == 1


def test_a_recipient_with_a_local_part_beyond_ascii_gets_mail(opened: tuple[Exim, Smtp], email: Email) -> None:
    exim, provider = opened

    provider.send(replace(email, to="jürgen@example.org"), "key-1")
    provider.close()

    [mail] = exim.delivered()
    assert mail["Envelope-to"] == "jürgen@example.org"


def test_an_unknown_recipient_is_a_permanent_failure_of_one_mail(opened: tuple[Exim, Smtp], email: Email) -> None:
    exim, provider = opened

    with pytest.raises(PermanentFailure) as failure:
        provider.send(replace(email, to="nobody@example.org"), "key-1")
    provider.send(email, "key-2")
    provider.close()

    assert failure.value.code == "invalid_recipient"
    assert len(exim.delivered()) == 1


@pytest.mark.parametrize(
    ("login", "code"),
    [({"username": "user", "password": "wrong"}, "bad_key"), ({}, "forbidden")],
    ids=["wrong", "none"],
)
def test_a_wrong_login_is_a_configuration_error_and_sends_nothing(
    exim: tuple[Exim, dict[str, str]], authority: trustme.CA, email: Email, login: dict[str, str], code: str
) -> None:
    server, settings = exim
    provider = Smtp.from_settings({**settings, "ca": authority.cert_pem.bytes().decode(), **login})

    with pytest.raises(DeliveryError) as failure:
        provider.send(email, "key-1")

    assert (type(failure.value), failure.value.code) == (ConfigurationError, code)
    assert server.delivered() == []


def test_a_certificate_of_an_unknown_authority_is_refused(exim: tuple[Exim, dict[str, str]], email: Email) -> None:
    server, settings = exim
    provider = Smtp.from_settings(settings)

    with pytest.raises(ConfigurationError) as failure:
        provider.send(email, "key-1")

    assert failure.value.code == "bad_certificate"
    assert server.delivered() == []
