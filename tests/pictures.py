"""Pictures for tests, and a server that has them."""

import ssl
import struct
import threading
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import trustme

from mailroom_ops.templates import logo_download

__all__ = ["JPEG", "Publish", "base64", "png", "publish"]

Publish = Callable[[str, bytes], str]

JPEG = b"\xff\xd8\xff\xe0\x00\x04\x00\x00\xff\xc0\x00\x11\x08\x00\x78\x01\x40" + bytes(20)


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


def base64(content: bytes) -> str:
    """Return bytes as a tenant's file has them."""
    return b64encode(content).decode()


@pytest.fixture(scope="module")
def pictures_by_path() -> dict[str, bytes]:
    return {}


@pytest.fixture(scope="module")
def picture_authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def picture_port(picture_authority: trustme.CA, pictures_by_path: dict[str, bytes]) -> Iterator[int]:
    """A TLS server that has the published files."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = pictures_by_path.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("content-length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    picture_authority.issue_cert("localhost").configure_cert(context)
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def publish(
    picture_port: int,
    pictures_by_path: dict[str, bytes],
    picture_authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
) -> Publish:
    """Publish a file, and return its address; this machine trusts the server."""
    trusted = ssl.create_default_context()
    picture_authority.configure_trust(trusted)
    monkeypatch.setattr(logo_download, "ssl_context", lambda: trusted)

    def to_url(name: str, content: bytes) -> str:
        pictures_by_path[f"/{name}"] = content
        return f"https://localhost:{picture_port}/{name}"

    return to_url
