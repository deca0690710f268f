"""Make a history that breaks a rule as short as it can be."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from tests.simulation import wiring
from tests.simulation.history import History
from tests.simulation.invariants import violations
from tests.simulation.scheduler import START
from tests.simulation.world import World, run

__all__ = ["broken_rules", "described", "shrink"]

Part = TypeVar("Part")
TRIES = 600
MESSAGE_ID = re.compile(r"[0-9a-f]{32}")
MAIL = re.compile(r"mail \d+")
ENTRY = re.compile(r"(?:codes|notices)-\d+")


def broken_rules(history: History) -> set[str]:
    """Run a history and return the names of the rules that it breaks."""
    return {violation.rule for violation in violations(run(history))}


def shrink(history: History, rule: str, tries: int = TRIES) -> History:
    """Return a shorter history that still breaks `rule`."""
    left = [tries]

    def breaks(candidate: History) -> bool:
        if left[0] <= 0:
            return False
        left[0] -= 1
        return rule in broken_rules(candidate)

    while True:
        before = history
        for simpler in _simpler(history):
            if breaks(simpler):
                history = simpler
        for name in ("faults", "interruptions", "mails"):
            history = _without(history, name, breaks)
        for number, mail in enumerate(history.mails):
            for plainer in (replace(mail, events=()), replace(mail, repeats=()), replace(mail, with_key=False)):
                mails = (*history.mails[:number], plainer, *history.mails[number + 1 :])
                if plainer != history.mails[number] and breaks(replace(history, mails=mails)):
                    history = replace(history, mails=mails)
        if history == before or left[0] <= 0:
            return history


def described(history: History, world: World | None = None, mails: tuple[int, ...] = ()) -> str:
    """Return a history as lines of virtual time; with the `world` that ran it, also what happened."""
    lines = [(mail.at, str(mail)) for mail in history.mails]
    lines += [(fault.start, f"fault: {fault}") for fault in history.faults]
    lines += [(interruption.at, f"plan: {interruption}") for interruption in history.interruptions]
    text = [f"{moment:9.2f}  {line}" for moment, line in sorted(lines)]
    if history.duplicates:
        text.append(f"           SQS hands out {history.duplicates:.0%} of the messages twice")
    if history.requests_per_second:
        text.append(f"           Resend takes {history.requests_per_second} requests a second")
    if history.providers != "resend":
        text.append(f"           the stack's default chain is {history.providers}")
    if world:
        text += ["           what happened:", *_happened(world, mails)]
    return "\n".join(text)


def _happened(world: World, mails: tuple[int, ...]) -> Iterator[str]:
    """Yield what happened to these mails, and what went wrong meanwhile; without any, everything."""
    names = {r.message_id: f"mail {r.mail.number}" for r in world.requests if r.message_id}
    names |= {c.offer.message_id: f"mail {mail.number}" for c in world.copies if (mail := world.mail_of(c))}
    subjects = {f"mail {number}" for number in mails}
    entries: set[str] = set()
    for moment, subject, line in world.scheduler.trace:
        line = MESSAGE_ID.sub(lambda found: names.get(found[0], found[0]), line.replace(f"{wiring.STACK}-", ""))
        about = set(MAIL.findall(f"{subject} {line}"))
        if about & subjects and " holds " in line:
            entries.add(line.partition(" ")[0])
        mentioned = set(ENTRY.findall(line))
        if not mails or about & subjects or mentioned & entries or not (about or mentioned):
            yield f"{moment - START:9.2f}  {subject.removeprefix(f'{wiring.STACK}-')}: {line}"


def _simpler(history: History) -> Iterator[History]:
    if history.duplicates:
        yield replace(history, duplicates=0.0)
    if history.requests_per_second:
        yield replace(history, requests_per_second=0)
    if history.providers != "resend":
        yield replace(history, providers="resend")


def _without(history: History, name: str, breaks: Callable[[History], bool]) -> History:
    """Drop faults, interruptions or mails."""

    def with_(kept: tuple[Any, ...]) -> History:
        changes: dict[str, Any] = {name: kept}
        return replace(history, **changes)

    return with_(_minimized(getattr(history, name), lambda kept: breaks(with_(kept))))


def _minimized(parts: tuple[Part, ...], breaks: Callable[[tuple[Part, ...]], bool]) -> tuple[Part, ...]:
    """Drop parts in halves, quarters and so on, as long as the rule stays broken."""
    size = len(parts)
    while size and parts:
        size = min(size, len(parts))
        start = 0
        while start < len(parts):
            kept = parts[:start] + parts[start + size :]
            if (kept or size == len(parts)) and breaks(kept):
                parts = kept
            else:
                start += size
        size //= 2
    return parts
