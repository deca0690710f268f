"""The queues before SQS in moto: what waits, and the dead letters, looked at, replayed and dropped from the page."""

import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import boto3
import pytest
from playwright.sync_api import expect

from mailroom.delivery.batches import Batch
from mailroom.model.kinds import Lane
from mailroom.model.message import Parcel, new_id
from mailroom.model.outcome import Status
from mailroom_ops.ledger.dead_letters import DeadLetters
from tests.browser import accessible
from tests.console.conftest import KEY, Look, Mails, Serve, Served
from tests.gate import AwsCall, AwsGate, Refusal
from tests.running import Running

CANARIES = ("KX7391", "https://example.com/once", "For your eyes only", "reader-canary")
NO = Refusal(400, b'{"__type": "AccessDenied", "message": "told to"}')


@dataclass(frozen=True, slots=True)
class Post:
    """Both lanes and their dead letters."""

    sqs: Any
    urls: dict[str, str]
    mails: Mails

    def bury(self, *parcels: Parcel | Batch | str, lane: Lane = Lane.NOTICES) -> None:
        for one in parcels:
            body = one if isinstance(one, str) else one.to_json()
            self.sqs.send_message(QueueUrl=self.urls[f"{lane.title()}DeadLetter"], MessageBody=body)

    def given_up(self, number: int = 1, status: Status = Status.FAILED, life: float = 600, **said: Any) -> list[Parcel]:
        """Write down mails that deliver gave up, and return their parcels."""
        data = {"code": CANARIES[0], "link": CANARIES[1], "title": CANARIES[2]}
        facts = {"kind": "security-notice", "data": data, "to": "reader-canary@example.com", **said}
        times = {"expires_at": time.time() + life}
        if status is Status.ACCEPTED:
            return [Parcel.of(self.mails.accepted(100, **facts, **times)) for _ in range(number)]
        sent = (self.mails.sent(100, status, "rate_limited", **facts, **times) for _ in range(number))
        return [Parcel.of(said) for said in sent]

    def left(self, name: str) -> list[Any]:
        """Take what is in a queue."""
        found: list[Any] = []
        while more := self.sqs.receive_message(
            QueueUrl=self.urls[name], MaxNumberOfMessages=10, AttributeNames=["All"]
        ).get("Messages"):
            found += more
        return found


@pytest.fixture
def gate(cloud: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsGate]:
    """What stands between the console and SQS."""
    made = AwsGate()
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", made.stand_before(cloud))
    yield made
    made.close()


@pytest.fixture
def post(mails: Mails, gate: AwsGate, monkeypatch: pytest.MonkeyPatch) -> Post:
    """The queues of staging, which production has too; the ledger is one."""
    made = DeadLetters.of
    # SQS asks only some of its servers without waiting; moto has one.
    monkeypatch.setattr(DeadLetters, "of", lambda *asked: replace(made(*asked), wait_seconds=0))
    sqs, formation = boto3.client("sqs"), boto3.client("cloudformation")
    names = ("Codes", "CodesDeadLetter", "Notices", "NoticesDeadLetter")
    urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in names}
    outputs = {f"{name}QueueUrl": {"Value": url} for name, url in urls.items()}
    body = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {"LedgerTableName": {"Value": "ledger"}, **outputs},
    }
    formation.create_stack(StackName="mailroom-production", TemplateBody=json.dumps(body))
    boto3.client("ssm").put_parameter(Name="/mailroom/production/ledger/address_key", Value=KEY, Type="SecureString")
    staging = formation.get_template(StackName="mailroom-staging")["TemplateBody"]
    staging["Outputs"] |= outputs
    formation.update_stack(StackName="mailroom-staging", TemplateBody=json.dumps(staging))
    return Post(sqs, urls, mails)


@pytest.fixture
def served(post: Post, serve: Serve) -> Served:
    """A console of its own, before these queues."""
    made = serve("staging")
    made.enter()
    return made


