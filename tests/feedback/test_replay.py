"""Replaying the events of SES that failed, with the script of docs/operations.md."""

import json
import os
import re
import subprocess
import sys
from typing import Any

from tests.cloud import ROOT
from tests.reports import FeedbackEndpoint

RUNBOOK = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
QUEUE = "mailroom-development-feedback-dead-letters"


def script() -> str:
    (found,) = re.findall(
        r"^```python\n(import boto3\n.*?feedback-dead-letters.*?)^```", RUNBOOK, re.DOTALL | re.MULTILINE
    )
    return str(found).replace('"production"', '"development"')


def replay(endpoint: FeedbackEndpoint) -> str:
    """Run the script against the running stack; return its output."""
    endpoints = {"AWS_ENDPOINT_URL_SQS": endpoint.stack.aws_endpoint, "AWS_ENDPOINT_URL_LAMBDA": endpoint.stack.url}
    credentials = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "eu-west-1"}
    variables = {**os.environ, **endpoints, **credentials}
    done = subprocess.run([sys.executable, "-c", script()], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def left(endpoint: FeedbackEndpoint) -> int:
    sqs = endpoint.stack.aws("sqs")
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return int(counts["ApproximateNumberOfMessages"]) + int(counts["ApproximateNumberOfMessagesNotVisible"])


def test_the_script_of_the_runbook_replays_events_and_keeps_failures(endpoint: FeedbackEndpoint) -> None:
    mails = [endpoint.mail("ses") for _ in range(3)]
    sqs = endpoint.stack.aws("sqs")
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    broken: dict[str, Any] = {"Records": [{"Sns": {"Message": 1}}]}
    for event in (*map(bounce, [mail.message_id for mail in mails]), broken):
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(event))
    output = replay(endpoint)
    assert [endpoint.row(mail.message_id)["status"] for mail in mails] == ["bounced"] * 3
    assert output.count("failed again") == 1
    assert left(endpoint) == 1
    sqs.purge_queue(QueueUrl=url)


def bounce(message_id: str) -> dict[str, Any]:
    """Return an event as EventBridge invokes the function with it."""
    mail = {"messageId": message_id, "tags": {"message_id": [message_id]}}
    bounce = {"bounceType": "Permanent", "bounceSubType": "NoEmail", "feedbackId": message_id}
    return {
        "source": "aws.ses",
        "detail-type": "Email Bounced",
        "detail": {"eventType": "Bounce", "mail": mail, "bounce": bounce},
    }
