"""Provider accounts: what they take, what a recipient gets, and how they go wrong.

A request reaches an account through the real adapter: over a model of HTTP's transport, or of smtplib's connection.
"""

import hashlib
import json
import re
import smtplib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mailroom.network.http import Answer, NoAnswer, Unreachable, Url
from mailroom.providers import _client
from tests.simulation.faults import PROVIDER_FAULTS, Fault, Faults
from tests.simulation.scheduler import Scheduler

__all__ = ["Account", "Copy", "Offer", "SmtpConnection", "Transport"]

LONG_ID = "long-" + "x" * 2995
BOUNDARY = re.compile(rb"--[0-9a-f]{32}")
MESSAGE_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(slots=True)
class Offer:
    """One mail in one request, as it reached an account. `result`: taken, refused, or unknown to who sent it."""

    message_id: str
    account: str
    key: str
    content: bytes
    to: str
    text: str
    started_at: float
    at: float
    process: str
    result: str = "unknown"


@dataclass(frozen=True, slots=True)
class Copy:
    """One mail that left for its recipient."""

    offer: Offer
    at: float
    id: str


@dataclass(slots=True)
class Account:
    """One account at a provider."""

    name: str
    kind: str
    scheduler: Scheduler
    faults: Faults
    latency: tuple[float, float] = (0.05, 0.2)
    requests_per_second: int = 0  # 0: no limit
    copies: list[Copy] = field(default_factory=list)
    offers: list[Offer] = field(default_factory=list)
    on_copy: Callable[["Copy"], None] = lambda copy: None
    _keys: dict[str, tuple[str, list[str], float]] = field(default_factory=dict)  # digest, ids, busy until
    _window: tuple[int, int] = (0, 0)
    _tokens: tuple[float, float] = (0.0, 0.0)  # how many, and since when

    @property
    def is_idempotent(self) -> bool:
        return self.kind == "resend"

    def request(self, offers: list[Offer], answers: "Answers", started_at: float | None = None) -> Any:
        """Take a request of one or more mails, or let it go wrong; return or raise what `answers` makes of it."""
        scheduler = self.scheduler
        for offer in offers:
            offer.started_at = scheduler.now if started_at is None else started_at
        fault = self.faults.meet(self.name, "batch" if len(offers) > 1 else "send")
        low, high = self.latency
        latency = low + (high - low) * scheduler.random.random()
        name = f"{self.name} {'batch' if len(offers) > 1 else 'send'}"
        if fault:
            scheduler.note(offers[0].process, f"{name}: {fault.kind}")
        wait_before, wait_after = latency / 2, latency / 2
        kind = fault.kind if fault else ""
        if kind in ("hang", "connect_timeout"):
            wait_before, wait_after = (answers.read_timeout if kind == "hang" else answers.connect_timeout), 0.0
        elif kind == "no_answer":
            wait_after = answers.read_timeout
        elif kind == "slow" and fault:
            wait_after = fault.seconds
        busy = wait_after if kind == "slow" else latency / 2
        ids = scheduler.call(name, lambda: self._effect(offers, fault, busy), wait_before, wait_after)
        return self._answer(offers, fault, ids, answers)

    def _effect(self, offers: list[Offer], fault: Fault | None, busy: float) -> list[str] | str:
        """Take the mails, unless a fault stands before it; return their ids, or why none was taken."""
        for offer in offers:
            offer.at = self.scheduler.now
        self.offers += offers
        if fault and fault.kind == "reject" and offers[0].key in self._keys:
            fault = None  # it has this mail, and answers a request with its key as it did before
        if fault and not PROVIDER_FAULTS[fault.kind]:
            if fault.kind not in ("hang",):
                for offer in offers:
                    offer.result = "refused"
            return fault.kind
        if self.is_idempotent and offers[0].key:
            digest = hashlib.sha256(b"\n".join(offer.content for offer in offers)).hexdigest()
            if offers[0].key in self._keys:
                known, ids, busy_until = self._keys[offers[0].key]
                if self.scheduler.now < busy_until:
                    return "concurrent"
                return ids if known == digest else "other_body"
        if self._is_over_limit():
            for offer in offers:
                offer.result = "refused"
            return "over_limit"
        ids = []
        for offer in offers:
            number = len(self.copies) + 1
            ids.append(LONG_ID + str(number) if fault and fault.kind == "long_id" else f"{self.name}-{number:06}")
            copy = Copy(offer, self.scheduler.now, ids[-1])
            self.copies.append(copy)
            self.scheduler.note(
                offer.process, f"{self.name} takes {offer.message_id or offer.to} under key {offer.key or 'none'}"
            )
            self.on_copy(copy)
        if self.is_idempotent and offers[0].key:
            self._keys[offers[0].key] = (digest, ids, self.scheduler.now + busy)
        return ids

    def _is_over_limit(self) -> bool:
        if not self.requests_per_second:
            return False
        return self._is_bucket_empty() if self.kind == "ses" else self._is_window_full()

    def _is_bucket_empty(self) -> bool:
        """SES takes short bursts above its rate: docs.aws.amazon.com/ses/latest/dg/quotas.html (2026-11)."""
        tokens, since = self._tokens
        tokens = min(self.requests_per_second, tokens + (self.scheduler.now - since) * self.requests_per_second)
        self._tokens = (tokens - (tokens >= 1), self.scheduler.now)
        return tokens < 1

    def _is_window_full(self) -> bool:
        second = int(self.scheduler.now)
        count = self._window[1] + 1 if self._window[0] == second else 1
        self._window = (second, count)
        return count > self.requests_per_second

    def _answer(self, offers: list[Offer], fault: Fault | None, ids: list[str] | str, answers: "Answers") -> Any:
        kind = fault.kind if fault else ""
        if isinstance(ids, str):
            return answers.refuse(ids, fault.seconds if fault else 0.0)
        if kind in ("error_after", "no_answer", "reset", "garbage"):
            return answers.refuse(kind, 0.0)
        for offer in offers:
            offer.result = "taken"
        return answers.take(ids)


