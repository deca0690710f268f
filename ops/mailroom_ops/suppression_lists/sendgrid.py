"""SendGrid: https://www.twilio.com/docs/sendgrid/api-reference/bounces-api

Four lists stop mail: bounces, invalid addresses, spam reports and global unsubscribes. Blocks do not (2026).
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from mailroom.feedback.suppression import Cause
from mailroom_ops.environment import Environment
from mailroom_ops.suppression_lists import Listing
from mailroom_ops.suppression_lists._api import Api, read_key

__all__ = ["open_list"]

ENDPOINT = "https://api.sendgrid.com"
PAGE_SIZE = 500
PERMISSION = "may not read suppressions, or is rejected: give it the permission Suppressions"
CAUSES = {
    "bounces": Cause.BOUNCE,
    "invalid_emails": Cause.BOUNCE,
    "spam_reports": Cause.COMPLAINT,
    "unsubscribes": Cause.UNSUBSCRIBE,
}


class SendGridList:
    """The four suppression lists of an account at SendGrid."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def find(self, address: str) -> list[Listing]:
        listings: list[Listing] = []
        for part in CAUSES:
            response = self._api.get(_path(part, address))
            answer = response.json() if response is not None else []
            if isinstance(answer, dict):  # a global unsubscribe: {"recipient_email": …}, or {} if there is none
                address_there = answer.get("recipient_email")
                listings += [Listing(address_there, CAUSES[part], part=part)] if address_there else []
            else:
                listings += [_listing(item, part) for item in answer]
        return listings

    def remove(self, listing: Listing) -> None:
        self._api.delete(_path(listing.part, listing.address))

    def entries(self) -> Iterator[Listing]:
        for part in CAUSES:
            offset = 0
            while True:
                response = self._api.get(f"/v3/suppression/{part}", limit=PAGE_SIZE, offset=offset)
                items = response.json() if response is not None else []
                yield from (_listing(item, part) for item in items)
                if len(items) < PAGE_SIZE:
                    break
                offset += PAGE_SIZE


def _path(part: str, address: str) -> str:
    """Return the path of one address: global unsubscribes have another than their list."""
    return f"/v3/{'asm/suppressions/global' if part == 'unsubscribes' else f'suppression/{part}'}/{quote(address, '')}"


def _listing(item: Mapping[str, Any], part: str) -> Listing:
    since = datetime.fromtimestamp(item["created"], UTC) if item.get("created") else None
    return Listing(item["email"], CAUSES[part], since, part)


def open_list(
    account: str, environment: Environment, values: Mapping[str, str], domains: Sequence[str]
) -> SendGridList:
    headers = {"Authorization": f"Bearer {read_key(account, values, 'api_key')}"}
    return SendGridList(Api(account, values, ENDPOINT, key_name="api_key", permission=PERMISSION, headers=headers))
