"""One AWS endpoint for all tests of a run: moto in a process of its own, so that it takes no time from them."""

import atexit
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

__all__ = ["moto_url"]

OPS = Path(__file__).parent.parent / "ops"

# It ends when its standard input does: no process is left behind, however the run ends.
SERVER = """
import sys
import moto.sesv2.urls  # else its first request waits for it
from mailroom_ops.sandbox import moto_server
print(moto_server.start(), flush=True)
sys.stdin.read()
"""


@cache
def moto_url() -> str:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(OPS)},
    )
    assert process.stdin
    assert process.stdout
    atexit.register(process.wait)
    atexit.register(process.stdin.close)  # runs before the wait
    return process.stdout.readline().strip()