class Answers:
    """The answers of one kind of account: a response to return, or an error to raise."""

    connect_timeout = _client.CONNECT_TIMEOUT_SECONDS
    read_timeout = _client.READ_TIMEOUT_SECONDS

    def take(self, ids: list[str]) -> Any:
        raise NotImplementedError

    def refuse(self, reason: str, seconds: float) -> Any:
        raise NotImplementedError


# ---- over HTTP ----

RESEND = {
    "error_before": (503, "service_unavailable"),
    "error_after": (500, "internal_server_error"),
    "rate_limit": (429, "rate_limit_exceeded"),
    "over_limit": (429, "rate_limit_exceeded"),
    "busy": (429, "rate_limit_exceeded"),
    "bad_key": (403, "invalid_api_key"),
    "quota": (429, "daily_quota_exceeded"),
    "reject": (422, "validation_error"),
    "concurrent": (409, "concurrent_idempotent_requests"),
    "other_body": (409, "invalid_idempotent_request"),
}
POSTMARK = {
    "error_before": (503, 0),
    "error_after": (500, 0),
    "rate_limit": (429, 429),
    "over_limit": (429, 429),
    "busy": (429, 429),
    "bad_key": (401, 10),
    "quota": (422, 405),
    "reject": (422, 300),
}
STATUS = {
    "error_before": 503,
    "error_after": 500,
    "rate_limit": 429,
    "over_limit": 429,
    "busy": 429,
    "bad_key": 401,
    "quota": 429,
    "reject": 400,
}


