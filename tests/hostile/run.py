"""Runs hostile requests through the handlers, and checks each reply and each log line."""

import io
import json
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from functions.feedback.app import build as build_feedback
from functions.link.app import build as build_link
from functions.rendered.app import build as build_rendered
from functions.send.app import build as build_send
from functions.webhook.app import build as build_webhook
from mailroom.api.service import SendService
from mailroom.feedback.intake import Intake
from tests.hostile.requests import CANARY, HostileRequest, generate
from tests.hostile.surroundings import MemoryAws, surroundings
from tests.lambda_function import LambdaFunction

__all__ = ["Result", "hostile"]

CLEARED_AFTER = 2000  # requests: then the ledger forgets, so that memory stays bounded
FORBIDDEN = (CANARY, "Traceback")


@dataclass(slots=True)
class Result:
    """The counts so far, and each broken rule with the number of its request."""

    requests: int = 0
    log_lines: int = 0
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def hostile(seed: int, first: int, count: int) -> Iterator[Result]:
    """Run requests; yield the result so far after each."""
    result, metrics = Result(), io.StringIO()
    with surroundings() as aws:
        functions = _functions(aws)
        for number in range(first, first + count):
            if result.requests % CLEARED_AFTER == 0:
                aws.clear()
            request = generate(seed, number)
            log = functions[request.function].log
            with redirect_stdout(metrics):  # Powertools prints them
                status, problem = _status(functions[request.function], request)
            lines = log.getvalue() + metrics.getvalue()
            for stream in (log, metrics):
                stream.seek(0)
                stream.truncate()
            result.requests += 1
            result.log_lines += lines.count("\n")
            result.statuses[request.function, status] += 1
            leaks = [line for line in lines.splitlines() for word in FORBIDDEN if word in line.lower() or word in line]
            for found in filter(None, [problem, *leaks]):
                result.problems.append(f"request {number} of seed {seed}, {request.function}: {found[:500]}")
            yield result


def _functions(aws: MemoryAws) -> dict[str, LambdaFunction]:
    service = SendService.from_env(aws)
    service.delivery.dispatch.sleep = lambda seconds: None
    builders = {
        "webhook": partial(build_webhook, aws),
        "rendered": partial(build_rendered, aws),
        "send": partial(build_send, service),
        "feedback": partial(build_feedback, Intake.from_env(aws)),
        "link": partial(build_link, aws),
    }
    return {name: LambdaFunction(build, aws) for name, build in builders.items()}


def _status(function: LambdaFunction, request: HostileRequest) -> tuple[int, str]:
    """Return the status of the reply (0 without one), and what is wrong with it."""
    try:
        reply: Any = function(request.event)
        text = json.dumps(reply)
    except Exception:  # noqa: BLE001 - it is what this looks for
        return 0, f"raises {traceback.format_exc(limit=-3)}"
    if not request.is_http:
        return 0, text if "Mailroom is not available" in text or '"crashed"' in text else ""
    status = reply["statusCode"]
    if not (200 <= status < 300 or 400 <= status < 500):
        return status, f"status {status}: {text}"
    if request.function != "send" and CANARY in text:  # send names unknown fields to their caller
        return status, f"the reply repeats the request: {text}"
    return status, ""
