"""One process of a function, as Lambda runs it: a handler that is invoked with a context and writes a log."""

import io
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools import Logger

from mailroom.aws.client import Aws
from mailroom.aws.metrics import Metrics

__all__ = ["Context", "LambdaFunction"]

Handler = Callable[[Any, Any], Any]


class Context:
    """The context of an invocation: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html."""

    function_name = "mailroom-test"
    memory_limit_in_mb = "512"
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:mailroom-test"

    def __init__(self, seconds_left: float = 20.0) -> None:
        self.aws_request_id = str(uuid.uuid4())
        self.seconds_left = seconds_left

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds_left * 1000)


class LambdaFunction:
    """A new process of a function, from the `build` of its app.py. Call it with an event."""

    def __init__(self, build: Callable[[Logger, Metrics], Handler], aws: Aws) -> None:
        self.aws = aws
        self.log = io.StringIO()
        self.seconds_left = 20.0
        self._handler = build(Logger(service=f"test-{uuid.uuid4()}", stream=self.log), Metrics())

    def __call__(self, event: Any) -> Any:
        return self._handler(event, Context(self.seconds_left))

    def logged(self, message: str = "") -> list[dict[str, Any]]:
        """Return the log lines so far, or those with one message."""
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if message in ("", line["message"])]

    def record_calls(self) -> list[str]:
        """Return a list that grows with each call to AWS from now on."""
        calls: list[str] = []
        call = self.aws.call

        def recorded(service: str, operation: str, payload: Mapping[str, Any], **options: Any) -> dict[str, Any]:
            calls.append(f"{service} {operation}")
            return call(service, operation, payload, **options)

        self.aws.call = recorded  # type: ignore[method-assign]
        return calls
