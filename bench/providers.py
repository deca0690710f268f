"""What a provider's adapter costs: CPU a message, beside a bare httpx loop and django-anymail on the same sandbox.

All three keep one connection to one sandbox process and take turns, round after round, so that a busy machine is
unfair to each alike; a cell is the median round. `python -m bench.providers` prints the table.
"""

import statistics
import subprocess
import sys
import time
import warnings
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from typing import Any

import httpx

from mailroom.email import Email
from mailroom.mailbox import Mailbox
from mailroom.providers import load
from mailroom_ops.sandbox.server import desks

__all__ = ["Cost", "measure"]

ROUNDS = 15
MAILS = 100  # a round
EMAIL = Email(
    from_=Mailbox("no-reply@example.com", "Acme"),
    to="ada@example.org",
    subject="Your code is 000000",
    html="<p>Your code is <b>000000</b></p>" * 60,
    text="Your code is 000000\n" * 20,
    reply_to=Mailbox("help@example.com", "Help"),
    headers={"X-Entity-Ref-ID": "123", "Auto-Submitted": "auto-generated"},
    tags={"message_id": "0123456789ab", "tenant": "default", "kind": "sign-in-code"},
)

Send = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Cost:
    """The median of all rounds, for one way to send through one provider."""

    cpu: float  # seconds a mail
    rate: float  # mails a second


@contextmanager
def sandbox() -> Iterator[str]:
    """Run the sandbox in a process of its own, so that its CPU is not counted; give its address."""
    command = [sys.executable, "-m", "mailroom_ops.sandbox"]
    # Leaving the block closes its standard input, and so ends it.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().removeprefix("ready ").strip() if process.stdout else ""


def ours(name: str, settings: Mapping[str, str]) -> Send:
    provider = load(name, settings)
    return lambda number: provider.send(EMAIL, f"ours-{number}")


def bare(name: str, settings: Mapping[str, str]) -> Send:
    """Post a body that was written beforehand: what nobody can do without."""
    url, headers, body = BARE[name](settings)
    client = httpx.Client(headers=headers)

    def send(number: int) -> object:
        keyed = {"Idempotency-Key": f"bare-{number}"}
        answer = (
            client.post(url, headers=keyed, data=body)
            if name == "mailgun"
            else client.post(url, headers=keyed, json=body)
        )
        answer.raise_for_status()
        return answer.headers["x-message-id"] if name == "sendgrid" else answer.json()

    return send


def _bare_resend(settings: Mapping[str, str]) -> tuple[str, dict[str, str], dict[str, Any]]:
    body = {"from": "Acme <no-reply@example.com>", "to": [EMAIL.to], "subject": EMAIL.subject, "html": EMAIL.html,
            "text": EMAIL.text, "reply_to": "Help <help@example.com>", "headers": dict(EMAIL.headers),
            "tags": [{"name": name, "value": value} for name, value in EMAIL.tags.items()]}  # fmt: skip
    return f"{settings['endpoint']}/emails", {"Authorization": f"Bearer {settings['api_key']}"}, body


def _bare_sendgrid(settings: Mapping[str, str]) -> tuple[str, dict[str, str], dict[str, Any]]:
    body = {"from": {"email": "no-reply@example.com", "name": "Acme"},
            "personalizations": [{"to": [{"email": EMAIL.to}]}], "subject": EMAIL.subject,
            "reply_to": {"email": "help@example.com", "name": "Help"},
            "content": [{"type": "text/plain", "value": EMAIL.text}, {"type": "text/html", "value": EMAIL.html}],
            "headers": dict(EMAIL.headers), "custom_args": dict(EMAIL.tags)}  # fmt: skip
    return f"{settings['endpoint']}/v3/mail/send", {"Authorization": f"Bearer {settings['api_key']}"}, body


def _bare_mailgun(settings: Mapping[str, str]) -> tuple[str, dict[str, str], dict[str, Any]]:
    body = {"from": "Acme <no-reply@example.com>", "to": EMAIL.to, "subject": EMAIL.subject, "html": EMAIL.html,
            "text": EMAIL.text, "h:Reply-To": "Help <help@example.com>",
            **{f"h:{name}": value for name, value in EMAIL.headers.items()},
            **{f"v:{name}": value for name, value in EMAIL.tags.items()}}  # fmt: skip
    key = b64encode(f"api:{settings['api_key']}".encode()).decode()
    return f"{settings['endpoint']}/v3/example.com/messages", {"Authorization": f"Basic {key}"}, body


