"""The gallery page: every mail there is, from the templates as they are now, and what the checks say about it."""

import json
import queue
import re
import tomllib
from collections.abc import Generator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from minijinja import TemplateError

from mailroom.model.email import Email
from mailroom_ops.errors import ServiceError
from mailroom_ops.templates.checks import FALLBACKS, LIMIT, crafts, spam, tool_for_crafts, tool_for_spam
from mailroom_ops.templates.preview import Gallery
from mailroom_ops.web.frame import Frame
from mailroom_ops.web.pages import headers, json_answer, last_values, mail_page
from mailroom_ops.web.server import Request, Response, refusal
from mailroom_ops.web.watch import Watcher

__all__ = ["GalleryPage"]

HEARTBEAT_SECONDS = 15.0
PLACE = re.compile(r"\(in ([^\s()]+):(\d+)\)")
TOML_LINE = re.compile(r"at line (\d+)")
# All that half a template, half a table of texts or half a file can raise.
UNREADABLE = (TemplateError, ValueError, LookupError, TypeError, AttributeError, OSError)


@dataclass(frozen=True, slots=True)
class GalleryPage:
    """Answers the page and its data; None for what is not its own."""

    templates: Path
    frame: Frame

    def answer(self, request: Request) -> Response | None:
        method = "GET" if request.method == "HEAD" else request.method
        match method, request.path.strip("/").split("/"):
            case "GET", ["gallery"]:
                return self.frame.page("gallery")
            case "GET", ["gallery", "options.json"]:
                tools = {"crafts": tool_for_crafts(), "spam": tool_for_spam()}
                return json_answer({**Gallery(self.templates).options(), "needs": tools, "limit": LIMIT})
            case "GET", ["gallery", "events"]:
                return Response(200, self._events(), headers("text/event-stream"))
            case "GET", ["gallery", "mail.json" | "mail.html" as form]:
                return self._mail(form, last_values(request.query))
            # Checks start processes: POST, which no other site may send here.
            case "POST", ["gallery", "crafts" | "spam" as check]:
                return self._check(check, last_values(request.query))
            case _, ["gallery", *below]:
                return refusal(404, "Not Found") if below else refusal(405, "Method Not Allowed")
        return None

    def _mail(self, form: str, wanted: dict[str, str]) -> Response:
        try:
            email, problems = self._compose(wanted)
        except NotThereError:
            return refusal(404, "No such mail: give a kind, a locale, a brand and a form out of /gallery/options.json.")
        except UNREADABLE as error:
            wrong = self._what_is_wrong(error, wanted)
            if form == "mail.json":
                return json_answer({"error": wrong})
            # In place of the mail: a file may break after a page asked for the mail and before its frame does.
            said = "{file}, line {line}: {message}".format_map(wrong)
            return mail_page(f"<pre>{escape(said, quote=False)}</pre>", {})
        if form == "mail.html":
            return mail_page(email.html, wanted)
        sender = f"{email.from_.name} <{email.from_.address}>" if email.from_.name else email.from_.address
        size = {"html": len(email.html.encode()), "text": len(email.text.encode())}
        shown = {"subject": email.subject, "from": sender, "locale": email.locale, "text": email.text}
        return json_answer({**shown, "size": size, "problems": problems})

    def _check(self, check: str, wanted: dict[str, str]) -> Response:
        if missing := tool_for_crafts() if check == "crafts" else tool_for_spam():
            return json_answer({"error": {"message": missing}})
        try:
            email, _ = self._compose(wanted)
            return json_answer(_judge(check, email))
        except NotThereError:
            return refusal(404, "No such mail.")
        except UNREADABLE as error:
            return json_answer({"error": self._what_is_wrong(error, wanted)})
        except ServiceError as error:
            return json_answer({"error": {"message": str(error)}})

    def _compose(self, wanted: dict[str, str]) -> tuple[Email, tuple[str, ...]]:
        gallery = Gallery(self.templates)
        options = gallery.options()
        kind, locale = wanted.get("kind", ""), wanted.get("locale", "en")
        brand, form = wanted.get("brand", "acme"), wanted.get("form", "")
        there = kind in options["kinds"] and locale in options["locales"]
        if not (there and brand in options["brands"] and form in ["", *options["forms"]]):
            raise NotThereError
        rendered = gallery.mail(kind, locale, brand, form)
        return rendered.email, rendered.problems

    def _what_is_wrong(self, error: Exception, wanted: dict[str, str]) -> dict[str, Any]:
        """Say what, in which file and line, and show that line."""
        # What follows the dashes is the engine's own picture of the place; ours is below.
        message = str(error).partition("\n---")[0].strip()
        file, line = f"locales/{wanted.get('locale', 'en')}.toml", 0
        if isinstance(error, TemplateError):
            # The innermost comes last: an include's own place after the place it is included from.
            places = PLACE.findall(message)
            file, line = (places[-1][0], int(places[-1][1])) if places else (error.name or "", error.line or 0)
            message = PLACE.sub("", message.splitlines()[-1]).removeprefix("caused by: ").strip()
        elif broken := self._broken_file():
            file, line, message = broken
        elif isinstance(error, LookupError):
            message = f"{message} is missing"
        return {"message": message, "file": file, "line": line, "source": self._line(file, line)}

    def _broken_file(self) -> tuple[str, int, str] | None:
        """Find the file that cannot be read: the parser of TOML does not say which it was given."""
        for path in (self.templates / "brand.toml", *sorted((self.templates / "locales").glob("*.toml"))):
            name = path.relative_to(self.templates).as_posix()
            try:
                text = path.read_text("utf-8")
                tomllib.loads(text)
            except tomllib.TOMLDecodeError as error:
                found = TOML_LINE.search(str(error))
                return name, int(found[1]) if found else text.count("\n") + 1, str(error)
            except (OSError, UnicodeDecodeError) as error:
                return name, 0, str(error)
        return None

    def _line(self, file: str, line: int) -> str:
        path = self.templates / file
        if not (line and path.is_file()):
            return ""
        return "".join(path.read_text("utf-8", errors="replace").splitlines()[line - 1 : line])

    def _events(self) -> Generator[bytes, None, None]:
        """Tell a page which files changed, for as long as it listens."""
        news: queue.SimpleQueue[set[Path]] = queue.SimpleQueue()
        watcher = Watcher([self.templates], news.put)
        watcher.start()
        try:
            yield b"retry: 500\n\n: listening\n\n"
            while True:
                try:
                    names = sorted(
                        path.relative_to(self.templates).as_posix() for path in news.get(timeout=HEARTBEAT_SECONDS)
                    )
                except queue.Empty:
                    yield b": still here\n\n"
                else:
                    yield f"event: changed\ndata: {json.dumps(names)}\n\n".encode()
        finally:
            watcher.stop()


class NotThereError(Exception):
    """There is no such kind, language, brand or form."""


def _judge(check: str, email: Email) -> dict[str, Any]:
    if check == "spam":
        verdict = spam({"mail": email})["mail"]
        return {"points": verdict.points, "rules": dict(verdict.rules)}
    craft = crafts({"mail": email})["mail"]
    gaps = [
        {"feature": feature, "clients": clients, "fallback": FALLBACKS.get(feature, "")}
        for feature, clients in sorted(craft.unsupported.items())
    ]
    return {"invalid": craft.invalid, "unsupported": gaps, "partial": sorted(craft.partial)}
