"""Mailgun: https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/bounces

Each domain has three lists of its own: bounces, complaints and unsubscribes.
"""

from collections.abc import Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from mailroom.feedback.suppression import Cause
from mailroom_ops.environment import Environment
from mailroom_ops.errors import InvalidInput, ServiceError
from mailroom_ops.suppression_lists import Listing
from mailroom_ops.suppression_lists._api import Api, read_key

__all__ = ["open_list"]

ENDPOINT = "https://api.mailgun.net"
PAGE_SIZE = 1000
PERMISSION = "may only send, or is rejected: the list needs a key of the account"
CAUSES = {"bounces": Cause.BOUNCE, "complaints": Cause.COMPLAINT, "unsubscribes": Cause.UNSUBSCRIBE}


class MailgunList:
    """The suppression lists of the domains of an account at Mailgun."""

    def __init__(self, api: Api, domains: Sequence[str]) -> None:
        self._api = api
        self._domains = domains

    def find(self, address: str) -> list[Listing]:
        parts = [f"{domain}/{name}" for domain in self._domains for name in CAUSES]
        responses = [(part, self._api.get(_path(part, address))) for part in parts]
        return [_listing(response.json(), part) for part, response in responses if response is not None]

    def remove(self, listing: Listing) -> None:
        self._api.delete(_path(listing.part, listing.address))

    def entries(self) -> Iterator[Listing]:
        for part in (f"{domain}/{name}" for domain in self._domains for name in CAUSES):
            position: dict[str, str] = {}
            while True:
                response = self._api.get(_path(part), limit=PAGE_SIZE, **position)
                answer = response.json() if response is not None else {}
                items = answer.get("items", [])
                yield from (_listing(item, part) for item in items)
                if len(items) < PAGE_SIZE:
                    break
                # The address of the next page names Mailgun's host; only its position is taken from it.
                query = parse_qsl(urlsplit(answer["paging"]["next"]).query)
                following = {name: value for name, value in query if name != "limit"}
                if following == position:
                    raise ServiceError("Mailgun returns the same page again and again.", "Try again later.")
                position = following


def _path(part: str, *address: str) -> str:
    return "/".join(["/v3", *(quote(name, "") for name in (*part.split("/"), *address))])


def _listing(item: Mapping[str, Any], part: str) -> Listing:
    since = parsedate_to_datetime(item["created_at"].replace("UTC", "+0000")) if item.get("created_at") else None
    return Listing(item["address"], CAUSES[part.rpartition("/")[2]], since, part)


def open_list(account: str, environment: Environment, values: Mapping[str, str], domains: Sequence[str]) -> MailgunList:
    configured = values.get("domain", "").strip()
    own = [configured] if configured else list(domains)
    if not own:
        raise InvalidInput(
            f"{account} has a list for each domain, and no sender's domain is set.",
            f"Name it: mailroom secrets set providers/{account}/domain",
        )
    auth = ("api", read_key(account, values, "api_key"))
    return MailgunList(Api(account, values, ENDPOINT, key_name="api_key", permission=PERMISSION, auth=auth), own)
