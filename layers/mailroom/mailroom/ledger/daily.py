"""Mails a day, of a tenant and of the whole stack: one counter row each, where there is a limit.

day#{scope}#{YYYYMMDD}   `number` of mails; scope: a tenant, or *
"""

import time
from enum import Enum, auto

from mailroom.aws.client import Aws, AwsError
from mailroom.aws.dynamodb import decode_item

__all__ = ["DailyCounts", "Use", "day_row"]

RETENTION_SECONDS = 7 * 24 * 3600
NEAR_SHARE = 0.8


class Use(Enum):
    """The use of a limit, after one more mail."""

    NORMAL = auto()
    NEAR = auto()  # this mail is the first beyond NEAR_SHARE
    REACHED = auto()  # this mail is one too many


class DailyCounts:
    """Counts mails. Each costs one write; a row takes a thousand a second."""

    def __init__(self, aws: Aws, table: str) -> None:
        self._aws = aws
        self._table = table

    def count(self, scope: str, limit: int, now: float) -> Use:
        """Count a mail of today, unless the limit is reached; without one, 0, nothing is counted.

        A mail whose process ends between its count and its claim counts twice.
        """
        if not limit:
            return Use.NORMAL
        update = {
            "TableName": self._table,
            "Key": {"pk": {"S": day_row(scope, now)}},
            "UpdateExpression": "SET #ttl = :ttl ADD #number :one",
            "ConditionExpression": "attribute_not_exists(#number) OR #number < :limit",
            "ExpressionAttributeNames": {"#ttl": "ttl", "#number": "number"},
            "ExpressionAttributeValues": {
                ":ttl": {"N": str(int(now + RETENTION_SECONDS))},
                ":one": {"N": "1"},
                ":limit": {"N": str(limit)},
            },
            "ReturnValues": "ALL_NEW",
        }
        try:
            answer = self._aws.call("dynamodb", "UpdateItem", update)
        except AwsError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            return Use.REACHED
        number = decode_item(answer["Attributes"])["number"]
        return Use.NEAR if number - 1 < limit * NEAR_SHARE <= number else Use.NORMAL


def day_row(scope: str, now: float) -> str:
    """Return the key of a scope's counter of the day, in UTC."""
    return f"day#{scope}#{time.strftime('%Y%m%d', time.gmtime(now))}"
