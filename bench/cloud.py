"""SQS, DynamoDB and SSM as one mail sees them, light enough to stand behind a burst, each answer a little late.

moto needs 40 ms of CPU for a mail's calls, which are what a burst would then be measuring. This does what deliver asks
for and no more: conditional updates, visibility, delay, receive counts and the move to the dead-letter queue.
`python -m bench.cloud` prints its address, and serves until its standard input ends.
"""

import heapq
import json
import re
import sys
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["LATENCY"]

LATENCY = 0.005  # seconds: what SQS and DynamoDB take to answer within their region
MOST_RECEIVED = 10  # template.yaml: maxReceiveCount
VISIBILITY = 120.0  # and VisibilityTimeout

Row = dict[str, Any]


@dataclass
class Queue:
    """One SQS queue: what may be received next is on top of the heap."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    bodies: dict[str, str] = field(default_factory=dict)
    received: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    visible: dict[str, float] = field(default_factory=dict)
    heap: list[tuple[float, str]] = field(default_factory=list)

    def put(self, body: str, delay: float) -> str:
        id_ = str(uuid.uuid4())
        with self.changed:
            self.bodies[id_] = body
            self._show(id_, delay)
        return id_

    def receive(self, most: int, wait: float, dead: "Queue") -> list[Row]:
        until, found = time.monotonic() + wait, list[Row]()
        with self.changed:
            while not found:
                while len(found) < most and self.heap and self.heap[0][0] <= time.monotonic():
                    at, id_ = heapq.heappop(self.heap)
                    if self.visible.get(id_) != at:
                        continue  # deleted, or shown at another time
                    self.received[id_] += 1
                    if self.received[id_] > MOST_RECEIVED:
                        dead.put(self.bodies[id_], 0)
                        self.delete(id_)
                        continue
                    self._show(id_, VISIBILITY)
                    found.append({"MessageId": id_, "ReceiptHandle": id_, "Body": self.bodies[id_], "MD5OfBody": ""})
                left = until - time.monotonic()
                if found or left <= 0:
                    break
                self.changed.wait(min(left, max(0.001, self.heap[0][0] - time.monotonic()) if self.heap else left))
        return found

    def delete(self, id_: str) -> None:
        with self.changed:
            self.bodies.pop(id_, None)
            self.visible.pop(id_, None)

    def show(self, id_: str, after: float) -> None:
        with self.changed:
            if id_ in self.bodies:
                self._show(id_, after)

    def _show(self, id_: str, after: float) -> None:
        self.visible[id_] = time.monotonic() + after
        heapq.heappush(self.heap, (self.visible[id_], id_))
        self.changed.notify()


class Cloud:
    """All three services; every operation that deliver and its poller use."""

    def __init__(self) -> None:
        self.queues: defaultdict[str, Queue] = defaultdict(Queue)
        self.rows: dict[str, Row] = {}
        self.parameters: dict[str, str] = {}
        self.lock = threading.Lock()

    def answer(self, operation: str, asked: Row) -> tuple[int, Row]:
        if operation in ("UpdateItem", "GetItem"):
            with self.lock:
                return self._update(asked) if operation == "UpdateItem" else (200, self._get(asked))
        if operation in ("PutParameter", "GetParameters"):
            return 200, self._put(asked) if operation == "PutParameter" else self._named(asked["Names"])
        return 200, self._queue(operation, asked)

    def _queue(self, operation: str, asked: Row) -> Row:
        url = asked["QueueUrl"]
        queue = self.queues[url.rpartition("/")[2]]
        match operation:
            case "SendMessage":
                return {"MessageId": queue.put(asked["MessageBody"], asked["DelaySeconds"])}
            case "SendMessageBatch":
                entries = asked["Entries"]
                return {"Successful": [{"Id": e["Id"], "MessageId": queue.put(e["MessageBody"], 0)} for e in entries]}
            case "ReceiveMessage":
                most, wait = asked["MaxNumberOfMessages"], asked["WaitTimeSeconds"]
                return {"Messages": queue.receive(most, wait, self.queues["dead"])}
            case "DeleteMessage":
                queue.delete(asked["ReceiptHandle"])
            case "DeleteMessageBatch":
                for entry in asked["Entries"]:
                    queue.delete(entry["ReceiptHandle"])
                return {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]]}
            case "ChangeMessageVisibility":
                queue.show(asked["ReceiptHandle"], asked["VisibilityTimeout"])
            case "GetQueueAttributes":
                return {"Attributes": {"ApproximateNumberOfMessages": str(len(queue.bodies))}}
            case _:
                raise NotImplementedError(operation)
        return {}

    def _put(self, asked: Row) -> Row:
        self.parameters[asked["Name"]] = asked["Value"]
        return {"Version": 1}

    def _named(self, names: list[str]) -> Row:
        return {"Parameters": [{"Name": n, "Value": self.parameters[n]} for n in names if n in self.parameters]}

    def _get(self, asked: Row) -> Row:
        row = self.rows.get(asked["Key"]["pk"]["S"])
        return {"Item": row} if row else {}

    def _update(self, asked: Row) -> tuple[int, Row]:
        pk = asked["Key"]["pk"]["S"]
        row = self.rows.get(pk, {})
        names, values = asked["ExpressionAttributeNames"], asked["ExpressionAttributeValues"]
        plain = {name: _plain(value) for name, value in values.items()}
        if not _condition(asked.get("ConditionExpression", ""))({n: _plain(v) for n, v in row.items()}, names, plain):
            return 400, {"__type": "dynamodb#ConditionalCheckFailedException", "Item": row}
        self.rows[pk] = {"pk": {"S": pk}, **row, **_changes(asked["UpdateExpression"], row, names, values)}
        return 200, {}


def _plain(value: Row) -> Any:
    ((kind, inner),) = value.items()
    return float(inner) if kind == "N" else inner


@cache
def _condition(text: str) -> Callable[[Row, Row, Row], bool]:
    """Turn a condition into a function of a row, the names and the values."""
    python = re.sub(r"attribute_not_exists\(pk\)", "('pk' not in row)", text)
    python = re.sub(r"(#\w+)", r"row.get(names['\1'])", python)
    python = re.sub(r"(:\w+)", r"values['\1']", python)
    for theirs, its in ((" = ", " == "), (" <> ", " != "), (" AND ", " and "), (" OR ", " or ")):
        python = python.replace(theirs, its)
    made: Callable[[Row, Row, Row], bool] = eval(f"lambda row, names, values: {python or True}")  # noqa: S307 - ours
    return made


def _changes(text: str, row: Row, names: Row, values: Row) -> Row:
    sets, _, adds = text.removeprefix("SET ").partition(" ADD ")
    changed: Row = {}
    for name, first, value in re.findall(r"(#\w+) = (?:(if_not_exists|list_append)\(#\w+, )?(:\w+)", sets):
        old = row.get(names[name])
        if first == "list_append":
            changed[names[name]] = {"L": [*(old or {"L": []})["L"], *values[value]["L"]]}
        elif not (first and old):
            changed[names[name]] = values[value]
    for name, value in re.findall(r"(#\w+) (:\w+)", adds):
        before = float(row.get(names[name], {"N": "0"})["N"])
        changed[names[name]] = {"N": repr(before + float(values[value]["N"]))}
    return changed


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    cloud = Cloud()

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(LATENCY)
        status, said = self.cloud.answer(self.headers["X-Amz-Target"].rpartition(".")[2], asked)
        content = json.dumps(said).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None: ...


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def main() -> None:
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
