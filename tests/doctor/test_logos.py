"""Logos, loaded over TLS from a server of the test: reachable, of a shown format, large enough, visible on dark."""

import json
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import trustme

from mailroom_ops.doctor import Context, logos
from mailroom_ops.domains.dns import Dns
from mailroom_ops.environment import Environment
from mailroom_ops.finding import Finding

Publish = Callable[[str, bytes], str]


@pytest.fixture(scope="module")
def pages() -> dict[str, bytes]:
    return {}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def port(authority: trustme.CA, pages: dict[str, bytes]) -> Iterator[int]:
    """A TLS server that has the published files."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = pages.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("content-length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def publish(port: int, pages: dict[str, bytes], authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Publish a file, and return its address; this machine trusts the server."""
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    monkeypatch.setattr(logos, "ssl_context", lambda: trusted)

    def to_url(name: str, content: bytes) -> str:
        pages[f"/{name}"] = content
        return f"https://localhost:{port}/{name}"

    return to_url


def png(width: int, height: int, pixel: bytes, *, filter_kind: int = 0) -> bytes:
    """Return a PNG with a transparent left half, and `pixel` in its right one."""
    clear = bytes(3) + b"\x00"
    row = clear * (width // 2) + pixel * (width - width // 2)
    if filter_kind == 1:
        row = bytes((row[at] - (row[at - 4] if at >= 4 else 0)) & 0xFF for at in range(len(row)))
    data = b"".join(bytes([filter_kind]) + row for _ in range(height))

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


BLACK, WHITE, GREEN = b"\x00\x00\x00\xff", b"\xff\xff\xff\xff", b"\x0f\xb0\x6e\xff"
JPEG = b"\xff\xd8\xff\xe0\x00\x04\x00\x00\xff\xc0\x00\x11\x08\x00\x78\x01\x40" + bytes(20)


def findings(**brands: dict[str, str]) -> list[Finding]:
    values = {f"brands/{name}": json.dumps(brand) for name, brand in brands.items()}

    class Stored(Context):
        @property
        def values(self) -> dict[str, str]:
            return values

    return list(logos.check(Stored(Environment("staging"), Dns([]))))


@pytest.mark.parametrize(
    ("name", "content", "level", "state"),
    [
        ("good.png", png(200, 108, GREEN), "ok", "is a PNG, 200 × 108 pixels"),
        ("filtered.png", png(200, 108, BLACK, filter_kind=1), "warning", "is dark on a transparent ground"),
        ("photo.jpg", JPEG, "ok", "is a JPEG, 320 × 120 pixels"),
        ("animated.gif", b"GIF89a" + struct.pack("<HH", 300, 120) + bytes(20), "ok", "is a GIF, 300 × 120 pixels"),
        ("dark.png", png(200, 108, BLACK), "warning", "is dark on a transparent ground"),
        ("light.png", png(200, 108, WHITE), "warning", "is light on a transparent ground"),
        ("wide.png", png(1600, 80, GREEN), "warning", "is very wide: PNG, 1600 × 80 pixels"),
        ("small.png", png(60, 36, GREEN), "warning", "is small, and looks blurred"),
        ("heavy.jpg", JPEG + bytes(100_000), "warning", "is large: JPEG"),
        ("logo", b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "failed", "is a SVG: Gmail"),
        ("logo.webp", b"RIFF\x00\x00\x00\x00WEBPVP8 ", "failed", "is a WebP: Outlook for Windows shows none"),
        ("page.html", b"<!doctype html><title>Not found</title>", "failed", "is no picture"),
        ("broken.png", png(200, 108, BLACK)[:60], "ok", "is a PNG"),
    ],
)
def test_a_logo_is_judged_as_mail_clients_show_it(
    publish: Publish, name: str, content: bytes, level: str, state: str
) -> None:
    (finding,) = findings(acme={"logo_url": publish(name, content)})
    assert (finding.level, finding.subject) == (level, "brands/acme logo_url")
    assert state in finding.state


def test_a_logo_for_dark_mode_has_light_ink(publish: Publish) -> None:
    dark, light = publish("dark.png", png(200, 108, BLACK)), publish("light.png", png(200, 108, WHITE))
    assert [f.level for f in findings(acme={"dark_logo_url": light})] == ["ok"]
    assert "Use a light one for dark mode." in findings(acme={"dark_logo_url": dark})[0].todo
    day, night = findings(acme={"logo_url": dark, "dark_logo_url": light})
    assert "do not show the dark logo" in day.todo
    assert night.level == "ok"


def test_a_logo_that_is_not_there_is_a_failure(publish: Publish) -> None:
    url = publish("good.png", JPEG)
    assert "answers with 404" in findings(acme={"logo_url": f"{url}.old"})[0].state
    for address in (url.replace("localhost", "127.0.0.1"), "https://localhost:9/logo.png", "https://[/"):
        (finding,) = findings(acme={"logo_url": address})
        assert (finding.level, "cannot be reached" in finding.state) == ("failed", True)


def test_a_logo_of_several_tenants_is_loaded_once(publish: Publish) -> None:
    url = publish("shared.jpg", JPEG)
    assert len(findings(acme={"logo_url": url}, globex={"logo_url": url}, hooli={})) == 1
    assert findings(acme={})[0].state == "no brand has one"
