"""Work that takes longer than a page: it goes on in a thread, whether somebody looks or not, and says how far it is."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from mailroom.model.message import new_id
from mailroom_ops.environment import aws_says
from mailroom_ops.errors import OperatorError, ServiceError

__all__ = ["Job", "Jobs"]

T = TypeVar("T")


@dataclass
class Job(Generic[T]):
    """One piece of work on about `total` things; `done` are those that it has come to."""

    what: str
    work: Iterator[T] = field(repr=False)
    total: int
    asked: object = None  # what it was started with
    done: list[T] = field(default_factory=list, repr=False)
    problem: OperatorError | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    id: str = field(default_factory=new_id)

    @property
    def is_running(self) -> bool:
        return self.ended is None

    def run(self) -> None:
        try:
            for one in self.work:
                self.done.append(one)
        except OperatorError as problem:
            self.problem = problem
        except (BotoCoreError, ClientError) as error:
            self.problem = aws_says(error)
        except Exception:
            self.problem = ServiceError("The console itself has a fault.", "Its terminal shows what.")
            raise
        finally:
            self.ended = datetime.now(UTC)


@dataclass
class Jobs:
    """The newest job of each name, kept until the next one."""

    _jobs: dict[str, Job[Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def get(self, name: str) -> Job[Any] | None:
        return self._jobs.get(name)

    def start(self, name: str, job: Job[Any]) -> bool:
        """Start a job, unless one of that name is running."""
        with self._lock:
            if (old := self._jobs.get(name)) and old.is_running:
                return False
            self._jobs[name] = job
        threading.Thread(target=job.run, name=f"{job.what} {name}", daemon=True).start()
        return True
