"""Take a batch from a queue and deliver each parcel; what could not be settled goes back or stays for later."""

import time
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from mailroom import telemetry
from mailroom.aws.client import Aws
from mailroom.delivery.batches import Batcher
from mailroom.delivery.deliver import Delivery
from mailroom.errors import DeliveryError

logger, metrics, aws = Logger(), Metrics(), Aws.from_env()
delivery = Delivery.from_env(aws)
packing = Batcher(delivery)


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    deadline = time.time() + context.get_remaining_time_in_millis() / 1000
    records = packing.pack(event["Records"])
    failures = [{"itemIdentifier": record["messageId"]} for record in records if not settle(record, deadline)]
    with telemetry.tolerate(logger, metrics, "Statistics not written yet"):
        delivery.ledger.tally.flush()
    metrics.add_metric("Packed", MetricUnit.Count, len(event["Records"]) - len(records))
    return {"batchItemFailures": failures}


def settle(record: Mapping[str, Any], deadline: float) -> bool:
    started = time.time()
    try:
        for message, outcome in packing.deliver(record["body"], deadline):
            telemetry.log_outcome(logger, metrics, message, outcome, started)
    except DeliveryError as error:
        telemetry.log_failure(logger, metrics, error, "Parcel stays on its queue")
        delivery.queue.postpone(record["eventSourceARN"], record["receiptHandle"], error.retry_after or 1)
        return False
    except Exception as error:  # noqa: BLE001 - one poisonous parcel must not hold up the nine beside it
        telemetry.log_crash(logger, metrics, error, "Parcel stays on its queue")
        return False
    return True
