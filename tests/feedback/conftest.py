"""An empty cloud with a ledger."""

import pytest

from mailroom.aws.client import Aws
from mailroom.ledger.table import Ledger
from tests.cloud import LEDGER


@pytest.fixture
def aws(aws: Aws) -> Aws:
    """An AWS that has a ledger."""
    aws.call("dynamodb", "CreateTable", LEDGER)
    return aws


@pytest.fixture
def ledger(aws: Aws) -> Ledger:
    return Ledger(aws, "ledger", 16)
