"""Examples of the OpenAPI document: a request for each kind, and an answer for each status."""

from collections.abc import Mapping
from typing import Any

__all__ = ["ANSWERS", "BATCH", "EMAIL", "MESSAGE_ID", "REFUSALS", "REQUESTS", "RESULTS", "named"]

MESSAGE_ID = "01a1fad716a3febae9f7600d82e2dad8"
SENT = {
    "message_id": MESSAGE_ID,
    "status": "sent",
    "provider": "resend",
    "provider_id": "174e1448-5b0c-4e0b-9d5c-1f0f6ad3c9b2",
}
READER = "reader@example.com"
CODE = {"code": "048213"}


def _request(kind: str, data: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "to": READER, **fields, "data": dict(data)}


REQUESTS: Mapping[str, dict[str, Any]] = {
    "sign-in-code": _request("sign-in-code", CODE, locale="de", idempotency_key="sign-in-7f3a"),
    "magic-link": _request("magic-link", {"link": "https://app.example.com/sign-in?token=9b21"}, expires_in=300),
    "sign-up-code": _request("sign-up-code", CODE | {"application": "Acme"}),
    "password-reset": _request("password-reset", {"link": "https://app.example.com/reset?token=9b21"}, expires_in=3600),
    "email-confirmation": _request("email-confirmation", {"link": "https://app.example.com/confirm?token=9b21"}),
    "mfa-code": _request("mfa-code", CODE, expires_in=180),
    "bind-mfa-code": _request("bind-mfa-code", CODE),
    "permission-code": _request("permission-code", CODE),
    "bind-identifier-code": _request("bind-identifier-code", CODE),
    "generic-code": _request("generic-code", CODE),
    "organization-invitation": _request(
        "organization-invitation",
        {"link": "https://app.example.com/join?token=9b21", "organization": "Acme", "inviter": "Ada"},
        expires_in=604800,
        idempotency_key="invitation-42",
    ),
    "security-notice": _request(
        "security-notice",
        {"event": "new-sign-in", "request": {"device": "Firefox on Linux", "place": "Lisbon, Portugal"}},
        mode="queued",
    ),
    "notification": _request(
        "notification",
        {
            "title": "Your booking is confirmed",
            "paragraphs": ["Thank you for your order.", "Doors open at seven."],
            "button": {"text": "Show tickets", "url": "https://app.example.com/orders/7f3a"},
            "facts": {"Row": "F", "Seats": 2},
        },
        locale=["pt-BR", "en"],
        mode="queued",
        idempotency_key="order-7f3a-confirmed",
    ),
}
BATCH = {"messages": [REQUESTS["organization-invitation"], REQUESTS["security-notice"]]}


def _refusal(field: str, message: str) -> dict[str, Any]:
    return {"status": "refused", "errors": [{"field": field, "message": message}]}


# By HTTP status, then by name.
ANSWERS: Mapping[str, Mapping[str, dict[str, Any]]] = {
    "200": {
        "sent": SENT,
        "skipped": {"message_id": MESSAGE_ID, "status": "skipped", "reason": "email_not_configured"},
    },
    "202": {"accepted": {"message_id": MESSAGE_ID, "status": "accepted"}},
    "502": {
        "failed": {"message_id": MESSAGE_ID, "status": "failed", "reason": "invalid_address", "provider": "resend"}
    },
    "504": {"unknown": {"message_id": MESSAGE_ID, "status": "unknown", "reason": "no_answer", "provider": "smtp"}},
    "500": {"crashed": {"message_id": MESSAGE_ID, "status": "unknown", "reason": "crashed"}},
    "503": {
        "interrupted": {"message_id": MESSAGE_ID, "status": "unknown", "reason": "unavailable"},
        "refused": _refusal("body", "Nothing was accepted: Mailroom is not available at the moment. Please try again."),
    },
}
REFUSALS: Mapping[str, Mapping[str, dict[str, Any]]] = {
    "400": {"not JSON": _refusal("body", "The request is not valid JSON.")},
    "401": {
        "wrong key": _refusal(
            "authorization", "The API key is missing or wrong: send it as `Authorization: Bearer <key>`."
        )
    },
    "403": {"another tenant": _refusal("tenant", "This API key may not send for this tenant.")},
    "404": {"unknown": _refusal("id", "There is no such email.")},
    "409": {
        "key used": _refusal(
            "idempotency_key", "This key was used for another mail in the last 24 hours: use a new one."
        ),
        "in flight": _refusal("idempotency_key", "This mail is being sent at this moment: ask again in a second."),
    },
    "413": {"too large": _refusal("body", "One message may have 64 kB.")},
    "415": {"content type": _refusal("body", "Send the request as application/json.")},
    "422": {
        "misspelled kind": _refusal("kind", "There is no kind sign-in-cod. Did you mean sign-in-code?"),
        "several fields": {
            "status": "refused",
            "errors": [
                {"field": "to", "message": "Give exactly one email address, such as reader@example.com."},
                {"field": "data", "message": "Give a code or a link: a mail of this kind must have one."},
            ],
        },
    },
}
RESULTS = {
    "results": [SENT, _refusal("to", "Give exactly one email address, such as reader@example.com.")],
}
EMAIL = {
    "message_id": MESSAGE_ID,
    "tenant": "default",
    "kind": "sign-in-code",
    "to": "r•••@example.com",
    "status": "delivered",
    "provider": "resend",
    "provider_id": SENT["provider_id"],
    "created_at": "2026-11-20T20:15:51.310Z",
    "timeline": [
        {"at": "2026-11-20T20:15:51.310Z", "event": "received", "detail": "from direct"},
        {"at": "2026-11-20T20:15:51.742Z", "status": "sent", "provider": "resend", "answer": "accepted"},
        {"at": "2026-11-20T20:15:53.000Z", "event": "delivered", "provider": "resend"},
    ],
}


def named(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return examples in the form of OpenAPI."""
    return {name: {"value": value} for name, value in values.items()}
