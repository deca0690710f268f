"""The codes that count for a recipient's limits, and the end of a limit by an operator."""

import time

from mailroom.aws.dynamodb import decode_item
from mailroom.ledger.daily import day_row
from mailroom.ledger.recipients import recipient_row
from mailroom.model.limits import WINDOW_SECONDS, limited_address
from mailroom.model.mailbox import is_address
from mailroom_ops.errors import InvalidInput
from mailroom_ops.ledger.queries import LedgerQueries

__all__ = ["recent", "reset", "sent_today"]


def recent(queries: LedgerQueries, tenant: str, address: str) -> list[tuple[str, float]]:
    """Return kind and time of each code of the last ten minutes for a mailbox, the oldest first."""
    item = queries.dynamodb.get_item(TableName=queries.table, Key=_key(queries, tenant, address), ConsistentRead=True)
    counted = decode_item(item.get("Item", {})).get("recent", {})
    codes = [(entry.partition(" ")[0], at) for entry, at in counted.items() if at > time.time() - WINDOW_SECONDS]
    return sorted(codes, key=lambda code: code[1])


def sent_today(queries: LedgerQueries, tenant: str) -> int:
    """Return the number of mails that count for a tenant's limit of today."""
    key = {"pk": {"S": day_row(tenant, time.time())}}
    item = queries.dynamodb.get_item(TableName=queries.table, Key=key, ConsistentRead=True).get("Item", {})
    return int(decode_item(item).get("number", 0))


def reset(queries: LedgerQueries, tenant: str, address: str) -> int:
    """Forget the codes that count for a mailbox; return how many they were."""
    count = len(recent(queries, tenant, address))
    if count:
        update = "REMOVE recent, recent_at"
        queries.dynamodb.update_item(
            TableName=queries.table, Key=_key(queries, tenant, address), UpdateExpression=update
        )
    return count


def _key(queries: LedgerQueries, tenant: str, address: str) -> dict[str, dict[str, str]]:
    if not is_address(address):
        raise InvalidInput("That is not one address.", "Write it as name@example.com.")
    return {"pk": {"S": recipient_row(tenant, limited_address(address), queries.address_key)}}
