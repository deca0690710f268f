"""Take a batch from a queue and deliver each parcel; what could not be settled goes back or stays for later."""

import os
import time
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger, Metrics

from mailroom import telemetry
from mailroom.aws import Aws
from mailroom.delivery import Delivery
from mailroom.dispatch import Dispatch
from mailroom.errors import SendError
from mailroom.ledger import Ledger
from mailroom.message import Parcel
from mailroom.queue import Queue
from mailroom.rendering import Renderer
from mailroom.settings import Settings

logger, metrics, aws = Logger(), Metrics(), Aws.from_env()
settings, queue = Settings.from_env(aws), Queue.from_env(aws)
renderer = Renderer(Path(os.environ["TEMPLATES_DIR"]))
delivery = Delivery(settings, Ledger(aws, os.environ["TABLE_NAME"]), queue, renderer, Dispatch(settings))


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    deadline = time.time() + context.get_remaining_time_in_millis() / 1000
    return {
        "batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in event["Records"] if not settle(r, deadline)]
    }


def settle(record: dict[str, Any], deadline: float) -> bool:
    started = time.time()
    try:
        parcel = Parcel.from_json(record["body"])
        outcome = delivery.deliver(parcel, deadline)
    except SendError as error:
        telemetry.failed(logger, metrics, error, "Parcel stays on its queue")
        queue.postpone(record["eventSourceARN"], record["receiptHandle"], error.retry_after or 5)
        return False
    except Exception as error:  # noqa: BLE001 - one poisonous parcel must not hold up the nine beside it
        telemetry.crashed(logger, metrics, error, "Parcel stays on its queue")
        return False
    telemetry.finished(logger, metrics, parcel.message, outcome, started)
    return True
