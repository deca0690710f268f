"""The API of an auth service: `lambda invoke`, or POST /v1/emails[/batch] and GET /v1/emails/{id} with an API key."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger

from mailroom import telemetry
from mailroom.api import routes
from mailroom.api.service import SendService
from mailroom.aws.client import Aws
from mailroom.aws.metrics import Metrics
from mailroom.request import json_response, request_id

OPENAPI = Path(__file__).with_name("openapi.json")  # python -m mailroom.api.openapi makes it


def build(service: SendService, logger: Logger, metrics: Metrics) -> Callable[[Any, Any], dict[str, Any]]:
    """Return the handler of one process."""
    # The template enables it for development only; a variable can be set by hand.
    is_development = os.environ["ENVIRONMENT"] == "development"
    records_codes = is_development and os.environ.get("RECORD_CODE_ON_FAILURE") == "true"

    @logger.inject_lambda_context
    @metrics.log_metrics
    def handler(event: Any, context: Any) -> dict[str, Any]:
        deadline = service.clock() + context.get_remaining_time_in_millis() / 1000
        is_http = routes.is_http(event)
        logger.append_keys(request_id=request_id(event) if is_http else None)
        metrics.count("Asked")
        if is_http and event["routeKey"] == "GET /openapi.json":
            return json_response(200, OPENAPI.read_text(encoding="utf-8"), {"cache-control": "public, max-age=300"})
        reply = routes.respond(service, event, deadline)
        for part in reply.parts or (reply,):
            telemetry.log_reply(logger, metrics, part, records_codes=records_codes)
        telemetry.log_stale_settings(logger, metrics, service.delivery.settings)
        telemetry.flush_tally(logger, metrics, service.delivery.ledger.tally)
        return json_response(reply.status, reply.body, reply.headers) if is_http else dict(reply.body)

    return handler


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # at init; a test calls build() itself
    handler = build(SendService.from_env(Aws.from_env()), telemetry.new_logger(), Metrics())
