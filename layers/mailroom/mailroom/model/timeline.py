"""The timeline of a message in causal order, for each of its readers: the API, the command and the console."""

from collections.abc import Iterable
from dataclasses import replace
from heapq import merge

from mailroom.model.event import EventType
from mailroom.model.outcome import Status
from mailroom.model.record import Record, TimelineEntry

__all__ = ["causal_timeline"]

RECEIVED = "received"  # the event of the first entry
ACCEPTED = "accepted"  # the answer of a provider that took the mail
UNCERTAIN = "ambiguous"  # the error of an attempt that may have left a mail at its provider
MAX_ANSWER_DELAY_SECONDS = 1.0  # of a provider's answer, after its report on the same mail
# Reports within a second are in this order, because some providers state whole seconds.
EVENT_ORDER = (
    *(EventType.DEFERRED, EventType.REJECTED, EventType.SUPPRESSED, EventType.FAILED, EventType.DELIVERED),
    *(EventType.OPENED, EventType.CLICKED, EventType.BOUNCED, EventType.COMPLAINED, EventType.UNSUBSCRIBED),
)


def causal_timeline(record: Record) -> tuple[TimelineEntry, ...]:
    """Return the entries of a timeline in causal order, from the request on.

    The first is the receipt of the request. A provider's acceptance and the status that follows from it are one entry.
    A report comes after the attempt that gave its provider the mail, although it may be recorded earlier and its
    provider's clock may be behind ours.
    """
    received = TimelineEntry(record.created_at, event=RECEIVED, detail=f"from {record.source}")
    ours = _merged(entry for entry in record.timeline if not entry.event)
    reports = _ordered(entry for entry in record.timeline if entry.event)
    first = min((entry.at for entry in ours if _hands_over(entry)), default=record.created_at)
    # The provider reports while its answer is on the way to us: this is about that attempt, not about an unclear one.
    taken = [entry.at for entry in ours if entry.answer == ACCEPTED or entry.status == Status.SENT]

    def moment(entry: TimelineEntry) -> float:
        if not entry.event:
            return entry.at
        return max(entry.at, first, *(at for at in taken if at - entry.at < MAX_ANSWER_DELAY_SECONDS))

    return received, *merge(ours, reports, key=moment)


def _merged(entries: Iterable[TimelineEntry]) -> list[TimelineEntry]:
    """Return our own entries, with the status `sent` as part of the acceptance before it."""
    merged: list[TimelineEntry] = []
    for entry in sorted(entries, key=lambda entry: entry.at):
        if entry.status == Status.SENT and merged and merged[-1].answer == ACCEPTED:
            merged[-1] = replace(merged[-1], status=Status.SENT)
        else:
            merged.append(entry)
    return merged


def _ordered(entries: Iterable[TimelineEntry]) -> list[TimelineEntry]:
    ordered: list[TimelineEntry] = []
    for entry in sorted(entries, key=lambda entry: entry.at):
        place = len(ordered)
        while place and entry.at - ordered[place - 1].at < 1 and _rank(entry) < _rank(ordered[place - 1]):
            place -= 1
        ordered.insert(place, entry)
    return ordered


def _rank(entry: TimelineEntry) -> int:
    return EVENT_ORDER.index(EventType(entry.event)) if entry.event in list(EventType) else len(EVENT_ORDER)


def _hands_over(entry: TimelineEntry) -> bool:
    return entry.answer == ACCEPTED or entry.error == UNCERTAIN or entry.status == Status.SENT
