"""The moto server that stands in for AWS, taught what it does not know yet."""

import logging
import threading

from moto.server import ThreadedMotoServer

from mailroom_ops.sandbox import moto_ses

__all__ = ["start"]


def start() -> str:
    """Start it in this process, on any free port; return its address."""
    moto_ses.extend()
    make_writes_atomic()
    make_writes_quick()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


def make_writes_atomic() -> None:
    """Let DynamoDB do one thing at a time.

    moto 5.2 looks at a write's condition and then writes, and its server has threads: of two writes at once, the later
    can go by what the earlier has changed since. DynamoDB does both in one step.
    """
    from moto.dynamodb.responses import DynamoHandler

    lock, call_action = threading.Lock(), DynamoHandler.call_action

    def one_at_a_time(self: DynamoHandler) -> object:
        with lock:
            return call_action(self)

    DynamoHandler.call_action = one_at_a_time  # type: ignore[method-assign]


def make_writes_quick() -> None:
    """Hold an update's expression against moto's rules once, as a whole: holding each part of it took a quarter."""
    from moto.dynamodb.parsing.validators import ActionCountValidator, OverlappingPathsValidator

    ActionCountValidator.traverse = ActionCountValidator.verify_action_counts
    OverlappingPathsValidator.traverse = OverlappingPathsValidator.check_for_overlapping_paths
