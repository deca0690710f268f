"""Microsoft Entra External ID, the event OnOtpSend of a custom authentication extension.

https://learn.microsoft.com/en-us/entra/identity-platform/custom-extension-email-otp-get-started
It waits 2 s and repeats a request once. It insists on the very answer below, else it sends its own mail, or none (docs
of 2026-11). A mail has no id, and a token may serve several requests: correlation id and code tell mails apart.
"""

import re
from collections.abc import Mapping
from typing import Any

from mailroom.errors import RequestError
from mailroom.model.message import Message
from mailroom.request import Request
from mailroom.sources.key_sets import key_set
from mailroom.sources.source import Credentials, Source, VerifiedRequest
from mailroom.webhooks.authentication import Unauthenticated, equals_any
from mailroom.webhooks.json_access import get, text
from mailroom.webhooks.json_web_signatures import require_token

__all__ = ["SOURCE"]

# "Azure Active Directory Authentication Extensions". Anybody in the directory can get a token for our audience: this
# claim, `azp` or in older tokens `appid`, is the one that proves the caller.
CALLER = "99045fe1-7639-4a75-9d4a-577b6ca3810f"
ISSUERS = r"https://[a-z0-9-]+\.ciamlogin\.com/{directory}/v2\.0|https://sts\.windows\.net/{directory}/"
KINDS: Mapping[str, str] = {  # by requestType; the documentation shows signUp only
    "signUp": "sign-up-code",
    "signIn": "sign-in-code",
    "passwordReset": "password-reset",
}
CONTINUE = "microsoft.graph.OtpSend.continueWithDefaultBehavior"
ANSWER = {
    "data": {"@odata.type": "microsoft.graph.OnOtpSendResponseData", "actions": [{"@odata.type": CONTINUE}]},
}


def verify(request: Request, credentials: Credentials) -> Mapping[str, Any]:
    """Return the claims of the token; refuse one that is not from the directory, for us, and for this caller."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("the token is missing or malformed")
    claims = require_token(token.strip(), key_set(credentials), request.received_at)
    directory = credentials.lines("directory_id")[0]
    issuers = ISSUERS.format(directory=re.escape(directory))
    if not (re.fullmatch(issuers, text(claims, "iss")) and text(claims, "tid") == directory):
        raise Unauthenticated("the token is from another directory")
    if not equals_any(text(claims, "aud").encode(), [line.encode() for line in credentials.lines("audience")]):
        raise Unauthenticated("the token is for another audience")
    if CALLER not in (text(claims, "azp"), text(claims, "appid")):
        raise Unauthenticated("the token is another application's")
    return claims


def parse(verified: VerifiedRequest) -> list[Message]:
    """Return the message of a request."""
    data = get(verified.json_object(), "data")
    context, code = get(data, "authenticationContext"), text(data, "otpContext", "oneTimeCode")
    if not code:
        raise RequestError(422, "The oneTimeCode is missing.")
    correlation_id = text(context, "correlationId")
    kind = KINDS.get(text(context, "requestType"), "generic-code")
    return [
        verified.message(
            kind,
            get(data, "otpContext", "identifier"),
            {"code": code, "application": {"name": _application(context)}},
            key=f"{correlation_id} {code}" if correlation_id else "",
            locales=[text(context, "client", "locale"), text(context, "client", "market")],
            client_ip=text(context, "client", "ip"),
        )
    ]


def _application(context: Any) -> str:
    name, title = (text(context, "clientServicePrincipal", field) for field in ("displayName", "appDisplayName"))
    return name or title


def _keys_url(settings: Mapping[str, str]) -> str:
    directory = settings["directory_id"].strip()
    return f"https://{directory}.ciamlogin.com/{directory}/discovery/v2.0/keys"


SOURCE = Source(
    name="entra",
    required={
        "directory_id": "the id of the Entra directory (tenant) of the users",
        "audience": "the application id of the custom authentication extension's app registration",
        "keys": "the directory's public keys; `mailroom sources refresh-keys` sets them",
    },
    optional={"code_lifetime_minutes": "how long its codes are valid; by default, as long as the stack's"},
    verify=verify,
    parse=parse,
    answer=ANSWER,
    keys_url=_keys_url,
)
