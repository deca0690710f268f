"""One process that runs a function, as Lambda runs it: one event at a time, until it is told to go or falls over."""

import importlib.util
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, replace
from pathlib import Path

from mailroom_ops.local.children import Children
from mailroom_ops.local.logs import Logs
from mailroom_ops.local.runtime_api import Invocation, Outcome, RuntimeApi

__all__ = ["Spec", "Worker"]

INIT_SECONDS = 30  # Lambda allows 10; a laptop that also runs the tests is slower
TAIL_LINES = 200


@dataclass(frozen=True, slots=True)
class Spec:
    """What the template says about one function."""

    name: str  # its folder under functions/
    deployed_name: str
    arn: str
    folder: Path
    handler: str
    environment: Mapping[str, str]
    timeout: float
    concurrency: int  # how many processes at most

    def command(self, client: str) -> list[str]:
        """The process that runs it: AWS's own runtime client where there is one for this system."""
        if client == "awslambdaric":
            return [sys.executable, "-m", "awslambdaric", self.handler]
        own = str(Path(__file__).with_name("runtime_client.py"))
        return [sys.executable, "-u", "-P", "-X", "utf8", own, self.handler]


def default_client() -> str:
    return "awslambdaric" if importlib.util.find_spec("awslambdaric") else "python"


class Worker:
    """Starts a process at once; `on_idle` is called whenever it can take an event, `on_end` once when it is gone."""

    def __init__(
        self,
        spec: Spec,
        children: Children,
        logs: Logs,
        on_idle: Callable[["Worker"], None],
        on_end: Callable[["Worker", Outcome], None],
        client: str | None = None,
    ) -> None:
        self._spec = spec
        self._logs = logs
        self._on_end = on_end
        self._lock = threading.Lock()
        self._current: Invocation | None = None
        self._init_error: Outcome | None = None
        self.told_to_go = False
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._drained = threading.Event()
        self.ready = threading.Event()
        self._api = RuntimeApi(lambda: self._come_for_next(on_idle), self._fail_init)
        self._api.start()
        self._output, pipe = os.pipe()
        env = {**spec.environment, "AWS_LAMBDA_RUNTIME_API": self._api.address}
        self._process = children.start(spec.command(client or default_client()), env, spec.folder, pipe)
        self._pipe = open(pipe, "wb", buffering=0)  # noqa: SIM115 - closed when the process has ended
        for job in (self._read_output, self._watch):
            threading.Thread(target=job, name=f"{spec.name} {self.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def run(self, event: bytes) -> Outcome:
        """Run one event through the process; a timeout or a crash is an outcome too."""
        invocation = Invocation(event, self._spec.arn, self._spec.timeout)
        self._mark(f"START RequestId: {invocation.id}")
        with self._lock:
            self._current = invocation
        self._api.offer(invocation)
        if self._process.poll() is not None:
            self._end_current(self._describe_exit())
        try:
            outcome = invocation.result.result(self._spec.timeout)
        except FutureTimeout:
            message = f"Task timed out after {self._spec.timeout:.2f} seconds"
            invocation.end(Outcome.failure("Sandbox.Timedout", f"RequestId: {invocation.id} Error: {message}"))
            outcome = invocation.result.result()
            self._logs.say(message, "ERROR", self._spec.name)
            self.stop()
        self._drained.clear()
        self._mark(f"END RequestId: {invocation.id}")
        self._drained.wait(1)
        return replace(outcome, log="".join(f"{line}\n" for line in self._tail))

    def stop(self) -> None:
        """End the process; `on_end` follows when it is gone."""
        self.told_to_go = True
        self._process.kill()

    def join(self) -> None:
        self._process.wait()

    def _come_for_next(self, on_idle: Callable[["Worker"], None]) -> None:
        with self._lock:
            self._current = None
        self.ready.set()
        on_idle(self)

    def _fail_init(self, error: Outcome) -> None:
        self._init_error = error

    def _watch(self) -> None:
        try:
            self._process.wait(INIT_SECONDS)
        except subprocess.TimeoutExpired:
            if not self.ready.is_set():
                self._init_error = Outcome.failure("Sandbox.Timedout", f"init took longer than {INIT_SECONDS} seconds")
                self._process.kill()
        self._process.wait()
        outcome = self._init_error or self._describe_exit()
        if not self.told_to_go and not self._init_error:
            self._logs.say(f"process {self.pid} {_end_of(self._process.returncode)}", "ERROR", self._spec.name)
        with self._lock:
            self._pipe.close()
        self._end_current(outcome)
        self._on_end(self, outcome)
        self._api.close()

    def _end_current(self, outcome: Outcome) -> None:
        with self._lock:
            if self._current:
                self._current.end(outcome)

    def _describe_exit(self) -> Outcome:
        return Outcome.failure("Runtime.ExitError", f"Error: Runtime exited: {_end_of(self._process.wait())}")

    def _mark(self, line: str) -> None:
        # Our own lines travel through the same pipe as the function's, so that they arrive in their order.
        with self._lock:
            if self._pipe.closed:
                self._drained.set()
            else:
                self._pipe.write(f"{line}\n".encode())

    def _read_output(self) -> None:
        with open(self._output, encoding="utf-8", errors="backslashreplace") as output:
            for raw in output:
                line, mark = _split(raw.rstrip("\n"))
                if line:
                    self._tail.append(line)
                    self._logs.add(self._spec.name, line)
                if mark.startswith("START"):
                    self._tail.clear()  # here and not where it was sent: what was printed before may only now be read
                if mark:
                    self._tail.append(mark)
                if mark.startswith("END"):
                    self._drained.set()
        self._drained.set()


def _split(line: str) -> tuple[str, str]:
    """Part what a function wrote from our own mark behind it."""
    text, mark, rest = line.partition("START RequestId: " if line.startswith("START") else "END RequestId: ")
    return text, mark + rest


def _end_of(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
