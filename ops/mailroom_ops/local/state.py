"""The state of a local stack between two runs: a folder with AWS's state, the inbox, domains, ports and settings.

Everything is restored by the calls that created it: a changed template meets old items as it does when deployed.
"""

import base64
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from mailroom_ops.sandbox.inbox import Captured, Inbox

__all__ = ["Keeper", "KeptInbox", "State", "restore", "write_file"]

MAX_MAILS = 500  # of the inbox, restored at a start
MAX_DELAY_SECONDS = 900  # of SQS
ITEMS_PER_CALL = 25
MESSAGES_PER_CALL = 10
SAVE_SECONDS = 0.5

T = TypeVar("T")


def write_file(path: Path, text: str) -> None:
    """Write a file so that a process killed meanwhile leaves the old or the new content; only its owner may read it."""
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)


@dataclass(frozen=True, slots=True)
class State:
    """The folder; `report` is called with a sentence about each part that cannot be read."""

    folder: Path
    report: Callable[[str], None]

    def open(self) -> None:
        """Make the folder."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def aws_file(self) -> Path:
        return self.folder / "aws.json"

    @property
    def inbox_file(self) -> Path:
        return self.folder / "inbox.jsonl"

    def read(self, name: str) -> dict[str, Any]:
        """Return the content of a file of the folder; empty if there is none, or none that can be read."""
        path = self.folder / f"{name}.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except ValueError:
            self.report(f"{path} cannot be read, and is not restored")
            return {}
        return content if isinstance(content, dict) else {}

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Replace a file of the folder."""
        write_file(self.folder / f"{name}.json", json.dumps(content, ensure_ascii=False))

    def port(self, name: str) -> int:
        """Return the port that a server had before, if it is free: settings contain it. 0 stands for any."""
        port = self.read("ports").get(name, 0)
        if not isinstance(port, int):
            return 0
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return 0
        return port

    @staticmethod
    def forget(folder: Path) -> None:
        """Delete the folder."""
        shutil.rmtree(folder, ignore_errors=True)


class KeptInbox(Inbox):
    """An inbox whose mails are in a file as well, a line each."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file
        self._writing = threading.Lock()
        for line in file.read_text(encoding="utf-8").splitlines()[-MAX_MAILS:] if file.is_file() else ():
            try:
                values = json.loads(line)
                super().add(Captured(from_=values.pop("from"), **values))
            except (KeyError, TypeError, ValueError):
                continue  # the last line of a process that was killed
        lines = (self._line(mail) for mail in reversed(self.all()))
        write_file(file, "".join(lines))

    def add(self, mail: Captured) -> None:
        with self._writing, self._file.open("a", encoding="utf-8") as file:
            file.write(self._line(mail))
        super().add(mail)

    def clear(self) -> None:
        with self._writing:
            write_file(self._file, "")
        super().clear()

    @staticmethod
    def _line(mail: Captured) -> str:
        return f"{json.dumps(mail.to_json(), ensure_ascii=False)}\n"


class Keeper:
    """A thread that writes a part of the state whenever it has changed."""

    def __init__(self, state: State, name: str, read: Callable[[], Mapping[str, Any]]) -> None:
        self._state, self._name, self._read = state, name, read
        self._written = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"keep {name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._write()

    def _run(self) -> None:
        while not self._stopping.wait(SAVE_SECONDS):
            self._write()

    def _write(self) -> None:
        content = self._read()
        if (text := json.dumps(content)) != self._written:
            self._state.write(self._name, content)
            self._written = text


def restore(
    snapshot: Mapping[str, Any],
    client: Callable[[str], Any],
    tables: Mapping[str, Mapping[str, Any]],
    queues: Mapping[str, str],
    report: Callable[[str], None],
) -> None:
    """Create the content of a snapshot again in an AWS that has its tables and queues; report a part that fails.

    `tables` are the properties of the tables by name, `queues` the URLs by name.
    """
    parts: tuple[tuple[str, Callable[[], None]], ...] = (
        ("parameters", lambda: _restore_parameters(snapshot.get("parameters", {}), client("ssm"))),
        ("identities", lambda: _restore_identities(snapshot.get("identities", {}), client("sesv2"))),
        ("tables", lambda: _restore_items(snapshot.get("tables", {}), client("dynamodb"), tables)),
        ("queues", lambda: _restore_messages(snapshot.get("queues", {}), client("sqs"), queues)),
    )
    for name, restore_part in parts:
        try:
            restore_part()
        except (BotoCoreError, ClientError, AttributeError, KeyError, TypeError, ValueError) as error:
            report(f"the {name} of the last run are not restored: {type(error).__name__}")


def _restore_parameters(parameters: Mapping[str, Any], ssm: Any) -> None:
    for name, parameter in parameters.items():
        ssm.put_parameter(Name=name, Value=parameter["value"], Type=parameter["type"], Overwrite=True)


def _restore_identities(identities: Mapping[str, Any], sesv2: Any) -> None:
    for name, mail_from in identities.items():
        sesv2.create_email_identity(EmailIdentity=name)
        if mail_from:
            sesv2.put_email_identity_mail_from_attributes(EmailIdentity=name, **mail_from)


def _restore_items(items: Mapping[str, Any], dynamodb: Any, tables: Mapping[str, Mapping[str, Any]]) -> None:
    now = time.time()
    for table in items.keys() & tables.keys():
        ttl = tables[table].get("TimeToLiveSpecification", {}).get("AttributeName", "")
        alive = [item for item in items[table] if float(item.get(ttl, {}).get("N", now)) >= now]
        for batch in _batches(alive, ITEMS_PER_CALL):
            requests = [
                {"PutRequest": {"Item": {name: _value(value) for name, value in item.items()}}} for item in batch
            ]
            dynamodb.batch_write_item(RequestItems={table: requests})


def _value(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an attribute as boto3 takes it: bytes instead of base64."""
    return {kind: base64.b64decode(part) if kind == "B" else part for kind, part in value.items()}


def _restore_messages(messages: Mapping[str, Any], sqs: Any, queues: Mapping[str, str]) -> None:
    now = time.time()
    for queue in messages.keys() & queues.keys():
        for batch in _batches(messages[queue], MESSAGES_PER_CALL):
            entries = [
                {
                    "Id": str(number),
                    "MessageBody": message["body"],
                    "MessageAttributes": message["attributes"],
                    "DelaySeconds": min(MAX_DELAY_SECONDS, max(0, round(message["delayed_until"] - now))),
                    **({"MessageGroupId": message["group"]} if message["group"] else {}),
                }
                for number, message in enumerate(batch)
            ]
            sqs.send_message_batch(QueueUrl=queues[queue], Entries=entries)


def _batches(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (values[start : start + size] for start in range(0, len(values), size))