class HttpAnswers(Answers):
    def __init__(self, kind: str, is_batch: bool) -> None:
        self.kind = kind
        self.is_batch = is_batch

    def take(self, ids: list[str]) -> Answer:
        match self.kind:
            case "resend":
                body = {"data": [{"id": id_} for id_ in ids]} if self.is_batch else {"id": ids[0]}
                return _response(200, body)
            case "postmark":
                return _response(200, {"MessageID": ids[0], "ErrorCode": 0, "Message": "OK"})
            case "mailgun":
                return _response(200, {"id": f"<{ids[0]}>", "message": "Queued. Thank you."})
        return _response(202, None, {"x-message-id": ids[0]})

    def refuse(self, reason: str, seconds: float) -> Answer:
        match reason:
            case "refused":
                raise Unreachable("refused")
            case "connect_timeout":
                raise Unreachable("timed out")
            case "hang" | "no_answer":
                raise NoAnswer("timed out")
            case "reset":
                raise NoAnswer("reset")
            case "garbage":
                return _response(200, {"hello": "world"})
        wait = seconds if reason == "rate_limit" else 1.0 if reason == "over_limit" else 0.0
        headers = {"retry-after": str(int(wait))} if wait else {}
        if self.kind == "resend":
            status, name = RESEND[reason]
            message = "Invalid `to` field." if reason == "reject" else name
            return _response(status, {"statusCode": status, "name": name, "message": message}, headers)
        if self.kind == "postmark":
            status, code = POSTMARK[reason]
            message = "Error parsing 'To': illegal address." if reason == "reject" else reason
            return _response(status, {"ErrorCode": code, "Message": message} if code else {}, headers)
        message = "'to' parameter is not a valid address." if reason == "reject" else reason
        return _response(STATUS[reason], {"message": message, "errors": [{"message": message}]}, headers)


class Transport:
    """In place of the process's one connection pool: leads each request to the account of its key."""

    def __init__(self, accounts: Mapping[str, Account], process: Callable[[], str]) -> None:
        self._by_key = {f"key-{account.name}": account for account in accounts.values()}
        self._ses = accounts.get("ses")
        self._process = process

    def request(self, method: str, url: Url, headers: Mapping[str, str], content: bytes = b"") -> Answer:
        headers = {name.lower(): value for name, value in headers.items()}
        account = self._account(url, headers)
        key = headers.get("idempotency-key", "")
        bodies = self._bodies(account.kind, content)
        now, process = account.scheduler.now, self._process()
        offers = [
            Offer(message_id, account.name, key, part, to, text, now, now, process)
            for message_id, part, to, text in bodies
        ]
        is_batch = url.target.endswith("/batch")
        answers = SesAnswers() if account.kind == "ses" else HttpAnswers(account.kind, is_batch)
        return account.request(offers, answers)  # type: ignore[no-any-return]

    def _account(self, url: Url, headers: Mapping[str, str]) -> Account:
        if self._ses and url.host.startswith("email."):
            return self._ses
        secret = headers.get("x-postmark-server-token") or headers["authorization"].partition(" ")[2]
        return self._by_key.get(secret) or next(iter(self._by_key.values()))

    def _bodies(self, kind: str, content: bytes) -> list[tuple[str, bytes, str, str]]:
        if kind == "mailgun":
            text = content.decode()
            found = re.search(r'name="v:message_id"\r\n\r\n([0-9a-f]+)', text)
            to = re.search(r'name="to"\r\n\r\n(.*)\r\n', text)
            return [(found[1] if found else "", BOUNDARY.sub(b"--", content), to[1] if to else "", text)]
        body = json.loads(content)
        if kind == "resend":
            bodies = body if isinstance(body, list) else [body]
            return [
                (_tag(one), _dumped(one) if len(bodies) > 1 else content.strip(b"[]"), one["to"][0], one["text"])
                for one in bodies
            ]
        if kind == "ses":
            tags = {tag["Name"]: tag["Value"] for tag in body["EmailTags"]}
            text = body["Content"]["Simple"]["Body"]["Text"]["Data"]
            return [(tags.get("message_id", ""), content, body["Destination"]["ToAddresses"][0], text)]
        if kind == "postmark":
            return [(body["Metadata"].get("message_id", ""), content, body["To"], body["TextBody"])]
        to = body["personalizations"][0]["to"][0]["email"]
        return [(body["custom_args"].get("message_id", ""), content, to, body["content"][0]["value"])]


def _tag(body: Mapping[str, Any]) -> str:
    return next((str(tag["value"]) for tag in body["tags"] if tag["name"] == "message_id"), "")


