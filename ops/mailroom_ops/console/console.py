"""The console: its pages, their navigation, and the checks before each of them."""

import hmac
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from mailroom_ops.console import deliveries, doctor, health, palette, queues, senders, suppressions
from mailroom_ops.console.access import Access
from mailroom_ops.console.cached import Cached
from mailroom_ops.console.context import PageContext, SharedEnvironment, form_values
from mailroom_ops.console.deliverability import page as deliverability
from mailroom_ops.console.gallery import GalleryPage
from mailroom_ops.environment import Environment, aws_error
from mailroom_ops.errors import InvalidInput, OperatorError
from mailroom_ops.settings.parameters import Parameters
from mailroom_ops.web.frame import Frame, Link
from mailroom_ops.web.guard import reject_cross_origin
from mailroom_ops.web.pages import asset, last_values
from mailroom_ops.web.server import Request, Response

__all__ = ["PAGES", "PARAMETERS_TTL_SECONDS", "TEMPLATES", "Console", "LockedConsole", "Page"]

TEMPLATES = Path(__file__).with_name("templates")
PARAMETERS_TTL_SECONDS = 2.0  # of the previews: one page of them needs the parameters many times
STATIC = Path(__file__).with_name("static")
HOME = "/console/deliveries"
STALE_FORM = "This form is from an earlier run of the console."


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the navigation, and those below it.

    `answer` gets the parts of the path below the page: [] for /console/queues, ["codes"] for /console/queues/codes.
    It returns None where there is no such page. The token of a POST has been checked.
    """

    name: str
    path: str
    answer: Callable[[PageContext, Request, list[str]], Response | None]


# In the order of the navigation.
PAGES = (
    Page("Deliveries", "deliveries", deliveries.answer),
    Page("Deliverability", "deliverability", deliverability.answer),
    Page("Suppressions", "suppressions", suppressions.answer),
    Page("Queues", "queues", queues.answer),
    Page("Senders", "senders", senders.answer),
    Page("Doctor", "doctor", doctor.answer),
)
PARTS = (Page("", "health", health.answer), Page("", "palette", palette.answer))  # of pages: scripts load them


class Console:
    """Serves /console/… and /gallery for one environment.

    `first_links` are the caller's own pages, first in the navigation; `page_folders` hold their templates.
    """

    def __init__(
        self,
        environment: Environment,
        mail_templates: Path,
        *,
        first_links: Sequence[Link] = (),
        page_folders: Sequence[Path] = (),
        log_error: Callable[[str], object] = sys.stderr.write,
    ) -> None:
        own_links = (Link(page.name, f"/console/{page.path}") for page in PAGES)
        links = (*first_links, *own_links, Link("Gallery", "/gallery"))
        self.frame = Frame(environment.label, links, (TEMPLATES, *page_folders))
        self._context = PageContext(self.frame, SharedEnvironment.of(environment), mail_templates)
        parameters: Cached[Mapping[str, str]] = Cached(PARAMETERS_TTL_SECONDS)
        self._gallery = GalleryPage(mail_templates, self.frame, lambda: parameters.get(self._read_parameters))
        self._log_error = log_error

    def _read_parameters(self) -> Mapping[str, str]:
        return Parameters(self._context.environment).values()

    def answer(self, request: Request) -> Response | None:
        """Return the response to a request; None for a path outside the console."""
        if (response := self._gallery.answer(request)) is not None:
            return response
        match request.path.split("/"):
            case ["", "console", name] if request.method in ("GET", "HEAD") and (file := asset(name, STATIC)):
                return file
            case ["", "console", *below]:
                return self._page(request, below)
        return None

    def _page(self, request: Request, below: list[str]) -> Response:
        page = next((page for page in (*PAGES, *PARTS) if below[:1] == [page.path]), None)
        if page is None:
            return self.not_found()
        if request.method not in ("GET", "HEAD", "POST"):
            return self.frame.error(405, "Pages accept GET, and POST for their forms.")
        if request.method == "POST" and not self._has_token(request):
            return self.frame.error(403, STALE_FORM, "Nothing was changed. Go back, reload the page and try again.")
        try:
            response = page.answer(self._context, request, [part for part in below[1:] if part])
        except OperatorError as error:
            return self._error_page(error)
        except (BotoCoreError, ClientError) as error:
            return self._error_page(aws_error(error))
        except Exception:  # noqa: BLE001 - a defect of ours is a page for the operator, and a traceback in the terminal
            self._log_error(traceback.format_exc())
            return self.frame.error(500, "The console has an internal error.", "Its terminal shows the traceback.")
        return response or self.not_found()

    def not_found(self) -> Response:
        return self.frame.error(404, "There is no such page.", "Choose one from the navigation above.")

    def _has_token(self, request: Request) -> bool:
        token = "".join(form_values(request).get("token", ()))
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.frame.token.encode())

    def _error_page(self, error: OperatorError) -> Response:
        status = 400 if isinstance(error, InvalidInput) else 502
        if status == 502:
            self._context.reset()
        return self.frame.error(status, error.sentence, error.todo, error.details)


@dataclass(frozen=True, slots=True)
class LockedConsole:
    """A console with a port of its own, open to one browser of this machine."""

    console: Console
    access: Access
    port: Callable[[], int]

    def answer(self, request: Request) -> Response:
        if rejection := reject_cross_origin(request):
            return rejection
        if request.path == "/" and request.method == "GET":
            key = last_values(request.query).get("key", "")
            if key and (cookie := self.access.redeem(key, self.port())):
                # A page that leads on instead of a redirect: after a redirect, a browser that came from another site
                # does not send a SameSite=Strict cookie.
                welcome = self.console.frame.page("welcome", {"home": HOME})
                return Response(200, welcome.body, (*welcome.headers, ("set-cookie", cookie)))
        if not self.access.is_granted(request, self.port()):
            # The style of this very page reveals nothing.
            name = request.path.removeprefix("/console/")
            public = asset(name, STATIC) if name.endswith((".css", ".svg")) else None
            return public or self.console.frame.page("locked", status=401)
        if request.path == "/":
            return Response(303, headers=(("location", HOME), ("cache-control", "no-store")))
        return self.console.answer(request) or self.console.not_found()
