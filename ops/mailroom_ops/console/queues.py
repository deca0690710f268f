"""The queues: what waits in each lane, and the dead letters, looked at, replayed and dropped by a job of their own."""

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
from mailroom_ops.console.context import Confirmation, PageContext, SharedEnvironment, away, fields
from mailroom_ops.console.jobs import Job
from mailroom_ops.errors import InvalidInput, OperatorError
from mailroom_ops.ledger.dead_letters import DeadLetter, DeadLetters, Verdict, count_letters, replay_effect
from mailroom_ops.web.server import Request, Response

__all__ = ["answer"]

MOST = 2000  # letters of one look: a page that can still be read through
PAUSE = 5  # seconds between two looks: each asks CloudWatch too, which costs more than SQS
JOB_PAUSE = 1
METRIC_MINUTES = 15
COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")
MORE_TIME = {"": 0, "an hour": 3600, "6 hours": 6 * 3600, "a day": 24 * 3600, "3 days": 72 * 3600}
ABOUT = {Lane.CODES: "somebody waits for each", Lane.NOTICES: "invitations and notices"}

Do = Literal["look", "replay", "drop"]
SAYS: Mapping[str, tuple[str, str, str]] = {
    "look": ("Look at", "Looking at", "Looked at"),
    "replay": ("Replay", "Replaying", "Replayed"),
    "drop": ("Drop", "Dropping", "Dropped"),
}
REPLAYS = "What can still be sent goes back to its lane, and deliver decides anew."
DROPS = "They are thrown away for good, and cannot be replayed. A mail that has no outcome yet has failed then."


def answer(context: PageContext, request: Request, below: list[str]) -> Response | None:
    is_post = request.method == "POST"
    match below:
        case [] if not is_post:
            return _overview(context)
        case [lane] if lane in list(Lane):
            return _post(context, Lane(lane), fields(request)) if is_post else _letters(context, Lane(lane))
    return None


