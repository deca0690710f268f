"""Mails with a logo inside: in bursts, and when they are sent again."""

import json
from collections.abc import Mapping

import pytest

from mailroom.aws.client import Aws
from mailroom.model.message import Message, Parcel
from mailroom.model.stored_files import pack
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.server import Sandbox
from tests.cloud import put
from tests.delivery.process import Process, end_leases, take
from tests.factories import code
from tests.pictures import JPEG, base64, png

LOGO = base64(png(200, 72, b"\x0b\x7a\x5c\xff"))
BRAND = {"name": "Acme", "logo_url": "https://cdn.example.com/logo.png", "stored_templates": True}


def store(aws: Aws, files: Mapping[str, str] = {"logo.png": LOGO}, *, inline: bool = True) -> None:
    put(aws, "brands/acme", json.dumps({**BRAND, "inline_logo": inline}))
    put(aws, "templates/acme", pack(files))


def codes(number: int) -> list[Message]:
    mails = range(number)
    return [code(f"{n:06}", tenant="acme", to=f"reader{n}@reader.example", identity=f"identity {n}") for n in mails]


def test_a_burst_of_mails_with_a_logo_inside_is_sent_one_by_one(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    store(aws)
    sent = codes(10)

    assert deliver.receive(*map(Parcel.of, sent)) == []

    mails = sandbox.inbox.all()
    assert {mail.message_id for mail in mails} == {message.id for message in sent}
    assert {url for mail in mails for url in mail.images.values()} == {f"data:image/png;base64,{LOGO}"}
    assert sandbox.requests["resend"] == 10


@pytest.mark.usefixtures("soon")
def test_a_batch_queued_before_the_logo_was_switched_on_is_sent_one_by_one(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    store(aws, inline=False)
    sent = codes(10)
    sandbox.faults.add("resend", Fault(Kind.RATE_LIMIT, seconds=1))
    deliver.receive(*map(Parcel.of, sent))
    assert sandbox.requests["resend"] == 1
    store(aws)

    later = Process(aws)
    for body in take(aws):
        later.receive(body)

    assert sorted(mail.message_id for mail in sandbox.inbox.all()) == sorted(message.id for message in sent)
    assert all(mail.images for mail in sandbox.inbox.all())


@pytest.mark.usefixtures("soon")
def test_a_batch_in_doubt_is_repeated_without_the_logo_that_was_switched_on_since(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    store(aws, inline=False)
    sent = codes(10)
    sandbox.faults.add("resend", Kind.RESET_AFTER_ACCEPT)
    deliver.receive(*map(Parcel.of, sent))
    store(aws)
    end_leases(aws, sent)

    later = Process(aws)
    for body in take(aws):
        later.receive(body)

    assert sorted(mail.message_id for mail in sandbox.inbox.all()) == sorted(message.id for message in sent)
    assert not any(mail.images for mail in sandbox.inbox.all())
    assert {deliver.row(message)["status"] for message in sent} == {"sent"}


def test_a_retry_has_the_logo_of_the_first_attempt(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    store(aws)
    (message,) = codes(1)
    sandbox.faults.add("resend", Fault(Kind.STATUS, 503))
    deliver.receive(Parcel.of(message))
    (body,) = take(aws)
    store(aws, {"logo.jpg": base64(JPEG)})

    assert Process(aws).receive(body) == []

    (mail,) = sandbox.inbox.all()
    email = Parcel.from_json(body).email
    assert email and mail.html == email.html
    assert list(mail.images.values()) == [f"data:image/png;base64,{LOGO}"]


def test_a_provider_that_cannot_send_pictures_gets_the_remote_logo(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    store(aws)
    put(aws, "senders/acme/auth", '{"from": "Acme <hi@acme.example>", "providers": ["aliyun"]}')
    for name, value in sandbox.settings("aliyun").items():
        put(aws, f"providers/aliyun/{name}", value)

    deliver.receive(Parcel.of(codes(1)[0]))

    (mail,) = sandbox.inbox.all()
    assert (mail.images, "cid:" in mail.html) == ({}, False)
    assert f'src="{BRAND["logo_url"]}"' in mail.html
