"""`mailroom backup` and `mailroom restore`, and the way back from a lost ledger."""

import json
import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from mailroom.aws.client import Aws
from mailroom.ledger.hashes import keyed_hash
from mailroom.ledger.table import Ledger, suppression_of
from mailroom.model.kinds import Lane
from mailroom_ops.doctor import stack as stack_check
from tests import factories
from tests.cli.helpers import Stored, store
from tests.cloud import LEDGER
from tests.command import Run

KEY = "0123456789abcdef" * 4
PASSPHRASE = "correct horse battery staple"
SENDER = '{"from": "Acme <hi@auth.acme.example>"}'
SECRETS = {
    "providers/resend/api_key": "re_0123456789abcdef",
    "webhooks/logto/authorization": "Bearer a-secret-of-logto",
}


@pytest.fixture
def filled(staging: Stored, monkeypatch: pytest.MonkeyPatch) -> Stored:
    monkeypatch.setenv("MAILROOM_PASSPHRASE", PASSPHRASE)
    parameters = {"senders/default/auth": SENDER, "ledger/address_key": KEY, **SECRETS}
    store("staging").write(parameters)
    return staging


def backup(run: Run, file: Path, *options: str) -> str:
    done = run("backup", str(file), "--env", "staging", *options)
    assert done.code == 0, done.err
    return file.read_text()


def restore(run: Run, file: Path, *options: str) -> Any:
    return run("restore", str(file), "--env", "staging", "--yes", *options)


def test_a_backup_contains_settings_and_the_address_key_alone(run: Run, filled: Stored, tmp_path: Path) -> None:
    file = tmp_path / "backup.json"
    text = backup(run, file)
    assert json.loads(text)["settings"] == {"senders/default/auth": SENDER}
    assert json.loads(text)["missing"] == sorted(SECRETS)
    assert not [secret for secret in (KEY, PASSPHRASE, *SECRETS.values()) if secret in text]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    store("staging").delete(filled.values())
    done = restore(run, file)
    assert done.code == 0
    assert filled.values() == {"senders/default/auth": SENDER, "ledger/address_key": KEY}
    assert filled.types()["ledger/address_key"], "a secret is encrypted again"
    assert "providers/resend/api_key" in done.text, "it names what has to be set again"


def test_all_secrets_come_back_if_they_were_asked_for(run: Run, filled: Stored, tmp_path: Path) -> None:
    before = filled.values()
    text = backup(run, tmp_path / "backup.json", "--with-secrets")
    assert not [secret for secret in (KEY, *SECRETS.values()) if secret in text]
    store("staging").delete(before)
    assert restore(run, tmp_path / "backup.json").code == 0
    assert filled.values() == before
    assert "Nothing to change." in restore(run, tmp_path / "backup.json").text


def test_a_dry_run_writes_nothing_and_shows_no_secret(run: Run, filled: Stored, tmp_path: Path) -> None:
    backup(run, tmp_path / "backup.json", "--with-secrets")
    store("staging").delete(filled.values())
    done = restore(run, tmp_path / "backup.json", "--dry-run")
    assert "this is a dry run" in done.text
    assert not [secret for secret in (KEY, *SECRETS.values()) if secret in done.text]
    assert filled.values() == {}


