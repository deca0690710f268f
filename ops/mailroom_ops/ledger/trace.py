"""What became of a mail: its row, put in order."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from mailroom.model.mailbox import is_address
from mailroom_ops.errors import InvalidInput
from mailroom_ops.ledger.queries import MESSAGE, LedgerQueries, Row

__all__ = ["Step", "Trace", "trace"]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened: a try at a provider, our own outcome, or what a provider reported later."""

    at: datetime
    what: str
    by: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """One mail, as much as the ledger knows; the address is masked there already."""

    id: str
    tenant: str
    kind: str
    to: str
    source: str
    status: str
    reason: str
    provider: str
    provider_id: str
    created: datetime
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, row: Row) -> "Trace":
        return cls(
            id=row["pk"].removeprefix("message#"),
            tenant=row["tenant"],
            kind=row["kind"],
            to=row["to"],
            source=row["source"],
            status=row["status"],
            reason=row.get("reason", ""),
            provider=row.get("provider", ""),
            provider_id=row.get("provider_id", ""),
            created=_time(row["created"]),
            steps=tuple(sorted(map(_step, row["timeline"]), key=lambda step: step.at)),
        )


def trace(queries: LedgerQueries, what: str) -> Iterator[Trace]:
    """Yield the mails that a message id, a provider's id or an address stands for, newest first."""
    what = what.strip()
    if MESSAGE.fullmatch(what):
        row = queries.get(what)
        rows: Iterator[Row] = iter([row] if row else [])
    elif is_address(what):
        rows = queries.find_by_address(what)
    elif what and " " not in what:
        rows = queries.find_by_provider_id(what.strip("<>"))
    else:
        raise InvalidInput("That is neither a message id nor an address.", "Give one of them, or a provider's own id.")
    return map(Trace.of, rows)


def _step(entry: Row) -> Step:
    """Our own tries have an `answer`, our own end a `status`, and what a provider reports an `event`."""
    what = entry.get("event") or entry.get("answer") or entry.get("status", "")
    why = " ".join(filter(None, (entry.get(name, "") for name in ("how", "reason", "detail", "error"))))
    return Step(_time(entry["at"]), what, entry.get("provider", ""), why)


def _time(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)
