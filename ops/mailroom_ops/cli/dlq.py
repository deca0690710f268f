"""`mailroom dlq …`"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from mailroom_ops.cli.options import Group, as_json, confirm, in_environment, yes
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.ledger.dead_letters import DeadLetter, DeadLetters

LANES = ("codes", "notices")
HINTS = {"doubtful": " (--doubtful sends it anyway)"}
lanes_of = click.option(
    "--lane", "lanes", multiple=True, type=click.Choice(LANES), help="Only this lane; both, if none."
)
ids_of = click.argument("ids", nargs=-1)


@click.group(
    cls=Group,
    examples=(
        ("what could not be sent", "mailroom dlq list --env production"),
        ("send again what can be", "mailroom dlq replay --env production"),
    ),
)
def command() -> None:
    """Dead letters: mail that could not be sent, and waits for somebody to decide."""


@command.command("list")
@in_environment
@lanes_of
@as_json
def list_(environment: Environment, lanes: tuple[str, ...], as_json: bool) -> None:
    """List the letters, and what a replay would do with each."""
    from mailroom_ops.cli import screen

    found = [letter for queue in _queues(environment, lanes) for letter in queue.read()]
    if as_json:
        screen.emit(json.dumps([_to_json(letter) for letter in found], ensure_ascii=False))
        return
    rows = [(letter.id, letter.lane, letter.verdict, _summary(letter)) for letter in found]
    screen.table(("letter", "lane", "is", "mail"), rows)
    _sum_up(found)


@command.command("show")
@in_environment
@click.argument("id_", metavar="ID")
@as_json
def show(environment: Environment, id_: str, as_json: bool) -> None:
    """Show the mails in the letter ID.

    Addresses are masked, and what a mail says is not shown.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.ledger.dead_letters import replay_effect

    letter = _found(environment, (), (id_,))[0][1][0]
    if as_json:
        screen.emit(json.dumps(_to_json(letter), ensure_ascii=False))
        return
    screen.say(f"{letter.id}  {letter.lane}, {letter.size} bytes, since {_moment(letter.waits_since)}")
    screen.note(f"A replay: it is {replay_effect(letter.verdict)}{HINTS.get(letter.verdict, '')}.")
    rows = []
    for mail in letter.mails:
        status = f"{mail.delivery}, attempt {mail.attempt}"
        expiry = f"expires {_moment(mail.expires_at)}"
        rows.append((mail.id, f"{mail.tenant} {mail.kind} {mail.to}\n{status}\n{expiry}"))
    screen.table(("message", "mail"), rows)


@command.command(
    "replay",
    examples=(("notices that have expired, with an hour more", "mailroom dlq replay --lane notices --extend 3600"),),
)
@in_environment
@ids_of
@lanes_of
@click.option("--doubtful", is_flag=True, help="Those, too, that a provider may have sent.")
@click.option(
    "--extend", default=0.0, metavar="SECONDS", type=click.FloatRange(min=0), help="Give expired notices more time."
)
@yes
def replay(
    environment: Environment, ids: tuple[str, ...], lanes: tuple[str, ...], doubtful: bool, extend: float, yes: bool
) -> None:
    """Queue letters again: those of IDS, or all. Letters with expired or finished mail are deleted."""

    def work(queue: "DeadLetters", letters: "Sequence[DeadLetter]") -> "Iterator[DeadLetter]":
        return queue.replay(letters, doubtful=doubtful, extend=extend)

    _carry_out(environment, lanes, ids, "Replay", work, yes, doubtful=doubtful, extend=extend)


@command.command("drop")
@in_environment
@ids_of
@lanes_of
@yes
def drop(environment: Environment, ids: tuple[str, ...], lanes: tuple[str, ...], yes: bool) -> None:
    """Delete letters: those of IDS, or all. Mail without a final status is recorded as failed."""
    _carry_out(environment, lanes, ids, "Drop", lambda queue, letters: queue.drop(letters), yes)


def _carry_out(
    environment: Environment,
    lanes: Sequence[str],
    ids: Sequence[str],
    verb: str,
    work: "Callable[[DeadLetters, Sequence[DeadLetter]], Iterator[DeadLetter]]",
    agreed: bool,
    *,
    doubtful: bool = False,
    extend: float = 0,
) -> None:
    from mailroom_ops.cli import screen
    from mailroom_ops.ledger.dead_letters import count_letters

    found = _found(environment, lanes, ids)
    letters = [letter for _, some in found for letter in some]
    if verb == "Replay" or not letters:
        _sum_up([letter.with_extension(extend) for letter in letters], doubtful)
    if not letters:
        return
    confirm(environment.label, f"{verb} {count_letters(len(letters))} in {environment.label}?", agreed)
    done: list[DeadLetter] = []
    for queue, some in found:
        with screen.progress(work(queue, some), len(some), str(queue.lane)) as working:
            done.extend(working)
    counts = Counter(str(letter.verdict) for letter in done)
    ended = ", ".join(f"{number} {verdict}" for verdict, number in counts.items()) if verb == "Replay" else ""
    screen.say(f"Done: {count_letters(len(done))}{f' ({ended})' if ended else ''}.")


def _queues(environment: Environment, lanes: Sequence[str]) -> "list[DeadLetters]":
    from mailroom.model.kinds import Lane
    from mailroom_ops.ledger.dead_letters import DeadLetters

    return [DeadLetters.of(environment, Lane(lane)) for lane in lanes or LANES]


def _found(
    environment: Environment, lanes: Sequence[str], ids: Sequence[str]
) -> "list[tuple[DeadLetters, list[DeadLetter]]]":
    """Look at the letters that are meant; one that is named has to be there."""
    from mailroom_ops.errors import InvalidInput

    queues = [
        (queue, [one for one in queue.read() if not ids or one.id in ids]) for queue in _queues(environment, lanes)
    ]
    there = {one.id for _, some in queues for one in some}
    if missing := [id_ for id_ in ids if id_ not in there]:
        raise InvalidInput(f"There is no letter {missing[0]}.", "`mailroom dlq list` tells which there are.")
    return [(queue, some) for queue, some in queues if some]


def _sum_up(letters: "Sequence[DeadLetter]", doubtful: bool = False) -> None:
    from mailroom_ops.cli import screen
    from mailroom_ops.ledger.dead_letters import count_letters, replay_effect

    if not letters:
        screen.say("There are no dead letters.")
        return
    counts = Counter(letter.verdict for letter in letters)
    screen.say(f"A replay of {count_letters(len(letters))}:")
    for verdict, number in counts.items():
        hint = "" if doubtful else HINTS.get(verdict, "")
        screen.note(f"{number} {verdict}: {replay_effect(verdict, doubtful=doubtful)}{hint}")


def _summary(letter: "DeadLetter") -> str:
    if not letter.mails:
        return f"{letter.size} bytes"
    first = letter.mails[0]
    more = f" and {len(letter.mails) - 1} more" if len(letter.mails) > 1 else ""
    return f"{first.tenant} {first.kind} {first.to}{more}\n{letter.delivery}"


def _moment(seconds: float) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def _to_json(letter: "DeadLetter") -> dict[str, object]:
    from dataclasses import asdict

    return asdict(letter)
