"""One run of a history: the real functions in a simulated cloud, and everything that was observed."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.simulation import wiring
from tests.simulation.accounts import Account, Copy
from tests.simulation.aws import Network
from tests.simulation.dynamodb import Table
from tests.simulation.endpoints import Endpoints
from tests.simulation.faults import Faults
from tests.simulation.functions import Answer, Function, Poller
from tests.simulation.history import LOGTO_TYPES, History, Mail
from tests.simulation.scheduler import START, Scheduler
from tests.simulation.sqs import Queue, Queues
from tests.simulation.ssm import Parameters

__all__ = ["Report", "Request", "World", "run"]

LONGEST = 30 * 3600.0  # virtual seconds; a notice lives for a day
CALLER_RETRIES = (2.0, 8.0)  # seconds after which a caller with an idempotency key asks again
REPORT_RETRIES = (5.0, 300.0)
ACCOUNTS = {
    "resend": ("resend", (0.05, 0.2)),
    "resend.acme": ("resend", (0.05, 0.2)),
    "ses": ("ses", (0.04, 0.15)),
    "smtp": ("smtp", (0.05, 0.4)),
    "smtp.slow": ("smtp", (0.05, 0.4)),
    "postmark": ("postmark", (0.05, 0.2)),
    "sendgrid": ("sendgrid", (0.05, 0.2)),
}


@dataclass(slots=True)
class Request:
    """One request for a mail, and its answer. `status` is 0 where none came."""

    mail: Mail
    at: float
    status: int = 0
    body: Mapping[str, Any] = field(default_factory=dict)
    answered_at: float = 0.0

    @property
    def message_id(self) -> str:
        return str(self.body.get("message_id") or "")

    @property
    def is_accepted(self) -> bool:
        """Whether we have taken on the mail: the webhook's 200, or an answer of the send API that is no error."""
        if self.status != 200:
            return False
        return self.body.get("status") in ("accepted", "sent", "skipped")


@dataclass(slots=True)
class Report:
    """A report of a provider about a copy: when it was posted, and when our stack accepted it (infinity: never)."""

    event: str
    copy: Copy
    at: float
    accepted_at: float = float("inf")


