"""Ledger queries against an empty table."""

import boto3
import pytest

from mailroom.ledger.table import Ledger
from mailroom_ops.ledger.queries import LedgerQueries
from tests.factories import KEY


@pytest.fixture
def queries(ledger: Ledger, cloud: str) -> LedgerQueries:
    client = boto3.client("dynamodb", region_name="eu-west-1", endpoint_url=cloud)
    return LedgerQueries(client, "ledger", 16, KEY)
