"""Django's mails through the source `rendered`: what its backend posts, and what it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.scripted import Reply, serve

PROGRAM = """
import json, sys
from django.conf import settings

settings.configure(
    MAILROOM_URL=sys.argv[1], MAILROOM_API_KEY="key", MAILROOM_RENDERED_AUTHORIZATION="Bearer rendered",
    MAILROOM_TENANT="acme", EMAIL_BACKEND="clients.python.mailroom_django.EmailBackend", USE_I18N=False,
)
from django.core.mail import EmailMessage, EmailMultiAlternatives, send_mail

try:
    {statement}
except Exception as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


def run(root: Path, url: str, statement: str) -> Any:
    """Run a statement in a Django project whose Mailroom is at an address; return the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM.replace("{statement}", statement), url],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_each_recipient_gets_a_mail_with_html_text_and_reply_to(root: Path) -> None:
    statement = """
    mail = EmailMultiAlternatives("Hello", "Text", to=["a@example.com"], cc=["b@example.com"])
    mail.reply_to = ["c@example.com"]
    mail.attach_alternative("<p>HTML</p>", "text/html")
    print(mail.send())
    """
    with serve(Reply(200, {})) as server:
        assert run(root, server.url, statement.strip()) == 1

    bodies = [body for _, body in server.requests]
    assert [body.pop("to") for body in bodies] == ["a@example.com", "b@example.com"]
    assert len({body.pop("id") for body in bodies}) == 2
    assert bodies == [{"subject": "Hello", "html": "<p>HTML</p>", "text": "Text", "reply_to": "c@example.com"}] * 2
    headers, _ = server.requests[0]
    assert (headers["path"], headers["authorization"]) == ("/webhooks/rendered/acme", "Bearer rendered")


@pytest.mark.parametrize(
    ("statement", "printed"),
    [
        ("send_mail('Hi', 'x', None, ['a@example.com'])", "HTTP 422). The field to is not an address."),
        ("EmailMessage('Hi', attachments=[('a.txt', 'x')], to=['a@example.com']).send()", "no attachments: 'Hi'"),
    ],
)
def test_a_refused_mail_is_an_error_unless_it_may_fail_silently(root: Path, statement: str, printed: str) -> None:
    with serve(Reply(422, b"The field to is not an address.", {"content-type": "text/plain; charset=utf-8"})) as server:
        name, text = run(root, server.url, statement)
        assert (name, printed in text) == ("MailroomError", True), text
        silent = "print(send_mail('Hi', 'x', None, ['a@example.com'], fail_silently=True))"
        assert run(root, server.url, silent) == 0
