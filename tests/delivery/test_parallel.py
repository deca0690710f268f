"""Mails that arrive together are sent at the same time, and none of the promises changes by it."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from mailroom.aws.client import Aws
from mailroom.delivery.parallel import MAX_THREADS, Job, run_parallel, run_shares
from mailroom.errors import UnknownOutcome
from mailroom.ledger.tally import EVERYONE
from mailroom.model.email import Email
from mailroom.model.message import Message, Parcel
from mailroom.providers import Receipt
from tests.cloud import put, waiting
from tests.delivery.process import Process
from tests.factories import code

PATIENCE_SECONDS = 20.0  # of one thread for another, on a busy machine: no test waits for its end


class Account:
    """An account without batches; `fate` runs while a mail is with it."""

    name, idempotent = "ses", False

    def __init__(self, fate: Callable[[str], None] = lambda to: None) -> None:
        self.fate = fate
        self.accepted: list[str] = []
        self.most = self._present = 0
        self._lock = threading.Lock()

    def send(self, email: Email, key: str) -> Receipt:
        with self._lock:
            self._present += 1
            self.most = max(self.most, self._present)
        try:
            self.fate(email.to)
            self.accepted.append(key)
            return Receipt(f"id-{key}")
        finally:
            with self._lock:
                self._present -= 1


@pytest.fixture
def aws_by_ses(aws: Aws, environment: pytest.MonkeyPatch) -> Aws:
    put(aws, "senders/default/auth", '{"from": "no-reply@example.com", "providers": ["ses"]}')
    put(aws, "providers/ses/region", "eu-west-1")
    return aws


def through(aws: Aws, account: Account) -> Process:
    """Return a new process whose account `ses` is this one."""
    process = Process(aws)
    process.delivery.dispatch.providers["ses"] = ({"region": "eu-west-1"}, account)
    return process


def codes(number: int) -> list[Message]:
    return [code(f"{n:06}", to=f"r{n}@reader.example", identity=f"{n}") for n in range(number)]


def meeting(number: int) -> Callable[[str], None]:
    """Return a fate in which each mail stays with its account until `number` of them are there."""
    barrier = threading.Barrier(number)
    return lambda to: void(barrier.wait(PATIENCE_SECONDS))


def void(_: object) -> None: ...


# ---- the jobs ----


def test_results_come_as_they_are_there_not_in_the_order_of_the_jobs() -> None:
    is_second_done = threading.Event()

    def slow() -> Iterator[str]:
        is_second_done.wait(PATIENCE_SECONDS)
        yield "first"

    def quick() -> Iterator[str]:
        yield "second"

    results = []
    for result in run_parallel([Job("a", slow), Job("a", quick)], lambda group: 2):
        results.append(result)
        is_second_done.set()

    assert results == ["second", "first"]


def test_of_a_group_only_so_many_jobs_run_at_a_time() -> None:
    lock, running, most = threading.Lock(), Counter[str](), Counter[str]()

    def work(group: str) -> Iterator[str]:
        with lock:
            running[group] += 1
            most[group] = max(most[group], running[group])
        yield group
        with lock:
            running[group] -= 1

    jobs = [Job(group, partial(work, group)) for group in "aabbaabbaabb"]
    results = Counter(run_parallel(jobs, lambda group: {"a": 1, "b": 2}[group]))

    assert results == {"a": 6, "b": 6}
    assert most["a"] == 1
    assert most["b"] <= 2


def test_an_error_of_one_job_is_raised_when_all_have_ended() -> None:
    def fail() -> Iterator[str]:
        raise KeyboardInterrupt
        yield ""

    results: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        results += run_parallel([Job("a", fail), *(Job("a", lambda: iter("x")) for _ in range(9))], lambda group: 5)

    assert len(results) == 9


def test_no_thread_is_left_where_its_caller_goes_away() -> None:
    ended: list[int] = []

    def work(number: int) -> Iterator[int]:
        yield number
        ended.append(number)

    results = run_parallel([Job("a", partial(work, number)) for number in range(9)], lambda group: 5)
    next(results)
    results.close()

    assert len(ended) == MAX_THREADS  # those that had begun


def test_a_single_job_needs_no_thread() -> None:
    (thread,) = run_parallel([Job("a", lambda: iter([threading.current_thread()]))], lambda group: 5)

    assert thread is threading.current_thread()


def test_many_items_are_dealt_out_to_a_few_threads() -> None:
    def work(share: Sequence[int]) -> Iterator[tuple[threading.Thread, list[int]]]:
        yield threading.current_thread(), list(share)

    shares = list(run_shares(work, range(23)))

    assert sorted(item for _, share in shares for item in share) == list(range(23))
    assert len({thread for thread, _ in shares}) == len(shares) == MAX_THREADS


# ---- the mails ----


def test_mails_that_arrive_together_are_with_their_provider_at_the_same_time(aws_by_ses: Aws) -> None:
    account, sent = Account(meeting(MAX_THREADS)), codes(MAX_THREADS)
    process = through(aws_by_ses, account)

    assert process.receive(*map(Parcel.of, sent)) == []

    assert sorted(account.accepted) == sorted(mail.id for mail in sent)
    assert {process.row(mail)["status"] for mail in sent} == {"sent"}
    assert len(process.logged("Email sent successfully")) == MAX_THREADS


def test_each_mail_of_many_threads_is_counted(aws_by_ses: Aws) -> None:
    process = through(aws_by_ses, Account())
    counted: list[dict[str, float]] = []
    process.delivery.ledger.tally.flush_if_due = lambda: counted.append(  # type: ignore[method-assign]
        next(counts for (scope, _), counts in process.delivery.ledger.tally._counts.items() if scope == EVERYONE)
    )

    process.receive(*map(Parcel.of, codes(10)))

    assert counted == [{"sent/ses": 10, "sent@other/ses": 10}]


def test_the_codes_of_one_recipient_are_sent_one_after_the_other_in_their_order(aws_by_ses: Aws) -> None:
    several = [code(f"{n:06}", identity=f"{n}", age=5 - n) for n in range(4)]
    ids, others = [mail.id for mail in several], codes(4)
    have_others_left, with_the_account = threading.Event(), threading.Lock()
    overlapping: list[str] = []

    def wait_for_others(to: str) -> None:
        if to != several[0].to:
            if len(account.accepted) == len(others) - 1:
                have_others_left.set()
        elif with_the_account.acquire(blocking=False):
            if not set(ids) & set(account.accepted):
                have_others_left.wait(PATIENCE_SECONDS)
            with_the_account.release()
        else:
            overlapping.append(to)

    account = Account(wait_for_others)
    through(aws_by_ses, account).receive(*map(Parcel.of, [several[2], *others, several[0], several[3], several[1]]))

    assert [key for key in account.accepted if key in ids] == ids
    assert not overlapping


def test_a_relay_gets_no_more_connections_than_it_takes_of_a_client(aws: Aws, environment: pytest.MonkeyPatch) -> None:
    put(aws, "senders/default/auth", '{"from": "no-reply@example.com", "providers": ["smtp"]}')
    put(aws, "providers/smtp/host", "relay.example")
    process, relay = Process(aws), Account()
    process.delivery.dispatch.providers["smtp"] = ({"host": "relay.example"}, relay)

    process.receive(*map(Parcel.of, codes(8)))

    assert len(relay.accepted) == 8
    assert relay.most <= 2


def test_an_account_in_trouble_gets_one_mail_at_a_time(aws_by_ses: Aws) -> None:
    dispatch, now = through(aws_by_ses, Account()).delivery.dispatch, time.time()
    gate, numbers = dispatch.gate("ses"), [dispatch.max_parallel("ses")]
    for trouble in (
        partial(gate.failed, now, None),
        partial(gate.failed, now, 1.0),
        partial(gate.failed, now, None, 9.0),
    ):
        trouble()
        numbers.append(dispatch.max_parallel("ses"))
        for _ in range(4):
            gate.succeeded(now, 0.0)
        numbers.append(dispatch.max_parallel("ses"))

    assert numbers == [MAX_THREADS, 1, MAX_THREADS, 1, MAX_THREADS, 1, MAX_THREADS]


def test_a_mail_that_hangs_delays_no_other(aws_by_ses: Aws) -> None:
    first, *others = sent = codes(9)
    have_all_left = threading.Event()

    def hang(to: str) -> None:
        if to == first.to:
            have_all_left.wait(PATIENCE_SECONDS)
            raise UnknownOutcome("ses", "no_answer")
        if len(account.accepted) == len(others) - 1:
            have_all_left.set()

    account = Account(hang)
    process = through(aws_by_ses, account)
    process.receive(*map(Parcel.of, sent))

    assert sorted(account.accepted) == sorted(mail.id for mail in others)
    assert process.row(first)["offered"] == ["ses"]
    assert [parcel.message.id for parcel in waiting(aws_by_ses, "codes")] == [first.id]


def test_a_defect_of_one_mail_holds_up_no_other(aws_by_ses: Aws) -> None:
    first, *others = sent = codes(9)

    def fail(to: str) -> None:
        if to == first.to:
            raise ZeroDivisionError

    account = Account(fail)
    process = through(aws_by_ses, account)

    assert process.receive(*map(Parcel.of, sent)) == ["0"]
    assert sorted(account.accepted) == sorted(mail.id for mail in others)
    assert len(process.logged("Message stays on its queue")) == 1
