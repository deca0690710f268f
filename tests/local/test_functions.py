"""One function, run as Lambda runs it, under AWS's runtime client and under our own."""

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from mailroom_ops.local.functions import Function
from mailroom_ops.local.runtime_api import Outcome
from tests.local.conftest import HANDLER, Workshop


def call(function: Function, **event: Any) -> Outcome:
    return function.invoke(json.dumps(event).encode())


def value(outcome: Outcome) -> Any:
    assert not outcome.failed, outcome.payload
    return json.loads(outcome.payload)


def error(outcome: Outcome) -> Any:
    assert outcome.failed, outcome.payload
    return json.loads(outcome.payload)


def test_an_event_goes_in_and_an_answer_comes_out(workshop: Workshop) -> None:
    function = workshop.function(timeout=10)

    answer = value(call(function, word="Grüße", none=None))

    assert answer["event"] == {"word": "Grüße", "none": None}
    context = answer["context"]
    assert context["arn"].endswith(":function:workshop")
    assert (context["name"], context["memory"]) == ("workshop", "512")
    assert 0 < context["left"] <= 10_000


def test_each_event_has_its_own_id_and_one_process_serves_many(workshop: Workshop) -> None:
    function = workshop.function()

    answers = [value(call(function)) for _ in range(5)]

    assert len({answer["context"]["id"] for answer in answers}) == 5
    assert len({answer["pid"] for answer in answers}) == 1


def test_an_exception_is_described_as_lambda_does_and_the_process_lives_on(workshop: Workshop) -> None:
    function = workshop.function()
    before = value(call(function))["pid"]

    failure = error(call(function, do="raise"))

    assert (failure["errorType"], failure["errorMessage"]) == ("ValueError", "told to")
    assert any("app.py" in line for line in failure["stackTrace"])
    assert value(call(function))["pid"] == before


def test_an_answer_that_is_not_json_is_an_error_of_the_function(workshop: Workshop) -> None:
    function = workshop.function()

    assert "errorMessage" in error(call(function, do="unserializable"))
    value(call(function))


def test_a_process_that_exits_is_reported_and_replaced(workshop: Workshop) -> None:
    function = workshop.function()
    before = value(call(function))["pid"]

    failure = error(call(function, do="exit"))

    assert failure["errorType"] == "Runtime.ExitError"
    assert "code 3" in failure["errorMessage"]
    assert value(call(function))["pid"] != before


def test_a_process_that_is_killed_while_it_waits_is_replaced(workshop: Workshop) -> None:
    function = workshop.function()
    before = value(call(function))["pid"]

    os.kill(before, signal.SIGKILL)
    answers = [call(function), call(function)]

    assert value(answers[1])["pid"] != before


def test_a_function_that_takes_too_long_is_ended_and_the_next_event_gets_a_new_process(workshop: Workshop) -> None:
    function = workshop.function(timeout=1)
    before = value(call(function))["pid"]

    failure = error(call(function, do="hang"))

    assert failure["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 1.00 seconds" in failure["errorMessage"]
    assert value(call(function))["pid"] != before
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)


def test_two_events_at_a_time_get_two_processes(workshop: Workshop, tmp_path: Path) -> None:
    function = workshop.function(concurrency=2)
    mine, theirs = str(tmp_path / "one"), str(tmp_path / "two")
    pids: list[int] = []

    def meet(a: str, b: str) -> None:
        pids.append(value(call(function, do="meet", mine=a, theirs=b))["pid"])

    threads = [threading.Thread(target=meet, args=pair) for pair in ((mine, theirs), (theirs, mine))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(pids)) == 2


def test_what_a_function_prints_is_kept_line_by_line(workshop: Workshop) -> None:
    function = workshop.function()

    outcome = call(function, do="say", text='one\ntwo – drei\n{"message": "three"}')

    assert workshop.logs.lines() == ["loaded", "one", "two – drei", '{"message": "three"}']
    first, *_, last = outcome.log.splitlines()
    assert first.startswith("START RequestId: ")
    assert last.startswith("END RequestId: ")
    assert "two – drei" in outcome.log


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        pytest.param("import nothing_of_this_name", "ImportModuleError", id="import"),
        pytest.param("def other(event, context): pass", "HandlerNotFound", id="no-handler"),
        pytest.param("raise RuntimeError('at start')", "RuntimeError", id="raises"),
        pytest.param("import os; os._exit(4)", "Runtime.ExitError", id="exits"),
    ],
)
def test_code_that_does_not_load_is_an_error_that_says_why_until_it_is_mended(
    workshop: Workshop, code: str, kind: str
) -> None:
    function = workshop.function(code)

    failure = error(call(function))

    names = {"ImportModuleError": ("ModuleNotFoundError",), "HandlerNotFound": ("AttributeError",)}.get(kind, ())
    assert failure["errorType"].endswith((kind, *names))

    (workshop.folder / "app.py").write_text(HANDLER)
    function.restart()

    assert value(call(function))["version"] == 1


def test_a_restart_lets_the_current_event_end_and_runs_the_next_on_new_code(workshop: Workshop, tmp_path: Path) -> None:
    function = workshop.function(concurrency=1)
    value(call(function))
    mine, theirs = tmp_path / "one", tmp_path / "two"
    ended: list[Any] = []
    thread = threading.Thread(
        target=lambda: ended.append(value(call(function, do="meet", mine=str(mine), theirs=str(theirs))))
    )
    thread.start()
    while not mine.exists():
        threading.Event().wait(0.01)

    (workshop.folder / "app.py").write_text(HANDLER.replace('"version": 1', '"version": 2'))
    function.restart()
    assert value(call(function))["version"] == 2
    theirs.touch()
    thread.join()

    assert ended[0]["version"] == 1
    assert value(call(function))["version"] == 2


def test_stopping_leaves_no_process(workshop: Workshop) -> None:
    function = workshop.function()
    pid = value(call(function))["pid"]

    function.stop()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert error(call(function))["errorType"] == "ServiceException"
