"""`mailroom dlq …`"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from mailroom_ops.cli.options import Group, as_json, confirm, in_environment, yes
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.ledger.dead_letters import DeadLetter, DeadLetters
    from mailroom_ops.ledger.outcome_letters import OutcomeLetters

LANES = ("codes", "notices")
SHORT_ID_LENGTH = 8
OUTCOMES = "outcomes"
HINTS = {"doubtful": " (--doubtful sends it anyway)"}
lanes_of = click.option(
    "--lane", "lanes", multiple=True, type=click.Choice((*LANES, OUTCOMES)), help="Only this queue; else all."
)
ids_of = click.argument("ids", nargs=-1)


@click.group(
    cls=Group,
    examples=(
        ("list the dead letters", "mailroom dlq list --env production"),
        ("queue them again, after a question", "mailroom dlq replay --env production"),
    ),
)
def command() -> None:
    """Manage dead letters: mail that could not be sent, and outcome events that no endpoint accepted."""


@command.command("list")
@in_environment
@lanes_of
@as_json
def list_(environment: Environment, lanes: tuple[str, ...], as_json: bool) -> None:
    """List dead letters, and what a replay would do with each.

    Ids are shortened; every command accepts the beginning of an id.
    """
    from mailroom_ops.cli import screen

    letters = [letter for queue in _queues(environment, lanes) for letter in queue.read()]
    if as_json:
        screen.emit_json([_to_json(letter) for letter in letters])
        return
    length = _short_length([letter.id for letter in letters])
    rows = [(letter.id[:length], letter.lane, letter.verdict, _summary(letter)) for letter in letters]
    screen.table(("id", "lane", "state", "mail"), rows)
    _sum_up(letters)


@command.command("show")
@in_environment
@click.argument("id_", metavar="ID")
@as_json
def show(environment: Environment, id_: str, as_json: bool) -> None:
    """Show the mails in the dead letter ID.

    Addresses are masked, and no content is shown.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.ledger.dead_letters import replay_effect
    from mailroom_ops.ledger.reasons import explain

    letter = _select(environment, (), (id_,))[0][1][0]
    if as_json:
        screen.emit_json(_to_json(letter))
        return
    screen.say(f"{letter.id}  {letter.lane}, {letter.size} bytes, since {_time(letter.waits_since)}")
    screen.note(f"A replay: it is {replay_effect(letter.verdict)}{HINTS.get(letter.verdict, '')}.")
    rows = []
    for mail in letter.mails:
        status = f"{mail.delivery}, attempt {mail.attempt}"
        lines = [f"{mail.tenant} {mail.kind} {mail.to}", status, f"expires {_time(mail.expires_at)}"]
        if explanation := explain(mail.reason, mail.status):
            lines += [explanation.meaning, f"→ {explanation.next_step}"]
        rows.append((mail.id, "\n".join(lines)))
    screen.table(("message", "mail"), rows)


@command.command(
    "replay",
    examples=(("replay expired notices with one more hour", "mailroom dlq replay --lane notices --extend 3600"),),
)
@in_environment
@ids_of
@lanes_of
@click.option("--doubtful", is_flag=True, help="Include mail that a provider may have sent already.")
@click.option(
    "--extend",
    default=0.0,
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    help="Extend the lifetime of expired notices.",
)
@yes
@as_json
def replay(
    environment: Environment,
    ids: tuple[str, ...],
    lanes: tuple[str, ...],
    doubtful: bool,
    extend: float,
    yes: bool,
    as_json: bool,
) -> None:
    """Queue dead letters again: IDS, or all. Those with expired or finished mail are deleted."""

    def work(queue: "DeadLetters | OutcomeLetters", letters: "Sequence[DeadLetter]") -> "Iterator[DeadLetter]":
        return queue.replay(letters, doubtful=doubtful, extend=extend)

    _process(environment, lanes, ids, "Replay", work, yes, as_json, doubtful=doubtful, extend=extend)


