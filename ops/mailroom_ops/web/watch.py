"""Watch files for changes by polling: a hundred modification times take a millisecond, on every file system."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["Watcher"]

POLL_SECONDS = 0.2
IGNORED_FOLDERS = ("__pycache__", ".")
IGNORED_FILES = (".pyc", "~", ".swp", ".tmp")


class Watcher:
    """Calls `on_change`, from a thread of its own, with the changed paths at or below `roots`."""

    def __init__(self, roots: list[Path], on_change: Callable[[set[Path]], None]) -> None:
        self._roots = roots
        self._on_change = on_change
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._times = self._modification_times()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            times = self._modification_times()
            changed = {Path(path) for path, _ in times.items() ^ self._times.items()}
            self._times = times
            if changed:
                self._on_change(changed)

    def _modification_times(self) -> dict[str, int]:
        times = {}
        for path in (path for root in self._roots for path in _files(str(root))):
            try:
                times[path] = os.stat(path).st_mtime_ns
            except FileNotFoundError:
                continue
        return times


def _files(root: str) -> Iterator[str]:
    if os.path.isfile(root):
        yield root
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(IGNORED_FOLDERS)]
        yield from (os.path.join(folder, name) for name in names if not name.endswith(IGNORED_FILES))
