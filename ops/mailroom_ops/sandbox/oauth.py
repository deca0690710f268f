"""A token server on loopback, as Microsoft Entra's is for client credentials, for the SMTP sandbox.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
"""

import json
import secrets
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

__all__ = ["TokenServer"]

SCOPE = "https://outlook.office365.com/.default"
TOKEN_BYTES = 1500  # in base64 about as long as one of Microsoft's


class TokenServer:
    """Issues tokens within a `with` block, and knows which of them are valid."""

    def __init__(self, *, lifetime: float = 3599, clock: Callable[[], float] = time.time) -> None:
        self.client_id = "00000000-0000-4000-8000-c11e17000000"
        self.client_secret = secrets.token_urlsafe(24)
        self.lifetime = lifetime
        self.requests = 0
        self.responses: list[tuple[int, Any]] = []  # in place of the next tokens
        self._clock = clock
        self._valid: dict[str, float] = {}  # until when
        self._lock = threading.Lock()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="tokens", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/tenant/oauth2/v2.0/token"

    def setting(self, **changes: str) -> str:
        """Return the setting `providers/smtp/oauth` with which Mailroom requests tokens here."""
        own = {"token_url": self.url, "client_id": self.client_id, "client_secret": self.client_secret}
        return json.dumps(own | changes)

    def accepts(self, token: str) -> bool:
        with self._lock:
            return self._valid.get(token, 0.0) > self._clock()

    def revoke(self) -> None:
        """Make all issued tokens invalid, as a change of the application's permissions does."""
        with self._lock:
            self._valid.clear()

    def answer(self, form: dict[str, str]) -> tuple[int, Any]:
        with self._lock:
            self.requests += 1
            if self.responses:
                return self.responses.pop(0)
            if form.get("grant_type") != "client_credentials" or form.get("scope") != SCOPE:
                return 400, _error("invalid_scope", "AADSTS1002012: The provided value for scope is not valid.")
            if form.get("client_id") != self.client_id:
                return 400, _error("unauthorized_client", "AADSTS700016: Application with identifier was not found.")
            if form.get("client_secret") != self.client_secret:
                return 401, _error("invalid_client", "AADSTS7000215: Invalid client secret provided.")
            token = secrets.token_urlsafe(TOKEN_BYTES)
            self._valid[token] = self._clock() + self.lifetime
            return 200, {"token_type": "Bearer", "expires_in": int(self.lifetime), "access_token": token}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _error(name: str, description: str) -> dict[str, str]:
    return {"error": name, "error_description": f"{description} Trace ID: 0000"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, tokens: TokenServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tokens = tokens


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        status, answer = self.server.tokens.answer({name: values[-1] for name, values in parse_qs(body).items()})
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json; charset=utf-8")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: requests contain secrets."""
