"""The gallery page: every kind of email, rendered from the current templates, with the results of the checks."""

import json
import queue
import re
import tomllib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from minijinja import TemplateError

from mailroom.errors import ConfigurationError
from mailroom.model.email import Email
from mailroom_ops.environment import aws_error
from mailroom_ops.errors import OperatorError, ServiceError
from mailroom_ops.templates.checks import (
    FALLBACKS,
    MAX_HTML_BYTES,
    check_html,
    check_spam,
    missing_html_tools,
    missing_spam_tools,
)
from mailroom_ops.templates.preview import Gallery, block_images, shown_html
from mailroom_ops.templates.tenant_samples import TenantSample, readable_mailbox, tenant_samples
from mailroom_ops.web.frame import Frame
from mailroom_ops.web.pages import headers, json_answer, last_values, mail_page
from mailroom_ops.web.server import Request, Response, refusal
from mailroom_ops.web.watch import Watcher

__all__ = ["GalleryPage"]

HEARTBEAT_SECONDS = 15.0
TEMPLATE_LINE = re.compile(r"\(in ([^\s()]+):(\d+)\)")
TOML_LINE = re.compile(r"at line (\d+)")
# What a half-written template, text table or file can raise.
TEMPLATE_ERRORS = (ConfigurationError, TemplateError, ValueError, LookupError, TypeError, AttributeError, OSError)


