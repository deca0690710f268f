"""The queues pages: depth and age of both lanes, and their dead letters, inspected, replayed and dropped by jobs."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from mailroom.model.kinds import Lane
from mailroom.model.outcome import Status
from mailroom_ops.console.context import Confirmation, PageContext, SharedEnvironment, form_values, redirect
from mailroom_ops.console.jobs import Job
from mailroom_ops.errors import InvalidInput, OperatorError
from mailroom_ops.ledger.dead_letters import DeadLetter, DeadLetters, Verdict, count_letters, replay_effect
from mailroom_ops.web.server import Request, Response

__all__ = ["QueueDepth", "answer", "queue_depth"]

PATH = "/console/queues"
MAX_LETTERS = 2000  # of one inspection: more than anybody reads through
REFRESH_SECONDS = 5  # each refresh calls CloudWatch too, which costs more than SQS
JOB_REFRESH_SECONDS = 1
METRIC_MINUTES = 15
COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")
EXTENSION_SECONDS = {"": 0, "an hour": 3600, "6 hours": 6 * 3600, "a day": 24 * 3600, "3 days": 72 * 3600}
LANE_DESCRIPTIONS = {Lane.CODES: "codes and links", Lane.NOTICES: "invitations and notifications"}

OUTCOMES = "outcomes"  # the queue of outcome events, whose dead letters the command replays

Action = Literal["look", "replay", "drop"]
VERBS: Mapping[str, tuple[str, str, str]] = {
    "look": ("Inspect", "Inspecting", "Inspected"),
    "replay": ("Replay", "Replaying", "Replayed"),
    "drop": ("Drop", "Dropping", "Dropped"),
}
REPLAY_EFFECT = "What can still be sent goes back to its queue and is processed like any other message."
DROP_EFFECT = "They are deleted for good and cannot be replayed. Messages without an outcome become failed."


def answer(context: PageContext, request: Request, below: list[str]) -> Response | None:
    is_post = request.method == "POST"
    match below:
        case [] if not is_post:
            return _overview(context)
        case [lane] if lane in list(Lane):
            return _post(context, Lane(lane), form_values(request)) if is_post else _letters(context, Lane(lane))
    return None


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """The numbers of messages in a queue, as SQS estimates them without receiving any."""

    waiting: int
    in_flight: int
    delayed: int
    oldest: datetime | None = None  # when the oldest message arrived; None where CloudWatch does not know

    @property
    def total(self) -> int:
        return self.waiting + self.in_flight + self.delayed


@dataclass(frozen=True, slots=True)
class Selection:
    """Letters of an inspection and what to do with them; no ids select all."""

    action: Action
    look: str
    ids: tuple[str, ...]
    doubtful: bool
    extend: str

    @classmethod
    def of(cls, lane: Lane, action: Action, form: Mapping[str, Sequence[str]]) -> "Selection":
        """Parse a posted form."""
        extend = "".join(form.get("extend", ()))
        if extend not in EXTENSION_SECONDS or (extend and lane is Lane.CODES):
            raise InvalidInput(
                "That extension is not allowed.", "Only notices can be extended, by one of the offered periods."
            )
        is_replay = action == "replay"
        doubtful = is_replay and "doubtful" in form
        return cls(action, "".join(form.get("look", ())), tuple(form.get("letter", ())), doubtful, extend * is_replay)

    def values(self) -> dict[str, Sequence[str]]:
        """Return the form that `of` parses."""
        options = {"doubtful": ["1"] if self.doubtful else [], "extend": [self.extend] if self.extend else []}
        return {"do": [self.action], "look": [self.look], "letter": self.ids, **options}

    def run(self, queue: DeadLetters, letters: Sequence[DeadLetter]) -> Iterator[DeadLetter]:
        """Replay or drop letters; yield each when it is done."""
        if self.action == "drop":
            return queue.drop(letters)
        return queue.replay(letters, doubtful=self.doubtful, extend=EXTENSION_SECONDS[self.extend])


def _overview(context: PageContext) -> Response:
    environment = context.environment
    names = [*Lane, *([OUTCOMES] if "OutcomesQueueUrl" in environment.outputs else [])]
    urls = {(name, is_dead): _url(environment, name, is_dead) for name in names for is_dead in (False, True)}
    sqs = environment.client("sqs")
    with ThreadPoolExecutor(len(urls) + 1) as pool:
        oldest = pool.submit(_oldest, environment, list(urls.values()))
        depths = list(pool.map(lambda url: _depth(sqs, url), urls.values()))
    queues = {
        key: replace(depth, oldest=oldest.result().get(url))
        for (key, url), depth in zip(urls.items(), depths, strict=True)
    }
    lanes = [
        (lane, LANE_DESCRIPTIONS[lane], queues[lane, False], queues[lane, True], context.jobs.get(lane), lane.title())
        for lane in Lane
    ]
    outcomes = [queues[OUTCOMES, is_dead] for is_dead in (False, True) if OUTCOMES in names]
    return context.page("queues", {"lanes": lanes, "outcomes": outcomes, "refresh_seconds": REFRESH_SECONDS})


def _letters(context: PageContext, lane: Lane, refusal: str = "") -> Response:
    """Render the newest job of a lane: its progress, or its result."""
    job: Job[DeadLetter] | None = context.jobs.get(lane)
    now = datetime.now(UTC)
    letters, selection = (list(job.results), job.parameters) if job else ([], None)
    mail = selection if job and job.action == "look" and isinstance(selection, str) else ""
    chosen = [letter.id for letter in letters if mail and any(part.id == mail for part in letter.mails)]
    letters.sort(key=lambda letter: letter.id not in chosen)
    values: dict[str, Any] = {
        "lane": lane,
        "job": job,
        "verb": _verb(job),
        "letters": [] if job and job.is_running else letters,
        "is_look": bool(job and job.action == "look"),
        "mail": mail,
        "chosen": chosen,
        "has_ready": any(
            letter.verdict is Verdict.READY and letter.id in (chosen or [letter.id]) for letter in letters
        ),
        "is_cut": len(letters) == MAX_LETTERS,
        "summary": _summary(letters, isinstance(selection, Selection) and selection.doubtful),
        "extensions": list(EXTENSION_SECONDS) if lane is Lane.NOTICES else [],
        "missing": job.total - len(letters) if job and job.action != "look" and not job.is_running else 0,
        "refusal": refusal,
        "now": now,
        "seconds": now.timestamp(),
        "at": lambda seconds: datetime.fromtimestamp(seconds, UTC),
        "refresh_seconds": JOB_REFRESH_SECONDS,
    }
    return context.page("letters", values, 409 if refusal else 200)


def _post(context: PageContext, lane: Lane, form: Mapping[str, Sequence[str]]) -> Response:
    job: Job[DeadLetter] | None = context.jobs.get(lane)
    if job and job.is_running:
        return _letters(context, lane, "A job is already running in this lane. Wait until it ends.")
    if job and job.error:
        context.reset()
    match "".join(form.get("do", ())):
        case "look":
            queue = DeadLetters.of(context.environment, lane)
            total = min(MAX_LETTERS, _depth(queue.sqs, queue.url).total)
            mail = "".join(form.get("mail", ()))
            return _start(context, lane, Job("look", _limited(queue.read()), total, mail))
        case "replay" | "drop" as action:
            return _carry_out(context, lane, Selection.of(lane, action, form), form)
    raise InvalidInput("There is no such action.", "Choose look, replay or drop.")


def _carry_out(context: PageContext, lane: Lane, selection: Selection, form: Mapping[str, Sequence[str]]) -> Response:
    job: Job[DeadLetter] | None = context.jobs.get(lane)
    if job is None or job.action != "look" or job.id != selection.look:
        return _letters(
            context, lane, "Nothing was done: the page showed an earlier inspection. Inspect again and select anew."
        )
    ids = set(selection.ids)
    letters = [letter for letter in job.results if not ids or letter.id in ids]
    if not letters:
        raise InvalidInput("These dead letters no longer exist.", "Reload the list and select again.")
    if not context.is_confirmed(form):
        return context.confirm(_confirmation(lane, selection, letters), form)
    work = _and_forget(context, selection.run(DeadLetters.of(context.environment, lane), letters))
    return _start(context, lane, Job(selection.action, work, len(letters), selection))


def _and_forget(context: PageContext, work: Iterator[DeadLetter]) -> Iterator[DeadLetter]:
    """Carry out a replay or a drop; at its end, forget figures that it has changed."""
    try:
        yield from work
    finally:
        context.hours.forget()
        context.alerts.forget()


def _confirmation(lane: Lane, selection: Selection, letters: Sequence[DeadLetter]) -> Confirmation:
    button = f"{VERBS[selection.action][0]} {count_letters(len(letters))}"
    if selection.action == "replay":
        extended = [letter.with_extension(EXTENSION_SECONDS[selection.extend]) for letter in letters]
        summary = _summary(extended, selection.doubtful)
        effect, details = REPLAY_EFFECT, [f"{number} {verdict}: {meaning}" for verdict, number, meaning in summary]
        if selection.extend:
            details.append(f"Expired notices stay valid for {selection.extend} longer.")
    else:
        mails = [mail for letter in letters for mail in letter.mails]
        open_ = sum(mail.status in ("", Status.ACCEPTED) for mail in mails)
        effect = DROP_EFFECT
        details = [f"{len(mails)} {'message' if len(mails) == 1 else 'messages'}, {open_} without an outcome."]
    path = f"{PATH}/{lane}"
    return Confirmation(f"{button} of {lane}?", effect, button, path, selection.values(), path, details)


def _start(context: PageContext, lane: Lane, job: Job[DeadLetter]) -> Response:
    """Start a job and redirect to its progress."""
    context.alerts.forget()
    if not context.jobs.start(lane, job):
        return _letters(context, lane, "Another job has started in this lane meanwhile.")
    return redirect(f"{PATH}/{lane}")


def _verb(job: Job[DeadLetter] | None) -> str:
    if job is None:
        return ""
    _, present, past = VERBS[job.action]
    return present if job.is_running else past


def _summary(letters: Sequence[DeadLetter], doubtful: bool = False) -> list[tuple[Verdict, int, str]]:
    counts = Counter(letter.verdict for letter in letters)
    return [
        (verdict, counts[verdict], replay_effect(verdict, doubtful=doubtful)) for verdict in Verdict if counts[verdict]
    ]


def _limited(letters: Iterator[DeadLetter]) -> Iterator[DeadLetter]:
    with closing(letters):  # type: ignore[type-var]
        yield from islice(letters, MAX_LETTERS)


def _url(environment: SharedEnvironment, name: str, is_dead: bool) -> str:
    return environment.outputs[f"{name.title()}{'DeadLetter' if is_dead else ''}QueueUrl"]


def queue_depth(environment: SharedEnvironment, lane: Lane, *, is_dead: bool) -> QueueDepth:
    """Return the depth of a lane's queue, or of its dead-letter queue."""
    return _depth(environment.client("sqs"), _url(environment, lane, is_dead))


