"""The account-level suppression list of SES, which moto 5.2 lacks.

https://docs.aws.amazon.com/ses/latest/dg/sending-email-suppression-list.html
"""

import json
import time
from typing import Any

__all__ = ["extend"]

PATH = "{0}/v2/email/suppression/addresses"


def extend() -> None:
    """Add the four calls to the moto of this process, before its server starts; idempotent."""
    from moto.ses.exceptions import NotFoundException
    from moto.sesv2.responses import SESV2Response
    from moto.sesv2.urls import url_paths

    def entries_of(self: Any) -> dict[str, dict[str, Any]]:
        entries: dict[str, dict[str, Any]] = vars(self.sesv2_backend).setdefault("suppressed", {})
        return entries

    def entry_of(self: Any) -> dict[str, Any]:
        address = self._get_param("EmailAddress").lower()
        if address not in entries_of(self):
            raise NotFoundException(f"Email address {address} does not exist on your suppression list.")
        return entries_of(self)[address]

    def put_suppressed_destination(self: Any) -> str:
        address = self._get_param("EmailAddress").lower()
        entries_of(self)[address] = {
            "EmailAddress": address,
            "Reason": self._get_param("Reason"),
            "LastUpdateTime": time.time(),
        }
        return "{}"

    def get_suppressed_destination(self: Any) -> str:
        return json.dumps({"SuppressedDestination": entry_of(self)})

    def delete_suppressed_destination(self: Any) -> str:
        del entries_of(self)[entry_of(self)["EmailAddress"]]
        return "{}"

    def list_suppressed_destinations(self: Any) -> str:
        entries, size = list(entries_of(self).values()), int(self._get_param("PageSize") or 1000)
        start = int(self._get_param("NextToken") or 0)
        page: dict[str, Any] = {"SuppressedDestinationSummaries": entries[start : start + size]}
        if len(entries) > start + size:
            page["NextToken"] = str(start + size)
        return json.dumps(page)

    calls = (
        put_suppressed_destination,
        get_suppressed_destination,
        delete_suppressed_destination,
        list_suppressed_destinations,
    )
    for call in calls:
        setattr(SESV2Response, call.__name__, call)
    url_paths[f"{PATH}$"] = SESV2Response.dispatch
    url_paths[f"{PATH}/(?P<EmailAddress>[^/]+)$"] = SESV2Response.dispatch
