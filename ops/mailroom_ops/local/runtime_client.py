"""A pure Python Lambda runtime client, for systems without a wheel of awslambdaric, such as macOS.

usage: python -u -P -X utf8 runtime_client.py app.handler
"""

import http.client
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

PATH = "/2018-06-01/runtime"
Handler = Callable[[Any, "Context"], Any]


class Context:
    """The context object of an invocation.

    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
    """

    client_context = None
    identity = None
    tenant_id = None

    def __init__(self, request_id: str, arn: str, deadline_ms: int) -> None:
        self.aws_request_id = request_id
        self.invoked_function_arn = arn
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._deadline_ms = deadline_ms

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self._deadline_ms - int(time.time() * 1000))


class Api:
    """A connection to the Runtime API."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(address)

    def next(self) -> tuple[bytes, Context]:
        self._connection.request("GET", f"{PATH}/invocation/next")
        response = self._connection.getresponse()
        event = response.read()
        head = {name: response.headers[f"Lambda-Runtime-{name}"] for name in ("Aws-Request-Id", "Invoked-Function-Arn")}
        os.environ["_X_AMZN_TRACE_ID"] = response.headers.get("Lambda-Runtime-Trace-Id", "")
        deadline = int(response.headers["Lambda-Runtime-Deadline-Ms"])
        return event, Context(head["Aws-Request-Id"], head["Invoked-Function-Arn"], deadline)

    def post(self, path: str, value: Any) -> None:
        self._connection.request("POST", PATH + path, json.dumps(value).encode(), {"Content-Type": "application/json"})
        self._connection.getresponse().read()


def describe(error: BaseException, request_id: str = "") -> dict[str, Any]:
    """Log an error and return its description, both in Lambda's format."""
    frames = traceback.format_list(traceback.extract_tb(error.__traceback__)[1:])
    module = type(error).__module__
    name = type(error).__qualname__ if module == "builtins" else f"{module}.{type(error).__qualname__}"
    print(f"[ERROR] {name}: {error}\nTraceback (most recent call last):\n{''.join(frames)}", end="", flush=True)
    return {"errorMessage": str(error), "errorType": name, "requestId": request_id, "stackTrace": frames}


def find(name: str) -> Handler:
    module, _, attribute = name.rpartition(".")
    handler: Handler = getattr(importlib.import_module(module.replace("/", ".")), attribute)
    return handler


def main(name: str) -> None:
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    api = Api(os.environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        handler = find(name)
    except BaseException as error:  # noqa: BLE001 - Lambda gets every error of an import
        api.post("/init/error", describe(error))
        raise SystemExit(1) from None
    while True:
        event, context = api.next()
        path = f"/invocation/{context.aws_request_id}"
        try:
            result = handler(json.loads(event), context)
            json.dumps(result)
        except BaseException as error:
            api.post(f"{path}/error", describe(error, context.aws_request_id))
            if not isinstance(error, Exception):
                raise
        else:
            api.post(f"{path}/response", result)


if __name__ == "__main__":
    main(sys.argv[1])
