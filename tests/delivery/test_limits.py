"""Floods: a recipient and a client get so many codes, and others are not affected."""

from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.ledger.hashes import keyed_hash
from mailroom.ledger.table import suppression_of
from mailroom.model.message import Message, Parcel
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.server import Sandbox
from tests.cloud import put, waiting
from tests.delivery.process import Process
from tests.factories import code


def ask(process: Process, number: int, **fields: Any) -> Message:
    """Deliver a code of its own, and return its message."""
    message = code(f"{number:06}", identity=f"{number} {fields}", **fields)
    assert process.receive(Parcel.of(message)) == []
    return message


def test_a_flood_for_one_recipient_is_limited_and_others_get_their_codes(deliver: Process, sandbox: Sandbox) -> None:
    flood = [ask(deliver, number) for number in range(12)]
    others = [ask(deliver, number, to=f"r{number}@reader.example") for number in range(3)]
    assert len(sandbox.inbox.all()) == 5 + 3
    limited = [deliver.row(message) for message in flood[5:]]
    assert {(row["status"], row["reason"]) for row in limited} == {("skipped", "rate_limited")}
    assert {deliver.row(message)["status"] for message in others} == {"sent"}


def test_a_burst_for_one_recipient_is_limited_too(deliver: Process, sandbox: Sandbox) -> None:
    flood = [code(f"{n:06}", identity=f"{n}", to=f"Ada+{n}@reader.example") for n in range(10)]
    deliver.receive(*map(Parcel.of, flood))
    assert len(sandbox.inbox.all()) == 5
    assert sorted(deliver.row(message)["status"] for message in flood) == ["sent"] * 5 + ["skipped"] * 5


def test_a_flood_from_one_client_is_limited_over_all_recipients(deliver: Process, sandbox: Sandbox) -> None:
    for number in range(33):
        ask(deliver, number, to=f"r{number}@reader.example", client_ip="203.0.113.7")
    assert len(sandbox.inbox.all()) == 30


def test_limits_are_settings_and_a_malformed_one_stops_no_mail(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    put(aws, "limits/default", '{"per_kind": 2}')
    for number in range(4):
        ask(deliver, number)
    assert len(sandbox.inbox.all()) == 2
    put(aws, "limits/default", '{"per_kind": "many"}')
    process = Process(aws)
    for number in range(4, 10):
        ask(process, number)
    assert len(sandbox.inbox.all()) == 5
    assert "limits/default is malformed, per_kind must be a number" in process.log.getvalue()


@pytest.mark.parametrize("suppressed", [False, True])
def test_a_suppressed_recipient_uses_up_the_limit_like_any_other(
    deliver: Process, aws: Aws, sandbox: Sandbox, suppressed: bool
) -> None:
    key = deliver.delivery.settings.address_key()
    pk = {"pk": {"S": suppression_of("default", keyed_hash(key, "reader@reader.example"))}}
    if suppressed:
        row = pk | {"codes_until": {"N": "9999999999"}}
        aws.call("dynamodb", "PutItem", {"TableName": "ledger", "Item": row})
    for number in range(5):
        ask(deliver, number)
    aws.call("dynamodb", "DeleteItem", {"TableName": "ledger", "Key": pk})
    assert deliver.row(ask(deliver, 9))["reason"] == "rate_limited"
    assert len(sandbox.inbox.all()) == (0 if suppressed else 5)


def test_a_tenant_sends_so_many_mails_a_day_and_its_operator_is_warned(
    deliver: Process, aws: Aws, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    put(aws, "limits/acme", '{"per_day": 5}')
    notice: dict[str, Any] = {"kind": "organization-invitation", "data": {"link": "https://example.com"}}
    acme = [ask(deliver, n, tenant="acme", to=f"r{n}@reader.example", **(notice if n % 2 else {})) for n in range(7)]
    ask(deliver, 9, to="other@reader.example")
    assert len(sandbox.inbox.all()) == 5 + 1
    limited = [deliver.row(message) for message in acme[5:]]
    assert {(row["status"], row["reason"]) for row in limited} == {("skipped", "rate_limited")}
    written = capsys.readouterr().out
    assert (written.count('"DayLimitNear":1'), written.count('"DayLimitReached":1')) == (1, 2)


def test_the_stack_sends_so_many_mails_a_day_in_bursts_too(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    deliver.delivery.mails_per_day = 12
    flood = [code(f"{n:06}", identity=f"{n}", to=f"r{n}@reader.example") for n in range(20)]
    deliver.receive(*map(Parcel.of, flood[:10]))
    deliver.receive(*map(Parcel.of, flood[10:]))
    assert len(sandbox.inbox.all()) == 12


def test_a_retry_does_not_count_again_for_the_day(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    deliver.delivery.mails_per_day = 1
    sandbox.faults.add("resend", Fault(Kind.RATE_LIMIT, seconds=1))
    ask(deliver, 1)
    (retry,) = waiting(aws, "codes")
    process = Process(aws)
    process.delivery.mails_per_day = 1
    process.receive(retry)
    assert len(sandbox.inbox.all()) == 1
