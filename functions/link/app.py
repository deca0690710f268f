"""GET /l/{tenant}: the page to which the links of a tenant's mails lead (docs/links.md)."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger

from mailroom import telemetry
from mailroom.api.link_pages import LinkPages
from mailroom.aws.client import Aws
from mailroom.aws.metrics import Metrics
from mailroom.errors import DeliveryError, RequestError
from mailroom.request import request_id, text_response
from mailroom.settings import Settings


def build(aws: Aws, logger: Logger, metrics: Metrics) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the handler of one process."""
    settings = Settings.from_env(aws)
    pages = LinkPages(settings, Path(os.environ["TEMPLATES_DIR"]))

    @logger.inject_lambda_context
    @metrics.log_metrics
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        logger.append_keys(request_id=request_id(event))
        try:
            return pages.respond(event)
        except RequestError as refusal:
            telemetry.log_refusal(logger, metrics, refusal)
            return text_response(refusal.status, refusal.sentence, {"allow": "GET, HEAD"})
        except DeliveryError as error:
            telemetry.log_failure(logger, metrics, error, "Page not shown: a dependency failed")
            return text_response(503, "This page cannot be shown right now. Please try again in a minute.")
        finally:
            telemetry.log_stale_settings(logger, metrics, settings)

    return handler


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # at init; a test calls build() itself
    handler = build(Aws.from_env(), telemetry.new_logger(), Metrics())
