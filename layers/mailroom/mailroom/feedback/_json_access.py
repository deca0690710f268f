"""Reading the JSON of providers' reports."""

from typing import Any

from mailroom.errors import RequestError
from mailroom.request import Request, parse_json
from mailroom.webhooks.json_access import text

__all__ = ["bare_address", "body_of", "own_header"]


def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object of an authenticated request."""
    body = parse_json(request.body)
    if not isinstance(body, dict):
        raise RequestError(400, "This is not a report: it must be a JSON object.")
    return body


def own_header(value: Any, name: str) -> str:
    """Return our own header from a list of a mail's headers: mails through an SMTP relay carry our ids in them."""
    headers = value if isinstance(value, list) else []
    own_name = f"x-mailroom-{name}"
    return next((text(header, "value") for header in headers if text(header, "name").lower() == own_name), "")


def bare_address(value: str) -> str:
    """Return the address in `Ada <ada@example.com>`."""
    return value.rpartition("<")[2].rstrip("> ")
