"""Lambda's Invoke API, so that a client made with `boto3.client("lambda", endpoint_url=…)` works.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

import base64
import json
import re
import threading
import uuid
from collections.abc import Mapping

from mailroom_ops.local.functions import Function
from mailroom_ops.local.runtime_api import InvocationResult
from mailroom_ops.web.server import Request, Response

__all__ = ["InvokeApi"]

PATH = re.compile(r"/2015-03-31/functions/(?P<name>.+)/invocations")
PAYLOAD_LIMIT = 6 * 1024 * 1024
ASYNC_PAYLOAD_LIMIT = 1024 * 1024
RETRY_SECONDS = (60.0, 120.0)  # before the two retries of a failed asynchronous event
TAIL_BYTES = 4096


class InvokeApi:
    """Invokes a function by its folder name, its deployed name or its ARN."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self._by_name: dict[str, Function] = {}
        self._stopping = threading.Event()
        for name, function in functions.items():
            for alias in (name, function.spec.deployed_name, function.spec.arn):
                self._by_name[alias] = function

    def find(self, name: str) -> Function | None:
        """Return the function with a name, which may have a qualifier."""
        plain = name.removesuffix(":$LATEST").removesuffix(":live")
        return self._by_name.get(plain) or self._by_name.get(plain.rpartition(":function:")[2])

    def answer(self, request: Request) -> Response | None:
        """Return the response to a request; None for a path outside this API."""
        match = PATH.fullmatch(request.path)
        if not match:
            return None
        function = self.find(match["name"])
        if function is None:
            names = ", ".join(name for name in self._by_name if ":" not in name)
            return _error(404, "ResourceNotFoundException", f"Function not found: {match['name']}. Use one of {names}")
        if request.method != "POST":
            return _error(405, "InvalidRequestContentException", "Invoke a function with POST.")
        return self._invoke(function, request)

    def stop(self) -> None:
        self._stopping.set()

    def _invoke(self, function: Function, request: Request) -> Response:
        event = request.body or b"{}"
        try:
            json.loads(event)
        except ValueError as error:
            return _error(400, "InvalidRequestContentException", f"Could not parse request body into json: {error}")
        match request.header("x-amz-invocation-type") or "RequestResponse":
            case "DryRun":
                return _answer(204)
            case "Event":
                if len(event) > ASYNC_PAYLOAD_LIMIT:
                    return _error(413, "RequestEntityTooLargeException", "The limit of an asynchronous event is 1 MB.")
                threading.Thread(target=self._run_asynchronously, args=(function, event), daemon=True).start()
                return _answer(202)
            case "RequestResponse":
                if len(event) > PAYLOAD_LIMIT:
                    return _error(413, "RequestEntityTooLargeException", "The limit of an event is 6 MB.")
                result = function.invoke(event)
                return _answer(200, result, tail=request.header("x-amz-log-type") == "Tail")
        return _error(
            400, "InvalidParameterValueException", "X-Amz-Invocation-Type: use RequestResponse, Event or DryRun."
        )

    def _run_asynchronously(self, function: Function, event: bytes) -> None:
        for pause in (*RETRY_SECONDS, None):
            if not function.invoke(event).failed or pause is None or self._stopping.wait(pause):
                return


def _answer(status: int, result: InvocationResult | None = None, *, tail: bool = False) -> Response:
    headers = {
        "x-amzn-requestid": str(uuid.uuid4()),
        "x-amz-executed-version": "$LATEST",
        "content-type": "application/json",
    }
    if result and result.failed:
        headers["x-amz-function-error"] = "Unhandled"
    if result and tail:
        headers["x-amz-log-result"] = base64.b64encode(result.log.encode()[-TAIL_BYTES:]).decode()
    return Response(status, result.payload if result else b"", tuple(headers.items()))


def _error(status: int, kind: str, message: str) -> Response:
    headers = {"x-amzn-errortype": kind, "x-amzn-requestid": str(uuid.uuid4()), "content-type": "application/json"}
    return Response(
        status, json.dumps({"Type": "User", "Message": message, "message": message}).encode(), tuple(headers.items())
    )
