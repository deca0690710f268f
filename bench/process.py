"""One process of a function under AWS's own runtime client, with the times it took."""

import os
import queue
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import artifact
from mailroom_ops.local.runtime_api import Invocation, InvocationResult, RuntimeApi

__all__ = ["InitFailed", "Process"]

TIMEOUT_SECONDS = 60.0


class InitFailed(Exception):
    """The process never requested an event; `str()` has its output."""


class Process:
    """Starts a function and waits until it is ready; `init` is the time for that in milliseconds."""

    def __init__(self, code: Path, path: Sequence[Path], variables: Mapping[str, str], output: Path) -> None:
        self._events: queue.SimpleQueue[tuple[str, float, str]] = queue.SimpleQueue()
        self._api = RuntimeApi(
            lambda: self._note("ready"), lambda outcome: self._note("failed", outcome.payload.decode())
        )
        self._api.start()
        self._variables = variables
        env = self._environment(code, path) | dict(variables)
        with output.open("wb") as log:
            started = time.perf_counter()
            self._process = subprocess.Popen(
                [artifact.bare_python(), "-m", "awslambdaric", "app.handler"], cwd=code, env=env, stdout=log, stderr=log
            )
        threading.Thread(target=self._watch, daemon=True).start()
        self.init = (self._wait() - started) * 1e3

    def invoke(self, event: bytes) -> tuple[InvocationResult, float]:
        """Run one event; return its result and its duration in milliseconds."""
        invocation = Invocation(event, "arn:aws:lambda:eu-west-1:123456789012:function:bench", 30)
        started = time.perf_counter()
        self._api.offer(invocation)
        outcome = invocation.result.result(TIMEOUT_SECONDS)
        took = time.perf_counter() - started
        self._wait()
        return outcome, took * 1e3

    @property
    def peak_memory(self) -> float:
        """The peak of its memory, in MB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    @property
    def cpu(self) -> float:
        """The time that its threads have had a processor, in milliseconds."""
        threads = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(path.read_text(encoding="ascii").split()[0]) for path in threads) / 1e6

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _wait(self) -> float:
        event, time_, text = self._events.get(timeout=TIMEOUT_SECONDS)
        if event == "ready":
            return time_
        self._end()
        raise InitFailed(text)

    def _watch(self) -> None:
        self._note("gone", f"exited with {self._process.wait()}")

    def _note(self, event: str, text: str = "") -> None:
        self._events.put((event, time.perf_counter(), text))

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._api.close()

    def _environment(self, code: Path, path: Sequence[Path]) -> dict[str, str]:
        """Return the variables that Lambda itself sets. Its file system is read-only: no bytecode is written."""
        return {
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/bench",
            "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "AWS_REGION": "eu-west-1",
            "AWS_SECRET_ACCESS_KEY": "local",
            "LAMBDA_TASK_ROOT": str(code),
            "LANG": "en_US.UTF-8",
            "PATH": os.defpath,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join(map(str, [*path, artifact.runtime_client()])),
            "TZ": ":UTC",
            "_HANDLER": "app.handler",
        }
