"""Our calls to AWS against servers that misbehave."""

import gc
import json
import socket
import threading
import time
import weakref
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mailroom.aws import client as module
from mailroom.aws.client import Aws, AwsError
from mailroom.errors import ConfigurationError, TemporaryFailure


class Answers(ThreadingHTTPServer):
    """Answers each request with the next of `script`: (status, body), or None to drop the connection."""

    def __init__(self, *script: tuple[int, bytes] | None) -> None:
        self.script, self.requests = list(script), 0
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Answers

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.requests += 1
        step = self.server.script.pop(0)
        if step is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(step[0])
        self.send_header("content-length", str(len(step[1])))
        self.end_headers()
        self.wfile.write(step[1])

    def log_message(self, format: str, *args: object) -> None: ...


class Payload(dict[str, str]):
    """A payload that can be watched."""


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    monkeypatch.setattr(module, "PAUSES_SECONDS", (0, 0))


def call(*script: tuple[int, bytes] | None) -> tuple[object, int]:
    with Answers(*script) as server, closing(Aws("eu-west-1", server.url)) as aws:
        try:
            return aws.call("sqs", "SendMessage", {}), server.requests
        except (AwsError, ConfigurationError, TemporaryFailure) as error:
            return error, server.requests
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    "first",
    [None, (500, b"oops"), (503, b"{}"), (400, b'{"__type":"ThrottlingException"}'), (200, b"<html>")],
    ids=["dropped", "500", "503", "throttled", "garbage"],
)
def test_what_passes_is_tried_again(first: tuple[int, bytes] | None) -> None:
    assert call(first, (200, b'{"MessageId":"1"}')) == ({"MessageId": "1"}, 2)


def test_three_failures_are_enough() -> None:
    error, requests = call(None, (500, b""), (500, b""))
    assert isinstance(error, TemporaryFailure)
    assert requests == 3


def test_a_call_is_not_repeated_when_its_invocation_must_end() -> None:
    with Answers((500, b""), (200, b"{}")) as server, closing(Aws("eu-west-1", server.url)) as aws:
        aws.retry_until = time.time() - 1
        with pytest.raises(TemporaryFailure):
            aws.call("sqs", "SendMessage", {})
        assert server.requests == 1


def test_a_missing_permission_is_for_an_operator_and_not_tried_again() -> None:
    body = b'{"__type":"com.amazon.coral.service#AccessDeniedException","message":"not authorized"}'
    error, requests = call((400, body))
    assert isinstance(error, ConfigurationError)
    assert (error.code, requests) == ("AccessDeniedException", 1)


def test_a_refusal_carries_its_answer() -> None:
    body = {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "Item": {"pk": {"S": "x"}}}
    error, requests = call((400, json.dumps(body).encode()))
    assert isinstance(error, AwsError)
    assert (error.code, error.body["Item"], requests) == ("ConditionalCheckFailedException", {"pk": {"S": "x"}}, 1)


def test_a_refusal_is_freed_at_once_and_the_frames_under_it_too() -> None:
    payload = Payload()
    watched = weakref.ref(payload)
    gc.disable()
    try:
        with (
            Answers((400, b'{"__type": "ValidationException"}')) as server,
            closing(Aws("eu-west-1", server.url)) as aws,
        ):
            with pytest.raises(AwsError, match="ValidationException"):
                aws.call("dynamodb", "UpdateItem", payload)
            del payload
            assert watched() is None
    finally:
        gc.enable()


def test_a_connection_that_died_in_between_costs_nothing_but_a_new_one() -> None:
    with Answers((200, b"{}"), None, (200, b'{"again":true}')) as server, closing(Aws("eu-west-1", server.url)) as aws:
        aws.call("sqs", "SendMessage", {})
        assert aws.call("sqs", "SendMessage", {}) == {"again": True}
        server.shutdown()


def test_without_keys_in_the_environment_the_container_endpoint_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    given = {"AccessKeyId": "A", "SecretAccessKey": "S", "Token": "T", "Expiration": "2999-01-01T00:00:00Z"}

    class Endpoint(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = self.path == "/creds" and self.headers["Authorization"] == "pass"
            body = json.dumps(given if allowed else {}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as endpoint:
        threading.Thread(target=endpoint.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{endpoint.server_port}/creds")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pass")
        assert call((200, b'{"ok":true}')) == ({"ok": True}, 1)
        endpoint.shutdown()
