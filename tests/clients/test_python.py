"""The Python client: retries, its idempotency key, its errors, and the real thing."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from clients.python.mailroom import Delivery, Mailroom, MailroomError
from tests.clients.scripted import SCENARIOS, SENT, Reply, Scenario, assert_report, serve
from tests.running import Running

KEY = "local-api-key"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_python_client_retries_and_reports_as_described(scenario: Scenario) -> None:
    report: dict[str, Any] = {"status": 200, "text": "", "slept": []}
    with serve(*scenario.replies) as server:
        try:
            delivery = Mailroom(server.url, "key", sleep=report["slept"].append).send(
                "sign-in-code", "reader@example.com", {"code": "048213"}
            )
            report["text"] = repr(delivery)
        except MailroomError as error:
            report |= {"status": error.status, "text": str(error)}
    assert_report(scenario, server, report)


def test_every_field_is_sent_and_what_is_not_given_is_absent() -> None:
    with serve(Reply(200, SENT)) as server:
        mailroom = Mailroom(server.url + "/", "key", tenant="acme")
        delivery = mailroom.send("mfa-code", "a@example.com", {"code": "1"}, locale=("de", "en"), expires_in=179.9)
        mailroom.send("notification", "a@example.com", tenant="other", idempotency_key="k", mode="queued")

    assert delivery == Delivery(**SENT)
    (first, second) = (body for _, body in server.requests)
    assert len(first.pop("idempotency_key")) == 36
    assert first == {
        "kind": "mfa-code",
        "to": "a@example.com",
        "data": {"code": "1"},
        "tenant": "acme",
        "locale": ["de", "en"],
        "expires_in": 179,
    }
    assert second == {
        "kind": "notification",
        "to": "a@example.com",
        "tenant": "other",
        "idempotency_key": "k",
        "mode": "queued",
    }
    assert server.requests[0][0]["path"] == "/v1/emails"


def test_a_refusal_lists_the_invalid_fields(stack: Running) -> None:
    with pytest.raises(MailroomError, match="Did you mean sign-in-code") as caught:
        Mailroom(stack.url, KEY).send("sign-in-cod", stack.address(), {"code": "1"})
    assert [field for field, _ in caught.value.problems] == ["kind"]
    assert "048213" not in json.dumps(caught.value.args)


def test_a_mail_is_sent_from_an_event_loop(stack: Running) -> None:
    to = stack.address()
    sending = Mailroom(stack.url, KEY).send_async("sign-in-code", to, {"code": "048213"}, locale="de")
    with ThreadPoolExecutor() as pool:  # the browser of other tests has an event loop in this thread
        delivery = pool.submit(asyncio.run, sending).result()
    assert (delivery.status, stack.mail_to(to).locale) == ("sent", "de")
    assert delivery.message_id == stack.mail_to(to).message_id


@pytest.mark.parametrize(("url", "key"), [("", "key"), ("example.com", "key"), ("https://example.com", "")])
def test_a_missing_setting_is_an_error_at_once(url: str, key: str) -> None:
    with pytest.raises(MailroomError, match="Set the url and the key"):
        Mailroom(url, key)
