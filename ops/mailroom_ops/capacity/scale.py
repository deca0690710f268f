"""A simulation of a steady rate of mails, second by second: queue, concurrency, and the first limit that it meets."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from mailroom_ops.capacity import usage

__all__ = ["Limits", "Result", "find_bottlenecks", "simulate"]

POLLER_START = 5  # batches at a time when a queue fills; Lambda adds five a second, 300 a minute
POLLER_GROWTH = 5
BURST_QUEUE = 100  # waiting mails for each batch that is being sent, from which batches are full
DOUBLING_SECONDS = 1800  # within which a table on demand takes twice its earlier peak


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a stack and its account: the defaults of the template, of AWS, and of Resend."""

    requests_per_second: float = 500
    api_requests: float = 10_000  # of API Gateway, for all of a region
    account_concurrency: int = 1_000
    codes_concurrency: int = 20
    provider_rate: float = 1_000  # ten requests a second of a hundred mails each
    warm_writes: float = 4_000  # a second, of a new table
    reports: float = 1.0


@dataclass(frozen=True, slots=True)
class Result:
    """The state at the end: rates per second, the age of the queue, and the limits met in their order."""

    rate: float
    rejected: float
    sent: float
    queue: float
    age_seconds: float
    concurrency: float
    bottlenecks: tuple[str, ...]


@dataclass(slots=True)
class _State:
    queue: float = 0.0
    batches: float = POLLER_START
    writes: float = 0.0
    met: dict[str, None] = field(default_factory=dict)  # in order


def simulate(rate: float, seconds: int, limits: Limits = Limits()) -> Result:
    """Return the result of a rate of mails after some time. All are codes of one tenant, by webhook."""
    state = _State(writes=limits.warm_writes)
    accepted = sent = concurrency = 0.0
    for _ in range(seconds):
        accepted = _accepted(rate, limits, state)
        sent, concurrency = _sent(accepted, limits, state)
        state.queue = max(0.0, state.queue + accepted - sent)
    age = state.queue / sent if sent else float(seconds)
    if state.queue < 1:
        age = usage.DELIVER_SECONDS
    return Result(rate, rate - accepted, sent, state.queue, age, concurrency, tuple(state.met))


def _accepted(rate: float, limits: Limits, state: _State) -> float:
    share = limits.api_requests / (1 + limits.reports)
    for name, limit in (("RequestsPerSecond", limits.requests_per_second), ("API Gateway's quota", share)):
        if rate > limit:
            state.met.setdefault(name)
            rate = limit
    return rate


def _sent(accepted: float, limits: Limits, state: _State) -> tuple[float, float]:
    """Return the mails that are sent in this second, and Lambda's concurrency."""
    others = accepted * (usage.WEBHOOK_SECONDS + limits.reports * usage.FEEDBACK_SECONDS)
    free = max(1.0, limits.account_concurrency - others)
    requested = accepted + state.queue
    state.batches = min(state.batches + POLLER_GROWTH, limits.codes_concurrency)
    batches = min(state.batches, free)
    is_burst = requested > batches * BURST_QUEUE
    capacity = batches / (usage.DELIVER_BURST_SECONDS if is_burst else usage.DELIVER_SECONDS)
    writes = usage.MAIL_WRITES + limits.reports * usage.REPORT_WRITES + usage.INDEX_WRITES
    state.writes *= 2 ** (1 / DOUBLING_SECONDS)
    for name, limit in (
        ("Lambda's concurrency", capacity if batches == free else float("inf")),
        ("CodesConcurrency", capacity if batches >= limits.codes_concurrency else float("inf")),
        ("the provider's rate", limits.provider_rate),
        ("the ledger's writes", state.writes / writes),
    ):
        if requested > limit and accepted > limit:
            state.met.setdefault(name)
    sent = min(requested, capacity, limits.provider_rate, state.writes / writes)
    return sent, others + min(batches, sent * usage.DELIVER_SECONDS if not is_burst else batches)


def _raised(limits: Limits, bottleneck: str) -> Limits:
    """Return the limits with one of them out of the way."""
    high = 10**9
    match bottleneck:
        case "RequestsPerSecond":
            return replace(limits, requests_per_second=high)
        case "API Gateway's quota":
            return replace(limits, api_requests=high)
        case "Lambda's concurrency":
            return replace(limits, account_concurrency=high)
        case "CodesConcurrency":
            return replace(limits, codes_concurrency=high)
        case "the provider's rate":
            return replace(limits, provider_rate=high)
    return replace(limits, warm_writes=high)


def find_bottlenecks(rate: float, seconds: int, limits: Limits = Limits()) -> Iterator[tuple[str, Result]]:
    """Yield the limits that a rate meets, each with the result before it is raised, until none is left."""
    while True:
        result = simulate(rate, seconds, limits)
        if not result.bottlenecks:
            return
        yield result.bottlenecks[0], result
        limits = _raised(limits, result.bottlenecks[0])
