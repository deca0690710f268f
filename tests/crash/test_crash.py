"""Deliver is killed at every step: the mail is sent exactly once all the same, and the ledger tells the truth."""

from collections.abc import Callable

import pytest

from mailroom_ops.sandbox.faults import Fault, Kind
from tests.crash.stacks import Fragile
from tests.gate import AwsCall

Step = Callable[[AwsCall], bool]


def row_of(call: AwsCall) -> str:
    if call.operation != "UpdateItem":
        return ""
    key: str = call.body["Key"]["pk"]["S"]
    return key.partition("#")[0]


def claim(call: AwsCall) -> bool:
    return row_of(call) == "message" and ":recipient" in call.body["ExpressionAttributeValues"]


def standing(call: AwsCall) -> bool:
    return row_of(call) == "recipient"


def end(call: AwsCall) -> bool:
    return row_of(call) == "message" and ":ended" in call.body["ExpressionAttributeValues"]


@pytest.mark.parametrize("step", [claim, standing, end], ids=["claim", "standing", "outcome"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_around_a_write_it_sends_one_mail(fragile: Fragile, step: Step, moment: str) -> None:
    to = fragile.stack.address()

    with fragile.gate.rule(step, moment, fragile.kill_deliver) as rule:
        message_id = fragile.post(to)
        mail = fragile.stack.mail_to(to)
        fragile.drained()

    assert rule.left == 0, "it was not killed"
    assert fragile.mails(to) == [mail]
    assert mail.message_id == message_id
    row = fragile.row(message_id)
    assert (row["status"], row["provider"], row["provider_id"]) == ("sent", "resend", mail.id)


def test_killed_while_the_provider_takes_the_mail_it_sends_one_mail(fragile: Fragile) -> None:
    to = fragile.stack.address()
    faults = fragile.stack.sandbox.faults
    faults.add("resend", Fault(Kind.HOLD))

    message_id = fragile.post(to)
    faults.wait_paused()
    fragile.kill_deliver()
    faults.release()

    row = fragile.settled(message_id)
    (mail,) = fragile.mails(to)
    assert (row["status"], row["provider_id"]) == ("sent", mail.id)


def test_killed_on_each_of_several_tries_it_still_sends_one_mail(fragile: Fragile) -> None:
    to = fragile.stack.address()

    with fragile.gate.rule(end, "before", fragile.kill_deliver, times=3) as rule:
        message_id = fragile.post(to)
        row = fragile.settled(message_id)

    assert rule.left == 0
    assert len(fragile.mails(to)) == 1
    assert row["status"] == "sent"
