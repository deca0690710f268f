"""Log lines and metrics of the functions: message ids, kinds, tenants, errors; never an address, a code or a link."""

import time
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from mailroom.aws.metrics import Metrics
from mailroom.errors import ConfigurationError, DeliveryError, RequestError, TemporaryFailure
from mailroom.model.message import Message
from mailroom.model.outcome import Outcome, Status
from mailroom.providers import kind_of

if TYPE_CHECKING:
    from mailroom.api.reply import Reply
    from mailroom.callbacks.notifier import Notification
    from mailroom.delivery.consumer import Result
    from mailroom.ledger.tally import Tally
    from mailroom.settings import Settings
    from mailroom.sources.endpoint import Reply as SourceReply

__all__ = [
    "COUNTED_AS",
    "flush_tally",
    "log_accepted",
    "log_failure",
    "log_notification",
    "log_received",
    "log_refusal",
    "log_reply",
    "log_result",
    "log_stale_settings",
    "new_logger",
]

NOT_IN_LINES = frozenset({"function_arn", "function_memory_size", "function_name", "location"})
HEADLINES = {
    Status.ACCEPTED: "Email not sent yet, will retry",
    Status.SENT: "Email sent successfully",
    Status.SKIPPED: "Email skipped",
    Status.FAILED: "Email failed",
    Status.UNKNOWN: "Email may have been sent: the provider did not confirm it",
}
COUNTED_AS = {
    Status.ACCEPTED: "Retried",
    Status.SENT: "Sent",
    Status.SKIPPED: "Skipped",
    Status.FAILED: "Failed",
    Status.UNKNOWN: "Unknown",
}
NOTIFICATION_HEADLINES = {
    "posted": "Outcome event posted",
    "retried": "Outcome event not accepted, will retry",
    "waiting": "Outcome event waits",
    "dead": "Outcome event given up: it is a dead letter",
    "dropped": "Outcome event dropped: its tenant takes none",
    "kept": "Outcome event stays on its queue",
}
UNQUEUED_EVENT = "Outcome event not queued yet"
STALE_SETTINGS = "Cached settings stay in use: they could not be read again"
WARNINGS = {
    "day_limit_near": "Near the limit: the tenant, or the stack, has sent 80 % of the mails that it may send today",
    "day_limit_reached": "Not sent: the tenant, or the stack, has sent as many mails as it may today",
    "shared_test_sender": "Sent from onboarding@resend.dev, which reaches only your own address and looks like spam: "
    "set senders/default/auth to an address on a domain of yours",
}


class _Formatter(LambdaPowertoolsFormatter):
    """Leaves out what the log group states, and the line of this file that logs: a third of a line."""

    def serialize(self, log: Any) -> str:
        return super().serialize({key: value for key, value in log.items() if key not in NOT_IN_LINES})


def new_logger() -> Logger:
    """Return the logger of a function."""
    return Logger(logger_formatter=_Formatter())


def log_result(logger: Logger, metrics: Metrics, result: "Result", started: float) -> None:
    """Log and count a message of an invocation: its outcome, or the reason why it will be received again."""
    if isinstance(result.error, DeliveryError):
        log_failure(logger, metrics, result.error, "Message goes back to its queue")
    elif result.error:
        log_crash(logger, metrics, result.error, "Message stays on its queue")
    elif result.message:
        log_outcome(logger, metrics, result.message, result.outcome, started)


def log_outcome(logger: Logger, metrics: Metrics, message: Message, outcome: Outcome | None, started: float) -> None:
    """Log and count the outcome of a delivery; None stands for a message that had its outcome before."""
    if outcome is None:
        return metrics.count("Repeated")
    now = time.time()
    facts = {
        "message_id": message.id,
        "tenant": message.tenant,
        "kind": message.kind,
        "status": outcome.status,
        "reason": outcome.reason,
        "provider": outcome.provider,
        "provider_id": outcome.provider_id,
        "duration_ms": round((now - started) * 1000),
        "retry_in": outcome.retry_in,
        "tries": [f"{t.provider}: {t.answer}{f' ({t.detail})' if t.detail else ''}" for t in outcome.tries],
    }
    is_expected = outcome.status in (Status.SENT, Status.SKIPPED) and outcome.reason != "email_not_configured"
    log = logger.info if is_expected else logger.warning
    log(HEADLINES[outcome.status], extra={name: value for name, value in facts.items() if value not in ("", None, [])})
    for warning in outcome.warnings:
        logger.warning(WARNINGS[warning], extra={"message_id": message.id, "tenant": message.tenant})
        if warning == "day_limit_near":
            metrics.count("DayLimitNear")
        elif warning == "day_limit_reached":
            metrics.count("DayLimitReached")
    for problem in outcome.problems:
        logger.error(
            "Tenant template not usable, built-in template used instead",
            extra={"tenant": message.tenant, "why": problem},
        )
        metrics.count("Misconfigured", {"reason": "template"})
    metrics.count(COUNTED_AS[outcome.status], _dimension(outcome))
    for attempt in outcome.tries:
        if attempt.error and issubclass(attempt.error, ConfigurationError):
            metrics.count("Misconfigured", {"provider": kind_of(attempt.provider)})
    if outcome.status is Status.SENT and not outcome.reason:  # a rescued mail was sent before
        metrics.add_duration("AcceptedToSent", (now - message.created_at) * 1000)


