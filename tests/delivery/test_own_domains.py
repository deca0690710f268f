"""A tenant's own receiving domains are groups of its own in the table of deliveries."""

from collections import Counter
from dataclasses import replace

from mailroom.aws.client import Aws
from mailroom.aws.dynamodb import decode_item
from mailroom.callbacks.outbox import Outbox
from mailroom.feedback.intake import Intake
from mailroom.feedback.suppression import Suppressions
from mailroom.ledger.domain_health import Health, read_health
from mailroom.ledger.tally import EVERYONE
from mailroom.model.event import EventType, Report
from mailroom.model.message import Parcel
from tests.cloud import put
from tests.delivery.process import Process
from tests.factories import code, event

SENDER = {"from": "hi@acme.example", "recipient_domains": ["Partner.example", "no domain"]}


def health(aws: Aws, scope: str) -> dict[tuple[str, str], Health]:
    """Return what is counted for a tenant in the rows of all hours: a test may begin in one and end in the next."""
    counts = Counter[str]()
    for row in map(decode_item, aws.call("dynamodb", "Scan", {"TableName": "ledger"})["Items"]):
        if row["pk"].startswith(f"tally#{scope}#"):
            counts.update({name: number for name, number in row.items() if "@" in name})
    return read_health(counts)


def test_a_tenants_own_domain_is_a_group_of_that_tenant_only(deliver: Process, aws: Aws) -> None:
    put(aws, "senders/acme/auth", SENDER)
    mails = [code(tenant="acme", to=f"ada@{host}", identity=host) for host in ("partner.example", "example.com")]
    deliver.receive(*map(Parcel.of, mails))
    deliver.delivery.ledger.tally.flush()

    ledger, settings = deliver.delivery.ledger, deliver.delivery.settings
    intake = Intake(settings, ledger, Suppressions(aws, "ledger"), Outbox(settings, None))
    for mail in mails:
        accepted_at = deliver.row(mail)["timeline"][0]["at"]
        delivered = replace(event(EventType.DELIVERED, mail.id), at=accepted_at + 3)
        list(intake.process(Report([delivered])))
    ledger.tally.flush()

    each = Health(1, within={5: 1})
    assert health(aws, "acme") == {("resend", "partner.example"): each, ("resend", "other"): each}
    assert health(aws, EVERYONE) == {("resend", "other"): Health(2, within={5: 2})}
