"""Requests to an endpoint of a tenant's choice: where they lead, and how long and how much they read."""

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
import trustme

from mailroom.callbacks import endpoint
from mailroom.callbacks.endpoint import PostResult, post
from mailroom.model.callback import Callback
from mailroom.network import public
from mailroom.network.http import Connections, Limits
from tests.callbacks.process import outcome_event
from tests.callbacks.receivers import raw_server

QUICK = Limits(connect=0.5, read=0.3, total=0.6, idle=5.0, size=64 * 1024)
PRIVATE = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.1", "10.0.0.7", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
    *("100.64.0.1", "198.18.0.1", "192.0.2.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::1", "::", "fe80::1", "fe80::1%1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1"),
    *("2002:7f00:1::1", "2001:0:7f00:1::1", "not an address"),
]


def callback(url: str) -> Callback:
    return Callback(url, (b"k" * 32,))


def post_to(url: str, tls: ssl.SSLContext | None = None, **options: Any) -> PostResult:
    """Post an event with short limits."""
    with closing(Connections(lambda: QUICK, lambda: tls or ssl.create_default_context(), **options)) as transport:
        return post(transport, callback(url), outcome_event(), time.time())


def read_request(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not public.is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "203.0.114.1", "2606:4700:4700::1111", "2a00:1450:4001::200e"])
def test_a_public_address_is_accepted(address: str) -> None:
    assert public.is_public(address)


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """A name server of the attacker's: each look-up of any name returns the next of these answers."""
    lookups: list[str] = []

    def start(*answers: list[tuple[str, int]]) -> list[str]:
        def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
            lookups.append(host)
            answer = answers[min(len(lookups), len(answers)) - 1]
            families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address, _ in answer]
            entries = zip(families, answer, strict=True)
            return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in entries]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return lookups

    return start


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1", "::ffff:10.0.0.7", "fd00::1"])
def test_a_name_that_resolves_to_a_private_address_gets_no_request(
    resolve: Callable[..., list[str]], address: str
) -> None:
    connected: list[bytes] = []
    with raw_server(lambda connection: connected.append(b"")) as port:
        resolve([(address, port)])
        result = post_to(f"https://hooks.example.com:{port}/", connect=public.connect_to_public)
    assert result == PostResult("unreachable (PrivateAddress)")
    assert connected == []


def test_a_private_address_among_public_ones_is_refused(resolve: Callable[..., list[str]]) -> None:
    resolve([("8.8.8.8", 443), ("127.0.0.1", 443)])
    result = post_to("https://hooks.example.com/", connect=public.connect_to_public)
    assert result == PostResult("unreachable (PrivateAddress)")


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f000001", "127.1", "[::1]", "[::ffff:7f00:1]"])
def test_an_address_in_the_url_is_checked_in_each_spelling(host: str) -> None:
    result = post_to(f"https://{host}/", connect=public.connect_to_public)
    assert result.reason.startswith("unreachable (")
    assert result.reason != "unreachable (ConnectionRefusedError)"


def test_a_connection_goes_to_the_address_that_was_checked(
    resolve: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that answers with another address the second time (DNS rebinding) is asked once."""

    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with raw_server(serve) as checked, raw_server(lambda connection: connection.close()) as other:
        lookups = resolve([("127.0.0.1", checked)], [("127.0.0.1", other)])
        monkeypatch.setattr(public, "is_public", lambda address: True)
        result = post_to(f"http://127.0.0.1:{checked}/", connect=public.connect_to_public)
    assert result.is_accepted
    assert len(lookups) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_refusal_and_is_not_followed(status: int) -> None:
    requested: list[str] = []

    def redirect(connection: socket.socket) -> None:
        requested.append(connection.recv(65536).decode())
        target = "http://169.254.169.254/latest/meta-data/\r\nContent-Length: 0"
        connection.sendall(f"HTTP/1.1 {status} Found\r\nLocation: {target}\r\n\r\n".encode())

    with raw_server(redirect) as port:
        result = post_to(f"http://127.0.0.1:{port}/")
    assert result == PostResult(f"redirected ({status})", status)
    assert len(requested) == 1


def silent(connection: socket.socket) -> None:
    read_request(connection)
    connection.recv(1)


def drip_head(connection: socket.socket) -> None:
    read_request(connection)
    for character in b"HTTP/1.1 200 OK\r\n" * 100:
        connection.sendall(bytes([character]))
        time.sleep(0.05)


def drip_body(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b"x")
        time.sleep(0.05)


def huge(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(10_000):
        connection.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")


def endless_head(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(100_000):
        connection.sendall(b"X-%d: %s\r\n" % (number, b"y" * 1000))


def interim(connection: socket.socket) -> None:
    read_request(connection)
    for _ in range(100_000):
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
        time.sleep(0.001)


def closes(connection: socket.socket) -> None:
    read_request(connection)


@pytest.mark.parametrize("serve", [silent, drip_head, drip_body, huge, endless_head, interim, closes])
def test_a_hostile_answer_ends_within_the_limits_as_a_failure(serve: Callable[[socket.socket], None]) -> None:
    with raw_server(serve) as port:
        result = post_to(f"http://127.0.0.1:{port}/")
    assert result.reason.startswith("no_answer (")
    assert result.status == 0


@pytest.mark.parametrize("name", ["other.example.com", "localhost"])
def test_a_certificate_of_an_unknown_authority_or_another_name_is_refused(name: str) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (stranger if name == "localhost" else authority).issue_cert(name).configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    with raw_server(read_request, server) as port:
        result = post_to(f"https://localhost:{port}/", client)
    assert result == PostResult("unreachable (SSLCertVerificationError)")


def test_the_limits_of_a_request_fit_into_its_time() -> None:
    limits = endpoint.limits()
    resolving, addresses = 2.0, public.MAX_ADDRESSES * limits.connect  # RES_OPTIONS in template.yaml
    slowest = resolving + addresses + limits.connect + limits.total
    assert slowest <= endpoint.MAX_REQUEST_SECONDS


def test_only_the_local_stack_posts_to_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint.transport.cache_clear()
    monkeypatch.delenv("CALLBACKS_TO_LOOPBACK", raising=False)
    with raw_server(silent) as port:
        result = post(endpoint.transport(), callback(f"http://127.0.0.1:{port}/"), outcome_event(), time.time())
    endpoint.transport.cache_clear()
    assert result == PostResult("unreachable (PrivateAddress)")
