"""POST /webhooks/logto[/{tenant}]: take what Logto wants said, and answer 200 once it is durably ours."""

import os
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from mailroom import telemetry
from mailroom.aws.client import Aws
from mailroom.aws.queue import Queue
from mailroom.errors import DeliveryError, RequestError
from mailroom.model.message import Parcel
from mailroom.request import AllowedNetworks, Request, answer, refuse
from mailroom.settings import Settings
from mailroom.sources import logto

logger, metrics, aws = Logger(), Metrics(), Aws.from_env()
settings, queue = Settings.from_env(aws), Queue.from_env(aws)
code_lifetime = float(os.environ["CODE_LIFETIME_MINUTES"]) * 60
allowed = AllowedNetworks.parse("AllowedSourceCidrs", os.environ.get("ALLOWED_SOURCE_CIDRS", ""))


@metrics.log_metrics
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    try:
        request = Request.from_event(event)
        request.require_post()
        allowed.require(request.source_ip)
        tenant = logto.authenticate(request, settings)
        message = logto.parse(request, tenant, code_lifetime)
        queue.put(Parcel.of(message))
    except RequestError as refusal:
        logger.info("Refused", extra={"status": refusal.status, "sentence": refusal.sentence})
        metrics.add_metric("Refused", MetricUnit.Count, 1)
        return refuse(refusal.status, refusal.sentence)
    except DeliveryError as error:
        telemetry.failed(logger, metrics, error, "Not accepted: something the webhook depends on did not do its part")
        return refuse(503, "Email could not be sent. Please try again.")
    said = {"message_id": message.id, "tenant": tenant, "kind": message.kind, "lane": message.lane}
    logger.info("Accepted", extra=said)
    metrics.add_metric("Accepted", MetricUnit.Count, 1)
    return answer(200, {"message_id": message.id, "status": "accepted"})