def test_a_wrong_passphrase_or_a_changed_file_restores_nothing(
    run: Run, filled: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backup.json"
    text = backup(run, file)
    store("staging").delete(filled.values())
    file.write_text(text.replace('"environment": "staging"', '"environment": "production"'))
    assert "The passphrase is wrong, or the file was changed." in restore(run, file).text
    file.write_text(text)
    monkeypatch.setenv("MAILROOM_PASSPHRASE", "another passphrase")
    assert "The passphrase is wrong, or the file was changed." in restore(run, file).text
    file.write_text("{}")
    assert "no backup" in restore(run, file).text
    assert filled.values() == {}


def test_a_backup_of_another_environment_is_refused(
    run: Run, filled: Stored, production: Stored, tmp_path: Path
) -> None:
    backup(run, tmp_path / "backup.json")
    done = run("restore", str(tmp_path / "backup.json"), "--env", "production", "--yes")
    assert done.code == 2
    assert "This is a backup of staging, not of production." in done.text
    assert production.values() == {}


def test_a_newer_address_key_stays_unless_it_is_to_be_replaced(run: Run, filled: Stored, tmp_path: Path) -> None:
    backup(run, tmp_path / "backup.json")
    filled.put(ledger__address_key="f" * 64)
    done = restore(run, tmp_path / "backup.json")
    assert "another address key, which stays" in done.text
    assert filled.values()["ledger/address_key"] == "f" * 64
    assert restore(run, tmp_path / "backup.json", "--replace-address-key").code == 0
    assert filled.values()["ledger/address_key"] == KEY


@pytest.mark.parametrize("passphrase", ["", "short"])
def test_a_backup_needs_a_long_passphrase(
    run: Run, filled: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passphrase: str
) -> None:
    monkeypatch.setenv("MAILROOM_PASSPHRASE", passphrase)
    done = run("backup", str(tmp_path / "backup.json"), "--env", "staging")
    assert done.code == (2 if passphrase else 4)
    assert not (tmp_path / "backup.json").exists()


@pytest.mark.thorough
def test_a_lost_ledger_is_restored_with_its_suppressions(
    run: Run, filled: Stored, aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamodb: Any = boto3.client("dynamodb")
    dynamodb.create_table(**{**LEDGER, "TableName": "mailroom-staging-ledger"})
    enabled = {"PointInTimeRecoveryEnabled": True}
    dynamodb.update_continuous_backups(TableName="mailroom-staging-ledger", PointInTimeRecoverySpecification=enabled)
    message = factories.message(tenant="default", to="bounced@example.com")
    pk = suppression_of("default", keyed_hash(filled.values()["ledger/address_key"], message.to))
    row = {"pk": {"S": pk}, "codes_until": {"N": str(time.time() + 86400)}}
    dynamodb.put_item(TableName="mailroom-staging-ledger", Item=row)
    backup(run, tmp_path / "backup.json")

    # The accident: all parameters are gone, and the table is restored under another name.
    store("staging").delete(filled.values())
    dynamodb.restore_table_to_point_in_time(
        SourceTableName="mailroom-staging-ledger",
        TargetTableName="restored",
        RestoreDateTime=datetime.now(UTC) - timedelta(seconds=1),
    )
    restore(run, tmp_path / "backup.json")
    address_key = filled.values()["ledger/address_key"]
    assert Ledger(aws, "restored").is_suppressed(message, Lane.CODES, address_key, time.time())

    # A restored table has neither TTL nor backups nor protection: doctor names each with its command.
    monkeypatch.setattr(stack_check, "ROOT", tmp_path)
    monkeypatch.setattr(stack_check, "_commits_since", lambda moment: 0)
    body = {
        "Parameters": {"ExistingLedger": {"Type": "String", "Default": "restored"}},
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
    }
    (tmp_path / "template.yaml").write_text(json.dumps(body))
    boto3.client("cloudformation").create_stack(StackName="mailroom-staging", TemplateBody=json.dumps(body))
    assert todos(run) == 3
    ttl = {"AttributeName": "ttl", "Enabled": True}
    dynamodb.update_time_to_live(TableName="restored", TimeToLiveSpecification=ttl)
    dynamodb.update_continuous_backups(TableName="restored", PointInTimeRecoverySpecification=enabled)
    dynamodb.update_table(TableName="restored", DeletionProtectionEnabled=True)
    assert todos(run) == 0


def todos(run: Run) -> int:
    report = json.loads(run("doctor", "--env", "staging", "--only", "stack", "--json").out)
    found = [finding for finding in report["findings"] if finding["subject"] == "ledger restored"]
    assert all(finding["todo"].startswith("aws dynamodb update-") for finding in found if finding["todo"])
    return sum(finding["level"] == "warning" for finding in found)


def test_the_time_of_a_backup_is_in_it(run: Run, filled: Stored, tmp_path: Path) -> None:
    made_at = datetime.fromisoformat(json.loads(backup(run, tmp_path / "backup.json"))["made_at"])
    assert abs(made_at.timestamp() - time.time()) < 60
