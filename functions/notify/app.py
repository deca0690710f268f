"""SQS: post the outcome events of one invocation to the endpoints of their tenants."""

import os
import time
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger

from mailroom import telemetry
from mailroom.aws.client import Aws
from mailroom.aws.metrics import Metrics
from mailroom.callbacks.notifier import Notifier, PostStatus


def build(notifier: Notifier, logger: Logger, metrics: Metrics) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the handler of one process."""

    @logger.inject_lambda_context
    @metrics.log_metrics
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        deadline, failures = time.time() + context.get_remaining_time_in_millis() / 1000, []
        try:
            for notification in notifier.process(event["Records"], deadline):
                telemetry.log_notification(logger, metrics, notification)
                if notification.status is PostStatus.KEPT:
                    failures.append({"itemIdentifier": notification.record_id})
        finally:
            telemetry.log_stale_settings(logger, metrics, notifier.settings)
        return {"batchItemFailures": failures}

    return handler


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # at init; a test calls build() itself
    handler = build(Notifier.from_env(Aws.from_env()), telemetry.new_logger(), Metrics())
