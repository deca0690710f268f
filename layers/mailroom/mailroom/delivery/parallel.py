"""Runs jobs at the same time, in threads: most of a delivery is waiting, for the ledger and for a provider."""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

__all__ = ["MAX_THREADS", "Job", "run_parallel", "run_shares"]

MAX_THREADS = 5

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Job(Generic[Result]):
    """Work that yields results, one after the other."""

    group: str
    work: Callable[[], Iterable[Result]]


@dataclass(frozen=True, slots=True)
class _Ended:
    """The end of a job, with the error that ended it."""

    group: str
    error: BaseException | None


def run_parallel(jobs: Sequence[Job[Result]], limit: Callable[[str], int]) -> Generator[Result, None, None]:
    """Run jobs, of each group as many at a time as `limit` returns, at least one; yield each result as it comes.

    A single job runs in the caller's thread. No other thread outlives the generator: close it.
    """
    if len(jobs) == 1:
        yield from jobs[0].work()
        return
    results: SimpleQueue[Result | _Ended] = SimpleQueue()
    running, waiting, errors = Counter[str](), list(jobs), list[BaseException]()
    try:
        while waiting or running.total():
            for job in _startable(waiting, running, limit):
                Thread(target=_run, args=(job, results)).start()
            result = results.get()
            if isinstance(result, _Ended):
                _end(result, running, errors)
            else:
                yield result
    finally:  # also where the caller stops to iterate
        while running.total():
            if isinstance(result := results.get(), _Ended):
                _end(result, running, errors)
    if errors:
        raise errors[0]


def run_shares(
    work: Callable[[Sequence[Item]], Iterable[Result]], items: Sequence[Item]
) -> Generator[Result, None, None]:
    """Deal many items out to threads, a share to each, and yield the results of `work` on each share as they come.

    A result takes CPU to hand over, a good part of that of a call to AWS: a share's had better be handed over together.
    """
    shares = [items[number::MAX_THREADS] for number in range(min(MAX_THREADS, len(items)))]
    return run_parallel([Job("", partial(work, share)) for share in shares], lambda _: MAX_THREADS)


def _startable(waiting: list[Job[Result]], running: Counter[str], limit: Callable[[str], int]) -> Iterator[Job[Result]]:
    """Take the jobs off `waiting` that may start now, and count them as running."""
    for job in tuple(waiting):
        if running.total() < MAX_THREADS and running[job.group] < limit(job.group):
            waiting.remove(job)
            running[job.group] += 1
            yield job


def _run(job: Job[Result], results: "SimpleQueue[Result | _Ended]") -> None:
    error = None
    try:
        for result in job.work():
            results.put(result)
    except BaseException as failure:  # noqa: BLE001 - the caller's thread raises it: a thread would print it
        error = failure
    results.put(_Ended(job.group, error))


def _end(ended: _Ended, running: Counter[str], errors: list[BaseException]) -> None:
    running[ended.group] -= 1
    if ended.error:
        errors.append(ended.error)
