"""Restart on change. Looking at a hundred modification times is a millisecond, and works on every file system."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["Watcher"]

LOOK_SECONDS = 0.2
IGNORED_FOLDERS = ("__pycache__", ".")
IGNORED_FILES = (".pyc", "~", ".swp", ".tmp")


class Watcher:
    """Calls `on_change` with the paths at or below `roots` that changed, from a thread of its own."""

    def __init__(self, roots: list[Path], on_change: Callable[[set[Path]], None]) -> None:
        self._roots = roots
        self._on_change = on_change
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._seen = self._look()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            now = self._look()
            changed = {Path(path) for path, _ in now.items() ^ self._seen.items()}
            self._seen = now
            if changed:
                self._on_change(changed)

    def _look(self) -> dict[str, int]:
        found = {}
        for path in (path for root in self._roots for path in _files(str(root))):
            try:
                found[path] = os.stat(path).st_mtime_ns
            except FileNotFoundError:
                continue
        return found


def _files(root: str) -> Iterator[str]:
    if os.path.isfile(root):
        yield root
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if not name.startswith(IGNORED_FOLDERS)]
        yield from (os.path.join(folder, name) for name in names if not name.endswith(IGNORED_FILES))
