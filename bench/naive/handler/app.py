"""The sum of the tutorials: one function that takes Logto's request, renders it and sends it at once."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import boto3
import resend
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Header
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.typing import LambdaContext
from jinja2 import Environment, FileSystemLoader
from pydantic import BaseModel

ROOT = "/mailroom/development"
logger, tracer, metrics = Logger(), Tracer(), Metrics()
app = APIGatewayHttpResolver(enable_validation=True)
sqs = boto3.client("sqs")
store = DynamoDBPersistenceLayer(table_name=os.environ["TABLE_NAME"])
config = IdempotencyConfig(event_key_jmespath="[to, type, payload.code]", expires_after_seconds=60)
templates = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)


class Webhook(BaseModel):
    """Logto's request."""

    to: str
    type: str
    payload: dict[str, Any] = {}


@app.post("/webhooks/logto")
@tracer.capture_method
def logto(webhook: Webhook, authorization: Annotated[str, Header()]) -> Response[dict[str, str]]:
    if authorization != parameters.get_parameter(f"{ROOT}/webhooks/logto/authorization", decrypt=True):
        return Response(401, body={"message": "unauthorized"})
    metrics.add_metric("Accepted", MetricUnit.Count, 1)
    return Response(200, body=send(webhook=webhook.model_dump()))


@tracer.capture_method
@idempotent_function(data_keyword_argument="webhook", persistence_store=store, config=config)
def send(webhook: dict[str, Any]) -> dict[str, str]:
    resend.api_key = parameters.get_parameter(f"{ROOT}/providers/resend/api_key", decrypt=True)
    resend.api_url = os.environ.get("RESEND_API_URL", resend.api_url)
    html = templates.get_template("sign-in.html").render(webhook["payload"])
    mail: resend.Emails.SendParams = {
        "from": "Acme <no-reply@example.com>",
        "to": [webhook["to"]],
        "subject": "Your sign-in code",
        "html": html,
    }
    try:
        return {"message_id": resend.Emails.send(mail)["id"]}
    except resend.exceptions.ResendError:
        logger.exception("Sending failed, queueing")
        sqs.send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=json.dumps(mail))
        return {"message_id": "queued"}


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
