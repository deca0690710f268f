"""SQS: deliver the messages of one invocation, each with an outcome, a later attempt, or a place on its queue."""

import os
import time
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger

from mailroom import telemetry
from mailroom.aws.client import Aws
from mailroom.aws.metrics import Metrics
from mailroom.delivery.consumer import Consumer
from mailroom.delivery.deliver import Delivery


def build(delivery: Delivery, logger: Logger, metrics: Metrics) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the handler of one process."""

    @logger.inject_lambda_context
    @metrics.log_metrics
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        started, failures = time.time(), []
        deadline = started + context.get_remaining_time_in_millis() / 1000
        try:
            consumer = Consumer(delivery, deadline)
            for result in consumer.consume(event["Records"]):
                if result.kept:
                    failures.append({"itemIdentifier": result.record_id})
                telemetry.log_result(logger, metrics, result, started)
            if not consumer.is_outage:
                telemetry.flush_tally(logger, metrics, delivery.ledger.tally)
        finally:
            telemetry.log_stale_settings(logger, metrics, delivery.settings)
        return {"batchItemFailures": failures}

    return handler


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # at init; a test calls build() itself
    handler = build(Delivery.from_env(Aws.from_env()), telemetry.new_logger(), Metrics())