def _depth(sqs: Any, url: str) -> QueueDepth:
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(COUNTS))["Attributes"]
    waiting, in_flight, delayed = (int(attributes.get(name, 0)) for name in COUNTS)
    return QueueDepth(waiting, in_flight, delayed)


def _oldest(environment: SharedEnvironment, urls: Sequence[str]) -> dict[str, datetime]:
    """Return when the oldest message of each queue arrived, where CloudWatch knows; it is a minute behind."""
    now = datetime.now(UTC)
    queries = [
        {
            "Id": f"queue{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/SQS",
                    "MetricName": "ApproximateAgeOfOldestMessage",
                    "Dimensions": [{"Name": "QueueName", "Value": url.rpartition("/")[2]}],
                },
                "Period": 60,
                "Stat": "Maximum",
            },
        }
        for number, url in enumerate(urls)
    ]
    since = now - timedelta(minutes=METRIC_MINUTES)
    try:
        answer = environment.client("cloudwatch").get_metric_data(
            MetricDataQueries=queries, StartTime=since, EndTime=now, ScanBy="TimestampDescending"
        )
    except (BotoCoreError, ClientError, OperatorError):
        return {}  # the other figures are worth showing without it
    results = {result["Id"]: result for result in answer["MetricDataResults"]}
    return {
        url: result["Timestamps"][0] - timedelta(seconds=result["Values"][0])
        for number, url in enumerate(urls)
        if (result := results.get(f"queue{number}")) and result["Values"]
    }