@dataclass(frozen=True, slots=True)
class GalleryPage:
    """Serves /gallery and its data; `read_parameters` returns those of the environment, whose tenants it shows."""

    templates: Path
    frame: Frame
    read_parameters: Callable[[], Mapping[str, str]]

    def answer(self, request: Request) -> Response | None:
        """Return the response to a request; None for a path outside the gallery."""
        method = "GET" if request.method == "HEAD" else request.method
        match method, request.path.strip("/").split("/"):
            case "GET", ["gallery"]:
                return self.frame.page("gallery")
            case "GET", ["gallery", "options.json"]:
                return json_answer(self._options())
            case "GET", ["gallery", "events"]:
                return Response(200, self._events(), headers("text/event-stream"))
            case "GET", ["gallery", "mail.json" | "mail.html" as form]:
                return self._mail(form, last_values(request.query))
            # Checks start processes, so they need a POST, which other sites cannot send here.
            case "POST", ["gallery", "crafts" | "spam" as check]:
                return self._check(check, last_values(request.query))
            case _, ["gallery", *below]:
                return refusal(404, "Not Found") if below else refusal(405, "Method Not Allowed")
        return None

    def _options(self) -> dict[str, Any]:
        gallery = Gallery(self.templates)
        try:
            tenants, unavailable = self._tenants(), ""
        except OperatorError as error:  # the samples need no environment
            tenants, unavailable = {}, f"{error.sentence} {error.todo}".strip()
        return {
            **gallery.options(),
            "tenants": {name: gallery.tenant_options(tenant) for name, tenant in tenants.items()},
            "unavailable": unavailable,
            "needs": {"crafts": missing_html_tools(), "spam": missing_spam_tools()},
            "limit": MAX_HTML_BYTES,
        }

    def _tenants(self) -> dict[str, TenantSample]:
        try:
            return tenant_samples(self.read_parameters())
        except (BotoCoreError, ClientError) as error:
            raise aws_error(error) from error

    def _mail(self, form: str, options: dict[str, str]) -> Response:
        try:
            email, problems = self._compose(options)
        except OperatorError as error:
            return refusal(502, error.sentence)
        except UnknownMailError:
            return refusal(
                404, "No such mail: use a kind, locale, form and brand or tenant from /gallery/options.json."
            )
        except TEMPLATE_ERRORS as error:
            location = self._describe(error, options)
            if form == "mail.json":
                return json_answer({"error": location})
            # In place of the mail: a file may break between the page's request and that of its frame.
            text = "{file}, line {line}: {message}".format_map(location)
            return mail_page(f"<pre>{escape(text, quote=False)}</pre>", {})
        if form == "mail.html":
            html = shown_html(email) if options.get("images") else block_images(shown_html(email))
            return mail_page(html, options, is_measured="measured" in options)
        sender = readable_mailbox(email.from_)
        size = {"html": len(email.html.encode()), "text": len(email.text.encode())}
        values = {"subject": email.subject, "from": sender, "locale": email.locale, "text": email.text}
        return json_answer({**values, "size": size, "problems": problems})

    def _check(self, check: str, options: dict[str, str]) -> Response:
        try:
            email, _ = self._compose(options)
        except OperatorError as error:
            return json_answer({"error": {"message": error.sentence}})
        except UnknownMailError:
            return refusal(404, "No such mail.")
        except TEMPLATE_ERRORS as error:
            return json_answer({"error": self._describe(error, options)})
        if missing := missing_html_tools() if check == "crafts" else missing_spam_tools():
            return json_answer({"error": {"message": missing}})
        try:
            return json_answer(_run_check(check, email))
        except ServiceError as error:
            return json_answer({"error": {"message": str(error)}})

    def _compose(self, options: dict[str, str]) -> tuple[Email, tuple[str, ...]]:
        gallery = Gallery(self.templates)
        choices = gallery.options()
        kind, locale = options.get("kind", ""), options.get("locale", "en")
        brand, form, name = options.get("brand", "acme"), options.get("form", ""), options.get("tenant", "")
        tenant = self._tenants().get(name) if name else None
        if tenant:
            choices |= gallery.tenant_options(tenant)
        exists = kind in choices["kinds"] and locale in choices["locales"] and form in ["", *choices["forms"]]
        if not exists or (not tenant and (name or brand not in choices["brands"])):
            raise UnknownMailError
        if tenant:
            rendered = gallery.tenant_mail(tenant, kind, locale, form)
        else:
            rendered = gallery.mail(kind, locale, brand, form)
        return rendered.email, rendered.problems

    def _describe(self, error: Exception, options: dict[str, str]) -> dict[str, Any]:
        """Return the message, file, line and source line of an error."""
        if isinstance(error, ConfigurationError) and isinstance(error.__cause__, Exception):
            error = error.__cause__
        # The engine draws the source below the dashes; the page shows it in its own way.
        message = str(error).partition("\n---")[0].strip()
        file, line = f"locales/{options.get('locale', 'en')}.toml", 0
        if isinstance(error, TemplateError):
            # The innermost template comes last: an included file after the one that includes it.
            places = TEMPLATE_LINE.findall(message)
            file, line = (places[-1][0], int(places[-1][1])) if places else (error.name or "", error.line or 0)
            message = TEMPLATE_LINE.sub("", message.splitlines()[-1]).removeprefix("caused by: ").strip()
        elif broken := self._broken_file():
            file, line, message = broken
        elif isinstance(error, LookupError):
            message = f"{message} is missing"
        return {"message": message, "file": file, "line": line, "source": self._line(file, line)}

    def _broken_file(self) -> tuple[str, int, str] | None:
        """Return the first file that cannot be parsed: errors of the TOML parser do not name the file."""
        for path in (self.templates / "brand.toml", *sorted((self.templates / "locales").glob("*.toml"))):
            name = path.relative_to(self.templates).as_posix()
            try:
                text = path.read_text("utf-8")
                tomllib.loads(text)
            except tomllib.TOMLDecodeError as error:
                match = TOML_LINE.search(str(error))
                return name, int(match[1]) if match else text.count("\n") + 1, str(error)
            except (OSError, UnicodeDecodeError) as error:
                return name, 0, str(error)
        return None

    def _line(self, file: str, line: int) -> str:
        path = self.templates / file
        if not (line and path.is_file()):
            return ""
        return "".join(path.read_text("utf-8", errors="replace").splitlines()[line - 1 : line])

    def _events(self) -> Generator[bytes, None, None]:
        """Yield an event with the names of changed files, until the page disconnects."""
        changes: queue.SimpleQueue[set[Path]] = queue.SimpleQueue()
        watcher = Watcher([self.templates], changes.put)
        watcher.start()
        try:
            yield b"retry: 500\n\n: listening\n\n"
            while True:
                try:
                    paths = changes.get(timeout=HEARTBEAT_SECONDS)
                except queue.Empty:
                    yield b": heartbeat\n\n"
                else:
                    names = sorted(path.relative_to(self.templates).as_posix() for path in paths)
                    yield f"event: changed\ndata: {json.dumps(names)}\n\n".encode()
        finally:
            watcher.stop()


class UnknownMailError(Exception):
    """There is no such kind, language, brand, tenant or form."""


def _run_check(check: str, email: Email) -> dict[str, Any]:
    if check == "spam":
        verdict = check_spam({"mail": email})["mail"]
        return {"points": verdict.points, "rules": dict(verdict.rules)}
    craft = check_html({"mail": email})["mail"]
    gaps = [
        {"feature": feature, "clients": clients, "fallback": FALLBACKS.get(feature, "")}
        for feature, clients in sorted(craft.unsupported.items())
    ]
    return {"invalid": craft.invalid, "unsupported": gaps, "partial": sorted(craft.partial)}
