"""Casdoor's Custom HTTP Email: a form with static headers, and no retry; any answer but 200 is an error to the user.

https://casdoor.org/docs/provider/email/. Its JSON mode never contains the recipient, and GET puts code and address into
the URL: only its form is of use. `content` is HTML or text (casdoor@e6b2338f8 email/custom_http.go, 2026-11).
"""

from collections.abc import Mapping
from dataclasses import replace

from mailroom.model.message import Message
from mailroom.sources import rendered
from mailroom.sources.source import Source, VerifiedRequest
from mailroom.untrusted import LOCALE_TAG

__all__ = ["SOURCE"]

# Casdoor's names, and those that its operator may have mapped them to.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "to": ("toAddress", "toAddresses", "to"),
    "html": ("content", "html"),
}


def parse(verified: VerifiedRequest) -> list[Message]:
    """Return a message for each recipient, in the language of the user's browser, which Casdoor passes on."""
    language = verified.request.headers.get("accept-language", "").partition(",")[0].partition(";")[0].strip()
    locales = (language,) if LOCALE_TAG.fullmatch(language) else ()
    return [replace(message, locales=message.locales or locales) for message in rendered.parse(verified)]


SOURCE: Source = replace(rendered.declare("casdoor", FIELDS), parse=parse)
