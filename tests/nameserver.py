"""A real name server on loopback: Debian's nsd, with zones of the test's own."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import pytest

__all__ = ["Zones", "nameserver"]

Zones = Callable[[Mapping[str, str]], str]
HEAD = "$TTL 60\n@ IN SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 60\n@ IN NS ns.invalid.\n"
CONFIG = """\
server:
  ip-address: 127.0.0.1@{port}
  server-count: 1
  username: ""
  database: ""
  zonesdir: "{folder}"
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  logfile: "{folder}/nsd.log"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
"""


@pytest.fixture
def nameserver(tmp_path: Path) -> Iterator[Zones]:
    """Start a server of zones given as text; it returns its address, as --resolver takes it."""
    program = shutil.which("nsd") or shutil.which("nsd", path="/usr/sbin")
    if program is None:
        pytest.skip("needs nsd: install with apt-get install nsd")
    running: list[subprocess.Popen[bytes]] = []

    def start(zones: Mapping[str, str]) -> str:
        folder = tmp_path / f"nsd{len(running)}"
        folder.mkdir()
        port = _free_port()
        config = CONFIG.format(port=port, folder=folder)
        # A resolver knows every top-level domain.
        for name, text in {**{name.rpartition(".")[2]: "" for name in zones}, **zones}.items():
            (folder / f"{name}.zone").write_text(HEAD + text)
            config += f'zone:\n  name: "{name}"\n  zonefile: "{name}.zone"\n'
        (folder / "nsd.conf").write_text(config)
        command = [program, "-d", "-c", str(folder / "nsd.conf")]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        running.append(process)
        _wait(process, port, next(iter(zones)), folder)
        return f"127.0.0.1:{port}"

    yield start
    for process in running:
        os.killpg(process.pid, signal.SIGKILL)  # nsd's own children too: one left would answer for the next test
        process.wait()


def _free_port() -> int:
    """Return a port that is free for TCP and for UDP."""
    while True:
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            stream.bind(("127.0.0.1", 0))
            port: int = stream.getsockname()[1]
            try:
                datagrams.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _wait(process: "subprocess.Popen[bytes]", port: int, zone: str, folder: Path) -> None:
    question = dns.message.make_query(zone, "SOA")
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        try:
            dns.query.udp(question, "127.0.0.1", timeout=0.5, port=port)
        except (dns.exception.Timeout, OSError):
            continue
        return
    raise RuntimeError(f"nsd did not start: {(folder / 'nsd.log').read_text()}")
