"""Virtual time, and processes that run real synchronous code in greenlets."""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

__all__ = [
    "Interruption",
    "Killed",
    "Lock",
    "Pool",
    "Process",
    "Scheduler",
    "SimpleQueue",
    "Substitute",
    "Task",
    "Thread",
    "current_process",
]

START = 1_790_000_000.0  # the virtual second in which every history begins


class Killed(BaseException):
    """Ends a process where it stands. No `except Exception` of the code under test can catch it."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """One kill or freeze: at the `count`-th matching call that a process of `function` makes after `at`."""

    function: str
    at: float
    action: str  # kill | freeze
    when: str = "before"  # the effect of the call, or after
    count: int = 1
    operation: str = ""  # the beginning of the call's name; empty: any call
    seconds: float = 0.0  # of a freeze

    def __str__(self) -> str:
        duration = f" for {self.seconds:g} s" if self.action == "freeze" else ""
        call = f"{self.operation or 'any call'} number {self.count}"
        return f"{self.action} {self.function}{duration} {self.when} {call}"


@dataclass(eq=False)
class Process:
    """One execution environment: what it has in memory lives until it is killed."""

    name: str
    function: str
    is_dead: bool = False
    frozen_until: float = 0.0
    tasks: list["Task"] = field(default_factory=list)


class Task(greenlet):  # type: ignore[misc]
    """A thread of a process."""

    process: Process

    @property
    def is_suspended(self) -> bool:
        """Whether it has begun and not ended."""
        return self.gr_frame is not None


class Scheduler:
    """Runs actions and tasks in the order of virtual time; everything random comes from one seed."""

    def __init__(self, seed: int | str, interruptions: Iterable[Interruption] = ()) -> None:
        self.now = START
        self.random = Random(f"run {seed}")  # noqa: S311 - it has to be repeatable
        self.trace: list[tuple[float, str, str]] = []
        self.interrupted: list[float] = []
        self._events: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._sequence = 0
        self._end = START
        self._hub = getcurrent()
        self._waiting = dict(enumerate(interruptions))
        self._left = {number: interruption.count for number, interruption in self._waiting.items()}

    def note(self, subject: str, text: str) -> None:
        """Add a line to the history of this run."""
        self.trace.append((self.now, subject, text))

    def after(self, seconds: float, action: Callable[..., Any], *arguments: Any) -> None:
        self._sequence += 1
        heapq.heappush(self._events, (self.now + seconds, self._sequence, action, arguments))

    def at(self, moment: float, action: Callable[..., Any], *arguments: Any) -> None:
        self.after(max(0.0, moment - self.now), action, *arguments)

    def run(self, seconds: float) -> None:
        """Run until nothing is left to do, or `seconds` of virtual time have passed."""
        end = self._end = START + seconds
        self._hub = getcurrent()
        while self._events and self._events[0][0] <= end:
            moment, _, action, arguments = heapq.heappop(self._events)
            self.now = max(self.now, moment)
            action(*arguments)

    def start(self, process: Process, function: Callable[[], Any]) -> Task:
        """Start a thread of a process, now."""
        task = Task(function, self._hub)
        task.process = process
        process.tasks.append(task)
        self.after(0.0, self._resume, task)
        return task

    def sleep(self, seconds: float) -> None:
        """Suspend the current task for `seconds`."""
        task = getcurrent()
        if not isinstance(task, Task):
            raise RuntimeError("only a simulated process can sleep")
        process = task.process
        if process.is_dead:
            raise Killed
        moment = self.now + max(0.0, seconds)
        is_next = moment < (self._events[0][0] if self._events else self._end) and moment <= self._end
        if is_next and process.frozen_until <= moment:
            self.now = moment  # nothing else happens until then: there is no need to leave the task
            return
        self.after(max(0.0, seconds), self._resume, task)
        self._hub.switch()
        if process.is_dead:
            raise Killed

    def wait(self) -> None:
        """Suspend the current task until another wakes it."""
        if getcurrent().process.is_dead:
            raise Killed
        self._hub.switch()
        if getcurrent().process.is_dead:
            raise Killed

    def wake(self, task: Task) -> None:
        self.after(0.0, self._resume, task)

    def call(self, name: str, effect: Callable[[], Any], before: float, after: float) -> Any:
        """Make one outward call: `before` seconds to its effect, `after` seconds to its answer.

        An effect that raises is an effect that did not happen: its error is the answer.
        """
        process: Process = getcurrent().process
        if self._waiting:
            self._interrupt(process, name, "before")
        self.sleep(before)
        answer, error = None, None
        try:
            answer = effect()
        except Exception as failure:  # noqa: BLE001 - it travels back as the answer, after the same time
            error = failure
        if self._waiting:
            self._interrupt(process, name, "after")
        self.sleep(after)
        if error:
            raise error
        return answer

    def kill(self, process: Process, reason: str) -> None:
        """End a process where it stands; to be called from outside of it."""
        if process.is_dead:
            return
        process.is_dead = True
        self.note(process.name, reason)
        for task in process.tasks:
            if task.is_suspended:
                task.throw(Killed)

    def _resume(self, task: Task) -> None:
        if task.dead:
            return
        if task.process.is_dead:
            if task.is_suspended:
                task.throw(Killed)
        elif task.process.frozen_until > self.now:
            self.at(task.process.frozen_until, self._resume, task)
        else:
            task.switch()

    def _interrupt(self, process: Process, name: str, when: str) -> None:
        for number, interruption in self._waiting.items():
            if (
                interruption.function == process.function
                and interruption.when == when
                and self.now >= START + interruption.at
                and name.startswith(interruption.operation)
            ):
                self._left[number] -= 1
                if self._left[number] == 0:
                    del self._waiting[number]
                    self._strike(process, interruption, name)
                    return

    def _strike(self, process: Process, interruption: Interruption, name: str) -> None:
        self.interrupted.append(self.now + interruption.seconds)
        if interruption.action == "freeze":
            self.note(process.name, f"frozen for {interruption.seconds:g} s {interruption.when} {name}")
            process.frozen_until = self.now + interruption.seconds
            self.sleep(interruption.seconds)
            return
        self.note(process.name, f"killed {interruption.when} {name}")
        process.is_dead = True
        for task in process.tasks:
            if task is not getcurrent() and not task.dead:
                self.after(0.0, self._resume, task)
        raise Killed


def current_process() -> str:
    """Return the name of the process that is running."""
    process: Process | None = getattr(getcurrent(), "process", None)
    return process.name if process else "outside"


class Substitute:
    """Stands in for a part of the standard library."""

    scheduler: Scheduler  # set by whoever substitutes it


class Thread(Substitute):
    """Stands in for threading.Thread: a task of the current process."""

    def __init__(self, target: Callable[..., Any], args: tuple[Any, ...] = ()) -> None:
        self._work = partial(target, *args)

    def start(self) -> None:
        self.scheduler.start(getcurrent().process, lambda: _quietly(self._work))


class SimpleQueue(Substitute):
    """Stands in for queue.SimpleQueue: to wait for an item is to let others run."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._waiting: deque[Task] = deque()

    def put(self, item: Any) -> None:
        self._items.append(item)
        if self._waiting:
            self.scheduler.wake(self._waiting.popleft())

    def get(self) -> Any:
        while not self._items:
            self._waiting.append(getcurrent())
            self.scheduler.wait()
        return self._items.popleft()


