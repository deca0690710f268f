"""Files that somebody edits on a page and has not stored: kept for their previews while the console runs."""

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from mailroom.model.stored_files import pack

__all__ = ["Drafts"]

MAX_DRAFTS = 40  # one for each pause in typing


@dataclass
class Drafts:
    """The newest drafts, by a key that is made from their content."""

    _files: dict[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def keep(self, files: Mapping[str, str]) -> str:
        key = hashlib.sha256(pack(files).encode()).hexdigest()[:16]
        with self._lock:
            self._files.pop(key, None)
            self._files[key] = dict(files)
            if len(self._files) > MAX_DRAFTS:
                del self._files[next(iter(self._files))]
        return key

    def files(self, key: str) -> Mapping[str, str] | None:
        with self._lock:
            return self._files.get(key)
