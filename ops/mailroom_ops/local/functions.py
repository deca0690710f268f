"""A function with its processes: one always warm, more under load, up to its concurrency."""

import threading
from dataclasses import dataclass, field

from mailroom_ops.local.children import Children
from mailroom_ops.local.logs import Logs
from mailroom_ops.local.runtime_api import InvocationResult
from mailroom_ops.local.worker import Spec, Worker

__all__ = ["Function"]

GRACE_SECONDS = 0.05  # a warm process is usually free sooner than a new one would start


@dataclass
class Function:
    """Runs events on idle processes, starts another when all are busy, and replaces crashed and outdated ones."""

    spec: Spec
    children: Children
    logs: Logs
    client: str | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _workers: dict[Worker, int] = field(default_factory=dict)  # with the code generation each has loaded
    _idle: list[Worker] = field(default_factory=list)
    _generation: int = 0
    _failures: int = 0
    _failure: InvocationResult | None = None
    _stopped: bool = False

    @property
    def pids(self) -> list[int]:
        with self._changed:
            return [worker.pid for worker in self._workers]

    def start(self) -> None:
        """Start the first process."""
        with self._changed:
            if not self._workers:
                self._spawn()

    def wait(self, seconds: float) -> InvocationResult | None:
        """Wait until a process is idle; return the error, or None."""
        with self._changed:
            self._changed.wait_for(lambda: self._idle or self._failure or self._stopped, seconds)
            return (
                None
                if self._idle
                else self._failure or InvocationResult.failure("Sandbox.Timedout", "did not start in time")
            )

    def invoke(self, event: bytes) -> InvocationResult:
        """Run one event on an idle or a new process; return its result, or why no process starts."""
        worker = self._acquire()
        return worker if isinstance(worker, InvocationResult) else worker.run(event)

    def restart(self) -> None:
        """Reload the code: idle processes at once, busy ones after their current event."""
        with self._changed:
            self._generation += 1
            self._failure = None
            for worker in self._idle:
                worker.stop()
            self._idle.clear()
            self._spawn()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._idle.clear()
            workers = list(self._workers)
            self._changed.notify_all()
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.join()

    def _acquire(self) -> Worker | InvocationResult:
        with self._changed:
            failures = self._failures
            grace = GRACE_SECONDS if self._workers else 0
            while not self._idle:
                if self._stopped:
                    return InvocationResult.failure("ServiceException", "the local stack is stopping")
                if self._failures > failures and self._failure:
                    return self._failure
                if not self._changed.wait(grace) and self._can_start_another():
                    self._spawn()
                grace = max(grace, GRACE_SECONDS)
            return self._idle.pop()

    def _can_start_another(self) -> bool:
        starting = any(not worker.ready.is_set() for worker in self._workers)
        return not self._idle and not starting and len(self._workers) < self.spec.concurrency

    def _spawn(self) -> None:
        if not self._stopped:
            worker = Worker(self.spec, self.children, self.logs, self._on_idle, self._on_end, self.client)
            self._workers[worker] = self._generation

    def _on_idle(self, worker: Worker) -> None:
        with self._changed:
            if self._stopped or self._workers.get(worker) != self._generation:
                worker.stop()
                return
            self._failure = None
            self._idle.append(worker)
            self._changed.notify_all()

    def _on_end(self, worker: Worker, result: InvocationResult) -> None:
        with self._changed:
            self._workers.pop(worker, None)
            if worker in self._idle:
                self._idle.remove(worker)
            if not worker.ready.is_set() and not worker.is_stopping:
                self._failures += 1
                self._failure = result
                self.logs.log(
                    "does not start, see above. It is started again when its code changes.", "ERROR", self.spec.name
                )
            elif not self._workers:
                self._spawn()
            self._changed.notify_all()