def _bare_postmark(settings: Mapping[str, str]) -> tuple[str, dict[str, str], dict[str, Any]]:
    body = {"From": "Acme <no-reply@example.com>", "To": EMAIL.to, "Subject": EMAIL.subject, "HtmlBody": EMAIL.html,
            "TextBody": EMAIL.text, "ReplyTo": "Help <help@example.com>", "Metadata": dict(EMAIL.tags),
            "Headers": [{"Name": name, "Value": value} for name, value in EMAIL.headers.items()]}  # fmt: skip
    return f"{settings['endpoint']}/email", {"X-Postmark-Server-Token": settings["server_token"]}, body


BARE = {"resend": _bare_resend, "sendgrid": _bare_sendgrid, "mailgun": _bare_mailgun, "postmark": _bare_postmark}
ANYMAIL = {
    "resend": ("RESEND_API_KEY", "api_key", "RESEND_API_URL", ""),
    "sendgrid": ("SENDGRID_API_KEY", "api_key", "SENDGRID_API_URL", "/v3"),
    "mailgun": ("MAILGUN_API_KEY", "api_key", "MAILGUN_API_URL", "/v3"),
    "postmark": ("POSTMARK_SERVER_TOKEN", "server_token", "POSTMARK_API_URL", ""),
}


def anymail(name: str, settings: Mapping[str, str]) -> Send:
    from anymail.message import AnymailMessage  # type: ignore[import-untyped]
    from django.conf import settings as django_settings  # type: ignore[import-untyped]
    from django.core.mail import get_connection  # type: ignore[import-untyped]

    key_name, key, url_name, path = ANYMAIL[name]
    if not django_settings.configured:
        django_settings.configure()
    django_settings.ANYMAIL = {key_name: settings[key], url_name: f"{settings['endpoint']}{path}/"}
    connection = get_connection(f"anymail.backends.{name}.EmailBackend")
    connection.open()

    def send(_: int) -> object:
        message = AnymailMessage(
            EMAIL.subject,
            EMAIL.text,
            str(EMAIL.from_),
            [EMAIL.to],
            reply_to=[str(EMAIL.reply_to)],
            headers=dict(EMAIL.headers),
            metadata=dict(EMAIL.tags),
        )
        message.attach_alternative(EMAIL.html, "text/html")
        return connection.send_messages([message])

    return send


def measure(rounds: int = ROUNDS, mails: int = MAILS) -> dict[str, dict[str, Cost]]:
    """Return, for each provider, what each way to send costs."""
    with sandbox() as url:
        table = {}
        for desk in desks():
            if desk.name not in BARE:
                continue
            settings = desk.settings(f"{url}/{desk.name}")
            ways = {way.__name__: way(desk.name, settings) for way in (bare, ours, anymail)}
            table[desk.name] = _race(ways, rounds, mails)
        return table


def _race(ways: Mapping[str, Send], rounds: int, mails: int) -> dict[str, Cost]:
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    numbers = count()
    for _ in range(rounds + 1):  # the first one warms up
        for name, send in ways.items():
            cpu, wall = time.process_time(), time.perf_counter()
            for _ in range(mails):
                send(next(numbers))
            taken[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    return {
        name: Cost(
            statistics.median(cpu for cpu, _ in times[1:]) / mails, mails / statistics.median(w for _, w in times[1:])
        )
        for name, times in taken.items()
    }


def main() -> None:
    if find_spec("anymail") is None:
        sys.exit("needs django-anymail: install with .venv/bin/pip install django-anymail")
    warnings.filterwarnings("ignore", module="anymail")  # it warns that its SendGrid backend is no longer tested
    print(f"{'':10}{'bare httpx':>14}{'Mailroom':>22}{'django-anymail':>24}{'Mailroom, mails/s':>20}")
    for name, costs in measure().items():
        base, us, them = costs["bare"], costs["ours"], costs["anymail"]
        print(
            f"{name:10}{base.cpu * 1e6:11.0f} µs{us.cpu * 1e6:11.0f} µs ({us.cpu / base.cpu:4.2f}x)"
            f"{them.cpu * 1e6:13.0f} µs ({them.cpu / base.cpu:4.2f}x){us.rate:20.0f}"
        )


if __name__ == "__main__":
    main()
