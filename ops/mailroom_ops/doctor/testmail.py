"""Send one test mail, and follow it through the ledger to its provider and, where it reports, to the mailbox."""

import time
from collections.abc import Iterator
from uuid import uuid4

from mailroom_ops.doctor import Context
from mailroom_ops.errors import InvalidInput
from mailroom_ops.finding import Finding, failed, ok, warning
from mailroom_ops.ledger.queries import LedgerQueries
from mailroom_ops.settings import catalog, tenants

__all__ = ["SIMULATOR", "SUBJECT", "send"]

POLL_SECONDS = 1.0
SUBJECT = "test mail"
FINAL = ("delivered", "bounced", "complained")
SIMULATOR = "simulator"
# Addresses of the providers that accept any mail and count for nothing.
SIMULATORS = {
    "postmark": "test@blackhole.postmarkapp.com",
    "resend": "delivered@resend.dev",
    "ses": "success@simulator.amazonses.com",
}


def send(context: Context, address: str, tenant: str, wait_seconds: float) -> Iterator[Finding]:
    """Send a mail with the code 000000 through the function send, and report its status after `wait_seconds`."""
    environment = context.environment
    request = {
        "kind": "generic-code",
        "to": _simulator(context, tenant) if address == SIMULATOR else address,
        "tenant": tenant,
        "data": {"code": "000000"},
        "idempotency_key": f"doctor-{uuid4().hex}",
    }
    result = environment.invoke("send", request)
    if result.get("status") == "refused":
        errors = "; ".join(f"{error['field']}: {error['message']}" for error in result.get("errors", []))
        yield failed(SUBJECT, f"was refused: {errors}", "")
    else:
        yield from _follow(context, result, wait_seconds)


def _simulator(context: Context, tenant: str) -> str:
    """Return the simulator's address of the provider that the tenant's codes are sent through first."""
    chain = tenants.chain_of(context.values, tenant, "auth", context.environment.chain)
    provider = catalog.split_account(next(iter(chain), ""))[0]
    if provider not in SIMULATORS:
        problem = f"The provider {provider!r} has no simulator to send to." if provider else "No provider is set up."
        raise InvalidInput(problem, "Name an address of yours: --send-test-to you@example.com.")
    return SIMULATORS[provider]


def _follow(context: Context, result: dict[str, str], wait_seconds: float) -> Iterator[Finding]:
    message_id, status = result["message_id"], result["status"]
    provider, reason = result.get("provider", ""), result.get("reason", "")
    because = f": {reason}" if reason else ""
    todo = f"mailroom trace {message_id} --env {context.environment.label}"
    if status == "accepted":
        yield warning(SUBJECT, f"was not sent yet{because}; it is retried", todo)
        return
    if status != "sent":
        yield failed(SUBJECT, f"{status}{because}", todo)
        return
    yield ok(SUBJECT, f"was sent through {provider}")
    if not _reports_delivery(context, provider):
        yield ok(SUBJECT, f"{provider} does not report delivery to this environment: check the mailbox")
        return
    final = _wait_for_delivery(context, message_id, wait_seconds)
    if final == "delivered":
        yield ok(SUBJECT, "was delivered to the mailbox")
    elif final in FINAL:
        yield failed(SUBJECT, f"was {final}", todo)
    else:
        yield warning(SUBJECT, f"{provider} has not reported its delivery within {wait_seconds:.0f} s", todo)


def _reports_delivery(context: Context, provider: str) -> bool:
    """Return whether the provider is set up to send delivery reports to this environment."""
    if catalog.split_account(provider)[0] == "ses":
        return f"providers/{provider}/configuration_set" in context.values
    return f"feedback/{provider}/secret" in context.values


def _wait_for_delivery(context: Context, message_id: str, wait_seconds: float) -> str:
    queries = LedgerQueries.of(context.environment)
    until = time.monotonic() + wait_seconds
    while True:
        record = queries.get(message_id)
        status = record.status if record else ""
        if status in FINAL or time.monotonic() + POLL_SECONDS > until:
            return status
        time.sleep(POLL_SECONDS)
