"""POST /webhooks/{source}[/{tenant}]: put the messages of a request on their queues, and answer 200 once stored."""

import os
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger

from mailroom import telemetry
from mailroom.aws.client import Aws
from mailroom.aws.metrics import Metrics
from mailroom.aws.queue import Queue
from mailroom.model.message import Parcel
from mailroom.request import request_id
from mailroom.settings import Settings
from mailroom.sources import registry
from mailroom.sources.endpoint import Endpoint

LOGTO = "logto"  # has routes of its own, without a path parameter for the source


def build(aws: Aws, logger: Logger, metrics: Metrics) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the handler of one process."""
    settings, queue = Settings.from_env(aws), Queue.from_env(aws)
    endpoint = Endpoint.from_env(registry.NAMES, settings)
    registry.load(LOGTO)  # at init, where Lambda gives a whole processor; the others when their route is called

    @logger.inject_lambda_context
    @metrics.log_metrics
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        logger.append_keys(request_id=request_id(event))
        source = (event.get("pathParameters") or {}).get("source", LOGTO)
        reply = endpoint.respond(event, source, lambda message: queue.put(Parcel.of(message)))
        telemetry.log_received(logger, metrics, reply)
        telemetry.log_stale_settings(logger, metrics, settings)
        return reply.response

    return handler


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # at init; a test calls build() itself
    handler = build(Aws.from_env(), telemetry.new_logger(), Metrics())
