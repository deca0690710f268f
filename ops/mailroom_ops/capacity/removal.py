"""The removal of an environment: what the deletion of its stack leaves behind, and the cost of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mailroom_ops.environment import Environment, aws_error
from mailroom_ops.errors import ServiceError

__all__ = ["Remainder", "delete_ledger", "delete_stack", "remainders"]

STORAGE_PER_GB = 0.25 + 0.20  # USD a month: the table, and the backup for 35 days (us-east-1, 2026)
ADDRESS_PER_MONTH = 3.65  # USD: a public IPv4 address, 0.005 an hour
GIGABYTE = 1e9


@dataclass(frozen=True, slots=True)
class Remainder:
    """One thing that stays after the deletion, its price in USD a month, and how to remove it."""

    name: str
    price: float
    todo: str


def remainders(environment: Environment, parameters: int) -> Iterator[Remainder]:
    """Yield what stays in the account when the stack is deleted."""
    table = str(environment.outputs.get("LedgerTableName", ""))
    owns = {resource["LogicalResourceId"] for resource in _resources(environment)}
    if environment.is_production or (table and "LedgerTable" not in owns):
        size = float(_table(environment, table).get("TableSizeBytes", 0)) / GIGABYTE
        todo = f"--with-ledger deletes it; PARAMS=ExistingLedger={table} uses it again"
        yield Remainder(f"table {table}", size * STORAGE_PER_GB, todo)
    if environment.is_production and "EgressAddress" in owns:
        address = environment.outputs.get("EgressIp", "")
        todo = "aws ec2 release-address; PARAMS=ExistingEgressAllocationId=… uses it again"
        yield Remainder(f"address {address}", ADDRESS_PER_MONTH, todo)
    if parameters:
        yield Remainder(f"{parameters} parameters in SSM", 0.0, "--with-settings deletes them; mailroom backup first")
    yield Remainder("artifacts in the bucket of the SAM CLI", 0.0, "a lifecycle rule of the bucket, or `aws s3 rm`")


def delete_stack(environment: Environment) -> None:
    """Start the deletion of the stack."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        environment.client("cloudformation").delete_stack(StackName=environment.stack_name)
    except (BotoCoreError, ClientError) as error:
        raise aws_error(error) from error


def delete_ledger(environment: Environment, table: str) -> None:
    """Delete the ledger table, which is protected against it in production."""
    from botocore.exceptions import BotoCoreError, ClientError

    client = environment.client("dynamodb")
    try:
        client.update_table(TableName=table, DeletionProtectionEnabled=False)
        client.delete_table(TableName=table)
    except (BotoCoreError, ClientError) as error:
        raise aws_error(error) from error


def _resources(environment: Environment) -> list[dict[str, Any]]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        paginator = environment.client("cloudformation").get_paginator("list_stack_resources")
        pages = paginator.paginate(StackName=environment.stack_name)
        return [
            resource for page in pages for resource in page["StackResourceSummaries"] if "LogicalResourceId" in resource
        ]
    except (BotoCoreError, ClientError) as error:
        raise aws_error(error) from error


def _table(environment: Environment, name: str) -> dict[str, Any]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return dict(environment.client("dynamodb").describe_table(TableName=name)["Table"])
    except (BotoCoreError, ClientError) as error:
        problem = aws_error(error)
        raise ServiceError(f"The ledger {name} cannot be read. {problem.sentence}", problem.todo) from error
