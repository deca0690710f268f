"""POST /webhooks/logto[/{tenant}]: put a message on its queue, and answer 200 once it is stored there."""

import os
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from mailroom import telemetry
from mailroom.aws.client import Aws
from mailroom.aws.queue import Queue
from mailroom.errors import DeliveryError, RequestError
from mailroom.model.message import Parcel
from mailroom.request import AllowedNetworks, Request, json_response, request_id, text_response
from mailroom.settings import Settings
from mailroom.sources import logto


def build(aws: Aws, logger: Logger, metrics: Metrics) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the handler of one process."""
    settings, queue = Settings.from_env(aws), Queue.from_env(aws)
    code_lifetime = float(os.environ["CODE_LIFETIME_MINUTES"]) * 60
    allowed = AllowedNetworks.parse("AllowedSourceCidrs", os.environ.get("ALLOWED_SOURCE_CIDRS", ""))

    @logger.inject_lambda_context
    @metrics.log_metrics
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        logger.append_keys(request_id=request_id(event))
        try:
            request = Request.from_event(event)
            request.require_post()
            allowed.require(request.source_ip)
            tenant = logto.authenticate(request, settings)
            message = logto.parse(request, tenant, code_lifetime)
            queue.put(Parcel.of(message))
        except RequestError as refusal:
            telemetry.log_refusal(logger, metrics, refusal)
            return text_response(refusal.status, refusal.sentence)
        except DeliveryError as error:
            telemetry.log_failure(logger, metrics, error, "Message not queued: a dependency failed")
            return text_response(503, "Email could not be sent. Please try again.")
        finally:
            telemetry.log_stale_settings(logger, metrics, settings)
        facts = {"message_id": message.id, "tenant": tenant, "kind": message.kind, "lane": message.lane}
        logger.info("Accepted", extra=facts)
        metrics.add_metric("Accepted", MetricUnit.Count, 1)
        return json_response(200, {"message_id": message.id, "status": "accepted"})

    return handler


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # at init; a test calls build() itself
    handler = build(Aws.from_env(), Logger(), Metrics())