def text(html: str) -> str:
    """Return what a page says, however it is marked up."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def ended(served: Served, lane: str = "notices") -> str:
    """Return the page of a lane when nothing goes on any more."""
    pages: list[str] = []

    def is_over() -> bool:
        pages.append(served.get(f"/console/queues/{lane}").text)
        return "<progress" not in pages[-1]

    Running.until(is_over)
    return pages[-1]


def looked(served: Served, lane: str = "notices") -> str:
    answer = served.post(f"/console/queues/{lane}", do="look")
    assert (answer.status, answer.headers["location"]) == (303, f"/console/queues/{lane}")
    return ended(served, lane)


def look_of(html: str) -> str:
    found = re.search(r'name="look" value="([0-9a-f]+)"', html)
    assert found
    return found[1]


def letters(html: str) -> list[str]:
    return re.findall(r'name="letter" value="([^"]+)"', html)


def test_both_lanes_are_shown_and_nothing_is_received(post: Post, served: Served) -> None:
    for number in range(3):
        post.sqs.send_message(QueueUrl=post.urls["Codes"], MessageBody="{}", DelaySeconds=60 if number == 0 else 0)
    post.bury(*post.given_up(2))

    page = served.get("/console/queues").text

    codes, notices = page.split('id="lane-notices"')
    assert "Waiting 2 In flight 0 Delayed 1 Oldest not known here Dead letters 0 Oldest dead letter –" in text(codes)
    assert "Waiting 0 In flight 0 Delayed 0 Oldest – Dead letters 2 Oldest dead letter not known here" in text(notices)
    assert [found["Attributes"]["ApproximateReceiveCount"] for found in post.left("NoticesDeadLetter")] == ["1", "1"]


def test_the_age_of_the_oldest_is_what_cloudwatch_last_said(post: Post, served: Served) -> None:
    post.sqs.send_message(QueueUrl=post.urls["Codes"], MessageBody="{}")
    now = datetime.now(UTC)
    facts = {"MetricName": "ApproximateAgeOfOldestMessage", "Unit": "Seconds"}
    named = {"Dimensions": [{"Name": "QueueName", "Value": "Codes"}]}
    data: Any = [
        {**facts, **named, "Timestamp": now - timedelta(minutes=minutes), "Value": value}
        for minutes, value in ((4, 10), (1, 7200))
    ]
    boto3.client("cloudwatch").put_metric_data(Namespace="AWS/SQS", MetricData=data)
    assert "Oldest 2 hours ago" in text(served.get("/console/queues").text)


def test_a_look_shows_what_a_replay_would_do_and_nothing_that_only_a_reader_may_see(post: Post, served: Served) -> None:
    mixed = [
        *post.given_up(2, tenant="acme"),
        *post.given_up(1, Status.SENT),
        *(replace(one, doubts=("sendgrid",)) for one in post.given_up(1, Status.UNKNOWN)),
        *post.given_up(1, life=-1),
    ]
    packed = post.given_up(5)
    post.bury(*mixed, Batch(new_id(), tuple(packed), Lane.NOTICES), "{KX7391 reader-canary@example.com")

    page = looked(served)

    said = text(page)
    assert "Looked at 7 letters" in said
    assert "3 ready is queued again" in said
    for one in ("1 settled is deleted", "1 expired is deleted", "1 doubtful is kept", "1 unreadable is kept"):
        assert one in said
    assert "unknown (rate_limited), may have been sent by sendgrid" in said
    assert "r•••@example.com acme, try 0" in said
    assert "2 more" in said
    links = set(re.findall(r'href="/console/deliveries/([0-9a-f]+)"', page))
    assert links == {parcel.message.id for parcel in (*mixed, *packed)}
    plan = served.post("/console/queues/notices", do="replay", look=look_of(page)).text
    for shown in (page, plan, served.get("/console/queues").text):
        assert not [word for word in CANARIES if word in shown]
    assert looked(served).count('name="letter"') == 7, "all were put back"


def test_a_look_at_very_many_ends_and_puts_all_back(
    post: Post, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom_ops.console.queues.MOST", 3)
    post.bury(*post.given_up(12))
    page = looked(served)
    assert "Looked at 3 letters" in text(page)
    assert "There may be more: these come first." in text(page)
    assert len(post.left("NoticesDeadLetter")) == 12


def test_those_ticked_are_replayed_after_a_yes_and_the_others_stay(post: Post, served: Served) -> None:
    parcels = post.given_up(3)
    post.bury(*parcels)
    page = looked(served)
    chosen = letters(page)[0]
    wanted = {"do": "replay", "look": look_of(page), "letter": chosen}

    asked = served.post("/console/queues/notices", **wanted)

    assert "Replay 1 letter of notices? What can still be sent" in text(asked.text)
    assert "1 ready: is queued again" in text(asked.text)
    assert "staging" in text(asked.text)
    assert post.left("Notices") == []
    assert served.post("/console/queues/notices", **wanted, confirmed="staging").status == 303
    summary = ended(served)
    assert "Replayed 1 letter" in text(summary)
    assert "1 ready is queued again" in text(summary)
    sent = [json.loads(found["Body"])["message"]["id"] for found in post.left("Notices")]
    assert len(sent) == 1
    assert f"/console/deliveries/{sent[0]}" in summary
    assert set(letters(looked(served))) == set(letters(page)) - {chosen}


def test_in_production_its_name_is_typed_first(post: Post, serve: Serve) -> None:
    served = serve("production")
    served.enter()
    post.bury(*post.given_up(1))
    wanted = {"do": "drop", "look": look_of(looked(served))}
    asked = served.post("/console/queues/notices", **wanted)
    assert "Type its name" in asked.text
    wrong = served.post("/console/queues/notices", **wanted, confirmed="yes")
    assert "That is not its name. Nothing was changed." in text(wrong.text)
    assert served.post("/console/queues/notices", **wanted, confirmed="production").status == 303
    assert "Dropped 1 letter" in text(ended(served))


def test_all_are_dropped_and_a_mail_without_an_outcome_has_failed(post: Post, served: Served) -> None:
    parcels = post.given_up(12, Status.ACCEPTED, to="reader-canary@example.com")
    post.bury(*parcels)
    wanted = {"do": "drop", "look": look_of(looked(served))}
    asked = text(served.post("/console/queues/notices", **wanted).text)
    assert "Drop 12 letters of notices?" in asked
    assert "12 mails are in them, 12 of those without an outcome." in asked
    served.post("/console/queues/notices", **wanted, confirmed="staging")
    assert "Dropped 12 letters" in text(ended(served))
    assert post.left("NoticesDeadLetter") == post.left("Notices") == []
    mail = text(served.get(f"/console/deliveries/{parcels[0].message.id}").text)
    assert "Status failed dropped" in mail


def test_options_take_doubtful_ones_along_and_give_expired_notices_more_time(post: Post, served: Served) -> None:
    (doubtful,) = post.given_up(1, Status.UNKNOWN)
    post.bury(replace(doubtful, doubts=("sendgrid",)), *post.given_up(1, life=-60))
    wanted = {"do": "replay", "look": look_of(looked(served)), "doubtful": "1", "extend": "an hour"}
    asked = text(served.post("/console/queues/notices", **wanted).text)
    assert "1 ready: is queued again" in asked
    assert "1 doubtful: is queued again, although" in asked
    served.post("/console/queues/notices", **wanted, confirmed="staging")
    assert "1 doubtful is queued again, although" in text(ended(served))
    ends = [json.loads(found["Body"])["message"]["expires_at"] for found in post.left("Notices")]
    assert min(ends) > time.time() + 3000


def test_a_second_job_in_a_lane_is_refused_while_the_first_goes_on(post: Post, gate: AwsGate, served: Served) -> None:
    post.bury(*post.given_up(12))
    wanted = {"do": "drop", "look": look_of(looked(served))}
    go_on = threading.Event()

    def hold(_: AwsCall) -> None:
        go_on.wait(20)

    with gate.rule(second_delete(), "before", hold):
        served.post("/console/queues/notices", **wanted, confirmed="staging")
        Running.until(lambda: "Dropping: 10 of 12 letters" in text(served.get("/console/queues/notices").text))
        refused = served.post("/console/queues/notices", do="look")
        assert refused.status == 409
        assert "One thing at a time" in text(refused.text)
        assert "A drop is going on" in text(served.get("/console/queues").text)
        assert served.post("/console/queues/codes", do="look").status == 303, "the other lane has its own"
        go_on.set()
        assert "Dropped 12 letters" in text(ended(served))


def second_delete() -> Any:
    """Match what takes away the second ten letters."""
    deletes: list[AwsCall] = []

    def matches(call: AwsCall) -> bool:
        deletes.extend([call] if call.operation == "DeleteMessageBatch" else [])
        return call.operation == "DeleteMessageBatch" and len(deletes) == 2

    return matches


def test_after_a_refusal_in_the_middle_nothing_is_lost_and_it_can_be_gone_on_with(
    post: Post, gate: AwsGate, served: Served
) -> None:
    post.bury(*post.given_up(15))
    wanted = {"do": "replay", "look": look_of(looked(served)), "confirmed": "staging"}
    with gate.rule(second_delete(), "before", lambda _: NO):
        served.post("/console/queues/notices", **wanted)
        stopped = text(ended(served))
    assert "Stopped after 10 of 15 letters. AWS does not let you call DeleteMessageBatch here." in stopped
    assert "What is done stays so, and nothing is lost" in stopped
    page = looked(served)
    assert "Looked at 5 letters" in text(page)
    served.post("/console/queues/notices", **wanted | {"look": look_of(page)})
    assert "Replayed 5 letters" in text(ended(served))
    sent = {json.loads(found["Body"])["message"]["id"] for found in post.left("Notices")}
    assert len(sent) == 15


def test_what_cannot_be_done_is_a_sentence(post: Post, served: Served) -> None:
    post.bury(*post.given_up(1))
    old = look_of(looked(served))
    looked(served)
    stale = served.post("/console/queues/notices", do="drop", look=old, confirmed="staging")
    assert stale.status == 409
    assert "That page was of an earlier look. Nothing was done" in text(stale.text)
    new = look_of(ended(served))
    for values in (
        {"do": "eat"},
        {},
        {"do": "drop", "look": new, "letter": "nowhere"},
        {"do": "replay", "look": new, "extend": "\x00"},
    ):
        assert served.post("/console/queues/notices", **values).status == 400
    assert served.post("/console/queues/codes", do="replay", extend="an hour").status == 400
    assert served.post("/console/queues/nowhere", do="look").status == 404
    assert served.get("/console/queues/nowhere").status == 404
    assert served.post("/console/queues", do="look").status == 404
    assert served.ask("POST", "/console/queues/notices", "do=look").status == 403
    assert len(letters(looked(served))) == 1


def test_an_operator_replays_in_the_browser_without_a_reload(
    post: Post, gate: AwsGate, served: Served, look: Look
) -> None:
    post.bury(*post.given_up(12), *post.given_up(1, Status.SENT), "{")
    page = look(served, 360, bypass_csp=True)
    page.get_by_role("link", name="Queues").click()
    accessible(page)
    page.get_by_role("button", name="Look at the dead letters of notices").click()
    expect(page.get_by_role("main")).to_contain_text("Looked at 14 letters")
    accessible(page)
    for box in page.get_by_role("checkbox", name="Letter").all()[:12]:
        box.check()
    page.get_by_role("button", name="Replay …").click()
    go_on = threading.Event()

    def hold(_: AwsCall) -> None:
        go_on.wait(20)

    with gate.rule(second_delete(), "before", hold):
        page.get_by_role("button", name="Replay 12 letters").click()
        expect(page.get_by_label("Replaying")).not_to_have_attribute("value", "0")
        go_on.set()
        expect(page.get_by_role("main")).to_contain_text("Replayed 12 letters")
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    accessible(page)
    page.get_by_role("link", name="security-notice").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("security-notice")
