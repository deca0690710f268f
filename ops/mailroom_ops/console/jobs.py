"""Background jobs: work that takes longer than a request runs in a thread, and pages show its progress."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from mailroom.model.message import new_id
from mailroom_ops.environment import aws_error
from mailroom_ops.errors import OperatorError, ServiceError

__all__ = ["Job", "Jobs"]

T = TypeVar("T")


@dataclass
class Job(Generic[T]):
    """Work on about `total` items; `results` are those that are done."""

    action: str
    work: Iterator[T] = field(repr=False)
    total: int
    parameters: object = None
    results: list[T] = field(default_factory=list, repr=False)
    error: OperatorError | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    id: str = field(default_factory=new_id)

    @property
    def is_running(self) -> bool:
        return self.ended is None

    def run(self) -> None:
        try:
            for result in self.work:
                self.results.append(result)
        except OperatorError as error:
            self.error = error
        except (BotoCoreError, ClientError) as error:
            self.error = aws_error(error)
        except Exception:
            self.error = ServiceError("The console has an internal error.", "Its terminal shows the traceback.")
            raise
        finally:
            self.ended = datetime.now(UTC)


@dataclass
class Jobs:
    """The newest job of each name, kept until the next one starts."""

    _jobs: dict[str, Job[Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def get(self, name: str) -> Job[Any] | None:
        return self._jobs.get(name)

    def start(self, name: str, job: Job[Any]) -> bool:
        """Start a job in a thread; return False if one of this name is still running."""
        with self._lock:
            if (current := self._jobs.get(name)) and current.is_running:
                return False
            self._jobs[name] = job
        threading.Thread(target=job.run, name=f"{job.action} {name}", daemon=True).start()
        return True
