"""The metrics of an invocation, in as few log lines as CloudWatch's embedded metric format allows.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
Powertools writes a line of its own for each metric with other dimensions; log bytes are a good part of a mail's price.
"""

import functools
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mailroom.model.json_fields import compact_json

__all__ = ["Metrics"]

COUNT = "Count"
MILLISECONDS = "Milliseconds"
MAX_VALUES = 100  # of one metric in a line

Handler = TypeVar("Handler", bound=Callable[..., Any])
Dimensions = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Line:
    """One line: its values, and the names and units of its metrics for each set of dimensions."""

    values: dict[str, Any] = field(default_factory=dict)
    metrics: dict[tuple[str, ...], dict[str, str]] = field(default_factory=dict)

    def takes(self, name: str, value: Any, dimensions: Mapping[str, str]) -> bool:
        """Test whether the line has no other value for any of these names."""
        return all(self.values.get(key, item) == item for key, item in {**dimensions, name: value}.items())

    def add(self, name: str, unit: str, value: Any, dimensions: Mapping[str, str]) -> None:
        self.values |= {**dimensions, name: value}
        self.metrics.setdefault(tuple(dimensions), {})[name] = unit


class Metrics:
    """Counts and durations of the current invocation; `log_metrics` writes them when it ends."""

    def __init__(self) -> None:
        self._namespace = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "")
        self._service = os.environ.get("POWERTOOLS_SERVICE_NAME", "")
        self._counts: defaultdict[tuple[str, Dimensions], int] = defaultdict(int)
        self._durations: defaultdict[str, list[float]] = defaultdict(list)

    def count(self, name: str, dimensions: Mapping[str, str] = {}, number: int = 1) -> None:
        """Count by service, and with dimensions also by them."""
        self._counts[name, ()] += number
        if dimensions:
            self._counts[name, tuple(sorted(dimensions.items()))] += number

    def add_duration(self, name: str, milliseconds: float) -> None:
        self._durations[name].append(round(milliseconds, 1))

    def log_metrics(self, handler: Handler) -> Handler:
        """Write the metrics of each invocation of a handler, also of one that crashes."""

        @functools.wraps(handler)
        def with_metrics(*arguments: Any) -> Any:
            try:
                return handler(*arguments)
            finally:
                self.flush()

        return with_metrics  # type: ignore[return-value]

    def flush(self) -> None:
        """Write the metrics to the log, and forget them."""
        lines: list[_Line] = []
        for name, unit, value, dimensions in self._entries():
            all_dimensions = {"service": self._service, **dimensions}
            line = next((line for line in lines if line.takes(name, value, all_dimensions)), None)
            if line is None:
                lines.append(line := _Line())
            line.add(name, unit, value, all_dimensions)
        self._counts.clear()
        self._durations.clear()
        for line in lines:
            print(compact_json(self._written(line)), flush=True)

    def _entries(self) -> Iterator[tuple[str, str, Any, dict[str, str]]]:
        for (name, dimensions), number in self._counts.items():
            yield name, COUNT, number, dict(dimensions)
        for name, values in self._durations.items():
            for start in range(0, len(values), MAX_VALUES):
                part = values[start : start + MAX_VALUES]
                yield name, MILLISECONDS, part if len(part) > 1 else part[0], {}

    def _written(self, line: _Line) -> dict[str, Any]:
        sets_of: defaultdict[tuple[str, str], list[tuple[str, ...]]] = defaultdict(list)
        for dimensions, metrics in line.metrics.items():
            for metric in metrics.items():
                sets_of[metric].append(dimensions)
        metrics_of: defaultdict[tuple[tuple[str, ...], ...], list[tuple[str, str]]] = defaultdict(list)
        for metric, sets in sets_of.items():
            metrics_of[tuple(sets)].append(metric)
        directives = [
            {
                "Namespace": self._namespace,
                "Dimensions": sets,
                "Metrics": [{"Name": name, "Unit": unit} for name, unit in metrics],
            }
            for sets, metrics in metrics_of.items()
        ]
        return {"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": directives}, **line.values}
