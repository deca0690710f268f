"""The Lambda service: warm and cold processes, timeouts, and the pollers that feed a function from a queue."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.simulation.scheduler import Killed, Process, Scheduler
from tests.simulation.sqs import Queue

__all__ = ["Answer", "Context", "Function", "Poller"]

COLD_START = 0.3  # seconds
Handler = Callable[[Any, "Context"], Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one invocation: `ended` is answered, crashed, killed or timed_out."""

    ended: str
    payload: Any = None
    error: str = ""


@dataclass(slots=True)
class Context:
    """The context object that Lambda passes to a handler."""

    scheduler: Scheduler
    deadline: float
    aws_request_id: str
    function_name: str
    memory_limit_in_mb: int = 512

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:eu-west-1:123456789012:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        return int((self.deadline - self.scheduler.now) * 1000)


@dataclass(slots=True)
class Function:
    """One function. `build` makes the handler of a cold process."""

    name: str
    timeout: float
    scheduler: Scheduler
    build: Callable[[], Handler]
    cold_start: float = COLD_START
    idle: list[tuple[Process, Handler]] = field(default_factory=list)
    cold_starts: int = 0
    invocations: int = 0
    running: int = 0
    log: list[tuple[float, float, str, str]] = field(default_factory=list)  # start, end, process, how it ended

    def invoke(self, event: Any, done: Callable[[Answer], None]) -> None:
        """Run the handler in a warm process if there is one, and hand its answer to `done`."""
        self.invocations += 1
        self.running += 1
        number = self.invocations
        if self.idle:
            place = int(self.scheduler.random.random() * len(self.idle))
            process, handler = self.idle.pop(place)
        else:
            self.cold_starts += 1
            process, handler = Process(f"{self.name}-{self.cold_starts}", self.name), None
        started = self.scheduler.now + (0.0 if handler else self.cold_start)
        open_ = [True]

        def end(answer: Answer, handler: Handler | None) -> None:
            if not open_[0]:
                return
            open_[0] = False
            self.running -= 1
            self.log.append((started, self.scheduler.now, process.name, answer.ended))
            if handler and not process.is_dead:
                process.tasks.clear()
                self.idle.append((process, handler))
            done(answer)

        def work(handler: Handler | None = handler) -> None:
            try:
                if handler is None:
                    self.scheduler.sleep(self.cold_start)
                    handler = self.build()
                context = Context(self.scheduler, started + self.timeout, f"{self.name}-request-{number}", self.name)
                answer = Answer("answered", handler(event, context))
            except Killed:
                answer = Answer("killed")
            except Exception as error:  # noqa: BLE001 - Lambda reports it as the answer
                self.scheduler.note(process.name, f"crashed with {type(error).__name__}: {error}")
                answer = Answer("crashed", error=type(error).__name__)
            self.scheduler.after(0.0, end, answer, handler)

        def time_out() -> None:
            if open_[0]:
                self.scheduler.kill(process, f"timed out after {self.timeout:g} s")
                end(Answer("timed_out"), None)

        self.scheduler.start(process, work)
        self.scheduler.at(started + self.timeout, time_out)


@dataclass(slots=True)
class Poller:
    """Lambda's event source mapping: takes batches off a queue and deletes what the function has settled."""

    queue: Queue
    function: Function
    batch_size: int
    concurrency: int
    scheduler: Scheduler
    running: int = 0
    limit: float = 5.0  # batches at a time; it grows by five a second while there is more to do
    is_behind: bool = False  # at its limit, with messages left
    grown_at: float = 0.0
    grows_at: float = 0.0  # the next poll while at its limit

    def __post_init__(self) -> None:
        self.queue.on_visible = self.expect

    def expect(self, moment: float) -> None:
        """Poll shortly after `moment`, when a message becomes visible."""
        moment = max(moment, self.scheduler.now) + 0.002 + 0.03 * self.scheduler.random.random()
        self.scheduler.at(moment, self._poll)

    def _poll(self) -> None:
        now = self.scheduler.now
        if self.running == 0:
            self.limit = 5.0
        elif self.is_behind:
            self.limit = min(float(self.concurrency), self.limit + 5.0 * min(1.0, now - self.grown_at))
        self.grown_at, self.is_behind = now, False
        while self.running < int(self.limit):
            entries = self.queue.receive(self.batch_size)
            if not entries:
                return
            self.running += 1
            self.scheduler.note(self.queue.name, f"hands over {', '.join(entry.handle for entry in entries)}")
            records = [
                {
                    "messageId": entry.id,
                    "receiptHandle": entry.handle,
                    "body": entry.body,
                    "attributes": {
                        "ApproximateReceiveCount": str(entry.receives),
                        "SentTimestamp": str(int(entry.sent_at * 1000)),
                        "ApproximateFirstReceiveTimestamp": str(int(entry.first_received_at * 1000)),
                        **({"MessageGroupId": entry.group} if entry.group else {}),
                    },
                    "messageAttributes": {},
                    "eventSource": "aws:sqs",
                    "eventSourceARN": self.queue.arn,
                    "awsRegion": "eu-west-1",
                }
                for entry in entries
            ]
            self.function.invoke({"Records": records}, partial(self._settle, records))
        self.is_behind = self.queue.has_visible
        if self.limit < self.concurrency and self.grows_at <= now:
            self.grows_at = now + 1.0
            self.scheduler.at(self.grows_at, self._poll)

    def _settle(self, records: list[dict[str, Any]], answer: Answer) -> None:
        self.running -= 1
        if answer.ended == "answered":
            payload: Mapping[str, Any] = answer.payload or {}
            failed = {item["itemIdentifier"] for item in payload.get("batchItemFailures", ())}
            for record in records:
                if record["messageId"] not in failed:
                    self.queue.delete(record["receiptHandle"])
        self.expect(self.scheduler.now)
