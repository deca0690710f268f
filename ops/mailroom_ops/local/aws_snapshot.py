"""Snapshots of the moto server in this process: queued messages, items, parameters and SES identities, as JSON.

moto's state is in objects that cannot be pickled. A snapshot holds what API calls can create again, see state.py.
"""

import json
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mailroom_ops.local.state import write_file

__all__ = ["Saver", "snapshot"]

# Actions that change nothing, and the receipt of a message, which a restart undoes.
READS = ("BatchGet", "Describe", "Get", "List", "Query", "Receive", "Scan", "TransactGet")
SAVE_SECONDS = 0.25
PAUSE_PER_DURATION = 5  # a large state is saved less often: saving takes a sixth of the time of the process
MAX_ATTEMPTS = 20


def snapshot() -> dict[str, Any]:
    """Return the state of the server.

    Queues come first: a message that is processed meanwhile is in the snapshot twice, queued and in the ledger, which
    recognizes it. In the other order it could be missing.
    """
    from moto.dynamodb.models import dynamodb_backends
    from moto.ses.models import ses_backends
    from moto.sqs.models import sqs_backends
    from moto.ssm.models import ssm_backends

    queues = {
        queue.name: [_message(message) for message in list(queue._messages)]
        for backend in _regions(sqs_backends)
        for queue in list(backend.queues.values())
    }
    tables = {
        table.name: [item.to_json()["Attributes"] for item in list(table.all_items())]
        for backend in _regions(dynamodb_backends)
        for table in list(backend.tables.values())
    }
    parameters = {
        name: {"type": versions[-1].parameter_type, "value": versions[-1].decrypt(versions[-1].value)}
        for backend in _regions(ssm_backends)
        for name, versions in list(backend._parameters.items())
        if versions
    }
    identities = {
        name: getattr(identity, "mail_from", {})
        for backend in _regions(ses_backends)
        for name, identity in list(backend.email_identities.items())
    }
    return {"queues": queues, "tables": tables, "parameters": parameters, "identities": identities}


def _regions(backends: Any) -> Iterable[Any]:
    return [backend for account in list(backends.values()) for backend in list(account.values())]


def _message(message: Any) -> dict[str, Any]:
    attributes = {
        name: {"DataType": value["DataType"], "StringValue": value["StringValue"]}
        for name, value in message.message_attributes.items()
        if "StringValue" in value
    }
    until = message.delayed_until / 1000
    return {"body": message.body, "attributes": attributes, "group": message.group_id, "delayed_until": until}


class Saver:
    """Writes a snapshot into a file a moment after each change, in a thread of its own."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._changed = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="saver", daemon=True)

    def start(self) -> None:
        """Watch the requests to the server, and save the state now and after each that may change it."""
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication as Server

        answer, changed = Server.__call__, self._changed

        def watched(self: Server, environ: dict[str, Any], start_response: Any) -> Any:
            try:
                return answer(self, environ, start_response)
            finally:
                if _may_change(environ):
                    changed.set()

        Server.__call__ = watched  # type: ignore[method-assign]
        changed.set()
        self._thread.start()

    def save(self) -> None:
        """Write the present state."""
        with self._lock:
            for attempt in range(MAX_ATTEMPTS):
                try:
                    state = snapshot()
                except RuntimeError:  # a dictionary changed while it was read
                    if attempt == MAX_ATTEMPTS - 1:
                        raise
                else:
                    break
            write_file(self._file, json.dumps(state, ensure_ascii=False))

    def _run(self) -> None:
        while self._changed.wait():
            self._changed.clear()
            started = time.monotonic()
            self.save()
            time.sleep(max(SAVE_SECONDS, PAUSE_PER_DURATION * (time.monotonic() - started)))


def _may_change(environ: dict[str, Any]) -> bool:
    action = str(environ.get("HTTP_X_AMZ_TARGET", "")).rpartition(".")[2]
    return not action.startswith(READS) if action else environ["REQUEST_METHOD"] != "GET"
