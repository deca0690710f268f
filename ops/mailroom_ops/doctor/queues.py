"""Check that the queues are moving, and that the dead-letter queues are empty."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from mailroom_ops.doctor import Context
from mailroom_ops.environment import aws_error
from mailroom_ops.finding import Finding, failed, ok

__all__ = ["check"]

MAX_AGE_SECONDS = {"Codes": 60, "Notices": 900}  # a code has somebody waiting for it
METRIC_WINDOW = timedelta(minutes=15)
COUNTS = {
    "waiting": "ApproximateNumberOfMessages",
    "in flight": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}


def check(context: Context) -> Iterator[Finding]:
    from botocore.exceptions import BotoCoreError, ClientError

    environment, outputs = context.environment, context.environment.outputs
    sqs = environment.client("sqs")
    try:
        for lane, max_age in MAX_AGE_SECONDS.items():
            url = outputs[f"{lane}QueueUrl"]
            age = None if environment.is_local else _age_of_oldest(context, url)
            yield _check_queue(lane.lower(), _counts(sqs, url), age, max_age)
            dead_letters = sum(_counts(sqs, outputs[f"{lane}DeadLetterQueueUrl"]).values())
            todo = f"List them: mailroom dlq list --env {environment.label}"
            yield _check_dead_letters(lane.lower(), dead_letters, todo)
        if outcomes_url := outputs.get("OutcomesDeadLetterQueueUrl"):
            todo = f"List them: mailroom dlq list --lane outcomes --env {environment.label}"
            yield _check_dead_letters("outcomes", sum(_counts(sqs, outcomes_url).values()), todo)
        if feedback_url := outputs.get("FeedbackDeadLetterQueueUrl"):
            todo = "Replay them with the script in docs/operations.md, under feedback-dead-letters."
            yield _check_dead_letters("feedback", sum(_counts(sqs, feedback_url).values()), todo)
    except (BotoCoreError, ClientError) as error:
        raise aws_error(error) from error


def _counts(sqs: Any, url: str) -> dict[str, int]:
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(COUNTS.values()))["Attributes"]
    return {word: int(attributes[name]) for word, name in COUNTS.items()}


def _check_queue(lane: str, counts: dict[str, int], age: float | None, max_age: int) -> Finding:
    subject = f"{lane} queue"
    state = ", ".join(f"{number} {word}" for word, number in counts.items())
    if age is None:
        return ok(subject, state)
    state += f"; the oldest message is {age:.0f} s old"
    if age > max_age:
        return failed(subject, state, "See the log and the concurrency of the function deliver.")
    return ok(subject, state)


def _age_of_oldest(context: Context, url: str) -> float | None:
    """Return the recent maximum age of the oldest message in seconds; None without data."""
    now = datetime.now(UTC)
    statistics = context.environment.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SQS",
        MetricName="ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": url.rpartition("/")[2]}],
        StartTime=now - METRIC_WINDOW,
        EndTime=now + timedelta(minutes=1),  # boto3 sends whole seconds
        Period=300,
        Statistics=["Maximum"],
    )
    return max((float(point["Maximum"]) for point in statistics["Datapoints"]), default=None)


def _check_dead_letters(queue: str, number: int, todo: str) -> Finding:
    subject = f"{queue} dead letters"
    return failed(subject, f"{number} undelivered", todo) if number else ok(subject, "none")