class World:
    """The simulated cloud with our stack in it."""

    def __init__(self, history: History, scheduler: Scheduler | None = None) -> None:
        self.history = history
        self.scheduler = scheduler or Scheduler(history.seed, history.interruptions)
        faults = Faults(self.scheduler, history.faults)
        resources = wiring.template()["Resources"]
        parameters = wiring.template()["Parameters"]
        self.table = Table(wiring.TABLE, *_keys(resources["LedgerTable"]["Properties"]))
        self.queues = {lane: self._queue(lane, resources) for lane in ("codes", "notices")}
        self.outcomes = self._queue("outcomes", resources)
        self.endpoints = Endpoints(self.scheduler)
        every = (*self.queues.values(), self.outcomes)
        queues = Queues(*every, *(queue.dead_letters for queue in every if queue.dead_letters))
        senders = {
            tenant: {"providers": list(chain), "rescue_after": history.rescue_after.get(tenant, 0)}
            for tenant, chain in history.chains.items()
        }
        ssm = Parameters(wiring.settings(senders))
        self.table.items |= wiring.habits(history.habits, START)
        self.network = Network(self.scheduler, faults, self.table, queues, ssm, wiring.AWS_TIMEOUT)
        self.accounts = {
            name: Account(name, kind, self.scheduler, faults, latency) for name, (kind, latency) in ACCOUNTS.items()
        }
        for account in self.accounts.values():
            account.on_copy = partial(self._report, account)
            if account.kind == "resend":
                account.requests_per_second = history.requests_per_second
        self.functions = {
            name: Function(name, float(resources[f"{name.title()}Function"]["Properties"]["Timeout"]), self.scheduler,
                           partial(wiring.handler, name, self.network))
            for name in ("webhook", "rendered", "send", "deliver", "feedback", "notify")
        }  # fmt: skip
        for lane, queue in self.queues.items():
            source = resources["DeliverFunction"]["Properties"]["Events"][lane.title()]["Properties"]
            concurrency = int(parameters[f"{lane.title()}Concurrency"]["Default"])
            Poller(queue, self.functions["deliver"], int(source["BatchSize"]), concurrency, self.scheduler)
        source = resources["NotifyFunction"]["Properties"]["Events"]["Outcomes"]["Properties"]
        concurrency = int(source["ScalingConfig"]["MaximumConcurrency"])
        Poller(self.outcomes, self.functions["notify"], int(source["BatchSize"]), concurrency, self.scheduler)
        self.requests: list[Request] = []
        self.reports: list[Report] = []
        self._reported: set[int] = set()  # mails of which a copy has left
        self.mails = {mail.number: mail for mail in history.mails}
        self._of_recipient: dict[str, list[Mail]] = {}
        for mail in history.mails:
            self._of_recipient.setdefault(mail.recipient.lower(), []).append(mail)
        self._plan(history.mails)

    def _queue(self, lane: str, resources: Mapping[str, Any]) -> Queue:
        properties = resources[f"{lane.title()}Queue"]["Properties"]
        dead = Queue(f"{wiring.STACK}-{lane}-dead-letters", self.scheduler)
        return Queue(
            f"{wiring.STACK}-{lane}",
            self.scheduler,
            float(properties["VisibilityTimeout"]),
            int(properties["RedrivePolicy"]["maxReceiveCount"]),
            dead,
            self.history.duplicates,
        )

    # ---- who asks, and who reports ----

    def _plan(self, mails: Iterable[Mail]) -> None:
        batches: dict[float, list[Mail]] = {}
        for mail in mails:
            if mail.is_suppressed:
                key, item = wiring.suppress(mail.tenant, mail.recipient, START)
                self.table.items[key] = item
            if mail.route == "batch":
                batches.setdefault(mail.at, []).append(mail)
                continue
            for delay in (0.0, *mail.repeats):
                ask = {"webhook": self._post, "rendered": self._post_rendered}.get(mail.route, self._invoke)
                self.scheduler.at(START + mail.at + delay, ask, mail)
        for moment, batch in batches.items():
            self.scheduler.at(START + moment, self._invoke_batch, batch)

    def _post(self, mail: Mail) -> None:
        payload = {"code": mail.code} if mail.is_code else {"link": f"https://app.example.com/join?token={mail.code}"}
        body = {"to": mail.recipient, "type": LOGTO_TYPES[mail.kind], "payload": {**payload, "locale": "en"}}
        request = self._request(mail)
        event = wiring.webhook_event(mail.tenant, body, self.scheduler.now)
        self.functions["webhook"].invoke(event, lambda answer: self._answered_http(request, answer))

    def _post_rendered(self, mail: Mail) -> None:
        content = {"subject": "Code", "html": f"<p>{mail.code}</p>", "kind": mail.kind if mail.with_kind else None}
        body = {"to": mail.recipient, **{name: value for name, value in content.items() if value}}
        request = self._request(mail)
        event = wiring.rendered_event(mail.tenant, body, self.scheduler.now)
        self.functions["rendered"].invoke(event, lambda answer: self._answered_http(request, answer))

    def _answered_http(self, request: Request, answer: Answer) -> None:
        if answer.ended == "answered":
            request.status = answer.payload["statusCode"]
            request.body = _json(answer.payload["body"])
        elif answer.ended == "crashed":
            request.status = 500
        self._note_answer(request, answer)

    def _invoke(self, mail: Mail, tries: tuple[float, ...] = CALLER_RETRIES) -> None:
        request = self._request(mail)

        def answered(answer: Answer) -> None:
            self._answered_call(request, answer, answer.payload)
            lost = answer.ended != "answered" or request.body.get("status") in ("refused", "unknown")
            if mail.with_key and tries and lost:
                self.scheduler.after(tries[0], self._invoke, mail, tries[1:])

        self.functions["send"].invoke(_asked(mail), answered)

    def _invoke_batch(self, mails: list[Mail]) -> None:
        requests = [self._request(mail) for mail in mails]

        def answered(answer: Answer) -> None:
            results = (answer.payload or {}).get("results") or [None] * len(requests)
            for request, result in zip(requests, results, strict=True):
                self._answered_call(request, answer, result)

        self.functions["send"].invoke({"messages": [_asked(mail) for mail in mails]}, answered)

    def _answered_call(self, request: Request, answer: Answer, body: Any) -> None:
        if answer.ended == "answered" and isinstance(body, Mapping):
            request.body = body
            request.status = 200 if body.get("status") in ("accepted", "sent", "skipped") else 500
        self._note_answer(request, answer)

    def _request(self, mail: Mail) -> Request:
        request = Request(mail, self.scheduler.now)
        self.requests.append(request)
        return request

    def _note_answer(self, request: Request, answer: Answer) -> None:
        request.answered_at = self.scheduler.now
        answered = f"{request.status} {dict(request.body)}" if request.status else answer.ended
        self.scheduler.note(f"mail {request.mail.number}", f"asked at {request.at - START:.2f}: {answered}")

    def _report(self, account: Account, copy: Copy) -> None:
        mail = self.mail_of(copy)
        if mail is None:
            return
        is_later = mail.later_events is not None and mail.number in self._reported
        self._reported.add(mail.number)
        for what, delay in (mail.later_events or ()) if is_later else mail.events:
            mark = f"{what}-{copy.id[-12:]}"
            self.scheduler.after(delay, self._post_report, account.kind, what, copy, mark, REPORT_RETRIES)

    def _post_report(self, kind: str, what: str, copy: Copy, mark: str, tries: tuple[float, ...]) -> None:
        offer = copy.offer
        event = wiring.feedback_event(kind, what, offer.message_id, copy.id, offer.to, mark, self.scheduler.now)
        if event is None:
            return
        report = Report(what, copy, self.scheduler.now)
        self.reports.append(report)

        def answered(answer: Answer) -> None:
            payload = answer.payload if isinstance(answer.payload, Mapping) else {}
            taken = answer.ended == "answered" and payload.get("statusCode", 200) == 200
            if taken:
                report.accepted_at = self.scheduler.now
            elif tries:
                self.scheduler.after(tries[0], self._post_report, kind, what, copy, mark, tries[1:])

        self.functions["feedback"].invoke(event, answered)

    # ---- what was observed ----

    def mail_of(self, copy: Copy) -> Mail | None:
        """Return which mail a copy is of."""
        candidates = self._of_recipient.get(copy.offer.to.lower(), [])
        return next((mail for mail in candidates if mail.code in copy.offer.text), None)

    @property
    def copies(self) -> list[Copy]:
        return sorted((copy for account in self.accounts.values() for copy in account.copies), key=lambda c: c.at)

    def dead_letters(self) -> dict[str, tuple[float, bool]]:
        """Return the messages on the dead-letter queues: since when, and whether SQS itself has moved them there."""
        found = {}
        for queue in self.queues.values():
            for entry in queue.dead_letters.entries.values() if queue.dead_letters else ():
                for message_id in wiring.messages_in(entry.body):
                    found[message_id] = entry.visible_at, entry.receives < 0
        return found

    def reported(self) -> set[str]:
        """Return the ids of the outcome events that an endpoint has accepted, or that are dead letters."""
        accepted = {id_ for ids in self.endpoints.accepted.values() for id_ in ids}
        dead = self.outcomes.dead_letters.entries.values() if self.outcomes.dead_letters else ()
        return accepted | {json.loads(entry.body)["event"]["id"] for entry in dead}

    def waiting(self) -> list[str]:
        """Return the ids of the messages that are still on a queue."""
        return [
            message_id
            for queue in self.queues.values()
            for entry in queue.entries.values()
            for message_id in wiring.messages_in(entry.body)
        ]

    def simulate(self) -> None:
        with wiring.substituted(self.scheduler, self.accounts, self.endpoints, self.history.providers):
            self.scheduler.run(LONGEST)


def run(history: History) -> World:
    """Run a history to its end."""
    world = World(history)
    world.simulate()
    return world


def _asked(mail: Mail) -> dict[str, Any]:
    data = {"code": mail.code} if mail.is_code else {"link": f"https://app.example.com/join?token={mail.code}"}
    asked: dict[str, Any] = {"kind": mail.kind, "to": mail.recipient, "tenant": mail.tenant, "data": data}
    if mail.route == "queued":
        asked["mode"] = "queued"
    if mail.with_key:
        asked["idempotency_key"] = f"key-{mail.number}"
    if mail.supersedes is not None:
        asked["supersedes"] = mail.supersedes
    if mail.expires_in:
        asked["expires_in"] = int(mail.expires_in)
    return asked


def _keys(properties: Mapping[str, Any]) -> tuple[str, dict[str, tuple[str, ...]]]:
    def names(schema: Any) -> tuple[str, ...]:
        return tuple(key["AttributeName"] for key in schema)

    indexes = {index["IndexName"]: names(index["KeySchema"]) for index in properties["GlobalSecondaryIndexes"]}
    return names(properties["KeySchema"])[0], indexes


def _json(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = {"sentence": text}
    return value if isinstance(value, Mapping) else {}
