"""A fast stub of AWS for a burst or a full ledger, with the latency of AWS.

moto needs 40 ms of CPU for a mail's calls, and reads every row for each Query, so that a benchmark would measure moto.
This has the operations of deliver (conditional updates, visibility, delay, receive counts, dead-letter queue) and those
of the console, and no more.
`python -m bench.cloud` prints its address, and serves until its standard input ends.
"""

import heapq
import json
import sys
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from bench.indexes import Indexes
from tests.simulation.dynamodb import Table

__all__ = ["LATENCY", "Cloud", "serving"]

LATENCY = 0.005  # seconds, of SQS and DynamoDB within their region
MAX_RECEIVE_COUNT = 10  # template.yaml: maxReceiveCount
VISIBILITY_TIMEOUT_SECONDS = 120.0  # and VisibilityTimeout
MAX_KEYS = 100  # of one BatchGetItem
PAGE = 10  # parameters in one answer, at most

Row = dict[str, Any]


@dataclass
class Queue:
    """An SQS queue; the next message to receive is on top of the heap."""

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

    def receive(self, max_count: int, wait: float, dead: "Queue") -> list[Row]:
        until, messages = time.monotonic() + wait, list[Row]()
        with self.changed:
            while not messages:
                while len(messages) < max_count and self.heap and self.heap[0][0] <= time.monotonic():
                    at, id_ = heapq.heappop(self.heap)
                    if self.visible.get(id_) != at:
                        continue  # deleted, or shown at another time
                    self.received[id_] += 1
                    if self.received[id_] > MAX_RECEIVE_COUNT:
                        dead.put(self.bodies[id_], 0)
                        self.delete(id_)
                        continue
                    self._show(id_, VISIBILITY_TIMEOUT_SECONDS)
                    messages.append({"MessageId": id_, "ReceiptHandle": id_, "Body": self.bodies[id_], "MD5OfBody": ""})
                left = until - time.monotonic()
                if messages or left <= 0:
                    break
                self.changed.wait(min(left, max(0.001, self.heap[0][0] - time.monotonic()) if self.heap else left))
        return messages

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
    """The operations of deliver, its poller and the console's pages; `calls` has the names of the calls."""

    def __init__(self, outputs: Mapping[str, str] = {}) -> None:
        self.outputs = outputs  # of the stack
        self.calls: list[str] = []
        self.queues: defaultdict[str, Queue] = defaultdict(Queue)
        self.table = Table("ledger", "pk", {})
        self.rows: dict[str, Row] = self.table.items
        self.parameters: dict[str, str] = {}
        self.lock = threading.Lock()

    @cached_property
    def indexes(self) -> Indexes:
        """The indexes, built at the first Query; later rows are missing in them."""
        return Indexes(self.rows)

    def answer(self, operation: str, request: Row) -> tuple[int, Row]:
        self.calls.append(operation)
        if operation in ("Query", "BatchGetItem"):
            return self._batch(request) if operation == "BatchGetItem" else (200, self.indexes.query(request))
        if operation in ("UpdateItem", "GetItem"):
            with self.lock:
                return self.table.request(operation, request)
        if operation in ("PutParameter", "GetParameters"):
            return 200, self._put(request) if operation == "PutParameter" else self._named(request["Names"])
        if operation == "GetParametersByPath":
            return 200, self._below(request["Path"].rstrip("/") + "/", int(request.get("NextToken", 0)))
        if operation == "GetMetricData":
            return 200, {"MetricDataResults": []}
        if operation == "DescribeAlarms":
            return 200, {"MetricAlarms": []}
        return 200, self._queue(operation, request)

    def _queue(self, operation: str, request: Row) -> Row:
        url = request["QueueUrl"]
        queue = self.queues[url.rpartition("/")[2]]
        match operation:
            case "SendMessage":
                return {"MessageId": queue.put(request["MessageBody"], request["DelaySeconds"])}
            case "SendMessageBatch":
                entries = request["Entries"]
                return {"Successful": [{"Id": e["Id"], "MessageId": queue.put(e["MessageBody"], 0)} for e in entries]}
            case "ReceiveMessage":
                max_count, wait = request["MaxNumberOfMessages"], request["WaitTimeSeconds"]
                return {"Messages": queue.receive(max_count, wait, self.queues["dead"])}
            case "DeleteMessage":
                queue.delete(request["ReceiptHandle"])
            case "DeleteMessageBatch":
                for entry in request["Entries"]:
                    queue.delete(entry["ReceiptHandle"])
                return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]]}
            case "ChangeMessageVisibility":
                queue.show(request["ReceiptHandle"], request["VisibilityTimeout"])
            case "GetQueueAttributes":
                return {"Attributes": {"ApproximateNumberOfMessages": str(len(queue.bodies))}}
            case _:
                raise NotImplementedError(operation)
        return {}

    def _put(self, request: Row) -> Row:
        self.parameters[request["Name"]] = request["Value"]
        return {"Version": 1}

    def _named(self, names: list[str]) -> Row:
        about = {"Type": "SecureString", "Version": 1, "LastModifiedDate": 0}
        parameters = [
            {"Name": name, "Value": self.parameters[name], **about} for name in names if name in self.parameters
        ]
        return {"Parameters": parameters}

    def _below(self, path: str, start: int) -> Row:
        names = sorted(name for name in self.parameters if name.startswith(path))
        end = start + PAGE
        return self._named(names[start:end]) | ({"NextToken": str(end)} if end < len(names) else {})

    def _batch(self, request: Row) -> tuple[int, Row]:
        ((table, selection),) = request["RequestItems"].items()
        keys = [key["pk"]["S"] for key in selection["Keys"]]
        if not 0 < len(set(keys)) == len(keys) <= MAX_KEYS:
            return 400, {"__type": "dynamodb#ValidationException", "message": "too many keys, none, or one twice"}
        return 200, {"Responses": {table: [self.rows[pk] for pk in keys if pk in self.rows]}, "UnprocessedKeys": {}}


