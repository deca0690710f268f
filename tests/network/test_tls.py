"""The authorities that TLS trusts, each in a file that OpenSSL finds by the hash of its subject."""

import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import certifi
import pytest
import trustme

from mailroom.network.http import Connections, Limits, Unreachable, Url
from mailroom.network.tls import tls_context

pytestmark = pytest.mark.thorough

SCRIPT = Path(__file__).parents[2] / "layers" / "dependencies" / "certificates.py"
LIMITS = Limits(connect=5.0, read=5.0, total=5.0, idle=20.0, size=1000)
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.fixture(autouse=True)
def new_context(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("SSL_CERT_DIR", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    tls_context.cache_clear()
    yield
    tls_context.cache_clear()


def split(bundle: Path, folder: Path) -> list[Path]:
    subprocess.run([sys.executable, SCRIPT, bundle, folder], check=True)
    return sorted(folder.iterdir())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Url, trustme.CA]]:
    """A TLS server whose authority has a subject in several scripts and spellings."""
    authority = trustme.CA(organization_name="  Ärger &   Söhne 認証局 ", organization_unit_name="TRUST  Me")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=[listener, context], daemon=True).start()
        yield Url.parse(f"https://localhost:{listener.getsockname()[1]}/"), authority
        listener.shutdown(socket.SHUT_RDWR)


def serve(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(65536)
            secured.sendall(ANSWER)


def status(url: Url) -> int:
    with closing(Connections(lambda: LIMITS, tls_context)) as connections:
        return connections.request("POST", url, {}).status


def test_a_server_of_an_authority_in_the_folder_is_trusted_and_no_other(
    server: tuple[Url, trustme.CA], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, authority = server
    authority.cert_pem.write_to_path(tmp_path / "bundle.pem")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "folder"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(Unreachable, match="SSLCertVerificationError"):
        status(url)

    split(tmp_path / "bundle.pem", tmp_path / "folder")

    assert status(url) == 204


def test_a_bundle_of_the_environment_takes_the_place_of_the_folder(
    server: tuple[Url, trustme.CA], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, authority = server
    authority.cert_pem.write_to_path(tmp_path / "bundle.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "bundle.pem"))

    assert status(url) == 204


def test_without_the_layer_the_authorities_of_the_machine_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", "/does/not/exist")

    assert tls_context().verify_mode is ssl.CERT_REQUIRED
    assert tls_context().check_hostname


def test_each_public_authority_has_a_file_under_the_name_that_openssl_gives_it(tmp_path: Path) -> None:
    files = split(Path(certifi.where()), tmp_path / "folder")

    bundle = Path(certifi.where()).read_text(encoding="utf-8")
    assert len(files) == bundle.count("BEGIN CERTIFICATE") > 100
    if openssl := shutil.which("openssl"):
        command = [openssl, "x509", "-noout", "-hash", "-in"]
        names = [subprocess.run([*command, path], capture_output=True, text=True, check=True).stdout for path in files]
        assert [name.strip() for name in names] == [path.name.partition(".")[0] for path in files]


def test_two_authorities_of_one_subject_have_two_files(tmp_path: Path) -> None:
    names = {"organization_name": "Acme", "organization_unit_name": "Acme"}
    bundle = b"".join(trustme.CA(**names).cert_pem.bytes() for _ in range(2))  # type: ignore[arg-type]
    (tmp_path / "bundle.pem").write_bytes(bundle)

    files = split(tmp_path / "bundle.pem", tmp_path / "folder")

    assert sorted(path.suffix for path in files) == [".0", ".1"]
    assert len({path.stem for path in files}) == 1
