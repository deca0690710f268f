"""Runs mixed traffic with faults through a stack, and follows each accepted message to its outcome."""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from unittest.mock import patch

from mailroom.aws.client import Aws
from mailroom.errors import TemporaryFailure
from mailroom.ledger.table import Ledger
from mailroom_ops.sandbox.faults import Fault, Kind
from tests.running import Answer, Running

__all__ = ["Report", "memory_mb", "soak"]

RELAYS = {"north": "postmark", "south": "smtp"}  # tenants, each with a provider that knows no request by its key
MAX_COPIES = 2  # of a code through such a provider; through any other, one
API_KEY = "Bearer local-api-key"
CALLERS = 8
KEYS_PER_READ = 20  # the local AWS takes its time for each
PROVIDERS = ("resend", *RELAYS.values())
FAULT_SHARE = 0.1  # of the mails: a fault for the next request to a provider
FAULTS = (
    *(
        Fault(Kind.STATUS, 503),
        Fault(Kind.STATUS, 500),
        Fault(Kind.RATE_LIMIT, seconds=1),
        Fault(Kind.DELAY, seconds=1),
    ),
    *(
        Fault(Kind.RESET_BEFORE_BODY),
        Fault(Kind.RESET_AFTER_ACCEPT),
        Fault(Kind.GARBAGE),
        Fault(Kind.HANG_AFTER_ACCEPT),
    ),
)
WARM_UP_SHARE = 0.25  # of the mails: then memory is measured for the first time
DRAIN_SECONDS = 300.0  # for the last outcome: a record may be hidden for its visibility timeout


@dataclass(slots=True)
class Report:
    """The results of a soak. `memory` has the MB of each function's processes, after the warm-up and at the end.

    `excess` are the messages with more copies than policy allows.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    copies: int = 0
    lost: list[str] = field(default_factory=list)
    excess: list[str] = field(default_factory=list)
    memory: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)


def soak(running: Running, mails: int, per_second: float, seed: int, progress: Callable[[str], None] = print) -> Report:
    """Ask for mails at a steady rate, wait for the outcome of each, and return the report."""
    random, report = Random(seed), Report()  # noqa: S311 - a run is repeated by its seed
    for tenant, provider in RELAYS.items():
        sender = {"from": "Soak <login@example.com>", "providers": [provider]}
        name = f"/mailroom/development/senders/{tenant}/auth"
        running.aws("ssm").put_parameter(Name=name, Value=json.dumps(sender), Type="String")
    accepted: dict[str, str] = {}  # message ids and their tenants

    def ask(number: int, way: int) -> None:
        tenant, answer = _ask(running, number, way)
        report.statuses[answer.status] += 1
        if "message_id" in answer.text:
            accepted[answer.json()["message_id"]] = tenant

    started, before = time.monotonic(), dict[str, list[float]]()
    with ThreadPoolExecutor(CALLERS) as pool:
        for number in range(mails):
            if number == int(mails * WARM_UP_SHARE):
                before = _memory(running)
            if random.random() < FAULT_SHARE:
                report.faults += 1
                running.sandbox.faults.add(random.choice(PROVIDERS), random.choice(FAULTS))
            pool.submit(ask, number, random.randrange(7)).add_done_callback(lambda done: done.result())
            if per_second:
                time.sleep(max(0.0, started + (number + 1) / per_second - time.monotonic()))
            if number % max(1, mails // 20) == 0:
                progress(f"{number} of {mails} mails, {time.monotonic() - started:.0f} s, {_summary(_memory(running))}")
    running.sandbox.faults.clear()
    progress("all requests are answered; waiting for the last outcome")
    report.outcomes, report.lost = _follow(running, list(accepted))
    counts = Counter(mail.message_id for mail in running.sandbox.inbox.all())
    report.copies = sum(counts[message_id] > 1 for message_id in accepted)
    allowed = {message_id: MAX_COPIES if tenant in RELAYS else 1 for message_id, tenant in accepted.items()}
    report.excess = [message_id for message_id, limit in allowed.items() if counts[message_id] > limit]
    after = _memory(running)
    report.memory = {name: (before.get(name, []), after[name]) for name in after}
    return report


def _ask(running: Running, number: int, way: int) -> tuple[str, Answer]:
    """Ask for one mail in one of seven ways; return its tenant and the answer."""
    to, code = f"soak-{number}@example.com", f"{number % 1_000_000:06}"
    tenant = ("default", "acme", "default", "default", "default", *RELAYS)[way]
    match way:
        case 0 | 1:
            return tenant, running.logto({"to": to, "type": "SignIn", "payload": {"code": code}}, tenant)
        case 2:
            payload = {"link": f"https://app.example/invitation?token={code}"}
            return tenant, running.logto({"to": to, "type": "OrganizationInvitation", "payload": payload})
    mode = "inline" if way == 3 else "queued"
    body = {"kind": "sign-in-code", "to": to, "data": {"code": code}, "mode": mode, "tenant": tenant}
    headers = {"authorization": API_KEY, "content-type": "application/json"}
    return tenant, running.request("POST", "/v1/emails", json.dumps(body), headers)


def _follow(running: Running, message_ids: list[str]) -> tuple[Counter[str], list[str]]:
    """Return the number of each outcome, and the messages that have none when the time is up."""
    statuses: dict[str, str] = {}
    end = time.monotonic() + DRAIN_SECONDS
    table = running.stack.blueprint.table_name("LedgerTable")
    keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    with patch.dict(os.environ, keys), closing(Aws("eu-west-1", running.aws_endpoint)) as aws:
        ledger = Ledger(aws, table)
        while left := [message_id for message_id in message_ids if message_id not in statuses]:
            for start in range(0, len(left), KEYS_PER_READ):
                try:
                    rows = ledger.read_many(left[start : start + KEYS_PER_READ])
                except TemporaryFailure:
                    continue  # the local AWS is busy
                statuses |= {id_: row["status"] for id_, row in rows.items() if row["status"] != "accepted"}
            if time.monotonic() > end:
                break
            time.sleep(0.5)
    return Counter(statuses.values()), [message_id for message_id in message_ids if message_id not in statuses]


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process in MB; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def _memory(running: Running) -> dict[str, list[float]]:
    return {name: [memory_mb(pid) for pid in function.pids] for name, function in running.stack.functions.items()}


def _summary(memory: Mapping[str, list[float]]) -> str:
    return ", ".join(f"{name} {max(values, default=0.0):.0f} MB" for name, values in memory.items())