class Handler(StreamRequestHandler):
    """Answers the requests of one connection. http.server's takes twice as long for a request, to parse its headers."""

    disable_nagle_algorithm = True
    wbufsize = -1
    server: "Server"

    def handle(self) -> None:
        while headers := self._headers():
            body = self.rfile.read(int(headers[b"content-length"]))
            time.sleep(self.server.latency)
            self._answer(headers.get(b"x-amz-target", b"").decode().rpartition(".")[2], body)

    def _headers(self) -> dict[bytes, bytes]:
        """Return the headers of the next request with names in lower case; none after the last one."""
        self.rfile.readline()  # the path: all operations have the same
        lines = iter(lambda: self.rfile.readline().strip(), b"")
        return {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}

    def _answer(self, operation: str, body: bytes) -> None:
        cloud = self.server.cloud
        if operation:
            status, answer = cloud.answer(operation, json.loads(body))
            return self._write(status, json.dumps(answer).encode(), "application/x-amz-json-1.0")
        cloud.calls.append(dict(parse_qsl(body.decode()))["Action"])  # CloudFormation's, which has no JSON protocol
        return self._write(200, _stack(cloud.outputs), "text/xml")

    def _write(self, status: int, content: bytes, kind: str) -> None:
        head = f"HTTP/1.1 {status} Answer\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
        self.wfile.write(head.encode() + content)
        self.wfile.flush()


def _stack(outputs: Mapping[str, str]) -> bytes:
    """Return CloudFormation's description of a stack."""
    members = "".join(
        f"<member><OutputKey>{name}</OutputKey><OutputValue>{escape(value)}</OutputValue></member>"
        for name, value in outputs.items()
    )
    inner = f"<Stacks><member><StackName>mailroom</StackName><Outputs>{members}</Outputs></member></Stacks>"
    result = f"<DescribeStacksResult>{inner}</DescribeStacksResult>"
    return f"<DescribeStacksResponse>{result}</DescribeStacksResponse>".encode()


class Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, cloud: Cloud, latency: float) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.cloud, self.latency = cloud, latency


@contextmanager
def serving(cloud: Cloud, latency: float) -> Iterator[str]:
    """Serve, and yield the address."""
    with Server(cloud, latency) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def main() -> None:
    with serving(Cloud(), LATENCY) as address:
        print(address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
