"""What became of a mail: POST /feedback/{provider}[/{secret}] from providers, or SES through SNS and EventBridge."""

import time
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from mailroom import feedback, telemetry
from mailroom.aws.client import Aws
from mailroom.errors import DeliveryError, RequestError
from mailroom.feedback import Unauthenticated, ses
from mailroom.feedback.intake import Intake
from mailroom.model.event import Report
from mailroom.request import Request, answer, refuse

logger, metrics, aws = Logger(), Metrics(), Aws.from_env()
intake = Intake.from_env(aws)


@metrics.log_metrics
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    if "requestContext" not in event:  # IAM authenticated the caller; what fails, Lambda retries twice, then keeps it
        return {"events": take(Report(ses.from_aws(event, time.time())))}
    try:
        return answer(200, {"events": take(feedback.read(Request.from_event(event), intake.settings))})
    except RequestError as refusal:
        reason = {"reason": refusal.reason} if isinstance(refusal, Unauthenticated) else {}
        logger.info("Refused", extra={"status": refusal.status, "sentence": refusal.sentence} | reason)
        metrics.add_metric("Refused", MetricUnit.Count, 1)
        return refuse(refusal.status, refusal.sentence)
    except DeliveryError as error:
        telemetry.failed(logger, metrics, error, "Not taken in: something that feedback depends on did not do its part")
        return refuse(503, "This report could not be taken in. Please send it again.")


def take(report: Report) -> int:
    events = telemetry.heard(logger, metrics, intake.take(report))
    telemetry.tallied(logger, metrics, intake.ledger.tally)
    return events
