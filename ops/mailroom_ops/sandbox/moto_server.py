"""The moto server that stands in for AWS, taught what it does not know yet."""

import logging
import pickle
import threading
import time
from functools import cache, lru_cache

import botocore.session
from botocore.loaders import create_loader
from moto.server import ThreadedMotoServer

from mailroom_ops.sandbox import moto_ses

__all__ = ["start"]


def start() -> str:
    """Start it in this process, on any free port; return its address."""
    moto_ses.extend()
    make_writes_atomic()
    make_quick()
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


def make_quick() -> None:
    """Spare moto 5.2 what it does over and over to no end: half of an update, and most of a send to a long queue."""
    import moto.backends
    from moto.dynamodb.parsing import ast_nodes, expressions, validators
    from moto.sqs import models as sqs

    counts, paths = validators.ActionCountValidator, validators.OverlappingPathsValidator
    parser, walk = expressions.UpdateExpressionParser, ast_nodes.DepthFirstTraverser  # type: ignore[attr-defined]
    modules = frozenset(moto.backends.list_of_moto_modules())
    quicker: tuple[tuple[object, str, object], ...] = (
        (counts, "traverse", counts.verify_action_counts),
        (paths, "traverse", paths.check_for_overlapping_paths),
        (validators, "deepcopy", lambda tree: pickle.loads(pickle.dumps(tree))),  # noqa: S301 (its own tree)
        (parser, "make", lru_cache(parser.make)),
        (walk, "nodes_to_be_processed", lru_cache(walk.nodes_to_be_processed)),
        (moto.backends, "list_of_moto_modules", lambda: modules),
        (botocore.session, "create_loader", cache(create_loader)),  # else three sessions read the same descriptions
        (sqs, "unix_time", time.time),
        (sqs, "unix_time_millis", lambda: time.time() * 1000),
    )
    for owner, name, value in quicker:
        setattr(owner, name, value)