def _dimension(outcome: Outcome) -> Mapping[str, str]:
    match outcome.status:
        case Status.SENT:
            # By account, tenants with their own would cost six metrics each.
            return {"provider": kind_of(outcome.provider)}
        case Status.FAILED | Status.UNKNOWN if outcome.tries and (error := outcome.tries[-1].error):
            return {"class": error.category.lower()}
    return {"reason": outcome.reason}


def log_reply(logger: Logger, metrics: Metrics, reply: "Reply", *, records_codes: bool = False) -> None:
    """Log and count the reply to one send request, with its code or link only where `records_codes` is set."""
    message, error = reply.message, reply.error
    if isinstance(error, RequestError):
        logger.info("Refused", extra={"status": reply.status, "fields": reply.invalid_fields})
        metrics.count("Refused")
        error = error.__cause__ if isinstance(error.__cause__, DeliveryError) else None
    if isinstance(error, DeliveryError):
        log_failure(logger, metrics, error, "Request not completed: a dependency failed")
    elif error:
        log_crash(logger, metrics, error, "Request not completed: unexpected error")
    if message is None:
        return
    outcome = reply.outcome
    if outcome and (outcome.status is not Status.ACCEPTED or outcome.retry_in is not None):
        log_outcome(logger, metrics, message, outcome, reply.started)
    elif reply.error is None:
        facts = {"message_id": message.id, "tenant": message.tenant, "kind": message.kind}
        logger.info("Accepted" if outcome else "Idempotent replay", extra=facts | {"status": reply.body["status"]})
        metrics.count("Accepted" if outcome else "Repeated")
    if records_codes and reply.status >= 500:
        secret = {name: message.data[name] for name in ("code", "link") if message.data.get(name)}
        logger.warning("Code logged because RecordCodeOnFailure is enabled", extra={"message_id": message.id, **secret})


def log_received(logger: Logger, metrics: Metrics, reply: "SourceReply") -> None:
    """Log and count a request of a source: its messages, its refusal, or the failure of a dependency."""
    if isinstance(reply.error, RequestError):
        log_refusal(logger, metrics, reply.error)
    elif reply.error:
        log_failure(logger, metrics, reply.error, "Message not queued: a dependency failed")
    else:
        log_accepted(logger, metrics, reply.messages, reply.source, reply.tenant)


def log_accepted(logger: Logger, metrics: Metrics, messages: Sequence[Message], source: str, tenant: str) -> None:
    """Log and count the messages of a request: none where there is nothing for us to send."""
    for message in messages:
        facts = {"message_id": message.id, "tenant": tenant, "kind": message.kind, "lane": message.lane}
        logger.info("Accepted", extra=facts)
        metrics.count("Accepted")
    if not messages:
        logger.info("Nothing to send: the request asks for no mail of ours", extra={"source": source, "tenant": tenant})
        metrics.count("Ignored")


def log_notification(logger: Logger, metrics: Metrics, notification: "Notification") -> None:
    """Log and count one event after a request to its endpoint, or instead of one."""
    event, status = notification.event, str(notification.status)
    facts = {
        "event_id": event.id if event else "",
        "event": event.type if event else "",
        "message_id": event.message_id if event else "",
        "tenant": event.tenant if event else "",
        "attempts": notification.attempts,
        "reason": notification.reason,
        "retry_in": round(notification.retry_in, 1) if notification.retry_in is not None else None,
    }
    headline = NOTIFICATION_HEADLINES[status]
    if isinstance(notification.error, DeliveryError):
        log_failure(logger, metrics, notification.error, headline)
    elif notification.error:
        log_crash(logger, metrics, notification.error, headline)
    log = logger.info if status in ("posted", "waiting", "dropped") else logger.warning
    log(headline, extra={name: value for name, value in facts.items() if value not in ("", None)})
    metrics.count(f"Callback{status.title()}")


def log_refusal(logger: Logger, metrics: Metrics, refusal: RequestError) -> None:
    """Log and count a request that was refused; the reason is for the log alone."""
    facts = {"status": refusal.status, "sentence": refusal.sentence, "reason": refusal.reason}
    logger.info("Refused", extra={name: value for name, value in facts.items() if value})
    metrics.count("Refused")


def log_failure(logger: Logger, metrics: Metrics, error: DeliveryError, headline: str) -> None:
    """Log and count the failure of a dependency."""
    logger.error(headline, extra={"party": error.party, "code": error.code, "detail": error.detail})
    metrics.count(error.category)


def flush_tally(logger: Logger, metrics: Metrics, tally: "Tally") -> None:
    """Write the counters that are due; they stay in memory while the ledger fails."""
    try:
        tally.flush_if_due()
    except DeliveryError as error:
        log_failure(logger, metrics, error, "Statistics not written yet")


def log_stale_settings(logger: Logger, metrics: Metrics, settings: "Settings") -> None:
    """Log each failure that mail goes on after: of a read of settings, or of an outcome event's queue."""
    for error in settings.take_failures():
        headline = UNQUEUED_EVENT if error.party == "sqs" else STALE_SETTINGS
        if isinstance(error, TemporaryFailure):
            logger.warning(headline, extra={"party": error.party, "code": error.code})
        else:
            log_failure(logger, metrics, error, headline)


def log_crash(logger: Logger, metrics: Metrics, error: Exception, headline: str) -> None:
    """Log and count an unexpected error: its type and traceback, not its text, which may quote a mail."""
    where = traceback.format_tb(error.__traceback__)
    logger.error(headline, extra={"error": type(error).__name__, "where": where})
    metrics.count("Crashed")
