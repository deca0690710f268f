"""A generator of hostile requests: request `number` of a seed is always the same."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import urlencode

from mailroom.sources import registry
from mailroom_ops.sandbox.reports import PATH_SECRET
from mailroom_ops.sandbox.reports.resend import sign_resend
from tests.hostile.surroundings import API_KEY, KRATOS_SECRET, LOGTO_TOKEN, SENT_IDS, SUPABASE_KEY

__all__ = ["CANARY", "HostileRequest", "generate"]

CANARY = "canary"  # in every secret, code, link and address: no log line may contain it
ADDRESS, CODE, LINK = "canary-reader@canary.example", "canary739154", "https://canary.example/reset?token=canary"
TEXTS = (
    *(ADDRESS, CODE, LINK, f"Canary <{ADDRESS}>", f"{ADDRESS},{ADDRESS}", f"{ADDRESS}\r\nBcc: {ADDRESS}"),
    *(
        "",
        " ",
        "0",
        "-1",
        "null",
        "1e999",
        "\0",
        "\r\n",
        "\u202ecanary",
        "\ufeff",
        "\ud800",
        "\udfff\ud800",
        "\U0001f4a9",
    ),
    *("{{ code }}", "{% raw %}", "${jndi:ldap://canary.example}", "<script>canary</script>", "<!--", "]]>", "&#0;"),
    *("../../etc/passwd", "%00", "%ff", "__proto__", "constructor", "__class__", "' OR 1=1 --", "=?utf-8?b?Y2FuYXJ5?="),
    *(
        "javascript:canary",
        "https://canary@canary.example:99999/",
        "http://[::1",
        "https://canary\uff0eexample",
        "//canary",
    ),
    *("reader@xn--.example", "a@" + "b." * 130, "ﷺ" * 40, "é" * 300, "a" * 5000, "İ", "ß", "e\u0301" * 50),
)
KEYS = (
    *("to", "type", "payload", "code", "link", "locale", "uiLocales", "application", "organization", "user", "name"),
    *("kind", "tenant", "data", "idempotency_key", "mode", "expires_in", "title", "paragraphs", "button", "facts"),
    *(
        "messages",
        "event",
        "email_id",
        "tags",
        "created_at",
        "bounce",
        "signature",
        "event-data",
        "RecordType",
        "",
        "\0",
    ),
)
TENANTS = ("default", "acme", "nobody", "", "..", "ACME", "a" * 300, "%2e%2e", "acme\n", "ä", "acme/../default")
METHODS = ("POST",) * 12 + ("GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW", "post", "", "PO ST")
CONTENT_TYPES = ("application/json",) * 12 + (
    *("application/json; charset=utf-16", "APPLICATION/JSON", "text/plain", "", "multipart/form-data"),
    *("application/x-www-form-urlencoded", "application/json, text/plain", "\ud800", "a" * 5000),
)
ACCOUNTS = (
    "resend",
    "sendgrid",
    "mailgun",
    "postmark",
    "aliyun",
    "ses",
    "resend.acme",
    "nobody",
    "",
    "resend.",
    "../x",
)
RESEND_TYPES = ("delivered", "bounced", "complained", "opened", "failed", "suppressed", "delivery_delayed", "odd")
RECORD_TYPES = ("Delivery", "Bounce", "SpamComplaint", "Open", "SubscriptionChange", "Odd", "")
NAMES = ("tenant", "kind")  # a caller with a key may choose them, and they are logged
PROVIDER_IDS = ("email_id", "MessageID")  # an authenticated provider's own id of a mail, which is logged
KINDS = (
    "sign-in-code",
    "organization-invitation",
    "notification",
    "security-notice",
    "magic-link",
    "own-kind",
    "",
    "É",
)

ACTIONS = ("signup", "magiclink", "email_change", "reauthentication", "password_changed_notification", "odd", "")
SLUGS = ("verification_code", "magic_link_sign_in", "password_changed", "organization_invitation", "odd", "", None)
TEMPLATE_TYPES = ("login_code_valid", "recovery_valid", "recovery_invalid", "authenticator_key_added", "odd", "")
TOKEN = ".".join(  # of the right form, and with the id of a known key
    base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
    for part in (
        {"alg": "RS256", "kid": "local-entra"},
        {"exp": 4_000_000_000, "sub": "hanko webhooks", "evt": "email.send", "aud": "app.example.com"},
        "canary" * 57,
    )
)

Json = Any


@dataclass(frozen=True, slots=True)
class HostileRequest:
    """An event for a function. With `is_http`, its reply must have a status."""

    function: str
    event: Json
    is_http: bool = True


def generate(seed: int, number: int) -> HostileRequest:
    """Return one request."""
    random = Random(seed << 32 | number)  # noqa: S311 - a request is repeated by its number
    return random.choice(MAKERS)(random)


# ---- values ----


def _text(random: Random) -> str:
    if random.random() < 0.7:
        return random.choice(TEXTS)
    return "".join(
        chr(random.choice((random.randrange(0x80), random.randrange(0x3000)))) for _ in range(random.randrange(30))
    )


def _value(random: Random, depth: int = 0) -> Json:
    choice = random.randrange(10 if depth < 4 else 7)
    if choice < 3:
        return _text(random)
    if choice < 7:
        return random.choice((None, True, False, 0, -1, 10**40, -(2**63), 1.5, 1e308, -0.0, [], {}))
    size = random.randrange(4)
    if choice < 8:
        return [_value(random, depth + 1) for _ in range(size)]
    return {_key(random): _value(random, depth + 1) for _ in range(size)}


def _key(random: Random) -> str:
    return random.choice(KEYS) if random.random() < 0.8 else _text(random)


def _mutated(random: Random, body: dict[str, Json]) -> Json:
    """Return a body in which some fields are missing, added or of another type."""
    for _ in range(random.choice((0, 0, 1, 1, 2, 4))):
        holder = random.choice([body, *(value for value in body.values() if isinstance(value, dict))])
        name = random.choice([*holder, _key(random)])
        if random.random() < 0.2 or name in PROVIDER_IDS:
            holder.pop(name, None)
        elif name in NAMES:
            holder[name] = random.choice((*TENANTS, *KINDS, None, 1, []))
        else:
            holder[name] = _value(random)
    return body if random.random() < 0.9 else _value(random)


def _encoded(random: Random, value: Json) -> bytes:
    """Return a value as JSON, now and then damaged."""
    text = json.dumps(value)
    content = text.encode()
    position = random.randrange(len(content) + 1)
    match random.randrange(40):
        case 0:
            return content[:position]
        case 1:
            return content[:position] + random.randbytes(random.randrange(1, 6)) + content[position:]
        case 2:
            return text.encode(random.choice(("utf-16", "utf-8-sig", "utf-32")))
        case 3:
            return content[:-1] + b',"to":"canary@canary.example","to":1}'
        case 4:
            depth = random.choice((33, 500, 30_000))
            return b'{"to":' + b"[" * depth + b"]" * random.choice((0, depth)) + b"}"
        case 5:
            return text.replace("1.5", random.choice(("NaN", "-Infinity", "1e999", "0x1", "01"))).encode()
        case 6:
            return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
        case 7:
            return random.randbytes(random.randrange(200))
        case 8 if random.random() < 0.05:
            return json.dumps([value, "canary" * 200_000]).encode()
        case 9:
            return b""
    return content


# ---- events ----


def _headers(random: Random, content_type: str, authorization: str) -> dict[str, str]:
    headers = {"content-type": content_type, "authorization": authorization}
    if random.random() < 0.1:
        headers = {name.title(): value for name, value in headers.items()}
    if random.random() < 0.05:
        del headers[random.choice(list(headers))]
    if random.random() < 0.2:
        headers[
            random.choice(("x-mailroom-secret", "idempotency-key", "svix-id", "x-forwarded-for", "cookie", "\0"))
        ] = _text(random)
    return headers


def _authorization(random: Random, valid: str) -> str:
    if random.random() < 0.75:
        return valid
    wrong = (
        valid[:-1],
        valid.upper(),
        valid + " ",
        "Bearer ",
        "Basic canary",
        "Basic Y2FuYXJ5",
        "",
        "Bearer \ud800",
        "Bearer é",
    )
    return random.choice(wrong)


def _event(
    random: Random, route: str, method: str, path: Mapping[str, str], headers: Mapping[str, str], body: bytes
) -> Json:
    is_base64 = random.random() < 0.3
    content = base64.b64encode(body).decode() if is_base64 else body.decode("utf-8", "surrogateescape")
    if is_base64 and random.random() < 0.05:
        content = content[:-1] + "\u00e9"
    return {
        "version": "2.0",
        "routeKey": route,
        "pathParameters": dict(path) or None,
        "headers": dict(headers),
        "requestContext": {
            "http": {"method": method, "sourceIp": random.choice(("192.0.2.1", "2001:db8::1"))},
            "timeEpoch": int(time.time() * 1000),
            "requestId": random.choice(("JKJaXmPLvHcESHA=", "canary\n", "")),
        },
        "body": content if body or random.random() < 0.5 else None,
        "isBase64Encoded": is_base64,
    }


def _webhook(random: Random) -> HostileRequest:
    payload = {"code": CODE, "locale": "de", "application": {"name": "canary"}, "link": LINK}
    types = ("SignIn", "Register", "OrganizationInvitation", "ForgotPassword", "Generic", CODE)
    body = {"to": ADDRESS, "type": random.choice(types), "payload": payload}
    tenant = random.choice(TENANTS) if random.random() < 0.2 else random.choice(("", "acme"))
    headers = _headers(random, random.choice(CONTENT_TYPES), _authorization(random, LOGTO_TOKEN))
    content = _encoded(random, _mutated(random, body))
    path = {"tenant": tenant} if tenant else {}
    return HostileRequest(
        "webhook", _event(random, "ANY /webhooks/logto", random.choice(METHODS), path, headers, content)
    )


def _source(random: Random) -> HostileRequest:
    """Return a request of an auth server other than Logto; those of Entra, Hanko and Neon have no valid signature."""
    name = random.choice(("supabase", "supabase", "kratos", "kratos", "entra", "hanko", "neon", _text(random)))
    email = {"token": CODE, "token_hash": "canary", "site_url": LINK, "redirect_to": LINK}
    email |= {"email_action_type": random.choice(ACTIONS), "token_new": random.choice(("", CODE)), "old_email": ADDRESS}
    body: dict[str, Json] = {
        "metadata": {"uuid": "canary", "time": random.choice(("2026-11-26T02:22:28.1Z", "0001-01-01", _text(random)))},
        "user": {"email": ADDRESS, "new_email": ADDRESS, "user_metadata": {"locale": "de", "name": "canary"}},
        "email_data": email,
        "template_type": random.choice(TEMPLATE_TYPES),
        "expires_in_minutes": 15,
        "traits": {"locale": "de"},
        "token": random.choice((TOKEN, "canary", f"{TOKEN}.", "..")),
        "to": ADDRESS,
        "code": CODE,
        "link": LINK,
    }
    content = _encoded(random, _mutated(random, body))
    stamp = str(int(time.time()) + random.choice((0, 0, 0, 0, 301, -301)))
    signature = hmac.digest(SUPABASE_KEY, f"canary.{stamp}.".encode() + content, hashlib.sha256)
    signatures = (f"v1,{base64.b64encode(signature).decode()}",) * 6 + ("v1,canary", "v1,AAAA, v1,BBBB", ",", "")
    authorization = _authorization(random, random.choice((f"Bearer {KRATOS_SECRET}", f"Bearer {TOKEN}")))
    headers = _headers(random, random.choice(CONTENT_TYPES), authorization) | {
        "webhook-id": "canary",
        "webhook-timestamp": stamp,
        "webhook-signature": random.choice(signatures),
        "x-neon-timestamp": random.choice((stamp, f"{stamp}000", f"{stamp}\u0663\u0663\u0663", "")),
        "x-neon-signature": random.choice((f"{TOKEN.partition('.')[0]}..canary", "..", TOKEN, _text(random))),
        "x-neon-signature-kid": random.choice(("local-neon", "canary", "")),
    }
    tenant = random.choice((*TENANTS, "")) if random.random() < 0.2 else ""
    path = {"source": name, **({"tenant": tenant} if tenant else {})}
    return HostileRequest(
        "webhook", _event(random, "ANY /webhooks/{source}", random.choice(METHODS), path, headers, content)
    )


def _rendered(random: Random) -> HostileRequest:
    """Return a request of an auth server that renders its mail, with the fields of all of them."""
    name = random.choice((*registry.SEALED, _text(random)))
    mail: dict[str, Json] = {
        "to": ADDRESS,
        "subject": "canary",
        "html": random.choice(("<p>canary", _text(random))),
        "text": CODE,
    }
    mail |= {"id": "canary", "kind": random.choice(KINDS), "expires_in": 60, "reply_to": ADDRESS}
    template = {"subject": "canary", "greeting": _text(random), "text": f"canary {CODE}", "url": LINK}
    clerk: dict[str, Json] = {
        "to_email_address": ADDRESS,
        "slug": random.choice(SLUGS),
        "subject": "canary",
        "body": "<p>canary",
    }
    clerk |= {"data": {"otp_code": CODE, "action_url": LINK, "app": {"name": "canary"}}, "code": CODE, "to": ADDRESS}
    body: dict[str, Json] = {
        **mail,
        "type": random.choice(("email.created", "sign-in-code", "canary")),
        "timestamp": random.choice((int(time.time() * 1000), "2026-11-26T02:22:28.1Z", _text(random))),
        "contextInfo": {"eventType": "user.human.password.code.added", "recipientEmailAddress": ADDRESS},
        "templateData": template,
        "args": {"displayName": _text(random), "expiry": random.choice((0, 300_000_000_000, -1, 10**400))},
        "data": _mutated(random, clerk) if random.random() < 0.3 else clerk,
        "toAddress": ADDRESS,
        "content": "canary",
    }
    content_type, content = random.choice(CONTENT_TYPES), _encoded(random, _mutated(random, body))
    if random.random() < 0.2:
        content_type = "application/x-www-form-urlencoded"
        content = urlencode({key: str(value) for key, value in body.items()}, errors="replace").encode()
    stamp = str(int(time.time()) + random.choice((0, 0, 0, 0, 301)))
    signature = base64.b64encode(hmac.digest(SUPABASE_KEY, f"canary.{stamp}.".encode() + content, "sha256")).decode()
    zitadel = hmac.digest(KRATOS_SECRET.encode(), f"{stamp}.".encode() + content, "sha256").hex()
    headers = _headers(random, content_type, _authorization(random, LOGTO_TOKEN)) | {
        "webhook-id": "canary",
        "webhook-timestamp": stamp,
        "webhook-signature": random.choice((f"v1,{signature}",) * 4 + ("v1,canary", "")),
        "zitadel-signature": random.choice((f"t={stamp},v1={zitadel}",) * 4 + ("t=,v1=", "canary", _text(random))),
        "accept-language": random.choice(("de-AT,de;q=0.9", _text(random))),
    }
    tenant = random.choice(TENANTS) if random.random() < 0.1 else ""
    path = {"tenant": tenant} if tenant else {}
    route = f"ANY /webhooks/{name}" + "/{tenant}" * bool(tenant)
    return HostileRequest("rendered", _event(random, route, random.choice(METHODS), path, headers, content))


def _message(random: Random) -> Json:
    data = {"code": CODE, "link": LINK, "title": "canary", "paragraphs": ["canary"], "facts": {"canary": "canary"}}
    body = {"kind": random.choice(KINDS), "to": f"canary-{random.randrange(10**6)}@canary.example", "data": data}
    if random.random() < 0.5:
        body["mode"] = random.choice(("inline", "queued"))
    if random.random() < 0.2:
        body["tenant"] = random.choice(TENANTS)
    return _mutated(random, body)


def _send(random: Random) -> HostileRequest:
    headers = _headers(random, random.choice(CONTENT_TYPES), _authorization(random, f"Bearer {API_KEY}"))
    match random.randrange(8):
        case 0:
            message_id = random.choice((*SENT_IDS, "0" * 32, "f" * 31, _text(random)))
            return HostileRequest(
                "send", _event(random, "GET /v1/emails/{id}", "GET", {"id": message_id}, headers, b"")
            )
        case 1:
            messages = [_message(random) for _ in range(random.choice((0, 1, 2, 3)))]
            content = _encoded(random, random.choice((messages, {"messages": messages})))
            return HostileRequest("send", _event(random, "POST /v1/emails/batch", "POST", {}, headers, content))
        case 2:  # by `lambda invoke`: any JSON that IAM lets through
            event = random.choice((_message, _value))(random)
            return HostileRequest("send", json.loads(json.dumps(event)), is_http=False)
    content = _encoded(random, _message(random))
    return HostileRequest("send", _event(random, "POST /v1/emails", "POST", {}, headers, content))


def _feedback(random: Random) -> HostileRequest:
    message_id = random.choice((*SENT_IDS, "0" * 32, _text(random)))
    account = random.choice(("resend", "postmark")) if random.random() < 0.7 else random.choice(ACCOUNTS)
    headers = _headers(random, "application/json", _authorization(random, ""))
    path = {"provider": account}
    if account == "resend":
        data = {
            "email_id": "its id",
            "to": [ADDRESS],
            "subject": "canary",
            "tags": {"message_id": message_id, "tenant": "canary"},
        }
        body = {"type": f"email.{random.choice(RESEND_TYPES)}", "created_at": "2026-11-01T00:00:00Z", "data": data}
        posting = sign_resend(_encoded(random, _mutated(random, body)), time.time(), f"msg_{random.randrange(10**9)}")
        content = posting.body
        if random.random() < 0.85:
            headers |= posting.headers
    else:
        body = {
            "RecordType": random.choice(RECORD_TYPES),
            "MessageID": "its id",
            "Email": ADDRESS,
            "Recipient": ADDRESS,
        }
        body |= {
            "Metadata": {"message_id": message_id, "tenant": "canary"},
            "Type": random.choice(("HardBounce", "SoftBounce", "Odd")),
        }
        content = _encoded(random, random.choice((_mutated(random, body), [_mutated(random, dict(body))])))
        if random.random() < 0.85:
            path["secret"] = PATH_SECRET
    return HostileRequest(
        "feedback", _event(random, "ANY /feedback/{provider}", random.choice(METHODS), path, headers, content)
    )


def _link(random: Random) -> HostileRequest:
    tenant = random.choice((*TENANTS, "default", "acme", _text(random)))
    headers = _headers(random, "text/plain", "") | {"accept-language": random.choice(("de, en;q=0.5", _text(random)))}
    method = random.choice(("GET", "HEAD", *METHODS))
    event = _event(random, "ANY /l/{tenant}", method, {"tenant": tenant}, headers, b"")
    query = {"lang": random.choice(("de", _text(random), "x-" * 3000)), _text(random): _text(random)}
    return HostileRequest("link", event | {"queryStringParameters": query if random.random() < 0.8 else None})


MAKERS: tuple[Callable[[Random], HostileRequest], ...] = (_webhook, _source, _rendered, _send, _feedback, _link)