def _dumped(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _response(status: int, body: Any, headers: Mapping[str, str] = {}) -> Answer:
    return Answer(status, headers, b"" if body is None else json.dumps(body).encode())


# ---- SES ----


class SesAnswers(Answers):
    def take(self, ids: list[str]) -> Answer:
        return _response(200, {"MessageId": ids[0]})

    def refuse(self, reason: str, seconds: float) -> Answer:
        match reason:
            case "refused" | "connect_timeout":
                raise Unreachable(reason)
            case "hang" | "no_answer" | "reset":
                raise NoAnswer(reason)
            case "garbage":
                return _response(200, {})
        status, name, message = {
            "error_before": (503, "ServiceUnavailable", ""),
            "error_after": (500, "InternalFailure", ""),
            "rate_limit": (429, "TooManyRequestsException", "Maximum sending rate exceeded."),
            "over_limit": (429, "TooManyRequestsException", "Maximum sending rate exceeded."),
            "busy": (400, "ThrottlingException", "Rate exceeded"),
            "bad_key": (403, "UnrecognizedClientException", "The security token is invalid."),
            "quota": (400, "ThrottlingException", "Daily message quota exceeded."),
            "reject": (400, "MessageRejected", "Email address is on a list."),
        }[reason]
        return _response(status, {"message": message}, {"x-amzn-errortype": name})


# ---- SMTP ----


class SmtpAnswers(Answers):
    read_timeout = 6.0

    def take(self, ids: list[str]) -> tuple[int, bytes]:
        return 250, f"2.0.0 Ok: queued as {ids[0]}".encode()

    def refuse(self, reason: str, seconds: float) -> tuple[int, bytes]:
        match reason:
            case "hang" | "no_answer" | "reset" | "error_after":  # RFC 5321, 4.2.5: after a 451 it must not deliver
                raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed: timed out")
            case "garbage":
                return 999, b"?"
            case "rate_limit" | "over_limit" | "busy":
                return 451, f"4.7.1 rate exceeded, try again in {int(seconds or 1)} s".encode()
            case "quota":
                return 451, b"4.7.0 daily quota exceeded"
            case "bad_key":
                return 535, b"5.7.8 authentication failed"
            case "reject":
                return 554, b"5.6.0 refused"
        return 451, b"4.3.0 try later"


class SmtpConnection:
    """In place of smtplib.SMTP. Only to connect, and to end a mail, takes time."""

    accounts: Mapping[str, Account] = {}  # by host
    process: Callable[[], str]
    sock = None
    command_encoding = "ascii"

    def __init__(self, host: str, port: int, name: str = "", timeout: float = 3.0, **_: Any) -> None:
        self._account = self.accounts[host]
        self._letter = b""
        self._to = ""
        scheduler = self._account.scheduler
        self._started_at: float | None = scheduler.now  # of the mail that it is opened for
        fault = self._account.faults.meet(self._account.name, "connect")
        kind = fault.kind if fault and fault.operation != "send" else ""
        if kind in ("refused", "connect_timeout") and fault:
            seconds = timeout if kind == "connect_timeout" else 0.05
            scheduler.call(f"{self._account.name} connect", lambda: None, seconds, 0.0)
            raise TimeoutError("timed out") if kind == "connect_timeout" else ConnectionRefusedError(111, "refused")
        scheduler.call(f"{self._account.name} connect", lambda: None, 0.02, 0.02)

    def ehlo_or_helo_if_needed(self) -> None:
        pass

    def has_extn(self, name: str) -> bool:
        return False

    def docmd(self, command: str, arguments: str = "") -> tuple[int, bytes]:
        if command.startswith("RCPT TO:<"):
            self._to = command.removeprefix("RCPT TO:<").rstrip(">")
        return (354, b"go ahead") if command == "DATA" else (250, b"ok")

    def send(self, data: bytes) -> None:
        self._letter += data

    def getreply(self) -> tuple[int, bytes]:
        letter, self._letter = self._letter, b""
        text = letter.decode(errors="replace")
        found = re.search(r"(?m)^X-Mailroom-Message-Id: ([0-9a-f]{32})", text)
        now = self._account.scheduler.now
        offer = Offer(
            found[1] if found else "", self._account.name, "", letter, self._to, text, now, now, type(self).process()
        )
        started_at, self._started_at = self._started_at, None
        return self._account.request([offer], SmtpAnswers(), started_at)  # type: ignore[no-any-return]

    def login(self, username: str, password: str) -> None:
        pass

    def putcmd(self, command: str) -> None:
        pass

    def close(self) -> None:
        pass
