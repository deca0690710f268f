"""The responses of the link page's address: one page for each tenant and language, the same for every reader."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mailroom.errors import RequestError
from mailroom.model.kinds import NAME
from mailroom.rendering.link_page import LinkPage
from mailroom.rendering.link_page_view import LinkPageView
from mailroom.request import Request
from mailroom.settings import Settings

__all__ = ["LinkPages"]

MAX_LANGUAGES = 8
HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "private, max-age=300",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
    "cross-origin-opener-policy": "same-origin",
}


class LinkPages:
    """Answers with the page of a tenant. What a reader's link is, no request contains."""

    def __init__(self, settings: Settings, templates_dir: Path) -> None:
        self._settings = settings
        self._view = LinkPageView(templates_dir)

    def respond(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return the response to a GET or HEAD; raise a RequestError for a tenant without a page."""
        request = Request.from_event(event)
        if request.method not in ("GET", "HEAD"):
            raise RequestError(405, "Use GET.")
        tenant = request.path.get("tenant", "")
        brand = self._settings.public_brand(tenant) if NAME.fullmatch(tenant) else {}
        page = LinkPage.of(brand, tenant)
        if page is None:
            raise RequestError(404, "There is no such page.")
        shown = self._view.render(page, brand, _languages(event, request))
        headers = HEADERS | {"content-security-policy": shown.policy}
        return {"statusCode": 200, "headers": headers, "body": shown.html if request.method == "GET" else ""}


def _languages(event: Mapping[str, Any], request: Request) -> list[str]:
    """Return the language of the mail, which its link names, and then those of the browser."""
    accepted = request.headers.get("accept-language", "").split(",")
    tags = [(event.get("queryStringParameters") or {}).get("lang", ""), *(tag.partition(";")[0] for tag in accepted)]
    return [tag.strip() for tag in tags[:MAX_LANGUAGES]]
