"""Log lines and metrics of delivery reports: ids, kinds, tenants, codes; never an address."""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mailroom.model.event import Event, EventEffect, EventType
from mailroom.model.record import Record
from mailroom.providers import kind_of

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

    from mailroom.aws.metrics import Metrics

__all__ = ["REPORTED_AS", "log_events"]

REPORTED_AS = {type_: type_.title() for type_ in EventType}
NOT_LOGGED = (EventType.DELIVERED, EventType.DEFERRED, EventType.OPENED, EventType.CLICKED)  # the ledger has them
EVENT_HEADLINES = {
    EventEffect.NEW: "Event recorded",
    EventEffect.REPEATED: "Event ignored: it was recorded before",
    EventEffect.UNKNOWN: "Event ignored: no such message",
    EventEffect.OTHER_ACCOUNT: "Event ignored: this account did not send the message",
}
UNEVENTFUL = {
    EventEffect.REPEATED: "RepeatedEvents",
    EventEffect.UNKNOWN: "UnknownEvents",
    EventEffect.OTHER_ACCOUNT: "UnknownEvents",
}


def log_events(
    logger: "Logger", metrics: "Metrics", results: Iterable[tuple[Event, EventEffect, Record | None]]
) -> int:
    """Log the events that matter for a single mail and count all of them; return how many there were."""
    counts: Counter[tuple[str, str]] = Counter()
    for event, effect, record in results:
        is_new = effect is EventEffect.NEW
        counts[_counted_as(event) if is_new else UNEVENTFUL[effect], kind_of(event.provider)] += 1
        if is_new and record and event.type is EventType.DELIVERED:
            metrics.add_duration("AcceptedToDelivered", record.seconds_to_inbox(event.provider, event.at) * 1000)
        if is_new and event.type in NOT_LOGGED:
            continue
        facts = {
            "message_id": event.message_id,
            "provider": event.provider,
            "provider_id": event.provider_id,
            "event": event.type,
            "reason": event.reason,
            "detail": event.detail,
            "tenant": record.tenant if record else "",
            "kind": record.kind if record else "",
        }
        log = logger.warning if effect is EventEffect.OTHER_ACCOUNT else logger.info
        log(EVENT_HEADLINES[effect], extra={name: value for name, value in facts.items() if value})
    for (name, provider), number in counts.items():
        metrics.count(name, {"provider": provider}, number)
    return counts.total()


def _counted_as(event: Event) -> str:
    return "SoftBounced" if event.is_soft_bounce else REPORTED_AS[event.type]
