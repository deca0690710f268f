"""Batches: many messages in one request, each with its own result."""

from typing import Any

import pytest

from mailroom_ops.sandbox.faults import Fault, Kind
from tests.api.client import Client, code, notice


def test_each_mail_of_a_batch_has_its_own_result_in_order(client: Client) -> None:
    client.sandbox.faults.add("resend", Fault(Kind.STATUS, 422))
    batch = [code(), code(to="nobody"), code(value="KX5353"), notice(mode="queued"), "what?"]

    results = client.invoke({"messages": batch})["results"]

    assert [result["status"] for result in results] == ["failed", "refused", "sent", "accepted", "refused"]
    assert [error["field"] for error in results[1]["errors"]] == ["to"]
    assert [mail.message_id for mail in client.mails()] == [results[2]["message_id"]]


def test_a_batch_may_be_a_list_or_an_object(client: Client) -> None:
    batch = [code(idempotency_key="a"), notice(idempotency_key="b")]

    first = client.http("POST", "/v1/emails/batch", batch)
    second = client.http("POST", "/v1/emails/batch", {"messages": batch})

    assert first.status == 200
    assert first.body == second.body == {"results": client.invoke(batch)["results"]}
    assert len(client.mails()) == 2


@pytest.mark.parametrize(
    "body", [{}, [], {"messages": []}, {"messages": [code()] * 101}, {"messages": [code()], "more": 1}]
)
def test_a_batch_has_one_to_a_hundred_messages(client: Client, body: Any) -> None:
    answer = client.http("POST", "/v1/emails/batch", body)
    assert (answer.status, answer.body["errors"][0]["field"]) == (422, "messages")
    assert client.mails() == []


def test_a_single_request_is_no_batch_and_a_batch_no_single_request(client: Client) -> None:
    assert client.http("POST", "/v1/emails/batch", code()).status == 422
    assert client.http("POST", "/v1/emails", [code()]).status == 422


def test_a_batch_takes_no_idempotency_key_in_the_header(client: Client) -> None:
    answer = client.http("POST", "/v1/emails/batch", [code()], idempotency_key="k")
    assert (answer.status, answer.body["errors"][0]["field"]) == (422, "idempotency-key")


def test_the_same_mail_twice_in_a_batch_is_sent_once(client: Client) -> None:
    first, repeated, other = client.invoke([code(idempotency_key="k"), code(idempotency_key="k"), code(value="1")])[
        "results"
    ]
    assert first == repeated
    assert other["status"] == "sent"
    assert len(client.mails()) == 2


def test_two_codes_for_one_recipient_in_a_batch_are_both_sent_in_order(client: Client) -> None:
    results = client.invoke([code(value="111111"), code(value="222222")])["results"]
    assert [result["status"] for result in results] == ["sent", "sent"]


def test_a_mail_of_a_batch_that_no_provider_accepts_at_once_is_queued(client: Client) -> None:
    client.sandbox.faults.add("resend", Fault(Kind.STATUS, 503), 2)

    first, second = client.invoke([code(), notice()])["results"]

    assert (first["status"], second["status"]) == ("accepted", "accepted")
    assert [parcel.message.id for parcel in client.queued("codes")] == [first["message_id"]]
    assert [parcel.message.id for parcel in client.queued("notices")] == [second["message_id"]]
    assert sum(client.slept) == 0


def test_a_batch_that_runs_out_of_time_queues_the_rest_then_refuses_it(client: Client) -> None:
    client.function.seconds_left = 9
    (queued,) = client.invoke([code(idempotency_key="k")])["results"]
    client.function.seconds_left = 1
    (late,) = client.invoke([notice()])["results"]

    assert (queued["status"], late["status"]) == ("accepted", "refused")
    assert "Send it again." in late["errors"][0]["message"]
    assert client.mails() == []
    assert [parcel.message.id for parcel in client.queued("codes")] == [queued["message_id"]]
    client.function.seconds_left = 20
    assert client.invoke([code(idempotency_key="k")])["results"][0]["message_id"] == queued["message_id"]


def test_a_single_mail_goes_by_queue_when_time_runs_short(client: Client) -> None:
    client.function.seconds_left = 9
    answer = client.send(**code())

    assert (answer.status, answer.body["status"]) == (202, "accepted")
    assert [parcel.message.id for parcel in client.queued("codes")] == [answer.body["message_id"]]


def test_a_hundred_mails_are_sent_in_one_request(client: Client) -> None:
    batch = [code(to=f"reader{number}@reader.example", value=f"{number:06}") for number in range(100)]

    results = client.http("POST", "/v1/emails/batch", {"messages": batch}).body["results"]

    assert len(results) == 100
    assert {result["status"] for result in results} <= {"sent", "accepted"}
    sent = {result["message_id"] for result in results if result["status"] == "sent"}
    queued = {result["message_id"] for result in results if result["status"] == "accepted"}
    assert {mail.message_id for mail in client.mails()} == sent
    assert {parcel.message.id for parcel in client.queued("codes")} == queued


def test_a_mail_that_crashes_does_not_stop_the_rest_of_its_batch(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = type(client.service.delivery.renderer)
    compose = renderer.compose

    def fragile(self: Any, message: Any, *rest: Any) -> Any:
        if message.data["code"] == "KX4242":
            raise ZeroDivisionError
        return compose(self, message, *rest)

    monkeypatch.setattr(renderer, "compose", fragile)
    results = client.invoke([code(), code(value="KX5353")])["results"]
    assert [result["status"] for result in results] == ["unknown", "sent"]
