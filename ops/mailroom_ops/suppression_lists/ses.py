"""Amazon SES: https://docs.aws.amazon.com/ses/latest/dg/sending-email-suppression-list.html

The list belongs to an AWS account in one region, and is read with the operator's own credentials.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mailroom.feedback.suppression import Cause
from mailroom_ops.domains.ses import Ses
from mailroom_ops.environment import Environment, aws_error
from mailroom_ops.suppression_lists import Listing

__all__ = ["open_list"]

PAGE_SIZE = 1000
CAUSES = {"BOUNCE": Cause.BOUNCE, "COMPLAINT": Cause.COMPLAINT}


class SesList:
    """The account-level suppression list of Amazon SES in one region."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def find(self, address: str) -> list[Listing]:
        answer = _call(self._client.get_suppressed_destination, EmailAddress=address)
        return [_listing(answer["SuppressedDestination"])] if answer else []

    def remove(self, listing: Listing) -> None:
        _call(self._client.delete_suppressed_destination, EmailAddress=listing.address)

    def entries(self) -> Iterator[Listing]:
        token: dict[str, str] = {}
        while True:
            answer = _call(self._client.list_suppressed_destinations, PageSize=PAGE_SIZE, **token)
            yield from map(_listing, answer.get("SuppressedDestinationSummaries", []))
            if not answer.get("NextToken"):
                return
            token = {"NextToken": answer["NextToken"]}


def _call(operation: Callable[..., dict[str, Any]], **parameters: Any) -> dict[str, Any]:
    """Return the answer to a call; empty if the address is not on the list."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return operation(**parameters)
    except ClientError as error:
        if error.response["Error"]["Code"] == "NotFoundException":
            return {}
        raise aws_error(error) from error
    except BotoCoreError as error:
        raise aws_error(error) from error


def _listing(item: Mapping[str, Any]) -> Listing:
    return Listing(item["EmailAddress"], CAUSES.get(item["Reason"], Cause.MANUAL), item.get("LastUpdateTime"))


def open_list(account: str, environment: Environment, values: Mapping[str, str], domains: Sequence[str]) -> SesList:
    return SesList(Ses(account, environment, values).client)
