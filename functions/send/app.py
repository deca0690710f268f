"""The door of an auth service: `lambda invoke`, or POST /v1/emails[/batch] and GET /v1/emails/{id} with an API key."""

import os
import time
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from mailroom import telemetry
from mailroom.api import routes
from mailroom.api.service import SendService
from mailroom.aws.client import Aws
from mailroom.delivery.deliver import Delivery
from mailroom.request import answer

logger, metrics, aws = Logger(), Metrics(), Aws.from_env()
service = SendService(Delivery.from_env(aws), float(os.environ["CODE_LIFETIME_MINUTES"]) * 60)
# The template says so for development only; a variable can be set by hand.
records_codes = os.environ.get("RECORD_CODE_ON_FAILURE") == "true" and os.environ["ENVIRONMENT"] == "development"


@metrics.log_metrics
def handler(event: Any, context: Any) -> Any:
    metrics.add_metric("Asked", MetricUnit.Count, 1)
    deadline = time.time() + context.get_remaining_time_in_millis() / 1000
    is_http = routes.is_http(event)
    if is_http and event["routeKey"] == "GET /openapi.json":
        from mailroom.api.openapi import document

        return answer(200, document(), {"cache-control": "public, max-age=300"})
    reply = routes.requested(service, event, deadline) if is_http else routes.invoked(service, event, deadline)
    for part in reply.parts or (reply,):
        telemetry.answered(logger, metrics, part, records_codes=records_codes)
    telemetry.tallied(logger, metrics, service.delivery.ledger.tally)
    return answer(reply.status, reply.body, reply.headers) if is_http else reply.body
