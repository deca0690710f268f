"""`mailroom send sign-in-code --to reader@example.com`"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click
from click.shell_completion import CompletionItem

from mailroom_ops.cli.options import Command, as_json, confirm_production, in_environment, yes
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.ledger.trace import Trace

MAX_COUNT = 1000
BATCH_SIZE = 100  # the most messages of one request
UNSENT = ("failed", "unknown")
REFUSED_EXIT_CODE, UNSENT_EXIT_CODE = 2, 3


class Kind(click.ParamType[str]):
    """A kind of mail; the function refuses an unknown one, because a tenant may have kinds of its own."""

    name = "kind"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from mailroom.model.kinds import KINDS

        return [CompletionItem(kind) for kind in KINDS if kind.startswith(incomplete)]


@dataclass(frozen=True, slots=True)
class Sent:
    """The reply to one message, and its trace where the reply is not the whole truth."""

    reply: Mapping[str, Any]
    trace: "Trace | None" = None

    @property
    def status(self) -> str:
        """The status in the ledger: the reply conceals that an address is suppressed or limited."""
        return self.trace.status if self.trace and self.trace.status == "skipped" else str(self.reply["status"])

    @property
    def reason(self) -> str:
        return self.trace.reason if self.trace and self.status == "skipped" else str(self.reply.get("reason", ""))


@click.command(
    cls=Command,
    examples=(
        ("a code, to the local stack", "mailroom send sign-in-code --to bob@example.com --code 123456"),
        ("in German, as a tenant", "mailroom send mfa-code --to bob@example.com --locale de --tenant acme"),
        ("a notification", "mailroom send notification --to bob@example.com --data title=Welcome"),
        ("a burst, by queue", "mailroom send sign-in-code --to bob@example.com --count 50 --queued"),
    ),
)
@in_environment
@click.argument("kind", type=Kind())
@click.option("--to", required=True, metavar="ADDRESS", help="The recipient.")
@click.option("--code", metavar="TEXT", help="The code; for a kind that needs one, a random one if nothing is given.")
@click.option("--link", metavar="URL", help="The link.")
@click.option("--data", "fields", multiple=True, metavar="KEY=VALUE", help="More content; a value may be JSON.")
@click.option("--tenant", metavar="NAME", help="Tenant that the mail is from: its sender, brand and templates.")
@click.option("--locale", "locales", multiple=True, metavar="TAG", help="Language; several, the preferred one first.")
@click.option("--queued", is_flag=True, help="Return as soon as the message is stored, and send it by queue.")
@click.option("--expires-in", type=click.IntRange(1), metavar="SECONDS", help="Do not send it later than that.")
@click.option("--idempotency-key", metavar="KEY", help="Send one message however often the command is repeated.")
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, MAX_COUNT), help="How many to send.")
@yes
@as_json
@click.pass_context
def command(
    ctx: click.Context,
    environment: Environment,
    kind: str,
    to: str,
    code: str | None,
    link: str | None,
    fields: tuple[str, ...],
    tenant: str | None,
    locales: tuple[str, ...],
    queued: bool,
    expires_in: int | None,
    idempotency_key: str | None,
    count: int,
    yes: bool,
    as_json: bool,
) -> None:
    """Send a mail of a KIND through the function send, and show its status.

    Each call is a mail of its own, unless --idempotency-key is given. docs/send.md lists the kinds and what they need.
    Exits with 2 if the request is refused, and with 3 if the mail is not sent.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput

    if idempotency_key and count > 1:
        raise InvalidInput("--idempotency-key is for one mail.", "Leave out --count, or the key.")
    content = {"code": code, "link": link} | _content(fields)
    request = {
        "kind": kind,
        "to": to,
        "tenant": tenant,
        "locale": list(locales) or None,
        "mode": "queued" if queued else None,
        "expires_in": expires_in,
        "data": {name: value for name, value in content.items() if value is not None},
        "idempotency_key": idempotency_key,
    }
    request = {name: value for name, value in request.items() if value is not None}
    number = "a mail" if count == 1 else f"{count} mails"
    confirm_production(environment, f"Send {number} to {to} from {environment.label}?", yes)
    messages = [_fresh(request) for _ in range(count)]
    if count == 1:
        replies = [environment.invoke("send", messages[0])]
    else:
        batches = [messages[start : start + BATCH_SIZE] for start in range(0, count, BATCH_SIZE)]
        replies = [reply for batch in batches for reply in environment.invoke("send", {"messages": batch})["results"]]
    if as_json:
        screen.emit(json.dumps(replies[0] if count == 1 else {"results": replies}, ensure_ascii=False))
    elif count == 1:
        _show(environment, kind, to, Sent(replies[0], _trace(environment, replies[0])))
    else:
        _show_counts(kind, to, replies)
    statuses = {reply["status"] for reply in replies}
    ctx.exit(REFUSED_EXIT_CODE if "refused" in statuses else UNSENT_EXIT_CODE if statuses & {*UNSENT} else 0)


