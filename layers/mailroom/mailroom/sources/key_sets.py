"""The public keys of an auth server, in the setting `keys` of its source."""

from mailroom.sources.source import Credentials
from mailroom.webhooks.json_web_signatures import JsonWebKeys, MalformedKeys

__all__ = ["key_set"]


def key_set(credentials: Credentials) -> JsonWebKeys:
    """Return the public keys of a tenant's auth server; none where the setting is missing."""
    try:
        return JsonWebKeys.parse(credentials.values.get("keys", ""))
    except MalformedKeys as error:
        raise credentials.malformed("keys", str(error)) from error
