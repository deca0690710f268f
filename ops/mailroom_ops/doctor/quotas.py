"""Check the quotas of the AWS account that a burst of mail meets first, with what to request.

SES's own quotas are in the area `providers`.
"""

from collections.abc import Callable, Iterator
from typing import Any

from mailroom_ops.doctor import Context
from mailroom_ops.environment import aws_error
from mailroom_ops.finding import Finding, ok, warning

__all__ = ["check"]

HIGH_THROUGHPUT = "/ssm/parameter-store/high-throughput-enabled"
SPARE_CONCURRENCY = 20  # for webhook, send and feedback, beside the batches that deliver may send at a time
WRITES_PER_MAIL = 8  # docs/cost.md
BATCHES = {"CodesConcurrency": "20", "NoticesConcurrency": "4"}  # parameters of the stack, with their defaults
LAMBDA_QUOTA = "aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384"


def check(context: Context) -> Iterator[Finding]:
    if context.environment.is_local:
        yield ok("quotas", "there are none on this machine")
        return
    parameters = {p["ParameterKey"]: p["ParameterValue"] for p in context.environment.stack.get("Parameters", [])}
    for part in (_check_concurrency, _check_api, _check_parameter_store, _check_ledger):
        yield from _tolerate(part, context, parameters)


def _tolerate(
    part: Callable[[Context, dict[str, str]], Finding], context: Context, parameters: dict[str, str]
) -> Iterator[Finding]:
    """Yield the finding of a check; a quota that this operator may not read is no failure."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield part(context, parameters)
    except (BotoCoreError, ClientError) as error:
        problem = aws_error(error)
        yield warning("quotas", problem.sentence, problem.todo)


def _check_concurrency(context: Context, parameters: dict[str, str]) -> Finding:
    limits = context.environment.client("lambda").get_account_settings()["AccountLimit"]
    total, free = int(limits["ConcurrentExecutions"]), int(limits["UnreservedConcurrentExecutions"])
    batches = sum(int(parameters.get(name, default)) for name, default in BATCHES.items())
    needed = batches + SPARE_CONCURRENCY
    subject, state = "Lambda concurrency", f"{total:,} executions at a time, of which {free:,} are not reserved"
    if free >= needed:
        return ok(subject, state)
    todo = (
        f"Deliver may take {batches}, and the webhook waits meanwhile. Request 1,000: {LAMBDA_QUOTA} --desired-value "
        f"1000. Until then, lower CodesConcurrency, or set WebhookReservedConcurrency."
    )
    return warning(subject, state, todo)


def _check_api(context: Context, parameters: dict[str, str]) -> Finding:
    limits: Any = context.environment.client("apigateway").get_account().get("throttleSettings", {})
    rate, own = float(limits.get("rateLimit", 0)), float(parameters.get("RequestsPerSecond", "500"))
    subject, state = (
        "API Gateway",
        f"{rate:,.0f} requests a second in this region; a route of ours lets through {own:,.0f}",
    )
    if rate >= own:
        return ok(subject, state)
    return warning(subject, state, "Request a higher throttle rate for API Gateway, or lower RequestsPerSecond.")


def _check_parameter_store(context: Context, parameters: dict[str, str]) -> Finding:
    setting = context.environment.client("ssm").get_service_setting(SettingId=HIGH_THROUGHPUT)["ServiceSetting"]
    subject = "parameter store"
    if setting["SettingValue"] == "true":
        return ok(subject, "high throughput is on")
    state = "40 calls a second, shared by all of the account: as many instances can start at once"
    if not context.environment.is_production:
        return ok(subject, state)
    todo = f"aws ssm update-service-setting --setting-id {HIGH_THROUGHPUT} --setting-value true (charged by the call)"
    return warning(subject, state, todo)


def _check_ledger(context: Context, parameters: dict[str, str]) -> Finding:
    name = context.environment.outputs["LedgerTableName"]
    table: Any = context.environment.client("dynamodb").describe_table(TableName=name)["Table"]
    warm = int(table.get("WarmThroughput", {}).get("WriteUnitsPerSecond", 4_000))
    state = (
        f"{name} takes {warm:,} writes a second at once, about {warm // WRITES_PER_MAIL:,} mails; more after minutes"
    )
    return ok("ledger", state)
