"""One real mail, followed from our own door to its provider, and where reports come back, to the mailbox."""

import json
import time
from collections.abc import Iterator
from uuid import uuid4

from mailroom_ops.doctor import Case
from mailroom_ops.environment import aws_says
from mailroom_ops.finding import Finding, failed, ok, warning
from mailroom_ops.ledger.queries import LedgerQueries
from mailroom_ops.ledger.trace import Trace
from mailroom_ops.settings import catalog

__all__ = ["send"]

PAUSE = 1.0
SUBJECT = "test mail"
ENDS = ("delivered", "bounced", "complained")


def send(case: Case, address: str, tenant: str, patience: float) -> Iterator[Finding]:
    """Ask `send` for a mail with the code 000000, and tell what became of it within `patience` seconds."""
    from botocore.exceptions import BotoCoreError, ClientError

    environment = case.environment
    wish = {
        "kind": "generic-code",
        "to": address,
        "tenant": tenant,
        "data": {"code": "000000"},
        "idempotency_key": f"doctor-{uuid4().hex}",
    }
    try:
        client = environment.client("lambda")
        answer = client.invoke(FunctionName=environment.outputs["SendFunctionName"], Payload=json.dumps(wish).encode())
    except (BotoCoreError, ClientError) as error:
        raise aws_says(error) from error
    said = json.loads(answer["Payload"].read() or b"{}")
    if "FunctionError" in answer:
        yield failed(SUBJECT, "the function send crashed", "See its log.")
    elif said.get("status") == "refused":
        told = "; ".join(f"{error['field']}: {error['message']}" for error in said.get("errors", []))
        yield failed(SUBJECT, f"was refused: {told}", "")
    else:
        yield from _outcome(case, said, patience)


def _outcome(case: Case, said: dict[str, str], patience: float) -> Iterator[Finding]:
    label, id_, status = case.environment.label, said["message_id"], said["status"]
    provider, reason = said.get("provider", ""), said.get("reason", "")
    more = f"mailroom trace {id_} --env {label}"
    if status == "accepted":
        yield warning(SUBJECT, f"was put off{f': {reason}' if reason else ''}; it is tried again", more)
        return
    if status != "sent":
        yield failed(SUBJECT, f"{status}{f': {reason}' if reason else ''}", more)
        return
    yield ok(SUBJECT, f"{provider} took it")
    if not _reports(case, provider):
        yield ok(SUBJECT, f"{provider} does not report back here, so no more is known: look into the mailbox")
        return
    final = _followed(case, id_, patience)
    if final == "delivered":
        yield ok(SUBJECT, "was delivered to the mailbox")
    elif final in ENDS:
        yield failed(SUBJECT, f"was {final}", more)
    else:
        yield warning(SUBJECT, f"{provider} has not reported its delivery within {patience:.0f} s", more)


def _reports(case: Case, provider: str) -> bool:
    """Tell whether reports of a provider are wired to come back."""
    if catalog.split(provider)[0] == "ses":
        return f"providers/{provider}/configuration_set" in case.values
    return f"feedback/{provider}/secret" in case.values


def _followed(case: Case, id_: str, patience: float) -> str:
    queries = LedgerQueries.of(case.environment)
    until = time.monotonic() + patience
    while True:
        row = queries.get(id_)
        status = Trace.of(row).status if row else ""
        if status in ENDS or time.monotonic() + PAUSE > until:
            return status
        time.sleep(PAUSE)
