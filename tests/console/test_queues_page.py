"""The queues pages with SQS in moto: depths, and dead letters that are inspected, replayed and dropped."""

import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from playwright.sync_api import expect

from mailroom.delivery.batch import Batch
from mailroom.model.kinds import Lane
from mailroom.model.message import new_id
from mailroom.model.outcome import Status
from mailroom_ops.ledger.dead_letters import DeadLetters
from tests.browser import assert_accessible
from tests.console.client import Client, LedgerWriter, OpenPage, StartConsole, page_text
from tests.console.queues import CANARIES, Queues, inspect, inspection_id, letter_ids, wait_for_job
from tests.factories import KEY
from tests.gate import AwsCall, AwsGate, Refusal
from tests.running import Running

NOTICES = "/console/queues/notices"
ACCESS_DENIED = Refusal(400, b'{"__type": "AccessDenied", "message": "told to"}')


@pytest.fixture
def gate(cloud: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsGate]:
    """A proxy between the console and SQS."""
    gate = AwsGate()
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", gate.stand_before(cloud))
    yield gate
    gate.close()


@pytest.fixture
def queues(
    messages: LedgerWriter, gate: AwsGate, queue_urls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Queues:
    """The queues of staging, which production has too; both have the same ledger."""
    dead_letters_of = DeadLetters.of
    # Without a wait, SQS asks only some of its servers; moto has one.
    monkeypatch.setattr(DeadLetters, "of", lambda *arguments: replace(dead_letters_of(*arguments), wait_seconds=0))
    outputs = {f"{name}QueueUrl": {"Value": url} for name, url in queue_urls.items()}
    body = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {"LedgerTableName": {"Value": "ledger"}, **outputs},
    }
    boto3.client("cloudformation").create_stack(StackName="mailroom-production", TemplateBody=json.dumps(body))
    boto3.client("ssm").put_parameter(Name="/mailroom/production/ledger/address_key", Value=KEY, Type="SecureString")
    return Queues(boto3.client("sqs"), queue_urls, messages)


@pytest.fixture
def client(queues: Queues, start_console: StartConsole) -> Client:
    """A logged-in client of a console of its own, for these queues."""
    client = start_console("staging")
    client.log_in()
    return client


def test_a_stack_of_another_version_is_an_error_with_the_next_step(
    messages: LedgerWriter, start_console: StartConsole
) -> None:
    client = start_console("staging")
    client.log_in()
    answer = client.get("/console/queues")
    assert answer.status == 502
    assert "has no output CodesQueueUrl." in answer.text
    assert "make deploy ENVIRONMENT=staging" in answer.text


def test_the_depth_of_both_lanes_is_shown_without_receiving(queues: Queues, client: Client) -> None:
    for number in range(3):
        queues.sqs.send_message(QueueUrl=queues.urls["Codes"], MessageBody="{}", DelaySeconds=60 if number == 0 else 0)
    queues.bury(*queues.undeliverable(2))

    page = client.get("/console/queues").text

    codes, notices = map(page_text, page.split('id="lane-notices"'))
    assert "Waiting 2 In flight 0 Delayed 1 Oldest unknown Dead letters 0 Oldest dead letter –" in codes
    assert "Waiting 0 In flight 0 Delayed 0 Oldest – Dead letters 2 Oldest dead letter unknown" in notices
    counts = [sqs["Attributes"]["ApproximateReceiveCount"] for sqs in queues.receive_all("NoticesDeadLetter")]
    assert counts == ["1", "1"]


def test_the_age_of_the_oldest_message_comes_from_cloudwatch(queues: Queues, client: Client) -> None:
    queues.sqs.send_message(QueueUrl=queues.urls["Codes"], MessageBody="{}")
    now = datetime.now(UTC)
    metric = {"MetricName": "ApproximateAgeOfOldestMessage", "Unit": "Seconds"}
    dimensions = {"Dimensions": [{"Name": "QueueName", "Value": "Codes"}]}
    data: Any = [
        {**metric, **dimensions, "Timestamp": now - timedelta(minutes=minutes), "Value": value}
        for minutes, value in ((4, 10), (1, 7200))
    ]
    boto3.client("cloudwatch").put_metric_data(Namespace="AWS/SQS", MetricData=data)
    assert "Oldest 2 hours ago" in page_text(client.get("/console/queues").text)


