"""The single origin of the local stack: the console, the Invoke API and the routes of template.yaml."""

import traceback
from collections.abc import Callable, Sequence

from mailroom_ops.local.logs import Logs
from mailroom_ops.web.guard import reject_cross_origin
from mailroom_ops.web.server import Request, Response, refusal

__all__ = ["FrontDoor"]


LOCAL_PATHS = ("/", "/callbacks", "/docs", "/faults", "/gallery", "/inbox.json")
LOCAL_FOLDERS = ("/2015-03-31", "/callbacks", "/console", "/docs", "/faults", "/gallery")


class FrontDoor:
    """Dispatches a request to the first of `local_handlers` that answers it, or to the gateway.

    The stack's own paths are for this machine alone. The routes of the template accept any caller, as when deployed.
    """

    def __init__(
        self,
        local_handlers: Sequence[Callable[[Request], Response | None]],
        gateway: Callable[[Request], Response],
        logs: Logs,
    ) -> None:
        self._local_handlers = local_handlers
        self._gateway = gateway
        self._logs = logs

    def answer(self, request: Request) -> Response:
        try:
            if is_local(request):
                return self._answer_locally(request)
            return self._gateway(request)
        except Exception:  # noqa: BLE001 - a defect of ours is a 500 for the caller, and a traceback in the log
            self._logs.log(traceback.format_exc(), "ERROR")
            return refusal(500, "Internal Server Error")

    def _answer_locally(self, request: Request) -> Response:
        if rejection := reject_cross_origin(request):
            return rejection
        for handler in self._local_handlers:
            if (response := handler(request)) is not None:
                return response
        return refusal(404, "Not Found")


def is_local(request: Request) -> bool:
    """Return whether a path belongs to the local stack and not to the template."""
    path = request.path
    return path in LOCAL_PATHS or path.startswith(tuple(f"{folder}/" for folder in LOCAL_FOLDERS))
