"""Resend: https://resend.com/docs/api-reference/suppressions

The API is in private beta (November 2026), and what an account without access receives is not documented. So after a
404 for an address, which may mean either, the list itself is requested.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from mailroom.feedback.suppression import Cause
from mailroom_ops.domains.resend import ENDPOINT
from mailroom_ops.environment import Environment
from mailroom_ops.errors import ServiceError
from mailroom_ops.suppression_lists import Listing
from mailroom_ops.suppression_lists._api import Api, read_key

__all__ = ["open_list"]

PAGE_SIZE = 100
PERMISSION = "may only send, or is rejected: the list needs a key with full access"
CAUSES = {"bounce": Cause.BOUNCE, "complaint": Cause.COMPLAINT, "manual": Cause.MANUAL}


class ResendList:
    """The suppression list of an account at Resend."""

    def __init__(self, account: str, api: Api) -> None:
        self._account = account
        self._api = api

    def find(self, address: str) -> list[Listing]:
        response = self._api.get(f"/suppressions/{quote(address.lower(), safe='')}")
        if response is not None:
            return [_listing(response.json())]
        self._page("", 1)
        return []

    def remove(self, listing: Listing) -> None:
        self._api.delete(f"/suppressions/{quote(listing.address, safe='')}")

    def entries(self) -> Iterator[Listing]:
        after = ""
        while True:
            page = self._page(after, PAGE_SIZE)
            items = page.get("data", [])
            yield from map(_listing, items)
            if not page.get("has_more") or not items:
                return
            after = items[-1]["id"]

    def _page(self, after: str, size: int) -> dict[str, Any]:
        response = self._api.get("/suppressions", limit=size, **({"after": after} if after else {}))
        if response is None:
            todo = "It is in private beta; its dashboard shows the list: https://resend.com/suppressions"
            raise ServiceError(f"{self._account} has no access to Resend's suppression API.", todo)
        page: dict[str, Any] = response.json()
        return page


def _listing(item: Mapping[str, Any]) -> Listing:
    # `2023-10-06 23:47:56.678+00`
    since = datetime.fromisoformat(item["created_at"]) if item.get("created_at") else None
    return Listing(item["email"], CAUSES.get(item.get("origin", ""), Cause.MANUAL), since)


def open_list(account: str, environment: Environment, values: Mapping[str, str], domains: Sequence[str]) -> ResendList:
    headers = {"Authorization": f"Bearer {read_key(account, values, 'api_key')}"}
    return ResendList(
        account, Api(account, values, ENDPOINT, key_name="api_key", permission=PERMISSION, headers=headers)
    )
