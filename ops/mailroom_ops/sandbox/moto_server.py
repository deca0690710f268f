"""A moto server in place of AWS, with missing features added."""

import logging
import pickle
import threading
import time
from functools import cache, lru_cache

import botocore.session
from botocore.loaders import create_loader
from moto.server import ThreadedMotoServer

from mailroom_ops.sandbox import moto_ses, moto_suppressions

__all__ = ["start"]

SMALL_ATTRIBUTE_BYTES = 1000


def start(port: int = 0) -> str:
    """Start the server in this process, by default on any free port; return its URL."""
    moto_ses.extend()
    moto_suppressions.extend()
    make_writes_atomic()
    make_faster()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


def make_writes_atomic() -> None:
    """Make conditional writes to DynamoDB atomic.

    moto 5.2 evaluates a condition and then writes, in several threads: of two concurrent writes, both can pass.
    """
    from moto.dynamodb.responses import DynamoHandler

    lock, call_action = threading.Lock(), DynamoHandler.call_action

    def one_at_a_time(self: DynamoHandler) -> object:
        with lock:
            return call_action(self)

    DynamoHandler.call_action = one_at_a_time  # type: ignore[method-assign]


def make_faster() -> None:
    """Replace repeated work of moto 5.2: half the time of a write, and most of a send to a long queue."""
    import moto.backends
    from moto.dynamodb.models.dynamo_type import DynamoType, LimitedSizeDict
    from moto.dynamodb.parsing import ast_nodes, expressions, validators
    from moto.sqs import models as sqs

    counts, paths = validators.ActionCountValidator, validators.OverlappingPathsValidator
    parser, walk = expressions.UpdateExpressionParser, ast_nodes.DepthFirstTraverser  # type: ignore[attr-defined]
    modules = frozenset(moto.backends.list_of_moto_modules())
    set_attribute = LimitedSizeDict.__setitem__

    def set_small_attribute(self: LimitedSizeDict, name: str, value: object) -> None:
        """Sum up the size of an item only where an attribute is large: the sum for each took half of a write."""
        is_small = isinstance(value, DynamoType) and value.size() < SMALL_ATTRIBUTE_BYTES
        (dict.__setitem__ if is_small else set_attribute)(self, name, value)

    replacements: tuple[tuple[object, str, object], ...] = (
        (counts, "traverse", counts.verify_action_counts),
        (paths, "traverse", paths.check_for_overlapping_paths),
        (validators, "deepcopy", lambda tree: pickle.loads(pickle.dumps(tree))),  # noqa: S301 (its own tree)
        (parser, "make", lru_cache(parser.make)),
        (LimitedSizeDict, "__setitem__", set_small_attribute),
        (walk, "nodes_to_be_processed", lru_cache(walk.nodes_to_be_processed)),
        (moto.backends, "list_of_moto_modules", lambda: modules),
        (botocore.session, "create_loader", cache(create_loader)),  # three sessions read the same descriptions
        (sqs, "unix_time", time.time),
        (sqs, "unix_time_millis", lambda: time.time() * 1000),
    )
    for owner, name, value in replacements:
        setattr(owner, name, value)