def test_an_inspection_shows_what_a_replay_would_do_and_no_private_data(queues: Queues, client: Client) -> None:
    mixed = [
        *queues.undeliverable(2, tenant="acme"),
        *queues.undeliverable(1, Status.SENT),
        *(replace(parcel, doubts=("sendgrid",)) for parcel in queues.undeliverable(1, Status.UNKNOWN)),
        *queues.undeliverable(1, life=-1),
    ]
    packed = queues.undeliverable(5)
    queues.bury(*mixed, Batch(new_id(), tuple(packed), Lane.NOTICES), "{KX7391 reader-canary@example.com")

    page = inspect(client)

    shown = page_text(page)
    assert "Inspected 7 letters" in shown
    assert "3 ready queued again" in shown
    for effect in ("1 settled deleted", "1 expired deleted", "1 doubtful kept", "1 unreadable kept"):
        assert effect in shown
    assert "unknown (rate_limited), may have been sent by sendgrid" in shown
    assert "r•••@example.com acme, attempt 0" in shown
    assert "2 more" in shown
    links = set(re.findall(r'href="/console/deliveries/([0-9a-f]+)"', page))
    assert links == {parcel.message.id for parcel in (*mixed, *packed)}
    plan = client.post(NOTICES, do="replay", look=inspection_id(page)).text
    for html in (page, plan, client.get("/console/queues").text):
        assert not [canary for canary in CANARIES if canary in html]
    assert inspect(client).count('name="letter"') == 7, "all were put back"