class Lock(Substitute):
    """Stands in for threading.RLock."""

    def __init__(self) -> None:
        self._owner: greenlet | None = None
        self._depth = 0
        self._waiting: deque[Task] = deque()

    def __enter__(self) -> None:
        task = getcurrent()
        while self._owner not in (None, task):
            self._waiting.append(task)
            self.scheduler.wait()
        self._owner = task
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None
            if self._waiting:
                self.scheduler.wake(self._waiting.popleft())


class Pool(Substitute):
    """Stands in for ThreadPoolExecutor: each call is a task of the current process."""

    def __init__(self, max_workers: int | None = None, *_: Any, **__: Any) -> None:
        self._free = max_workers or 8
        self._queued: list[Callable[[], None]] = []

    def submit(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> "Result":
        result = Result()

        def work() -> None:
            try:
                result.set_result(function(*arguments, **named))
            except Killed:
                raise
            except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
                result.set_exception(error)
            self._free += 1
            self._next()

        self._queued.append(work)
        self._next()
        return result

    def map(self, function: Callable[..., Any], *arguments: Iterable[Any], timeout: Any = None) -> Iterator[Any]:
        results = [self.submit(function, *row) for row in zip(*arguments, strict=False)]
        return (result.result() for result in results)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        pass

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _next(self) -> None:
        if self._queued and self._free:
            self._free -= 1
            work = self._queued.pop(0)
            self.scheduler.start(getcurrent().process, lambda: _quietly(work))


class Result(Future[Any]):
    """The future of a task; to wait for it is to let others run."""

    def result(self, timeout: float | None = None) -> Any:
        if not self.done():
            task, scheduler = getcurrent(), Substitute.scheduler
            self.add_done_callback(lambda _: scheduler.wake(task))
            scheduler.wait()
        return super().result(0)


def _quietly(work: Callable[[], None]) -> None:
    try:
        work()
    except Killed:
        pass
