"""POST /feedback/{provider}[/{secret}] from providers, and SES through SNS and EventBridge: record delivery reports."""

import os
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger

from mailroom import feedback, telemetry
from mailroom.aws.client import Aws
from mailroom.aws.metrics import Metrics
from mailroom.errors import DeliveryError, RequestError
from mailroom.feedback import ses
from mailroom.feedback.intake import Intake
from mailroom.feedback.log import log_events
from mailroom.model.event import Report
from mailroom.request import Request, json_response, request_id, text_response


def build(intake: Intake, logger: Logger, metrics: Metrics) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the handler of one process."""

    @logger.inject_lambda_context
    @metrics.log_metrics
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        logger.append_keys(request_id=request_id(event))
        try:
            if "requestContext" in event:
                return respond(event)
            # IAM has authenticated the caller. A failed event is raised: Lambda repeats it twice, then keeps it.
            return {"events": record(Report(ses.from_aws(event, intake.clock())))}
        finally:
            telemetry.log_stale_settings(logger, metrics, intake.settings)

    def respond(event: dict[str, Any]) -> dict[str, Any]:
        try:
            return json_response(200, {"events": record(feedback.read(Request.from_event(event), intake.settings))})
        except RequestError as refusal:
            telemetry.log_refusal(logger, metrics, refusal)
            return text_response(refusal.status, refusal.sentence)
        except DeliveryError as error:
            telemetry.log_failure(logger, metrics, error, "Report not recorded: a dependency failed")
            return text_response(503, "This report could not be recorded. Please send it again.")

    def record(report: Report) -> int:
        count = log_events(logger, metrics, intake.process(report))
        telemetry.flush_tally(logger, metrics, intake.ledger.tally)
        return count

    return handler


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # at init; a test calls build() itself
    handler = build(Intake.from_env(Aws.from_env()), telemetry.new_logger(), Metrics())
