"""The observations of one run, sorted by mail, and the parts that rules share."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.simulation import wiring
from tests.simulation.accounts import Copy, Offer
from tests.simulation.history import Mail
from tests.simulation.scheduler import START
from tests.simulation.world import Report, Request, World

__all__ = [
    "IDEMPOTENT",
    "Case",
    "Findings",
    "Rule",
    "Violation",
    "code_groups",
    "neighbors",
    "replaces",
    "successors",
    "violation_of",
]

CODE_LIFETIME = 600.0
NOTICE_LIFETIME = 86_400.0
# A newer code replaces an older one if it is younger by at least so many seconds, by the statement of its caller.
REPLACES_AFTER = {None: 30.0, True: 0.001, False: float("inf")}
REDELIVERED = 125.0  # after a process was killed: the visibility timeout of the queues
QUOTA = 3_600.0  # nobody says when a used-up quota comes back
IDEMPOTENT = ("resend", "resend.acme")


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that a history broke."""

    rule: str
    text: str
    mails: tuple[int, ...] = ()

    def __str__(self) -> str:
        about = f" [mail {', '.join(map(str, self.mails))}]" if self.mails else ""
        return f"{self.rule}: {self.text}{about}"


@dataclass(slots=True)
class Case:
    """All that was observed about one mail."""

    mail: Mail
    requests: list[Request] = field(default_factory=list)
    rows: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    copies: list[Copy] = field(default_factory=list)
    offers: list[Offer] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)

    @property
    def accepted(self) -> list[Request]:
        return [request for request in self.requests if request.is_accepted and request.message_id]

    @property
    def created_at(self) -> float:
        created = [row["created"] for row in self.rows.values() if row]
        return float(min(created, default=self.requests[0].at if self.requests else 0.0))

    @property
    def expires_at(self) -> float:
        lifetime = CODE_LIFETIME if self.mail.is_code else NOTICE_LIFETIME
        return self.created_at + (self.mail.expires_in or lifetime)

    @property
    def was_rejected(self) -> bool:
        """Whether a provider has rejected this mail for good."""
        return any(row and row["status"] == "failed" and _last_error(row) == "rejected" for row in self.rows.values())


@dataclass(slots=True)
class Findings:
    """A finished world, sorted by mail."""

    world: World
    cases: dict[int, Case]
    dead: dict[str, tuple[float, bool]]
    waiting: set[str]
    mail_of: dict[str, int]

    @classmethod
    def of(cls, world: World) -> "Findings":
        cases = {mail.number: Case(mail) for mail in world.history.mails}
        mail_of: dict[str, int] = {}
        for request in world.requests:
            cases[request.mail.number].requests.append(request)
            if request.message_id:
                mail_of[request.message_id] = request.mail.number
        for copy in world.copies:
            mail = world.mail_of(copy)
            if mail:
                cases[mail.number].copies.append(copy)
                if copy.offer.message_id:
                    mail_of.setdefault(copy.offer.message_id, mail.number)
        for account in world.accounts.values():
            for offer in account.offers:
                if offer.message_id in mail_of:
                    cases[mail_of[offer.message_id]].offers.append(offer)
        for report in world.reports:
            cases[mail_of[report.copy.offer.message_id]].reports.append(report)
        for message_id, number in mail_of.items():
            cases[number].rows[message_id] = wiring.row_of(world.table.items, message_id)
        return cls(world, cases, world.dead_letters(), set(world.waiting()), mail_of)

    def healed_at(self, mail: Mail, until: float = float("inf")) -> float:
        """Return when the last thing that could hold up this mail was over."""
        history, moments = self.world.history, [0.0]
        for fault in history.faults:
            if fault.target in ("dynamodb", "sqs", "ssm", *history.chains[mail.tenant]):
                wait = QUOTA if fault.kind == "quota" else fault.seconds if fault.kind == "rate_limit" else 0.0
                # Without SQS nobody can ask for a message back early: it comes when its visibility timeout ends.
                if fault.target == "sqs" and "ChangeMessageVisibility".startswith(fault.operation):
                    wait = REDELIVERED
                moments.append(START + fault.end + wait)
        moments += [moment + REDELIVERED for moment in self.world.scheduler.interrupted]
        return max(moments)


Rule = Callable[[Findings], Iterator[Violation]]


def violation_of(rule: str, text: str, *cases: Case) -> Violation:
    return Violation(rule, text, tuple(case.mail.number for case in cases))


def _last_error(row: Mapping[str, Any]) -> str:
    errors = [entry["error"] for entry in row["timeline"] if entry.get("error")]
    return str(errors[-1]) if errors else ""


def code_groups(findings: Findings, *, with_unanswered: bool = False) -> list[list[Case]]:
    """Return the codes of one kind for one recipient, of each, the oldest first.

    `with_unanswered` are those whose callers got no answer, or one that leaves a doubt: they may have no rows.
    """
    groups: defaultdict[tuple[str, str, str], list[Case]] = defaultdict(list)
    for case in findings.cases.values():
        is_unanswered = with_unanswered and any(not request.is_accepted for request in case.requests)
        if case.mail.is_code and (any(case.rows.values()) or is_unanswered):
            groups[case.mail.tenant, case.mail.recipient, case.mail.kind].append(case)
    return [sorted(cases, key=lambda case: case.created_at) for cases in groups.values()]


def neighbors(findings: Findings) -> Iterator[tuple[Case, Case]]:
    """Yield a code and the next one of its kind for its recipient."""
    for cases in code_groups(findings):
        yield from pairwise(cases)


def successors(findings: Findings) -> Iterator[tuple[Case, Case]]:
    """Yield each two codes of one kind for one recipient, the older first."""
    for cases in code_groups(findings):
        for number, older in enumerate(cases):
            for newer in cases[number + 1 :]:
                yield older, newer


def replaces(newer: Case, older: Case, slack: float = 0.0) -> bool:
    return newer.created_at - older.created_at >= REPLACES_AFTER[newer.mail.supersedes] - slack
