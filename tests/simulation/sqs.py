"""A model of a standard SQS queue: at least once, in roughly any order, with redrive and fair groups."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.scheduler import Scheduler

__all__ = ["Entry", "Queue", "Queues"]

MAX_BODY = 1024 * 1024
MAX_DELAY = 900
MAX_VISIBILITY_TIMEOUT = 43_200
MESSAGE_ID = re.compile('"message":{"id":"([0-9a-f]{32})')
MAX_DUPLICATES = 100  # of a queue: put back again and again, the copies of an outage would fill it, as in no real one
NOISY = 10  # a group with so many messages in flight more than the quietest waits behind the quiet ones


@dataclass(slots=True)
class Entry:
    """One message on a queue."""

    id: str
    body: str
    group: str
    sent_at: float
    visible_at: float
    order: float
    receives: int = 0
    first_received_at: float = 0.0
    handle: str = ""


@dataclass(slots=True)
class Queue:
    """One queue. `on_visible` is called with the time at which a message becomes visible."""

    name: str
    scheduler: Scheduler
    visibility_timeout: float = 30.0
    max_receives: int = 0
    dead_letters: "Queue | None" = None
    duplicates: float = 0.0  # the share of receives that leave a second copy
    entries: dict[str, Entry] = field(default_factory=dict)
    on_visible: Callable[[float], None] = lambda moment: None
    sent: int = 0
    duplicated: int = 0
    empty_until: float = 0.0  # no message becomes visible before

    @property
    def url(self) -> str:
        return f"https://sqs.eu-west-1.amazonaws.com/123456789012/{self.name}"

    @property
    def arn(self) -> str:
        return f"arn:aws:sqs:eu-west-1:123456789012:{self.name}"

    @property
    def has_visible(self) -> bool:
        return any(entry.visible_at <= self.scheduler.now for entry in self.entries.values())

    def send(self, body: str, delay: float = 0.0, group: str = "") -> str:
        now = self.scheduler.now
        self.sent += 1
        entry = Entry(f"{self.name}-{self.sent}", body, group, now, now + delay, now + delay)
        entry.order += self.scheduler.random.random() * 0.2  # a standard queue keeps no exact order
        self.entries[entry.id] = entry
        self.empty_until = min(self.empty_until, entry.visible_at)
        waits = f", visible in {delay:g} s" if delay else ""
        self.scheduler.note(self.name, f"{entry.id} holds {', '.join(MESSAGE_ID.findall(body))}{waits}")
        self.on_visible(entry.visible_at)
        return entry.id

    def receive(self, count: int, timeout: float | None = None) -> list[Entry]:
        """Hand out up to `count` visible messages and hide them for a while."""
        now, random = self.scheduler.now, self.scheduler.random
        if now < self.empty_until:
            return []
        visible = [entry for entry in self.entries.values() if entry.visible_at <= now]
        if not visible:
            self.empty_until = min((entry.visible_at for entry in self.entries.values()), default=math.inf)
            return []
        in_flight = Counter(entry.group for entry in self.entries.values() if entry.group and entry.visible_at > now)
        visible.sort(key=lambda entry: (in_flight[entry.group] >= NOISY, entry.order))
        received = []
        for entry in visible[:count]:
            if self.max_receives and entry.receives >= self.max_receives:
                self._redrive(entry)
                continue
            entry.receives += 1
            entry.first_received_at = entry.first_received_at or now
            entry.handle = f"{entry.id}/{entry.receives}"
            entry.visible_at = now + (self.visibility_timeout if timeout is None else timeout)
            received.append(entry)
            is_chosen = self.duplicates and random.random() < self.duplicates
            if is_chosen and self.duplicated < MAX_DUPLICATES:
                self.duplicated += 1
                self.scheduler.note(self.name, f"{entry.id} is handed out twice")
                copy = Entry(entry.id, entry.body, entry.group, entry.sent_at, now + random.random(), now)
                copy.receives, copy.first_received_at = entry.receives, entry.first_received_at
                self.entries[entry.id + f"+{entry.receives}"] = copy
                self.on_visible(copy.visible_at)
        if received:
            self.on_visible(received[0].visible_at)
        return [_copy(entry) for entry in received]

    def delete(self, handle: str) -> None:
        """Remove what was received under this handle; a handle of an earlier receive removes nothing."""
        for key, entry in self.entries.items():
            if entry.handle == handle:
                del self.entries[key]
                return

    def change_visibility(self, handle: str, seconds: float) -> bool:
        for entry in self.entries.values():
            if entry.handle == handle and entry.visible_at > self.scheduler.now:
                entry.visible_at = self.scheduler.now + seconds
                self.empty_until = min(self.empty_until, entry.visible_at)
                self.scheduler.note(self.name, f"{entry.id} comes back in {seconds:g} s")
                self.on_visible(entry.visible_at)
                return True
        return False

    def _redrive(self, entry: Entry) -> None:
        self.entries = {key: kept for key, kept in self.entries.items() if kept is not entry}
        if self.dead_letters:
            self.scheduler.note(self.name, f"{entry.id} goes to the dead letters after {entry.receives} receives")
            moved = Entry(entry.id, entry.body, "", entry.sent_at, self.scheduler.now, self.scheduler.now)
            moved.receives = -1  # it was moved by SQS, not written by us
            self.dead_letters.entries[entry.id] = moved
            self.dead_letters.empty_until = 0.0


class Queues:
    """The API of SQS over several queues: what an operation answers, as status and JSON."""

    def __init__(self, *queues: Queue) -> None:
        self.by_url = {queue.url: queue for queue in queues}

    def request(self, operation: str, payload: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        queue = self.by_url.get(payload.get("QueueUrl", ""))
        if queue is None:
            return _error("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
        match operation:
            case "SendMessage":
                return self._send(queue, payload)
            case "SendMessageBatch":
                return self._batch(queue, payload, self._send)
            case "ReceiveMessage":
                return self._receive(queue, payload)
            case "DeleteMessage":
                queue.delete(payload["ReceiptHandle"])
                return 200, {}
            case "DeleteMessageBatch":
                return self._batch(queue, payload, self._delete)
            case "ChangeMessageVisibility":
                return self._change(queue, payload)
            case "ChangeMessageVisibilityBatch":
                return self._batch(queue, payload, self._change)
        return _error("InvalidAction", f"{operation} is not modeled")

    def _send(self, queue: Queue, payload: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        body, delay = payload["MessageBody"], payload.get("DelaySeconds", 0)
        if not body or len(body.encode()) > MAX_BODY:
            return _error("InvalidParameterValue", "One or more parameters are invalid: message length.")
        if not isinstance(delay, int) or not 0 <= delay <= MAX_DELAY:
            return _error("InvalidParameterValue", f"Value {delay} for parameter DelaySeconds is invalid.")
        return 200, {"MessageId": queue.send(body, delay, payload.get("MessageGroupId", ""))}

    def _receive(self, queue: Queue, payload: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        count = payload.get("MaxNumberOfMessages", 1)
        if not 1 <= count <= 10:
            return _error("InvalidParameterValue", "MaxNumberOfMessages must be 1 to 10.")
        entries = queue.receive(count, payload.get("VisibilityTimeout"))
        messages = [
            {
                "MessageId": entry.id,
                "ReceiptHandle": entry.handle,
                "Body": entry.body,
                "Attributes": {"ApproximateReceiveCount": str(entry.receives)},
            }
            for entry in entries
        ]
        return 200, {"Messages": messages} if messages else {}

    def _delete(self, queue: Queue, payload: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        queue.delete(payload["ReceiptHandle"])
        return 200, {}

    def _change(self, queue: Queue, payload: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        seconds = payload["VisibilityTimeout"]
        if not isinstance(seconds, int) or not 0 <= seconds <= MAX_VISIBILITY_TIMEOUT:
            return _error("InvalidParameterValue", f"Value {seconds} for parameter VisibilityTimeout is invalid.")
        if not queue.change_visibility(payload["ReceiptHandle"], seconds):
            return _error("MessageNotInflight", "The specified message isn't in flight.")
        return 200, {}

    def _batch(
        self,
        queue: Queue,
        payload: Mapping[str, Any],
        act: Callable[[Queue, Mapping[str, Any]], tuple[int, dict[str, Any]]],
    ) -> tuple[int, dict[str, Any]]:
        entries = payload["Entries"]
        if not 1 <= len(entries) <= 10:
            return _error("AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "1 to 10 entries are allowed.")
        answers = [(entry["Id"], act(queue, entry)) for entry in entries]
        return 200, {
            "Successful": [{"Id": id_, **answer} for id_, (status, answer) in answers if status == 200],
            "Failed": [
                {"Id": id_, "Code": answer["__type"], "Message": answer["message"], "SenderFault": True}
                for id_, (status, answer) in answers
                if status != 200
            ],
        }


def _error(code: str, message: str) -> tuple[int, dict[str, Any]]:
    return 400, {"__type": code, "message": message}


def _copy(entry: Entry) -> Entry:
    return Entry(
        entry.id, entry.body, entry.group, entry.sent_at, entry.visible_at, entry.order,
        entry.receives, entry.first_received_at, entry.handle,
    )  # fmt: skip
