"""The one address of the local stack: the console, the Invoke API and the template's routes."""

import traceback
from collections.abc import Callable
from urllib.parse import urlsplit

from mailroom_ops.local.logs import Logs
from mailroom_ops.local.server import Request, Response, refusal

__all__ = ["FrontDoor"]

LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
SAFE = frozenset({"GET", "HEAD"})


class FrontDoor:
    """Asks each of `own` for an answer, then `gateway`.

    What is ours is for this machine alone: a page from elsewhere must not reach it, neither with a name that resolves
    to 127.0.0.1 nor by posting across origins. The template's routes take any caller, as they do when deployed.
    """

    def __init__(
        self, own: list[Callable[[Request], Response | None]], gateway: Callable[[Request], Response], logs: Logs
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
        if _name(request.header("host")) not in LOCAL_NAMES:
            return refusal(403, "Open this page as 127.0.0.1 or localhost.")
        if request.method not in SAFE and not _same_origin(request):
            return refusal(403, "Another site may not do this.")
        for part in self._own:
            if (response := part(request)) is not None:
                return response
        return refusal(404, "Not Found")


def is_ours(request: Request) -> bool:
    """Tell whether a path belongs to the stack itself and not to the template."""
    path = request.path
    return path in ("/", "/gallery", "/inbox.json") or path.startswith(("/console/", "/gallery/", "/2015-03-31/"))


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _same_origin(request: Request) -> bool:
    origin = request.header("origin")
    if request.header("sec-fetch-site") not in ("", "same-origin", "none"):
        return False
    return not origin or urlsplit(origin).netloc == request.header("host")
