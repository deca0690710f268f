"""A process that runs a function as Lambda does: one event at a time, until it is stopped or crashes."""

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
from mailroom_ops.local.runtime_api import Invocation, InvocationResult, RuntimeApi

__all__ = ["Spec", "Worker"]

INIT_SECONDS = 30  # Lambda allows 10; a laptop that also runs the tests is slower
MAX_TAIL_LINES = 200


@dataclass(frozen=True, slots=True)
class Spec:
    """The configuration of a function, from the template."""

    name: str  # its folder under functions/
    deployed_name: str
    arn: str
    folder: Path
    handler: str
    environment: Mapping[str, str]
    timeout: float
    concurrency: int  # the maximum number of processes

    def command(self, client: str) -> list[str]:
        """Return the command of a process: AWS's runtime client, or our own where AWS has none for this system."""
        if client == "awslambdaric":
            return [sys.executable, "-m", "awslambdaric", self.handler]
        own = str(Path(__file__).with_name("runtime_client.py"))
        return [sys.executable, "-u", "-P", "-X", "utf8", own, self.handler]


def default_client() -> str:
    return "awslambdaric" if importlib.util.find_spec("awslambdaric") else "python"


class Worker:
    """A process, started at once; calls `on_idle` whenever it can run an event, and `on_end` when it has ended."""

    def __init__(
        self,
        spec: Spec,
        children: Children,
        logs: Logs,
        on_idle: Callable[["Worker"], None],
        on_end: Callable[["Worker", InvocationResult], None],
        client: str | None = None,
    ) -> None:
        self._spec = spec
        self._logs = logs
        self._on_end = on_end
        self._lock = threading.Lock()
        self._current: Invocation | None = None
        self._init_error: InvocationResult | None = None
        self.is_stopping = False
        self._tail: deque[str] = deque(maxlen=MAX_TAIL_LINES)
        self._drained = threading.Event()
        self.ready = threading.Event()
        self._api = RuntimeApi(lambda: self._become_idle(on_idle), self._fail_init)
        self._api.start()
        self._output, pipe = os.pipe()
        env = {**spec.environment, "AWS_LAMBDA_RUNTIME_API": self._api.address}
        self._process = children.start(spec.command(client or default_client()), env, spec.folder, pipe)
        self._pipe = open(pipe, "wb", buffering=0)  # noqa: SIM115 - closed when the process has ended
        for loop in (self._read_output, self._watch):
            threading.Thread(target=loop, name=f"{spec.name} {self.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def run(self, event: bytes) -> InvocationResult:
        """Run one event; a timeout or a crash is a failed result."""
        invocation = Invocation(event, self._spec.arn, self._spec.timeout)
        self._mark(f"START RequestId: {invocation.id}")
        with self._lock:
            self._current = invocation
        self._api.offer(invocation)
        if self._process.poll() is not None:
            self._end_current(self._describe_exit())
        try:
            result = invocation.result.result(self._spec.timeout)
        except FutureTimeout:
            message = f"Task timed out after {self._spec.timeout:.2f} seconds"
            invocation.end(InvocationResult.failure("Sandbox.Timedout", f"RequestId: {invocation.id} Error: {message}"))
            result = invocation.result.result()
            self._logs.log(message, "ERROR", self._spec.name)
            self.stop()
        self._drained.clear()
        self._mark(f"END RequestId: {invocation.id}")
        self._drained.wait(1)
        return replace(result, log="".join(f"{line}\n" for line in self._tail))

    def stop(self) -> None:
        """Kill the process; `on_end` is called when it has ended."""
        self.is_stopping = True
        self._process.kill()

    def join(self) -> None:
        self._process.wait()

    def _become_idle(self, on_idle: Callable[["Worker"], None]) -> None:
        with self._lock:
            self._current = None
        self.ready.set()
        on_idle(self)

    def _fail_init(self, error: InvocationResult) -> None:
        self._init_error = error

    def _watch(self) -> None:
        try:
            self._process.wait(INIT_SECONDS)
        except subprocess.TimeoutExpired:
            if not self.ready.is_set():
                self._init_error = InvocationResult.failure(
                    "Sandbox.Timedout", f"init took longer than {INIT_SECONDS} seconds"
                )
                self._process.kill()
        self._process.wait()
        result = self._init_error or self._describe_exit()
        if not self.is_stopping and not self._init_error:
            self._logs.log(f"process {self.pid} {_describe_end(self._process.returncode)}", "ERROR", self._spec.name)
        with self._lock:
            self._pipe.close()
        self._end_current(result)
        self._on_end(self, result)
        self._api.close()

    def _end_current(self, result: InvocationResult) -> None:
        with self._lock:
            if self._current:
                self._current.end(result)

    def _describe_exit(self) -> InvocationResult:
        return InvocationResult.failure(
            "Runtime.ExitError", f"Error: Runtime exited: {_describe_end(self._process.wait())}"
        )

    def _mark(self, line: str) -> None:
        # Our own lines go through the pipe of the function's output, so that the order is right.
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
                    self._tail.clear()  # here, because earlier output may still be in the pipe when the mark is sent
                if mark:
                    self._tail.append(mark)
                if mark.startswith("END"):
                    self._drained.set()
        self._drained.set()


def _split(line: str) -> tuple[str, str]:
    """Split a line into the function's output and our mark after it."""
    text, mark, rest = line.partition("START RequestId: " if line.startswith("START") else "END RequestId: ")
    return text, mark + rest


def _describe_end(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
