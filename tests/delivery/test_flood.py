"""A flood through the webhook: exactly as many codes are sent as the limits allow, and no answer shows which ones."""

import json
import random
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from functions.deliver.app import build as build_deliver
from functions.webhook.app import build as build_webhook
from mailroom.delivery.deliver import Delivery
from mailroom.ledger.hashes import keyed_hash
from mailroom.ledger.table import suppression_of
from mailroom.model.limits import Limits
from tests.cloud import ROOT
from tests.hostile.surroundings import ADDRESS_KEY, LOGTO_TOKEN, MemoryAws, surroundings
from tests.lambda_function import LambdaFunction
from tests.thorough import times

REQUESTS = times(500, 10_000)  # so many that each limit is reached, of clients too
TENANTS = ("default", "acme", "globex", "initech", "umbrella")[: times(2, 5)]
RECIPIENTS = tuple(f"reader{number}@reader.example" for number in range(times(10, 50)))
CLIENTS = tuple(f"203.0.113.{number}" for number in range(times(4, 20)))
LIMITS = Limits()
EVENT: dict[str, Any] = json.loads((ROOT / "events" / "webhook-sign-in.json").read_text())


class QueueingAws(MemoryAws):
    """Keeps the bodies of queued messages."""

    def __init__(self) -> None:
        self.queued: list[str] = []
        super().__init__()

    def _post(self, service: str, operation: str, payload: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        if (service, operation) == ("sqs", "SendMessage"):
            self.queued.append(payload["MessageBody"])
        return super()._post(service, operation, payload)


@pytest.fixture
def aws() -> Iterator[QueueingAws]:
    with surroundings():
        aws = QueueingAws()
        for tenant in TENANTS[1:]:
            aws.parameters.values[f"/mailroom/development/webhooks/logto/{tenant}/authorization"] = LOGTO_TOKEN
        yield aws


def request(number: int, tenant: str, to: str, ip: str) -> dict[str, Any]:
    """Return a request of Logto for a code of its own."""
    body = json.loads(EVENT["body"]) | {"to": to, "ip": ip}
    body["payload"] = body["payload"] | {"code": f"{number:06}"}
    context = EVENT["requestContext"] | {"timeEpoch": int(time.time() * 1000)}
    headers = EVENT["headers"] | {"authorization": LOGTO_TOKEN}
    path = {} if tenant == "default" else {"tenant": tenant}
    return {**EVENT, "body": json.dumps(body), "requestContext": context, "headers": headers, "pathParameters": path}


def without_id(answer: dict[str, Any]) -> str:
    """Return an answer without the message's id, which is by chance."""
    return re.sub("[0-9a-f]{32}", "", json.dumps(answer))


def record(body: str) -> dict[str, Any]:
    arn = "arn:aws:sqs:eu-west-1:123456789012:codes"
    return {"Records": [{"messageId": "0", "receiptHandle": "0", "body": body, "eventSourceARN": arn}]}


@pytest.mark.thorough
def test_a_flood_sends_exactly_the_codes_that_the_limits_allow(aws: QueueingAws) -> None:
    chance = random.Random("flood")  # noqa: S311 - the same flood in each run
    flood = [tuple(map(chance.choice, (TENANTS, RECIPIENTS, CLIENTS))) for _ in range(REQUESTS)]
    webhook = LambdaFunction(lambda logger, metrics: build_webhook(aws, logger, metrics), aws)
    answers = {without_id(webhook(request(number, *facts))) for number, facts in enumerate(flood)}
    assert len(answers) == 1, "no answer shows a limit"

    deliver = LambdaFunction(lambda logger, metrics: build_deliver(Delivery.from_env(aws), logger, metrics), aws)
    for body in aws.queued:
        assert deliver(record(body)) == {"batchItemFailures": []}

    by_client, by_recipient = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for tenant, to, ip in flood:
        if by_client[tenant, ip] < LIMITS.per_client:
            by_client[tenant, ip] += 1
            by_recipient[tenant, to] += by_recipient[tenant, to] < LIMITS.per_kind
    sent = deliver.logged("Email sent successfully")
    assert Counter(line["tenant"] for line in sent) == _by_tenant(by_recipient)
    assert max(by_recipient.values()) == LIMITS.per_kind
    assert max(by_client.values()) == LIMITS.per_client
    limited = [line for line in deliver.logged("Email skipped") if line["reason"] == "rate_limited"]
    assert len(limited) == REQUESTS - len(sent)


def _by_tenant(numbers: Counter[tuple[str, str]]) -> Counter[str]:
    totals = Counter[str]()
    for (tenant, _), number in numbers.items():
        totals[tenant] += number
    return totals


def test_the_webhook_does_the_same_for_limited_suppressed_and_ordinary_recipients(aws: QueueingAws) -> None:
    suppressed = suppression_of("default", keyed_hash(ADDRESS_KEY, "suppressed@reader.example"))
    aws.table.items[suppressed] = {"pk": {"S": suppressed}, "codes_until": {"N": "9999999999"}}
    webhook = LambdaFunction(lambda logger, metrics: build_webhook(aws, logger, metrics), aws)
    deliver = LambdaFunction(lambda logger, metrics: build_deliver(Delivery.from_env(aws), logger, metrics), aws)
    for number in range(LIMITS.per_kind):
        webhook(request(number, "default", "limited@reader.example", CLIENTS[0]))
    for body in aws.queued:
        deliver(record(body))
    effects: dict[str, Any] = {}
    for name in ("limited", "suppressed", "ordinary"):
        aws.queued.clear()
        calls = webhook.record_calls()
        answer = without_id(webhook(request(900, "default", f"{name}@reader.example", CLIENTS[1])))
        effects[name] = answer, list(calls)
        deliver(record(aws.queued[0]))
    assert effects["limited"] == effects["suppressed"] == effects["ordinary"]
    assert [line["reason"] for line in deliver.logged("Email skipped")] == ["rate_limited", "suppressed"]
    assert len(deliver.logged("Email sent successfully")) == LIMITS.per_kind + 1