def _content(fields: Sequence[str]) -> dict[str, Any]:
    """Return the fields of --data; a JSON object or list is parsed."""
    from mailroom_ops.errors import InvalidInput

    content: dict[str, Any] = {}
    for field in fields:
        name, separator, text = field.partition("=")
        if not name or not separator:
            raise InvalidInput(f"{field!r} is not of the form KEY=VALUE.")
        content[name] = text
        if text.startswith(("{", "[")):
            try:
                content[name] = json.loads(text)
            except ValueError as error:
                raise InvalidInput(f"The value of {name} is not valid JSON: {error}.") from error
    return content


def _fresh(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request of its own: with a new key, and a new code where a mail needs one and none is given."""
    from mailroom.model.kinds import KINDS, Lane

    data = dict(request["data"])
    if KINDS.get(request["kind"]) is Lane.CODES and not data.get("code") and not data.get("link"):
        data["code"] = f"{secrets.randbelow(1_000_000):06}"
    key = request.get("idempotency_key") or f"cli-{uuid4().hex}"
    return {**request, "data": data, "idempotency_key": key}


def _trace(environment: Environment, reply: Mapping[str, Any]) -> "Trace | None":
    """Return the trace of a message; None for a refused one, and where the ledger cannot be read."""
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import ServiceError
    from mailroom_ops.ledger.queries import LedgerQueries
    from mailroom_ops.ledger.trace import find_traces

    if reply["status"] in ("refused", "accepted"):
        return None
    try:
        return next(find_traces(LedgerQueries.of(environment), str(reply["message_id"])), None)
    except ServiceError as error:
        screen.warn(f"The ledger cannot be read: {error.sentence}")
        return None


def _show(environment: Environment, kind: str, to: str, sent: Sent) -> None:
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput

    reply, status = sent.reply, sent.status
    if status == "refused":
        errors = [f"{error['field']}: {error['message']}" for error in reply["errors"]]
        screen.show_error(InvalidInput("The request was refused.", "", errors))
        return
    color = "green" if status == "sent" else "red" if status in UNSENT else "yellow"
    through = f" through {reply['provider']}" if status in ("sent", *UNSENT) and reply.get("provider") else ""
    reason = f": {sent.reason}" if sent.reason else ""
    screen.emit(f"{screen.colored(status, color)}{reason}  {kind} for {to}{through}")
    if status in UNSENT and sent.trace:
        for step in sent.trace.steps:
            if step.detail:
                screen.note(f"{step.provider} {step.event}: {step.detail}".strip())
    if environment.is_local and status == "sent":
        screen.note(f"{environment.local_url}/#{reply['provider_id']}")
    screen.note(f"mailroom trace {reply['message_id']} --env {environment.label}")


def _show_counts(kind: str, to: str, replies: Sequence[Mapping[str, Any]]) -> None:
    """Print how many mails have each status and reason."""
    from collections import Counter

    from mailroom_ops.cli import screen

    counts = Counter((str(reply["status"]), str(reply.get("reason", ""))) for reply in replies)
    for (status, reason), number in counts.most_common():
        screen.say(f"{number} {status}{f': {reason}' if reason else ''}  {kind} for {to}")
    refusals = [error for reply in replies for error in reply.get("errors", ())]
    for field, message in dict.fromkeys((error["field"], error["message"]) for error in refusals):
        screen.note(f"{field}: {message}")
