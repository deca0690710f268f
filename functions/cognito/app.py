"""Amazon Cognito's CustomEmailSender: decrypt the code of an event, and put its message on a queue.

Cognito does not wait for the answer. A failed event is raised, so that Lambda repeats it, and keeps it in the end.
"""

import os
import time
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger

from mailroom import telemetry
from mailroom.aws.client import Aws
from mailroom.aws.encryption import Decrypted, Decryptor
from mailroom.aws.metrics import Metrics
from mailroom.aws.queue import Queue
from mailroom.errors import DeliveryError, RequestError
from mailroom.model.message import Parcel
from mailroom.sources import cognito


def build(
    aws: Aws, decrypt: Callable[[str], Decrypted], logger: Logger, metrics: Metrics
) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the handler of one process."""
    queue, tenant = Queue.from_env(aws), os.environ["TENANT"]
    code_lifetime = float(os.environ["CODE_LIFETIME_MINUTES"]) * 60

    @logger.inject_lambda_context
    @metrics.log_metrics
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        facts: dict[str, Any] = {"tenant": tenant, "now": time.time(), "code_lifetime": code_lifetime}
        try:
            message = cognito.message_of(event, context.aws_request_id, decrypt, **facts)
            queue.put(Parcel.of(message))
        except RequestError as refusal:
            telemetry.log_refusal(logger, metrics, refusal)
            raise
        except DeliveryError as error:
            telemetry.log_failure(logger, metrics, error, "Message not queued: a dependency failed")
            raise
        telemetry.log_accepted(logger, metrics, [message], "cognito", tenant)
        return event

    return handler


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # at init; a test calls build() itself
    handler = build(Aws.from_env(), Decryptor.from_env().decrypt, telemetry.new_logger(), Metrics())
