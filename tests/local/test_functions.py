"""One function, run as by Lambda, under AWS's runtime client and under ours."""

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from mailroom_ops.local.functions import Function
from mailroom_ops.local.runtime_api import InvocationResult
from tests.local.project import HANDLER, FunctionFactory


def call(function: Function, **event: Any) -> InvocationResult:
    return function.invoke(json.dumps(event).encode())


def value(result: InvocationResult) -> Any:
    assert not result.failed, result.payload
    return json.loads(result.payload)


def error(result: InvocationResult) -> Any:
    assert result.failed, result.payload
    return json.loads(result.payload)


def test_a_function_gets_the_event_and_context_and_returns_a_result(factory: FunctionFactory) -> None:
    function = factory.function(timeout=10)

    answer = value(call(function, word="Grüße", none=None))

    assert answer["event"] == {"word": "Grüße", "none": None}
    context = answer["context"]
    assert context["arn"].endswith(":function:sample")
    assert (context["name"], context["memory"]) == ("sample", "512")
    assert 0 < context["remaining"] <= 10_000


def test_one_process_runs_many_events_each_with_an_id_of_its_own(factory: FunctionFactory) -> None:
    function = factory.function()

    answers = [value(call(function)) for _ in range(5)]

    assert len({answer["context"]["id"] for answer in answers}) == 5
    assert len({answer["pid"] for answer in answers}) == 1


def test_an_exception_is_described_as_by_lambda_and_the_process_stays(factory: FunctionFactory) -> None:
    function = factory.function()
    before = value(call(function))["pid"]

    failure = error(call(function, do="raise"))

    assert (failure["errorType"], failure["errorMessage"]) == ("ValueError", "told to")
    assert any("app.py" in line for line in failure["stackTrace"])
    assert value(call(function))["pid"] == before


def test_a_result_that_is_not_json_is_an_error_of_the_function(factory: FunctionFactory) -> None:
    function = factory.function()

    assert "errorMessage" in error(call(function, do="unserializable"))
    value(call(function))


def test_a_process_that_exits_is_reported_and_replaced(factory: FunctionFactory) -> None:
    function = factory.function()
    before = value(call(function))["pid"]

    failure = error(call(function, do="exit"))

    assert failure["errorType"] == "Runtime.ExitError"
    assert "code 3" in failure["errorMessage"]
    assert value(call(function))["pid"] != before


def test_an_idle_process_that_is_killed_is_replaced(factory: FunctionFactory) -> None:
    function = factory.function()
    before = value(call(function))["pid"]

    os.kill(before, signal.SIGKILL)
    answers = [call(function), call(function)]

    assert value(answers[1])["pid"] != before


def test_a_timeout_kills_the_process_and_the_next_event_gets_a_new_one(factory: FunctionFactory) -> None:
    function = factory.function(timeout=1)
    before = value(call(function))["pid"]

    failure = error(call(function, do="hang"))

    assert failure["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 1.00 seconds" in failure["errorMessage"]
    assert value(call(function))["pid"] != before
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)


def test_two_concurrent_events_get_two_processes(factory: FunctionFactory, tmp_path: Path) -> None:
    function = factory.function(concurrency=2)
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


def test_the_output_of_a_function_is_kept_line_by_line(factory: FunctionFactory) -> None:
    function = factory.function()

    result = call(function, do="say", text='one\ntwo – drei\n{"message": "three"}')

    assert factory.logs.lines() == ["loaded", "one", "two – drei", '{"message": "three"}']
    first, *_, last = result.log.splitlines()
    assert first.startswith("START RequestId: ")
    assert last.startswith("END RequestId: ")
    assert "two – drei" in result.log


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        pytest.param("import nothing_of_this_name", "ImportModuleError", id="import"),
        pytest.param("def other(event, context): pass", "HandlerNotFound", id="no-handler"),
        pytest.param("raise RuntimeError('at start')", "RuntimeError", id="raises"),
        pytest.param("import os; os._exit(4)", "Runtime.ExitError", id="exits"),
    ],
)
def test_code_that_does_not_load_is_an_error_until_it_is_fixed(factory: FunctionFactory, code: str, kind: str) -> None:
    function = factory.function(code)

    failure = error(call(function))

    names = {"ImportModuleError": ("ModuleNotFoundError",), "HandlerNotFound": ("AttributeError",)}.get(kind, ())
    assert failure["errorType"].endswith((kind, *names))

    (factory.folder / "app.py").write_text(HANDLER)
    function.restart()

    assert value(call(function))["version"] == 1


def test_a_restart_finishes_the_current_event_and_loads_new_code(factory: FunctionFactory, tmp_path: Path) -> None:
    function = factory.function(concurrency=1)
    value(call(function))
    mine, theirs = tmp_path / "one", tmp_path / "two"
    ended: list[Any] = []
    thread = threading.Thread(
        target=lambda: ended.append(value(call(function, do="meet", mine=str(mine), theirs=str(theirs))))
    )
    thread.start()
    while not mine.exists():
        threading.Event().wait(0.01)

    (factory.folder / "app.py").write_text(HANDLER.replace('"version": 1', '"version": 2'))
    function.restart()
    assert value(call(function))["version"] == 2
    theirs.touch()
    thread.join()

    assert ended[0]["version"] == 1
    assert value(call(function))["version"] == 2


def test_stopping_leaves_no_process(factory: FunctionFactory) -> None:
    function = factory.function()
    pid = value(call(function))["pid"]

    function.stop()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert error(call(function))["errorType"] == "ServiceException"