def test_an_inspection_of_many_letters_is_limited_and_puts_all_back(
    queues: Queues, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom_ops.console.queues.MAX_LETTERS", 3)
    queues.bury(*queues.undeliverable(12))
    page = inspect(client)
    assert "Inspected 3 letters" in page_text(page)
    assert "There may be more: these are the first." in page_text(page)
    assert len(queues.receive_all("NoticesDeadLetter")) == 12


def test_selected_letters_are_replayed_after_confirmation_and_others_stay(queues: Queues, client: Client) -> None:
    parcels = queues.undeliverable(3)
    queues.bury(*parcels)
    page = inspect(client)
    chosen = letter_ids(page)[0]
    form = {"do": "replay", "look": inspection_id(page), "letter": chosen}

    confirmation = client.post(NOTICES, **form)

    assert "Replay 1 letter of notices? What can still be sent" in page_text(confirmation.text)
    assert "1 ready: queued again" in page_text(confirmation.text)
    assert "staging" in page_text(confirmation.text)
    assert queues.receive_all("Notices") == []
    assert client.post(NOTICES, **form, confirmed="staging").status == 303
    summary = wait_for_job(client)
    assert "Replayed 1 letter" in page_text(summary)
    assert "1 ready queued again" in page_text(summary)
    sent = [json.loads(sqs["Body"])["message"]["id"] for sqs in queues.receive_all("Notices")]
    assert len(sent) == 1
    assert f"/console/deliveries/{sent[0]}" in summary
    assert set(letter_ids(inspect(client))) == set(letter_ids(page)) - {chosen}


def test_in_production_the_name_of_the_environment_is_typed_first(queues: Queues, start_console: StartConsole) -> None:
    client = start_console("production")
    client.log_in()
    queues.bury(*queues.undeliverable(1))
    form = {"do": "drop", "look": inspection_id(inspect(client))}
    confirmation = client.post(NOTICES, **form)
    assert "Type the name of the environment" in confirmation.text
    wrong = client.post(NOTICES, **form, confirmed="yes")
    assert "This is not the name of the environment. Nothing was changed." in page_text(wrong.text)
    assert client.post(NOTICES, **form, confirmed="production").status == 303
    assert "Dropped 1 letter" in page_text(wait_for_job(client))


def test_all_letters_are_dropped_and_messages_without_outcome_become_failed(queues: Queues, client: Client) -> None:
    parcels = queues.undeliverable(12, Status.ACCEPTED, to="reader-canary@example.com")
    queues.bury(*parcels)
    form = {"do": "drop", "look": inspection_id(inspect(client))}
    confirmation = page_text(client.post(NOTICES, **form).text)
    assert "Drop 12 letters of notices?" in confirmation
    assert "12 messages, 12 without an outcome." in confirmation
    client.post(NOTICES, **form, confirmed="staging")
    assert "Dropped 12 letters" in page_text(wait_for_job(client))
    assert queues.receive_all("NoticesDeadLetter") == queues.receive_all("Notices") == []
    message = page_text(client.get(f"/console/deliveries/{parcels[0].message.id}").text)
    assert "Status failed dropped" in message


def test_a_replay_can_include_doubtful_letters_and_extend_expired_notices(queues: Queues, client: Client) -> None:
    (doubtful,) = queues.undeliverable(1, Status.UNKNOWN)
    queues.bury(replace(doubtful, doubts=("sendgrid",)), *queues.undeliverable(1, life=-60))
    form = {"do": "replay", "look": inspection_id(inspect(client)), "doubtful": "1", "extend": "an hour"}
    confirmation = page_text(client.post(NOTICES, **form).text)
    assert "1 ready: queued again" in confirmation
    assert "1 doubtful: queued again, although" in confirmation
    client.post(NOTICES, **form, confirmed="staging")
    assert "1 doubtful queued again, although" in page_text(wait_for_job(client))
    ends = [json.loads(sqs["Body"])["message"]["expires_at"] for sqs in queues.receive_all("Notices")]
    assert min(ends) > time.time() + 3000


def test_a_second_job_in_a_lane_is_refused_while_the_first_runs(queues: Queues, gate: AwsGate, client: Client) -> None:
    queues.bury(*queues.undeliverable(12))
    form = {"do": "drop", "look": inspection_id(inspect(client))}
    release = threading.Event()

    def hold(_: AwsCall) -> None:
        release.wait(20)

    with gate.rule(second_delete(), "before", hold):
        client.post(NOTICES, **form, confirmed="staging")
        Running.until(lambda: "Dropping: 10 of 12 letters" in page_text(client.get(NOTICES).text))
        refused = client.post(NOTICES, do="look")
        assert refused.status == 409
        assert "A job is already running in this lane." in page_text(refused.text)
        assert "Drop in progress" in page_text(client.get("/console/queues").text)
        assert client.post("/console/queues/codes", do="look").status == 303, "each lane has a job of its own"
        release.set()
        assert "Dropped 12 letters" in page_text(wait_for_job(client))


def second_delete() -> Any:
    """Match the call that deletes the second ten letters."""
    deletes: list[AwsCall] = []

    def matches(call: AwsCall) -> bool:
        deletes.extend([call] if call.operation == "DeleteMessageBatch" else [])
        return call.operation == "DeleteMessageBatch" and len(deletes) == 2

    return matches


def test_a_job_that_aws_stops_halfway_loses_nothing_and_can_be_continued(
    queues: Queues, gate: AwsGate, client: Client
) -> None:
    queues.bury(*queues.undeliverable(15))
    form = {"do": "replay", "look": inspection_id(inspect(client)), "confirmed": "staging"}
    with gate.rule(second_delete(), "before", lambda _: ACCESS_DENIED):
        client.post(NOTICES, **form)
        stopped = page_text(wait_for_job(client))
    assert "Stopped after 10 of 15 letters. You have no permission" in stopped
    assert "Finished letters stay finished, and none is lost." in stopped
    page = inspect(client)
    assert "Inspected 5 letters" in page_text(page)
    client.post(NOTICES, **form | {"look": inspection_id(page)})
    assert "Replayed 5 letters" in page_text(wait_for_job(client))
    sent = {json.loads(sqs["Body"])["message"]["id"] for sqs in queues.receive_all("Notices")}
    assert len(sent) == 15


def test_impossible_requests_are_an_error_in_one_sentence(queues: Queues, client: Client) -> None:
    queues.bury(*queues.undeliverable(1))
    old = inspection_id(inspect(client))
    inspect(client)
    stale = client.post(NOTICES, do="drop", look=old, confirmed="staging")
    assert stale.status == 409
    assert "Nothing was done: the page showed an earlier inspection." in page_text(stale.text)
    new = inspection_id(wait_for_job(client))
    for values in (
        {"do": "eat"},
        {},
        {"do": "drop", "look": new, "letter": "nowhere"},
        {"do": "replay", "look": new, "extend": "\x00"},
    ):
        assert client.post(NOTICES, **values).status == 400
    assert client.post("/console/queues/codes", do="replay", extend="an hour").status == 400
    assert client.post("/console/queues/nowhere", do="look").status == 404
    assert client.get("/console/queues/nowhere").status == 404
    assert client.post("/console/queues", do="look").status == 404
    assert client.ask("POST", NOTICES, "do=look").status == 403
    assert len(letter_ids(inspect(client))) == 1


def test_an_operator_replays_in_the_browser_without_reloading(
    queues: Queues, gate: AwsGate, client: Client, open_page: OpenPage
) -> None:
    queues.bury(*queues.undeliverable(12), *queues.undeliverable(1, Status.SENT), "{")
    page = open_page(client, 360, bypass_csp=True)
    page.get_by_role("link", name="Queues").click()
    assert_accessible(page)
    page.get_by_role("button", name="Inspect dead letters of notices").click()
    expect(page.get_by_role("main")).to_contain_text("Inspected 14 letters")
    assert_accessible(page)
    for box in page.get_by_role("checkbox", name=re.compile("^Letter ")).all()[:12]:
        box.check()
    page.get_by_role("button", name="Replay …").click()
    release = threading.Event()

    def hold(_: AwsCall) -> None:
        release.wait(20)

    with gate.rule(second_delete(), "before", hold):
        page.get_by_role("button", name="Replay 12 letters").click()
        expect(page.get_by_label("Replaying")).not_to_have_attribute("value", "0")
        release.set()
        expect(page.get_by_role("main")).to_contain_text("Replayed 12 letters")
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    assert_accessible(page)
    page.get_by_role("link", name="security-notice").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("security-notice")


def test_a_dead_letter_is_replayed_in_two_clicks_from_the_banner(
    queues: Queues, client: Client, open_page: OpenPage
) -> None:
    queues.bury(*queues.undeliverable(3))
    page = open_page(client)

    page.get_by_role("region", name="Needs attention").get_by_role("button", name="Inspect notices").click()
    page.clock.run_for(3000)
    page.get_by_role("button", name="Replay 3 letters").click()
    page.clock.run_for(3000)

    expect(page.locator("#work")).to_contain_text("Replayed 3 letters")
    assert len(queues.receive_all("Notices")) == 3


def test_after_a_replay_the_figures_of_past_hours_are_read_again(queues: Queues, client: Client) -> None:
    queues.bury(*queues.undeliverable(2))
    hours = client.console._context.hours
    hours.read(client.console._context.queries, datetime.now(UTC) - timedelta(days=1), datetime.now(UTC))
    assert hours._cached
    page = inspect(client)
    client.post(NOTICES, do="replay", look=inspection_id(page), confirmed="staging")
    wait_for_job(client)
    assert not hours._cached


def test_a_mail_leads_to_its_own_dead_letter(queues: Queues, client: Client) -> None:
    parcels = queues.undeliverable(3)
    queues.bury(*parcels)
    client.post(NOTICES, do="look", mail=parcels[1].message.id)
    page = wait_for_job(client)
    assert "The letter of the email is the first in the list, and selected." in page_text(page)
    assert page.count(" checked") == 1
    assert "Replay its letter" in page
    client.post(NOTICES, do="look", mail=new_id())
    assert "No dead letter has the email any more." in page_text(wait_for_job(client))


def test_in_production_a_replay_needs_the_name_of_the_environment(queues: Queues, start_console: StartConsole) -> None:
    queues.bury(*queues.undeliverable(1))
    production = start_console("production")
    production.log_in()
    page = inspect(production)
    assert "Replay …" in page
    assert "Replay 1 letter<" not in page
