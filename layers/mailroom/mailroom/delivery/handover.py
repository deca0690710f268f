"""The check that follows a sent code: which codes get one, and when."""

from dataclasses import replace

from mailroom.model.kinds import Lane
from mailroom.model.message import Handover, Parcel
from mailroom.model.outcome import Outcome, Status
from mailroom.model.sender import Sender

__all__ = ["check_of", "next_check_in"]

CHECK_SECONDS = 10.0  # so long after it, a reported deferral rescues a code


def check_of(parcel: Parcel, token: str, outcome: Outcome, sender: Sender, now: float) -> Parcel | None:
    """Return the check of a mail that was sent under a claim: of a code with another provider, where rescue is on."""
    is_sent_code = outcome.status is Status.SENT and parcel.lane is Lane.CODES and parcel.email
    if not is_sent_code or not sender.rescue_after or len(sender.providers) < 2:
        return None
    handover = Handover(outcome.provider, now, token)
    return replace(parcel, handover=handover, doubts=(), requests=0, postponed=0)


def next_check_in(seconds: float) -> float:
    """Return the seconds until the next check of a code that is due for rescue in so many seconds."""
    return min(CHECK_SECONDS, seconds) if seconds > 0 else CHECK_SECONDS
