"""The metrics of an invocation, as CloudWatch reads them from the log."""

import json
from itertools import product
from typing import Any

import pytest

from mailroom.aws.metrics import Metrics


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Metrics:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "mailroom-test")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "deliver")
    return Metrics()


def written(metrics: Metrics, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    metrics.flush()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def read(lines: list[dict[str, Any]]) -> dict[tuple[str, ...], Any]:
    """Return the values that CloudWatch stores, by name and dimensions."""
    values = {}
    for line in lines:
        for directive in line["_aws"]["CloudWatchMetrics"]:
            assert directive["Namespace"] == "mailroom-test"
            for names, metric in product(directive["Dimensions"], directive["Metrics"]):
                key = (metric["Name"], *(f"{name}={line[name]}" for name in sorted(names)))
                assert key not in values, "a metric is counted twice"
                values[key] = line[metric["Name"]]
    return values


def test_a_mail_is_counted_in_one_line(metrics: Metrics, capsys: pytest.CaptureFixture[str]) -> None:
    metrics.count("Sent", {"provider": "resend"})
    metrics.add_duration("AcceptedToSent", 127.49457)
    metrics.count("Repeated")
    lines = written(metrics, capsys)
    assert read(lines) == {
        ("Sent", "service=deliver"): 1,
        ("Sent", "provider=resend", "service=deliver"): 1,
        ("Repeated", "service=deliver"): 1,
        ("AcceptedToSent", "service=deliver"): 127.5,
    }
    assert len(lines) == 1
    assert written(metrics, capsys) == []


def test_values_that_differ_by_dimension_are_in_lines_of_their_own(
    metrics: Metrics, capsys: pytest.CaptureFixture[str]
) -> None:
    for provider in ("resend", "resend", "ses"):
        metrics.count("Sent", {"provider": provider})
    metrics.count("Failed", {"class": "rejected"})
    assert read(written(metrics, capsys)) == {
        ("Sent", "service=deliver"): 3,
        ("Sent", "provider=resend", "service=deliver"): 2,
        ("Sent", "provider=ses", "service=deliver"): 1,
        ("Failed", "service=deliver"): 1,
        ("Failed", "class=rejected", "service=deliver"): 1,
    }


def test_durations_are_kept_one_by_one_up_to_a_hundred_a_line(
    metrics: Metrics, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(150):
        metrics.add_duration("AcceptedToSent", number)
    lines = written(metrics, capsys)
    assert [len(line["AcceptedToSent"]) for line in lines] == [100, 50]


def test_an_invocation_that_crashes_still_writes_its_metrics(
    metrics: Metrics, capsys: pytest.CaptureFixture[str]
) -> None:
    @metrics.log_metrics
    def handler(event: object, context: object) -> None:
        metrics.count("Asked")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        handler({}, None)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["Asked"] == 1
