"""Rendered messages: content of a caller is sent as it is, and all else is as for any other message."""

import json
from dataclasses import replace
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.delivery import consumer
from mailroom.delivery.batch import split
from mailroom.delivery.seal import is_authentic, seal
from mailroom.model.content import Content
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import Mailbox
from mailroom.model.message import Message, Parcel
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.server import Sandbox
from tests.cloud import put, waiting
from tests.delivery.process import Process, take
from tests.factories import code, rendered

# A sealed parcel as processes before rendered messages have written it.
OLD_PARCEL: dict[str, Any] = {
    "message": {
        "id": "0" * 32, "tenant": "default", "kind": "security-notice", "to": "ada@example.com",
        "data": {"title": "Hello"}, "created_at": 1.0, "expires_at": 2.0, "source": "direct", "locales": ["de"],
        "brand": {}, "identity": "", "client_ip": "",
    },
    "email": None, "attempt": 0, "doubts": [], "lane": "notices", "requests": 0, "postponed": 0, "alone": False,
    "settled": None, "seal": "737119a9f08b065937158f9779dc0872a5ce9e618bd38d1c4ba9c95d3acc9f19",
}  # fmt: skip


def queued(deliver: Process, message: Message, lane: str = "codes") -> Parcel:
    """Put a message on its queue as the function of its source does; return its parcel."""
    deliver.delivery.enqueue(Parcel.of(message))
    (parcel,) = waiting(deliver.aws, lane)
    return parcel


def sealed(deliver: Process, *messages: Message) -> list[Parcel]:
    key = deliver.delivery.settings.address_key()
    return [seal(Parcel.of(message), key) for message in messages]


def test_the_content_of_a_caller_leaves_byte_for_byte(deliver: Process, sandbox: Sandbox, aws: Aws) -> None:
    put(aws, "senders/default/auth", '{"from": "no-reply@example.com", "reply_to": "help@example.com"}')
    put(aws, "brands/default", '{"name": "Acme"}')
    message = rendered(1, locales=("de_AT",))
    deliver.receive(queued(deliver, message))
    (mail,) = sandbox.inbox.all()
    assert message.content
    assert (mail.subject, mail.html, mail.text) == (
        message.content.subject, message.content.html, message.content.text
    )  # fmt: skip
    assert (mail.from_, mail.reply_to) == ("Acme <no-reply@example.com>", "help@example.com")
    assert (mail.message_id, mail.kind, mail.locale) == (message.id, "rendered", "de-AT")
    assert mail.headers["Auto-Submitted"] == "auto-generated"
    assert deliver.row(message)["status"] == "sent"


def test_replies_go_where_the_caller_states(deliver: Process, sandbox: Sandbox) -> None:
    content = Content("Hello", "<p>Hello</p>", "Hello\n", Mailbox("team@example.com", "Team"))
    deliver.receive(queued(deliver, rendered(content=content)))
    (mail,) = sandbox.inbox.all()
    assert mail.reply_to == "Team <team@example.com>"


def test_content_without_a_seal_is_not_sent(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    message = rendered(kind="sign-in-code")
    deliver.receive(Parcel.of(message), seal(Parcel.of(rendered(2)), "another key"))
    assert sandbox.inbox.all() == []
    assert deliver.row(message)["reason"] == "not_sealed"
    assert len(waiting(aws, "codes_dead_letter")) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"content": Content("Your bank", "<p>Pay here</p>", "Pay here")},
        {"content": None},
        {"to": "other@reader.example"},
        {"tenant": "acme"},
    ],
    ids=["content", "no content", "recipient", "tenant"],
)
def test_a_seal_is_for_one_content_and_recipient(deliver: Process, sandbox: Sandbox, changes: dict[str, Any]) -> None:
    parcel = queued(deliver, rendered())
    deliver.receive(replace(parcel, message=replace(parcel.message, **changes)))
    assert sandbox.inbox.all() == []


def test_content_needs_a_seal_in_a_burst_too(deliver: Process, sandbox: Sandbox) -> None:
    deliver.receive(*(Parcel.of(rendered(number)) for number in range(10)))
    assert sandbox.inbox.all() == []


