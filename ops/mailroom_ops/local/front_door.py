"""The one address of the local stack: the console, the Invoke API and the template's routes."""

import traceback
from collections.abc import Callable, Sequence

from mailroom_ops.local.logs import Logs
from mailroom_ops.web.guard import refused
from mailroom_ops.web.server import Request, Response, refusal

__all__ = ["FrontDoor"]


class FrontDoor:
    """Asks each of `own` for an answer, then `gateway`.

    What is ours is for this machine alone. The template's routes take any caller, as they do when deployed.
    """

    def __init__(
        self, own: Sequence[Callable[[Request], Response | None]], gateway: Callable[[Request], Response], logs: Logs
    ) -> None:
        self._own = own
        self._gateway = gateway
        self._logs = logs

    def answer(self, request: Request) -> Response:
        try:
            if is_ours(request):
                return self._answer_ours(request)
            return self._gateway(request)
        except Exception:  # noqa: BLE001 - whatever is wrong with us, the caller gets an answer and we see the trace
            self._logs.say(traceback.format_exc(), "ERROR")
            return refusal(500, "Internal Server Error")

    def _answer_ours(self, request: Request) -> Response:
        if no := refused(request):
            return no
        for part in self._own:
            if (response := part(request)) is not None:
                return response
        return refusal(404, "Not Found")


def is_ours(request: Request) -> bool:
    """Tell whether a path belongs to the stack itself and not to the template."""
    path = request.path
    return path in ("/", "/gallery", "/inbox.json") or path.startswith(("/console/", "/gallery/", "/2015-03-31/"))
