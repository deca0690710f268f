"""Postmark: https://postmarkapp.com/developer/api/suppressions-api

Each message stream has its own list. Postmark removes bounces and manual entries, but no spam complaints.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from mailroom.feedback.suppression import Cause
from mailroom_ops.environment import Environment
from mailroom_ops.errors import ServiceError
from mailroom_ops.suppression_lists import Listing
from mailroom_ops.suppression_lists._api import Api, read_key

__all__ = ["open_list"]

ENDPOINT = "https://api.postmarkapp.com"
STREAM = "outbound"
PERMISSION = "is rejected"
CAUSES = {"HardBounce": Cause.BOUNCE, "SpamComplaint": Cause.COMPLAINT, "ManualSuppression": Cause.UNSUBSCRIBE}


class PostmarkList:
    """The suppression list of a message stream at Postmark."""

    def __init__(self, api: Api, stream: str) -> None:
        self._api = api
        self._path = f"/message-streams/{quote(stream, '')}/suppressions"
        self._stream = stream

    def find(self, address: str) -> list[Listing]:
        return list(self._dump(EmailAddress=address))

    def remove(self, listing: Listing) -> None:
        body = {"Suppressions": [{"EmailAddress": listing.address}]}
        (result,) = self._api.post(f"{self._path}/delete", body).json()["Suppressions"]
        if result["Status"] != "Deleted":  # the status of the response is 200
            todo = "Postmark keeps spam complaints: ask its support to remove one."
            raise ServiceError(f"Postmark refused: {str(result.get('Message') or result['Status']).rstrip('.')}.", todo)

    def entries(self) -> Iterator[Listing]:
        return self._dump()

    def _dump(self, **filters: str) -> Iterator[Listing]:
        response = self._api.get(f"{self._path}/dump", **filters)
        if response is None:
            raise ServiceError(f"Postmark has no message stream {self._stream}.", "Check the setting message_stream.")
        yield from map(_listing, response.json().get("Suppressions", []))


def _listing(item: Mapping[str, Any]) -> Listing:
    since = datetime.fromisoformat(item["CreatedAt"]) if item.get("CreatedAt") else None
    return Listing(item["EmailAddress"], CAUSES.get(item["SuppressionReason"], Cause.MANUAL), since)


def open_list(
    account: str, environment: Environment, values: Mapping[str, str], domains: Sequence[str]
) -> PostmarkList:
    headers = {"X-Postmark-Server-Token": read_key(account, values, "server_token"), "Accept": "application/json"}
    api = Api(account, values, ENDPOINT, key_name="server_token", permission=PERMISSION, headers=headers)
    return PostmarkList(api, values.get("message_stream", "").strip() or STREAM)
