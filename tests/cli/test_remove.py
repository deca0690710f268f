"""`mailroom remove`: the plan comes first, and only what was asked for is deleted."""

import json

import boto3
import pytest

from tests.cli.helpers import Stored
from tests.cloud import LEDGER
from tests.command import Run

TABLE = {"Type": "AWS::DynamoDB::Table", "Properties": {**LEDGER, "TableName": "mailroom-production-ledger"}}
BODY = {
    "Resources": {"LedgerTable": {**TABLE, "DeletionPolicy": "Retain"}, "EgressAddress": {"Type": "AWS::EC2::EIP"}},
    "Outputs": {"LedgerTableName": {"Value": {"Ref": "LedgerTable"}}, "EgressIp": {"Value": "192.0.2.7"}},
}


@pytest.fixture
def deployed(production: Stored) -> Stored:
    boto3.client("cloudformation").create_stack(StackName="mailroom-production", TemplateBody=json.dumps(BODY))
    production.put(senders__default__auth='{"from": "hi@acme.example"}')
    return production


def stacks() -> list[str]:
    return [stack["StackName"] for stack in boto3.client("cloudformation").describe_stacks()["Stacks"]]


def test_a_dry_run_shows_what_stays_with_its_price(run: Run, deployed: Stored) -> None:
    done = run("remove", "--env", "production", "--dry-run")
    assert done.code == 0
    assert "table mailroom-production-ledger" in done.text
    assert "PARAMS=ExistingLedger=mailroom-production-ledger" in done.text
    assert "address 192.0.2.7" in done.text
    assert "3.65 USD a month" in done.text
    assert "1 parameters in SSM" in done.text
    assert stacks() == ["mailroom-production"]


def test_nothing_is_deleted_without_a_confirmation(run: Run, deployed: Stored) -> None:
    assert run("remove", "--env", "production").code == 4
    assert stacks() == ["mailroom-production"]


def test_ledger_and_settings_stay_unless_they_are_named(run: Run, deployed: Stored) -> None:
    assert run("remove", "--env", "production", "--yes").code == 0
    assert stacks() == []
    assert boto3.client("dynamodb").list_tables()["TableNames"] == ["mailroom-production-ledger"]
    assert list(deployed.values()) == ["senders/default/auth"]


def test_everything_is_deleted_if_it_is_named(run: Run, deployed: Stored) -> None:
    assert run("remove", "--env", "production", "--yes", "--with-ledger", "--with-settings").code == 0
    assert stacks() == []
    assert boto3.client("dynamodb").list_tables()["TableNames"] == []
    assert deployed.values() == {}


def test_the_local_stack_is_not_removed(run: Run) -> None:
    assert run("remove", "--env", "local").code == 2
