"""A stub of Postmark: https://postmarkapp.com/developer/api/email-api"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from mailroom.feedback.suppression import Cause
from mailroom_ops.sandbox.provider import (
    UNVERIFIED,
    RateLimit,
    Reply,
    Request,
    captured_mail,
    data_url,
    json_reply,
    mailboxes,
)
from mailroom_ops.sandbox.suppressed import SuppressedAddresses

__all__ = ["STUB", "Postmark"]

SUPPRESSION_REASONS = {Cause.BOUNCE: "HardBounce", Cause.COMPLAINT: "SpamComplaint"}
ACCEPTED = re.compile(r"application/json|\*/\*")
INACTIVE = "suppressed@"  # the beginning of an address that has bounced before
STREAMS = ("outbound", "broadcast")
ERRORS = {
    401: (10, "No Account or Server API tokens were supplied in the HTTP headers."),
    429: (429, "Rate limit exceeded."),
    503: (100, "Maintenance."),
}


class Postmark:
    """Accepts one mail per request; reports errors by ErrorCode more than by status."""

    name = "postmark"

    def __init__(self, server_token: str = "00000000-0000-4000-8000-sandbox00000") -> None:
        self.server_token = server_token
        self.suppressed = SuppressedAddresses()

    def settings(self, url: str) -> dict[str, str]:
        return {"server_token": self.server_token, "endpoint": url}

    def answer(self, request: Request, work: Callable[[], None]) -> Reply:
        if request.path == "/server" and request.method == "GET":
            is_authorized = request.headers.get("X-Postmark-Server-Token") == self.server_token
            server = {"ID": 1, "Name": "Sandbox", "DeliveryType": "Live", "TrackOpens": False, "TrackLinks": "None"}
            return json_reply(200, server) if is_authorized else self.error(401)
        if request.path.startswith("/message-streams/"):
            is_authorized = request.headers.get("X-Postmark-Server-Token") == self.server_token
            return self._suppressions(request) if is_authorized else self.error(401)
        if request.path != "/email" or request.method != "POST":
            return self.error(404)
        if request.headers.get("X-Postmark-Server-Token") != self.server_token:
            return self.error(401)
        accepts = request.headers.get("Accept", "*/*")
        if request.headers.get_content_type() != "application/json" or not ACCEPTED.search(accepts):
            return _refusal(409, "The 'Accept' and 'Content-Type' headers must be 'application/json'.")
        body = request.json()
        if not isinstance(body, dict):
            return _refusal(402, "Received invalid JSON input.")
        if (problem := _problem(body)) is not None:
            return problem
        files = body.get("Attachments") or []
        images = {
            file["ContentID"].removeprefix("cid:"): data_url(file["ContentType"], file["Content"]) for file in files
        }
        if not all(images.values()):
            return _refusal(300, "Invalid attachment content.")
        work()
        id_ = str(uuid4())
        mail = captured_mail(
            self.name,
            body.get("Metadata") or {},
            id_=id_,
            from_=body["From"],
            to=body["To"],
            reply_to=body.get("ReplyTo") or "",
            subject=body.get("Subject") or "",
            text=body.get("TextBody") or "",
            html=body.get("HtmlBody") or "",
            headers={header["Name"]: header["Value"] for header in body.get("Headers") or []},
            images={cid: url for cid, url in images.items() if url},
        )
        self.suppressed.learn(mail)
        submitted = datetime.now(UTC).isoformat()
        answer = {"To": body["To"], "SubmittedAt": submitted, "MessageID": id_, "ErrorCode": 0, "Message": "OK"}
        return json_reply(200, answer, mail)

    def _suppressions(self, request: Request) -> Reply:
        """Return a dump of the list, or delete from it: https://postmarkapp.com/developer/api/suppressions-api"""
        url = urlsplit(request.path)
        match request.method, url.path.strip("/").split("/")[1:]:
            case "GET", [stream, "suppressions", "dump"] if stream in STREAMS:
                address = parse_qs(url.query).get("EmailAddress", [""])[-1].lower()
                entries = [entry for entry in self.suppressed.all() if address in ("", entry.address)]
                items = [
                    {
                        "EmailAddress": entry.address,
                        "SuppressionReason": SUPPRESSION_REASONS.get(entry.cause, "ManualSuppression"),
                        "Origin": "Recipient",
                        "CreatedAt": datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="seconds"),
                    }
                    for entry in entries
                ]
                return json_reply(200, {"Suppressions": items})
            case "POST", [stream, "suppressions", "delete"] if stream in STREAMS:
                addresses = [item["EmailAddress"] for item in request.json()["Suppressions"]]
                return json_reply(200, {"Suppressions": [self._reactivate(address) for address in addresses]})
        return self.error(404)

    def _reactivate(self, address: str) -> dict[str, str | None]:
        entry = self.suppressed.find(address)
        if entry and entry.cause is Cause.COMPLAINT:
            message = "You do not have the required authority to change this suppression."
            return {"EmailAddress": address, "Status": "Failed", "Message": message}
        self.suppressed.remove(address)
        return {"EmailAddress": address, "Status": "Deleted", "Message": None}

    def error(self, status: int) -> Reply:
        code, message = ERRORS.get(status, (0, "This error was requested from the sandbox."))
        return json_reply(status, {"ErrorCode": code, "Message": message})

    def throttled(self, rate: RateLimit) -> Reply:
        return self.error(429)

    def rate_headers(self, rate: RateLimit) -> dict[str, str]:
        return {}


def _refusal(code: int, message: str) -> Reply:
    return json_reply(422, {"ErrorCode": code, "Message": message})


def _problem(body: dict[str, Any]) -> Reply | None:
    """Return Postmark's error for an invalid body; None for a valid one."""
    for field in ("From", "To", "ReplyTo"):
        value = body.get(field)
        if field == "ReplyTo" and not value:
            continue
        pairs = mailboxes(value)
        if pairs is None or not all(address.isascii() for _, address in pairs):
            return _refusal(300, f"Invalid '{field}' address: '{value}'.")
    if body["From"].rstrip("> ").endswith(f"@{UNVERIFIED}"):
        return _refusal(
            400, f"The 'From' address you supplied ({body['From']}) is not a Sender Signature on your account."
        )
    if not body.get("HtmlBody") and not body.get("TextBody"):
        return _refusal(300, "Provide either email TextBody or HtmlBody or both.")
    metadata = body.get("Metadata") or {}
    if any(len(name) > 20 or len(str(value)) > 80 for name, value in metadata.items()):
        return _refusal(300, "Invalid metadata content. A field has at most 20 characters, a value at most 80.")
    stream = body.get("MessageStream", STREAMS[0])
    if stream not in STREAMS:
        return _refusal(1235, f"The 'MessageStream' provided ({stream}) does not exist on this server.")
    if body["To"].startswith(INACTIVE):
        reason = "You tried to send to a recipient that has been marked as inactive. Found inactive addresses: "
        return _refusal(406, f"{reason}{body['To']}. Inactive recipients are ones that have generated a hard bounce.")
    return None


STUB = Postmark