def test_a_burst_of_rendered_messages_shares_one_request(deliver: Process, sandbox: Sandbox) -> None:
    messages = [rendered(number) for number in range(10)]
    deliver.receive(*sealed(deliver, *messages))
    mails = {mail.message_id: mail for mail in sandbox.inbox.all()}
    assert len(mails) == 10
    assert all(message.content and mails[message.id].html == message.content.html for message in messages)
    assert sandbox.requests["resend"] == 1


def test_large_messages_make_small_batches(deliver: Process, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "COPY_DELAY_SECONDS", 0)
    large = [rendered(number, content=Content("Hello", "я" * 90_000, "Hello\n")) for number in range(3)]
    assert [len(batch.parcels) for batch in split(map(Parcel.of, large))] == [1, 1, 1]
    small = [rendered(number) for number in range(3, 10)]
    deliver.receive(*sealed(deliver, *large, *small))
    while batches := take(deliver.aws):
        deliver.receive(*batches)
    assert {mail.message_id for mail in sandbox.inbox.all()} == {message.id for message in (*large, *small)}


def test_a_retry_carries_the_email_and_the_content_once(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    message = rendered(3)
    sandbox.faults.add("resend", Fault(Kind.STATUS, 500))
    deliver.receive(queued(deliver, message))
    (retry,) = waiting(aws, "codes")
    assert retry.message.content is None
    assert message.content
    assert retry.email
    assert (retry.lane, retry.email.html) == (Lane.CODES, message.content.html)
    deliver.receive(retry)
    (mail,) = sandbox.inbox.all()
    assert mail.html == message.content.html


def test_the_same_content_within_a_minute_is_one_mail(deliver: Process, sandbox: Sandbox) -> None:
    first, again = rendered(4), rendered(4)
    deliver.receive(*sealed(deliver, first, again))
    assert [mail.message_id for mail in sandbox.inbox.all()] == [first.id]
    assert deliver.row(again)["reason"] == "duplicate"


@pytest.mark.parametrize("kind", ["rendered", "sign-in-code"])
def test_an_identity_of_the_source_holds_as_long_as_it_states(deliver: Process, sandbox: Sandbox, kind: str) -> None:
    first = rendered(5, kind=kind, identity_seconds=86_400.0)
    again = replace(rendered(6, kind=kind), to=first.to, identity=first.identity, identity_seconds=86_400.0)
    first = replace(first, created_at=first.created_at - 3600)
    for parcel in sealed(deliver, first, again):
        deliver.receive(parcel)
    assert [mail.message_id for mail in sandbox.inbox.all()] == [first.id]
    assert deliver.row(again)["reason"] == "duplicate"


@pytest.mark.parametrize(
    ("kind", "lane", "supersedes"),
    [
        ("rendered", Lane.CODES, False),
        ("welcome", Lane.CODES, False),
        ("sign-in-code", Lane.CODES, True),
        ("organization-invitation", Lane.NOTICES, False),
    ],
)
def test_the_kind_decides_on_lane_and_succession(kind: str, lane: Lane, supersedes: bool) -> None:
    message = rendered(kind=kind)
    assert (message.lane, message.supersedes) == (lane, supersedes)


def test_a_message_without_content_has_the_form_that_older_processes_read() -> None:
    values = json.loads(Parcel.of(code()).to_json())["message"]
    assert set(values) == set(OLD_PARCEL["message"])


def test_a_seal_of_an_older_process_is_valid() -> None:
    parcel = Parcel.from_dict(OLD_PARCEL)
    assert is_authentic(parcel, "key")
    assert not is_authentic(replace(parcel, message=replace(parcel.message, to="bob@example.com")), "key")


def test_a_rendered_message_survives_its_queue() -> None:
    content = Content("Grüße 🎉", "<p>\u2028ä\ufdd0</p>", "\x7f", Mailbox("team@example.com"))
    parcel = Parcel.of(rendered(content=content, locales=("de",), identity_seconds=5.0))
    assert Parcel.from_json(parcel.to_json()) == parcel
