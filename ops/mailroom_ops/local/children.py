"""Child processes that never outlive this process, however it ends.

All of them join one process group, led by a guard that reads a pipe from this process. When this process ends, even
by SIGKILL, the pipe closes and the guard kills the group. Ctrl-C reaches this process alone, which stops the others in
order.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["Children", "StartError"]

GUARD = "import os, signal, sys; sys.stdin.read(); os.killpg(0, signal.SIGKILL)"


class StartError(Exception):
    """A part of the stack does not start; the message contains its name and output."""


class Children:
    """Starts processes; `close` kills all that are left."""

    def __init__(self) -> None:
        command = [sys.executable, "-I", "-S", "-c", GUARD]
        self._guard = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
        )

    def start(
        self, command: Sequence[str], env: Mapping[str, str], cwd: Path, output: int = subprocess.PIPE
    ) -> "subprocess.Popen[bytes]":
        """Start a process whose standard output and error go to `output`."""
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=self._guard.pid,
        )

    def close(self) -> None:
        try:
            os.killpg(self._guard.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # macOS: the latter where all of the group have ended
            pass
        self._guard.wait()
        if self._guard.stdin:
            self._guard.stdin.close()
