"""Alarms watch metrics that are really counted, and each has its section in the runbook."""

import ast
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mailroom.feedback.log import REPORTED_AS
from mailroom.telemetry import COUNTED_AS
from mailroom_ops.cloudformation import loader

ROOT = Path(__file__).parents[2]
RESOURCES = loader.load(ROOT / "template.yaml")["Resources"]
ALARMS = {name: body["Properties"] for name, body in RESOURCES.items() if body["Type"] == "AWS::CloudWatch::Alarm"}
OURS = {"Ref": "AWS::StackName"}
SERVICES = ("webhook", "rendered", "send", "deliver", "feedback")


@cache
def counted_metrics() -> frozenset[str]:
    """Return the name of every metric that the functions write."""
    names = {*COUNTED_AS.values(), *REPORTED_AS.values(), "SoftBounced", "UnknownEvents", "RepeatedEvents"}
    for path in (*(ROOT / "layers/mailroom/mailroom").rglob("*.py"), *(ROOT / "functions").rglob("*.py")):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if called in ("count", "add_duration"):
                names |= {
                    arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
                }
    # An error is counted under the name of its branch.
    return frozenset(names | {"Misconfigured", "Unavailable", "Rejected", "Ambiguous"})


def watched_metrics() -> list[tuple[str, dict[str, Any]]]:
    metrics = []
    for name, alarm in ALARMS.items():
        for query in alarm.get("Metrics", []):
            metric = query.get("MetricStat", {}).get("Metric")
            if metric and metric["Namespace"] == OURS:
                metrics.append((name, metric))
    return metrics


@pytest.mark.thorough
def test_an_alarm_watches_a_metric_that_is_counted() -> None:
    assert len(watched_metrics()) > 20
    for name, metric in watched_metrics():
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in metric["Dimensions"]}
        assert metric["MetricName"] in counted_metrics(), name
        assert dimensions["service"] in SERVICES, name
        assert set(dimensions) <= {"service", "reason"}, name


@pytest.mark.parametrize("name", [name for name, alarm in ALARMS.items() if "Metrics" in alarm])
def test_an_alarm_uses_each_of_its_metrics_and_needs_none(name: str) -> None:
    (first, *others) = ALARMS[name]["Metrics"]
    assert set(re.findall(r"\b[a-z]\d\b", first["Expression"])) == {query["Id"] for query in others}
    assert all(query["ReturnData"] is False for query in others)
    assert ALARMS[name]["TreatMissingData"] == "notBreaching"


def test_the_template_has_these_alarms() -> None:
    assert set(ALARMS) == {
        *("CodesDeadLetterAlarm", "NoticesDeadLetterAlarm", "FeedbackDeadLetterAlarm", "CodesAgeAlarm"),
        *("FailureRateAlarm", "BounceRateAlarm", "TimeToInboxAlarm", "DayLimitNearAlarm", "DayLimitAlarm"),
        "OutcomesDeadLetterAlarm",
        *("ComplaintRateAlarm", "MisconfiguredAlarm", "NotConfiguredAlarm", "FloodAlarm", "UnavailableAlarm"),
        *("WebhookRefusalAlarm", "FeedbackRefusalAlarm", "ErrorAlarm"),
        *("ApiErrorAlarm", "RateLimitedAlarm", "ThrottledAlarm", "LedgerThrottledAlarm"),
        *("CognitoDeadLetterAlarm", "CognitoErrorAlarm"),
    }
    conditions = {name: RESOURCES[name]["Condition"] for name in ALARMS}
    assert conditions.pop("NotConfiguredAlarm") == "IsProductionWithAlarms"
    assert {name for name, condition in conditions.items() if condition == "HasCognitoAlarms"} == {
        *("CognitoDeadLetterAlarm", "CognitoErrorAlarm"),
    }
    assert set(conditions.values()) == {"HasAlarms", "HasCognitoAlarms"}, "Alarms=off leaves all of them out"


def test_each_alarm_has_a_section_in_the_runbook() -> None:
    runbook = (ROOT / "docs/operations.md").read_text()
    for name, alarm in ALARMS.items():
        slug = alarm["AlarmName"]["Fn::Sub"].removeprefix("${AWS::StackName}-")
        assert f"### {slug}\n" in runbook, name


def test_the_dashboard_is_valid_and_shows_metrics_that_are_counted() -> None:
    text = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][0]
    widgets = json.loads(text)["widgets"]
    places = [(widget["x"], widget["y"]) for widget in widgets]
    assert len(set(places)) == len(places)
    shown = set(re.findall(r'MetricName=\\"(\w+)\\"', text)) | {
        metric[1]
        for widget in widgets
        for metric in widget["properties"]["metrics"]
        if len(metric) > 1 and metric[0] == "${AWS::StackName}"
    }
    assert len(shown) > 12
    filters = [body["Properties"] for body in RESOURCES.values() if body["Type"] == "AWS::Logs::MetricFilter"]
    counted_in_logs = {
        part["MetricName"] for metric_filter in filters for part in metric_filter["MetricTransformations"]
    }
    assert shown <= counted_metrics() | counted_in_logs


def test_a_request_that_no_function_sees_raises_an_alarm() -> None:
    function_names = {
        query["MetricStat"]["Metric"]["Dimensions"][0]["Value"]["Ref"]
        for query in ALARMS["ThrottledAlarm"]["Metrics"]
        if "MetricStat" in query
    }
    functions = {name for name, body in RESOURCES.items() if body["Type"] == "AWS::Serverless::Function"}
    functions -= {"CognitoFunction"}  # only some stacks have it: it has an alarm of its own
    assert function_names == functions
    assert ALARMS["ApiErrorAlarm"]["Dimensions"] == [{"Name": "ApiId", "Value": {"Ref": "HttpApi"}}]
    pattern = RESOURCES["RateLimitedRequests"]["Properties"]["FilterPattern"]
    assert '"status":"$context.status"' in RESOURCES["HttpApi"]["Properties"]["AccessLogSettings"]["Format"]
    assert pattern == '{ $.status = "429" }'