@command.command("drop")
@in_environment
@ids_of
@lanes_of
@yes
@as_json
def drop(environment: Environment, ids: tuple[str, ...], lanes: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Delete dead letters: IDS, or all. Mail without a final status is recorded as failed."""
    _process(environment, lanes, ids, "Drop", lambda queue, letters: queue.drop(letters), yes, as_json)


def _process(
    environment: Environment,
    lanes: Sequence[str],
    ids: Sequence[str],
    verb: str,
    work: "Callable[[DeadLetters | OutcomeLetters, Sequence[DeadLetter]], Iterator[DeadLetter]]",
    yes: bool,
    as_json: bool,
    *,
    doubtful: bool = False,
    extend: float = 0,
) -> None:
    from mailroom_ops.cli import screen
    from mailroom_ops.ledger.dead_letters import count_letters

    selected = _select(environment, lanes, ids)
    letters = [letter for _, letters_of_queue in selected for letter in letters_of_queue]
    if not as_json and (verb == "Replay" or not letters):
        _sum_up([letter.with_extension(extend) for letter in letters], doubtful)
    if letters:
        confirm(environment.label, f"{verb} {count_letters(len(letters))} in {environment.label}?", yes)
    done: list[DeadLetter] = []
    for queue, letters_of_queue in selected:
        with screen.progress(work(queue, letters_of_queue), len(letters_of_queue), str(queue.lane)) as processed:
            done.extend(processed)
    counts = Counter(str(letter.verdict) for letter in done)
    if as_json:
        screen.emit_json({"letters": [{"id": letter.id, "verdict": letter.verdict} for letter in done]})
        return
    if not letters:
        return
    result = ", ".join(f"{number} {verdict}" for verdict, number in counts.items()) if verb == "Replay" else ""
    screen.say(f"Done: {count_letters(len(done))}{f' ({result})' if result else ''}.")


def _queues(environment: Environment, lanes: Sequence[str]) -> "list[DeadLetters | OutcomeLetters]":
    from mailroom.model.kinds import Lane
    from mailroom_ops.ledger.dead_letters import DeadLetters
    from mailroom_ops.ledger.outcome_letters import OutcomeLetters

    queues: list[DeadLetters | OutcomeLetters] = []
    queues += [DeadLetters.of(environment, Lane(lane)) for lane in LANES if not lanes or lane in lanes]
    if OUTCOMES in (lanes or (OUTCOMES,)) and "OutcomesQueueUrl" in environment.outputs:  # not in an older stack
        queues.append(OutcomeLetters.of(environment))
    return queues


def _select(
    environment: Environment, lanes: Sequence[str], ids: Sequence[str]
) -> "list[tuple[DeadLetters | OutcomeLetters, list[DeadLetter]]]":
    """Return the dead letters of `ids`, or all; raise InvalidInput for an id that fits none or several."""
    from mailroom_ops.errors import InvalidInput

    queues = [(queue, list(queue.read())) for queue in _queues(environment, lanes)]
    existing = [letter.id for _, letters in queues for letter in letters]
    selected: set[str] = set()
    for id_ in ids:
        matches = [candidate for candidate in existing if id_ and candidate.startswith(id_)]
        if not matches:
            raise InvalidInput(f"There is no dead letter {id_}.", "`mailroom dlq list` shows all.")
        if len(matches) > 1:
            sentence = f"{len(matches)} dead letters have an id that begins with {id_!r}."
            raise InvalidInput(sentence, "Give more of the id.", matches)
        selected |= set(matches)
    chosen = [(queue, [letter for letter in letters if not ids or letter.id in selected]) for queue, letters in queues]
    return [(queue, letters) for queue, letters in chosen if letters]


def _short_length(ids: Sequence[str]) -> int:
    """Return how many characters tell these ids apart."""
    lengths = range(SHORT_ID_LENGTH, max(map(len, ids), default=SHORT_ID_LENGTH))
    return next((n for n in lengths if len({id_[:n] for id_ in ids}) == len(ids)), max(map(len, ids), default=0))


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


def _time(seconds: float) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def _to_json(letter: "DeadLetter") -> dict[str, object]:
    from dataclasses import asdict

    return asdict(letter)
