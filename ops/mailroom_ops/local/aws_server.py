"""AWS for the local stack: a moto server in a process of its own.

moto keeps its state in module globals, so a test that resets moto would empty the queues of a stack in its process.
"""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import boto3
from botocore.config import Config

from mailroom_ops.environment import CREDENTIALS
from mailroom_ops.local import bytecode
from mailroom_ops.local.children import Children, StartError
from mailroom_ops.local.logs import Logs

__all__ = ["Aws"]

STOP_SECONDS = 5


class Aws:
    """A moto server, started at once; `endpoint` is set by `wait`."""

    def __init__(
        self, children: Children, region: str, logs: Logs, port: int = 0, state_file: Path | None = None
    ) -> None:
        self._state_file = state_file
        self.region = region
        self._logs = logs
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        ops = str(Path(__file__).parents[2])
        env = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": ops,
            "AWS_DEFAULT_REGION": region,
            "MOTO_ALLOW_NONEXISTENT_REGION": "1",
            **bytecode.VARIABLE,
        }
        self._process = children.start(
            [sys.executable, "-m", "mailroom_ops.local.aws_server", str(port), str(state_file or "")],
            env | CREDENTIALS,
            Path(ops),
        )
        self.endpoint = ""

    def wait(self, proxy: Callable[[str], str] | None = None) -> None:
        """Wait for the address, which is the first line of output; raise StartError with the output if it exits."""
        output: IO[bytes] = self._process.stdout  # type: ignore[assignment]
        line = output.readline().decode()
        if not line.startswith("http://"):
            raise StartError(f"moto did not start: {line}{output.read().decode()}".strip())
        self.endpoint = proxy(line.strip()) if proxy else line.strip()
        threading.Thread(target=self._log_output, args=(output,), name="aws", daemon=True).start()

    def client(self, service: str) -> Any:
        """Return the boto3 client of a service on this server, for any thread."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = boto3.client(
                    service,  # type: ignore[call-overload]
                    region_name=self.region,
                    endpoint_url=self.endpoint,
                    aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
                    aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
                    aws_session_token=CREDENTIALS["AWS_SESSION_TOKEN"],
                    config=Config(retries={"total_max_attempts": 1}, max_pool_connections=32, read_timeout=60),
                )
            return self._clients[service]

    def start_saving(self) -> None:
        """Save the state from now on: before, it is incomplete."""
        if self._state_file:
            self._process.send_signal(signal.SIGUSR1)

    def stop(self) -> None:
        if self._state_file:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        self._process.kill()
        self._process.wait()
        with self._lock:
            for client in self._clients.values():
                client.close()

    def _log_output(self, output: IO[bytes]) -> None:
        with output:
            for line in output:
                self._logs.log(line.decode(errors="replace").rstrip(), "WARNING", "aws")


def serve(port: int, state_file: str) -> None:
    """Serve until the process ends; save the state into a file after SIGUSR1, and at SIGTERM."""
    from mailroom_ops.local.aws_snapshot import Saver
    from mailroom_ops.sandbox import moto_server

    if state_file:
        saver, is_saving = Saver(Path(state_file)), threading.Event()

        def start(*_: object) -> None:
            is_saving.set()
            saver.start()

        def stop(*_: object) -> None:
            if is_saving.is_set():
                saver.save()
            sys.exit(0)

        signal.signal(signal.SIGUSR1, start)
        signal.signal(signal.SIGTERM, stop)
    print(moto_server.start(port), flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
