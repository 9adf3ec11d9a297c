"""Reads what a real metrics SDK has recorded."""

from typing import Any

from opentelemetry.sdk.metrics.export import InMemoryMetricReader


class Points:
    """The data points of each metric, as they are now."""

    def __init__(self, reader: InMemoryMetricReader) -> None:
        self._reader = reader

    def all(self) -> dict[str, list[Any]]:
        data = self._reader.get_metrics_data()
        resources = data.resource_metrics if data else ()
        metrics = [m for resource in resources for scope in resource.scope_metrics for m in scope.metrics]
        return {metric.name: list(metric.data.data_points) for metric in metrics}

    def one(self, name: str) -> Any:
        """Return the only data point of a metric."""
        (point,) = self.all()[name]
        return point