@dataclass(frozen=True, slots=True)
class Queue:
    """How much is in one queue, as SQS estimates it; a look at it receives nothing."""

    waiting: int
    in_flight: int
    delayed: int
    oldest: datetime | None = None  # when its oldest message came; None where nobody knows

    @property
    def total(self) -> int:
        return self.waiting + self.in_flight + self.delayed


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be done with which letters of a look; with all, if none is named."""

    do: Do
    look: str
    ids: tuple[str, ...]
    doubtful: bool
    extend: str

    @classmethod
    def of(cls, lane: Lane, do: Do, form: Mapping[str, Sequence[str]]) -> "Wanted":
        extend = "".join(form.get("extend", ()))
        if extend not in MORE_TIME or (extend and lane is Lane.CODES):
            raise InvalidInput(
                "So much time cannot be given.", "Notices can have more, as the page offers it; codes not."
            )
        is_replay = do == "replay"
        doubtful = is_replay and "doubtful" in form
        return cls(do, "".join(form.get("look", ())), tuple(form.get("letter", ())), doubtful, extend * is_replay)

    def values(self) -> dict[str, Sequence[str]]:
        """Return what to post for it."""
        options = {"doubtful": ["1"] if self.doubtful else [], "extend": [self.extend] if self.extend else []}
        return {"do": [self.do], "look": [self.look], "letter": self.ids, **options}

    def work(self, queue: DeadLetters, letters: Sequence[DeadLetter]) -> Iterator[DeadLetter]:
        if self.do == "drop":
            return queue.drop(letters)
        return queue.replay(letters, doubtful=self.doubtful, extend=MORE_TIME[self.extend])


def _overview(context: PageContext) -> Response:
    environment = context.environment
    urls = {(lane, dead): _url(environment, lane, dead) for lane in Lane for dead in (False, True)}
    sqs = environment.client("sqs")
    with ThreadPoolExecutor(len(urls) + 1) as pool:
        ages = pool.submit(_oldest, environment, list(urls.values()))
        queues = list(pool.map(lambda url: _queue(sqs, url), urls.values()))
    found = {
        key: replace(queue, oldest=ages.result().get(url))
        for (key, url), queue in zip(urls.items(), queues, strict=True)
    }
    lanes = [
        (lane, ABOUT[lane], found[lane, False], found[lane, True], context.jobs.get(lane), lane.title())
        for lane in Lane
    ]
    return context.page("queues", {"lanes": lanes, "pause": PAUSE})


def _letters(context: PageContext, lane: Lane, refused: str = "") -> Response:
    """Show the newest job of a lane: how far it is, or what came of it."""
    job: Job[DeadLetter] | None = context.jobs.get(lane)
    letters, asked = (list(job.done), job.asked) if job else ([], None)
    values: dict[str, Any] = {
        "lane": lane,
        "job": job,
        "told": _told(job),
        "letters": [] if job and job.is_running else letters,
        "is_look": bool(job and job.what == "look"),
        "is_cut": len(letters) == MOST,
        "summary": _summary(letters, isinstance(asked, Wanted) and asked.doubtful),
        "more_time": list(MORE_TIME) if lane is Lane.NOTICES else [],
        "gone": job.total - len(letters) if job and job.what != "look" and not job.is_running else 0,
        "refused": refused,
        "now": datetime.now(UTC),
        "at": lambda seconds: datetime.fromtimestamp(seconds, UTC),
        "pause": JOB_PAUSE,
    }
    return context.page("letters", values, 409 if refused else 200)


def _post(context: PageContext, lane: Lane, form: Mapping[str, Sequence[str]]) -> Response:
    job: Job[DeadLetter] | None = context.jobs.get(lane)
    if job and job.is_running:
        return _letters(context, lane, "One thing at a time: this has to end first.")
    if job and job.problem:
        context.forget()
    match "".join(form.get("do", ())):
        case "look":
            queue = DeadLetters.of(context.environment, lane)
            total = min(MOST, _queue(queue.sqs, queue.url).total)
            return _begin(context, lane, Job("look", _first(queue.read()), total))
        case "replay" | "drop" as do:
            return _carry_out(context, lane, Wanted.of(lane, do, form), form)
    raise InvalidInput("There is no such thing to do.", "There are look, replay and drop.")


def _carry_out(context: PageContext, lane: Lane, wanted: Wanted, form: Mapping[str, Sequence[str]]) -> Response:
    job: Job[DeadLetter] | None = context.jobs.get(lane)
    if job is None or job.what != "look" or job.id != wanted.look:
        return _letters(
            context, lane, "That page was of an earlier look. Nothing was done: look again, and choose anew."
        )
    ids = set(wanted.ids)
    letters = [letter for letter in job.done if not ids or letter.id in ids]
    if not letters:
        raise InvalidInput("None of these letters was there.", "Look again, and choose anew.")
    if not context.is_confirmed(form):
        return context.confirm(_plan(lane, wanted, letters), form)
    work = wanted.work(DeadLetters.of(context.environment, lane), letters)
    return _begin(context, lane, Job(wanted.do, work, len(letters), wanted))


def _plan(lane: Lane, wanted: Wanted, letters: Sequence[DeadLetter]) -> Confirmation:
    said = f"{SAYS[wanted.do][0]} {count_letters(len(letters))}"
    if wanted.do == "replay":
        seen = [letter.with_extension(MORE_TIME[wanted.extend]) for letter in letters]
        details = [f"{number} {verdict}: {what}" for verdict, number, what in _summary(seen, wanted.doubtful)]
        more = [f"Notices that have expired get {wanted.extend} more."] if wanted.extend else []
        what, details = REPLAYS, [*details, *more]
    else:
        mails = [mail for letter in letters for mail in letter.mails]
        open_ = sum(mail.status in ("", Status.ACCEPTED) for mail in mails)
        what, details = DROPS, [f"{len(mails)} mails are in them, {open_} of those without an outcome."]
    path = f"/console/queues/{lane}"
    return Confirmation(f"{said} of {lane}?", what, said, path, wanted.values(), path, details)


def _begin(context: PageContext, lane: Lane, job: Job[DeadLetter]) -> Response:
    """Start a job, and lead to the page that shows how far it is."""
    if not context.jobs.start(lane, job):
        return _letters(context, lane, "Something else has begun meanwhile.")
    return away(f"/console/queues/{lane}")


def _told(job: Job[DeadLetter] | None) -> str:
    """Say what a job does, or did."""
    if job is None:
        return ""
    _, doing, did = SAYS[job.what]
    return doing if job.is_running else did


def _summary(letters: Sequence[DeadLetter], doubtful: bool = False) -> list[tuple[Verdict, int, str]]:
    counts = Counter(letter.verdict for letter in letters)
    return [(one, counts[one], replay_effect(one, doubtful=doubtful)) for one in Verdict if counts[one]]


def _first(letters: Iterator[DeadLetter]) -> Iterator[DeadLetter]:
    with closing(letters):  # type: ignore[type-var]
        yield from islice(letters, MOST)


def _url(environment: SharedEnvironment, lane: Lane, dead: bool) -> str:
    return environment.outputs[f"{lane.title()}{'DeadLetter' if dead else ''}QueueUrl"]


def _queue(sqs: Any, url: str) -> Queue:
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(COUNTS))["Attributes"]
    waiting, in_flight, delayed = (int(found.get(name, 0)) for name in COUNTS)
    return Queue(waiting, in_flight, delayed)


def _oldest(environment: SharedEnvironment, urls: Sequence[str]) -> dict[str, datetime]:
    """Return since when the oldest message of each queue waits, as far as CloudWatch knows; it is a minute behind."""
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
        return {}  # it is no reason to keep the rest back
    results = {result["Id"]: result for result in answer["MetricDataResults"]}
    return {
        url: result["Timestamps"][0] - timedelta(seconds=result["Values"][0])
        for number, url in enumerate(urls)
        if (result := results.get(f"queue{number}")) and result["Values"]
    }
