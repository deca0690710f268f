"""A deployed staging environment with an empty ledger, and the sandbox of every provider with an HTTP API."""

import json
from collections.abc import Iterator

import boto3
import pytest

from mailroom_ops.sandbox.server import Sandbox, stubs
from mailroom_ops.sandbox.ses import Ses
from tests.cli.helpers import Stored
from tests.cloud import LEDGER
from tests.factories import KEY

STACK = {
    "Parameters": {"Providers": {"Type": "String", "Default": "resend"}},
    "Resources": {"LedgerTable": {"Type": "AWS::DynamoDB::Table", "Properties": LEDGER}},
    "Outputs": {"LedgerTableName": {"Value": {"Ref": "LedgerTable"}}},
}


@pytest.fixture
def staging(cloud: str) -> Stored:
    boto3.client("cloudformation").create_stack(StackName="mailroom-staging", TemplateBody=json.dumps(STACK))
    stored = Stored("staging")
    stored.put(ledger__address_key=KEY)
    return stored


@pytest.fixture
def sandbox(cloud: str) -> Iterator[Sandbox]:
    with Sandbox(providers=[*stubs(), Ses(cloud)]) as running:
        yield running
