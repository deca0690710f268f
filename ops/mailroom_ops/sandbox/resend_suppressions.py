"""A stub of Resend's suppressions: https://resend.com/docs/api-reference/suppressions"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from mailroom_ops.sandbox.provider import Reply, Request, json_reply
from mailroom_ops.sandbox.suppressed import SuppressedAddress, SuppressedAddresses

__all__ = ["answer_suppressions"]


def answer_suppressions(suppressed: SuppressedAddresses, request: Request) -> Reply:
    """Return the answer to a request to `/suppressions` or a path below."""
    url = urlsplit(request.path)
    below = [unquote(part) for part in url.path.strip("/").split("/")[1:]]
    if request.method not in ("GET", "DELETE") or (request.method == "DELETE" and not below):
        message = "Method is not allowed for the requested path"
        return json_reply(405, {"statusCode": 405, "name": "method_not_allowed", "message": message})
    if not below:
        return _page(suppressed, {key: values[-1] for key, values in parse_qs(url.query).items()})
    entry = _find(suppressed, below[0])
    if entry is None:
        return json_reply(404, {"statusCode": 404, "name": "not_found", "message": "Suppression not found"})
    if request.method == "DELETE":
        suppressed.remove(entry.address)
        return json_reply(200, {"object": "suppression", "id": entry.id, "deleted": True})
    return json_reply(200, {"object": "suppression", **_item(entry)})


def _find(suppressed: SuppressedAddresses, name: str) -> SuppressedAddress | None:
    return suppressed.find(name) or next((entry for entry in suppressed.all() if entry.id == name), None)


def _page(suppressed: SuppressedAddresses, query: dict[str, str]) -> Reply:
    entries = suppressed.all()
    start = next((number for number, entry in enumerate(entries, 1) if entry.id == query.get("after")), 0)
    end = start + int(query.get("limit", "20"))
    return json_reply(
        200, {"object": "list", "has_more": len(entries) > end, "data": list(map(_item, entries[start:end]))}
    )


def _item(entry: SuppressedAddress) -> dict[str, Any]:
    created = f"{datetime.fromtimestamp(entry.at, UTC):%Y-%m-%d %H:%M:%S.%f}+00"
    return {"id": entry.id, "email": entry.address, "origin": entry.cause, "source_id": None, "created_at": created}
