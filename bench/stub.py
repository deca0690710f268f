"""A stub of AWS and Resend for one mail, over TLS; it answers at once, so that only our own code is measured."""

import hashlib
import json
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import certifi
import trustme

__all__ = ["Stub"]

ROOT = Path(__file__).parent.parent


# A message that was sent, as a report finds it.
ROW = {
    **{name: {"S": value} for name, value in (("tenant", "default"), ("kind", "sign-in-code"), ("source", "logto"))},
    **{name: {"S": value} for name, value in (("to", "a@example.com"), ("recipient", "0" * 32), ("status", "sent"))},
    "created": {"N": "1790000000"},
    "timeline": {"L": []},
    "provider": {"S": "ses"},
}


class Stub:
    """Serves on a free port until `close`. `seen` has the requests, `busy` the seconds of answering them."""

    def __init__(self, folder: Path, parameters: Mapping[str, str]) -> None:
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        # Our authority beside the public ones: reading them is a part of every cold start.
        self.bundle = folder / "authorities.pem"
        self.bundle.write_bytes(Path(certifi.where()).read_bytes() + authority.cert_pem.bytes())
        self.certificates = folder / "certificates"
        script = ROOT / "layers" / "dependencies" / "certificates.py"
        subprocess.run([sys.executable, script, self.bundle, self.certificates], check=True)
        self._server = _Server(self)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        self.parameters = dict(parameters) | {f"providers/{name}/endpoint": self.url for name in ("resend", "ses")}
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.busy = 0.0
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a process that uses this stub and trusts its certificate."""
        bundle = str(self.bundle)
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_CA_BUNDLE": bundle,
            "REQUESTS_CA_BUNDLE": bundle,
            "SSL_CERT_DIR": str(self.certificates),
        }

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        match operation:
            case "GetParameter":
                return {"Parameter": self._parameter(_relative(request["Name"]))}
            case "GetParameters":
                names = [_relative(name) for name in request["Names"]]
                return {"Parameters": [self._parameter(name) for name in names if name in self.parameters]}
            case "GetParametersByPath":
                inside = _relative(request["Path"]) + "/"
                return {"Parameters": [self._parameter(name) for name in self.parameters if name.startswith(inside)]}
            case "SendMessage":
                body = request["MessageBody"].encode()
                return {"MessageId": str(uuid.uuid4()), "MD5OfMessageBody": hashlib.md5(body).hexdigest()}  # noqa: S324 - SQS's own
            case "UpdateItem" if request.get("ReturnValues") == "ALL_NEW":
                return {"Attributes": ROW | {"pk": request["Key"]["pk"]}}
            case "/emails":
                return {"id": str(uuid.uuid4())}
            case "/v2/email/outbound-emails":
                return {"MessageId": str(uuid.uuid4())}
        return {}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _parameter(self, name: str) -> dict[str, Any]:
        return {"Name": f"/mailroom/development/{name}", "Type": "SecureString", "Value": self.parameters[name]}


def _relative(name: str) -> str:
    return name.removeprefix("/mailroom/development/")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, stub: Stub) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.stub = stub


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_POST(self) -> None:
        started = time.perf_counter()
        stub = self.server.stub
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers.get("X-Amz-Target", self.path).rpartition(".")[2]
        stub.seen.append((operation, request))
        content = json.dumps(stub.answer(operation, request)).encode()
        self.send_response_only(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()
        stub.busy += time.perf_counter() - started
