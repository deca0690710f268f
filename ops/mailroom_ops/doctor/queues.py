"""Whether mail is moving, and nothing was given up."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from mailroom_ops.doctor import Case
from mailroom_ops.environment import aws_says
from mailroom_ops.finding import Finding, failed, ok

__all__ = ["check"]

# Seconds that a message may wait: on the codes lane, somebody does.
PATIENCE = {"Codes": 60, "Notices": 900}
LOOK_BACK = timedelta(minutes=15)


def check(case: Case) -> Iterator[Finding]:
    from botocore.exceptions import BotoCoreError, ClientError

    outputs = case.environment.outputs
    sqs = case.environment.client("sqs")
    try:
        for lane, patience in PATIENCE.items():
            yield _lane(case, lane, _counts(sqs, outputs[f"{lane}QueueUrl"]), patience)
            yield _dead(case, lane, _counts(sqs, outputs[f"{lane}DeadLetterQueueUrl"]))
    except (BotoCoreError, ClientError) as error:
        raise aws_says(error) from error


def _counts(sqs: Any, url: str) -> dict[str, int]:
    names = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    ]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return {name.removeprefix("ApproximateNumberOfMessages"): int(value) for name, value in found.items()}


def _lane(case: Case, lane: str, counts: dict[str, int], patience: int) -> Finding:
    subject = f"lane {lane.lower()}"
    age = None if case.environment.is_local else _age(case, lane)
    says = f"{counts['']} wait, {counts['NotVisible']} are being sent, {counts['Delayed']} are to be tried again later"
    if age is not None and age > patience:
        return failed(
            subject,
            f"the oldest message waits for {age:.0f} s; {says}",
            "See the log of the function deliver, and its concurrency.",
        )
    return ok(subject, says if age is None else f"the oldest message waited for {age:.0f} s; {says}")


def _age(case: Case, lane: str) -> float | None:
    """Return how long the oldest message waited at most, lately; None where CloudWatch knows nothing."""
    now = datetime.now(UTC)
    name = case.environment.outputs[f"{lane}QueueUrl"].rpartition("/")[2]
    found = case.environment.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SQS",
        MetricName="ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": name}],
        StartTime=now - LOOK_BACK,
        EndTime=now + timedelta(minutes=1),  # it is sent in whole seconds
        Period=300,
        Statistics=["Maximum"],
    )
    return max((float(point["Maximum"]) for point in found["Datapoints"]), default=None)


def _dead(case: Case, lane: str, counts: dict[str, int]) -> Finding:
    subject = f"dead letters {lane.lower()}"
    dead = sum(counts.values())
    if not dead:
        return ok(subject, "none")
    label = case.environment.label
    return failed(subject, f"{dead} could not be sent", f"See them: mailroom dlq list --env {label}")
