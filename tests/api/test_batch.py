"""Many mails in one request, each with its own result."""

from typing import Any

import pytest

from mailroom_ops.sandbox.faults import Fault, Kind
from tests.api.client import Client, code, notice


def test_each_mail_has_its_own_result_in_its_place(client: Client) -> None:
    client.sandbox.faults.add("resend", Fault(Kind.STATUS, 422))
    batch = [code(), code(to="nobody"), code(value="KX5353"), notice(mode="queued"), "what?"]

    results = client.invoke({"messages": batch})["results"]

    assert [result["status"] for result in results] == ["failed", "refused", "sent", "accepted", "refused"]
    assert [error["field"] for error in results[1]["errors"]] == ["to"]
    assert [mail.message_id for mail in client.mails()] == [results[2]["message_id"]]


def test_over_http_a_list_and_an_object_mean_the_same(client: Client) -> None:
    batch = [code(idempotency_key="a"), notice(idempotency_key="b")]

    first = client.http("POST", "/v1/emails/batch", batch)
    second = client.http("POST", "/v1/emails/batch", {"messages": batch})

    assert first.status == 200
    assert first.body == second.body == {"results": client.invoke(batch)["results"]}
    assert len(client.mails()) == 2


@pytest.mark.parametrize(
    "body", [{}, [], {"messages": []}, {"messages": [code()] * 101}, {"messages": [code()], "more": 1}]
)
def test_a_batch_is_a_list_of_one_to_a_hundred(client: Client, body: Any) -> None:
    answer = client.http("POST", "/v1/emails/batch", body)
    assert (answer.status, answer.body["errors"][0]["field"]) == (422, "messages")
    assert client.mails() == []


def test_a_single_mail_is_not_taken_for_a_batch_nor_a_batch_for_one(client: Client) -> None:
    assert client.http("POST", "/v1/emails/batch", code()).status == 422
    assert client.http("POST", "/v1/emails", [code()]).status == 422


def test_a_key_in_the_header_cannot_stand_for_many_mails(client: Client) -> None:
    answer = client.http("POST", "/v1/emails/batch", [code()], idempotency_key="k")
    assert (answer.status, answer.body["errors"][0]["field"]) == (422, "idempotency-key")


def test_the_same_mail_twice_in_a_batch_is_sent_once(client: Client) -> None:
    one, two, three = client.invoke([code(idempotency_key="k"), code(idempotency_key="k"), code(value="1")])["results"]
    assert one == two
    assert three["status"] == "sent"
    assert len(client.mails()) == 2


def test_two_codes_for_one_reader_in_a_batch_are_in_the_order_given(client: Client) -> None:
    results = client.invoke([code(value="111111"), code(value="222222")])["results"]
    assert [result["status"] for result in results] == ["sent", "sent"]


def test_what_a_provider_does_not_take_at_once_goes_by_queue(client: Client) -> None:
    client.sandbox.faults.add("resend", Fault(Kind.STATUS, 503), 2)

    first, second = client.invoke([code(), notice()])["results"]

    assert (first["status"], second["status"]) == ("accepted", "accepted")
    assert [parcel.message.id for parcel in client.queued("codes")] == [first["message_id"]]
    assert [parcel.message.id for parcel in client.queued("notices")] == [second["message_id"]]
    assert sum(client.slept) == 0


def test_when_time_runs_short_the_rest_goes_by_queue_and_when_it_is_over_nothing_more_is_taken(client: Client) -> None:
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


def test_a_hundred_mails_go_in_one_request(client: Client) -> None:
    batch = [code(to=f"reader{number}@reader.example", value=f"{number:06}") for number in range(100)]

    results = client.http("POST", "/v1/emails/batch", {"messages": batch}).body["results"]

    assert len(results) == 100
    assert {result["status"] for result in results} <= {"sent", "accepted"}
    sent = {result["message_id"] for result in results if result["status"] == "sent"}
    queued = {result["message_id"] for result in results if result["status"] == "accepted"}
    assert {mail.message_id for mail in client.mails()} == sent
    assert {parcel.message.id for parcel in client.queued("codes")} == queued


def test_a_mail_that_breaks_something_does_not_hold_up_the_next(
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
