"""The console: which page answers what, and what stands before all of them."""

import hmac
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from mailroom_ops.console import deliveries, queues, senders, suppressions
from mailroom_ops.console.context import PageContext, SharedEnvironment, fields
from mailroom_ops.console.deliverability import page as deliverability
from mailroom_ops.console.gallery import GalleryPage
from mailroom_ops.console.key import Key
from mailroom_ops.environment import Environment, aws_says
from mailroom_ops.errors import InvalidInput, OperatorError
from mailroom_ops.web.frame import Frame, Link
from mailroom_ops.web.guard import refused
from mailroom_ops.web.pages import asset, last_values
from mailroom_ops.web.server import Request, Response

__all__ = ["PAGES", "Console", "Door", "Page"]

HERE = Path(__file__).parent
TEMPLATES, STATIC = HERE / "templates", HERE / "static"
HOME = "/console/deliveries"
STALE = "This page is from before the console was started again."


@dataclass(frozen=True, slots=True)
class Page:
    """One page and what lies below it; it answers None for what there is not.

    `answer` gets the parts of the path below its own: [] for /console/queues, ["codes"] for /console/queues/codes.
    A POST comes to it with its token checked.
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
)


class Console:
    """Answers /console/… and /gallery; `before` are pages of one's own, that come first in the navigation."""

    def __init__(
        self,
        environment: Environment,
        templates: Path,
        *,
        before: Sequence[Link] = (),
        folders: Sequence[Path] = (),
        complain: Callable[[str], object] = sys.stderr.write,
    ) -> None:
        links = (*before, *(Link(page.name, f"/console/{page.path}") for page in PAGES), Link("Gallery", "/gallery"))
        self.frame = Frame(environment.label, links, (TEMPLATES, *folders))
        self._desk = PageContext(self.frame, SharedEnvironment.like(environment))
        self._gallery = GalleryPage(templates, self.frame)
        self._complain = complain

    def answer(self, request: Request) -> Response | None:
        """Answer what is ours, else None."""
        if (found := self._gallery.answer(request)) is not None:
            return found
        match request.path.split("/"):
            case ["", "console", name] if request.method in ("GET", "HEAD") and (found := asset(name, STATIC)):
                return found
            case ["", "console", *below]:
                return self._page(request, below)
        return None

    def _page(self, request: Request, below: list[str]) -> Response:
        page = next((page for page in PAGES if below[:1] == [page.path]), None)
        if page is None:
            return self.not_found()
        if request.method not in ("GET", "HEAD", "POST"):
            return self.frame.problem(405, "A page is read with GET, and its forms are sent with POST.")
        if request.method == "POST" and not self._is_ours(request):
            return self.frame.problem(403, STALE, "Nothing was changed. Go back, reload that page and try again.")
        try:
            found = page.answer(self._desk, request, [part for part in below[1:] if part])
        except OperatorError as problem:
            return self._say(problem)
        except (BotoCoreError, ClientError) as error:
            return self._say(aws_says(error))
        except Exception:  # noqa: BLE001 - whatever is wrong with us, the page says so and the terminal shows the trace
            self._complain(traceback.format_exc())
            todo = "Its terminal shows what. The other pages go on working."
            return self.frame.problem(500, "The console itself has a fault.", todo)
        return found or self.not_found()

    def not_found(self) -> Response:
        return self.frame.problem(404, "There is no such page.", "The navigation above leads to those there are.")

    def _is_ours(self, request: Request) -> bool:
        given = "".join(fields(request).get("token", ()))
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.frame.token.encode())

    def _say(self, problem: OperatorError) -> Response:
        status = 400 if isinstance(problem, InvalidInput) else 502
        if status == 502:
            self._desk.forget()
        return self.frame.problem(status, problem.sentence, problem.todo, problem.details)


@dataclass(frozen=True, slots=True)
class Door:
    """The address of a console that runs alone: for this machine, and for who holds the key."""

    console: Console
    key: Key
    port: Callable[[], int]

    def answer(self, request: Request) -> Response:
        if no := refused(request):
            return no
        if request.path == "/" and request.method == "GET":
            given = last_values(request.query).get("key", "")
            if given and (cookie := self.key.turn(given, self.port())):
                # A page that leads on, and no redirect: after one, a browser that came from elsewhere keeps a
                # SameSite=Strict cookie to itself.
                welcome = self.console.frame.page("welcome", {"home": HOME})
                return Response(200, welcome.body, (*welcome.headers, ("set-cookie", cookie)))
        if not self.key.is_held(request, self.port()):
            # The look of this very page gives nothing away.
            name = request.path.removeprefix("/console/")
            public = asset(name, STATIC) if name.endswith((".css", ".svg")) else None
            return public or self.console.frame.page("locked", status=401)
        if request.path == "/":
            return Response(303, headers=(("location", HOME), ("cache-control", "no-store")))
        return self.console.answer(request) or self.console.not_found()
