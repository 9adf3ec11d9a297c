import threading
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE, Metric
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from halves import client_half, server_half
from otlp_receiver import PATIENCE_S, black_hole, otlp_receiver, refusing_endpoint
from streamgap.core.catalog import CATALOG
from streamgap.core.wire import dump_client
from streamgap.service.joiner import Joiner
from streamgap.service.otlp_push import OtlpPush, to_otlp

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
NOW_NS = 1_800_000_000_000_000_000
Numbers = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    gap = Histogram("streamgap_gap_seconds", "The gap.", ["route"], unit="seconds", buckets=(0.1, 1), registry=registry)
    gap.labels("/chat").observe(0.05)
    gap.labels("/chat").observe(0.7, {"trace_id": TRACE_ID})
    gap.labels("/chat").observe(70.0)
    gap.labels("/draw")
    streams = Counter("streamgap_streams", "Joined streams.", ["route", "verdict"], registry=registry)
    streams.labels("/chat", "held").inc(3)
    streams.labels("/chat", "flowing")
    Gauge("streamgap_pending_bytes", "Waiting.", unit="bytes", registry=registry).set(1234.5)
    Info("streamgap_release", "About.", registry=registry).info({"version": "1"})
    return registry


def pushed(registry: CollectorRegistry) -> ExportMetricsServiceRequest:
    with otlp_receiver() as receiver:
        push = OtlpPush(registry, endpoint=receiver.endpoint, interval_s=PATIENCE_S, timeout_s=PATIENCE_S)
        push.start()
        push.stop()
        return receiver.metrics.get(timeout=PATIENCE_S)


def metrics_of(request: ExportMetricsServiceRequest) -> dict[str, Metric]:
    return {metric.name: metric for metric in request.resource_metrics[0].scope_metrics[0].metrics}


def labels_of(point: Any) -> frozenset[tuple[str, str]]:
    return frozenset((attribute.key, attribute.value.string_value) for attribute in point.attributes)


def prometheus_numbers(registry: CollectorRegistry) -> Numbers:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def otlp_numbers(metric: Metric) -> Iterator[tuple[tuple[str, frozenset[tuple[str, str]]], float]]:
    """Yield what Prometheus would have said of an OTLP metric."""
    for point in metric.sum.data_points:
        yield (f"{metric.name}_total", labels_of(point)), point.as_double
    for point in metric.gauge.data_points:
        yield (metric.name, labels_of(point)), point.as_double
    for histogram in metric.histogram.data_points:
        labels = labels_of(histogram)
        bounds = [*map(str, histogram.explicit_bounds), "+Inf"]
        for bound, count in zip(bounds, accumulate(histogram.bucket_counts), strict=True):
            yield (f"{metric.name}_bucket", labels | {("le", bound)}), count
        yield (f"{metric.name}_count", labels), histogram.count
        yield (f"{metric.name}_sum", labels), histogram.sum


def test_both_exits_show_the_same_numbers(registry: CollectorRegistry) -> None:
    """Every sample of the scrape is in the push with the same labels and value, and nothing else is."""
    metrics = metrics_of(pushed(registry)).values()
    assert dict(pair for metric in metrics for pair in otlp_numbers(metric)) == prometheus_numbers(registry)


def test_the_collectors_own_registry_leaves_by_both_exits_alike(make_joiner: Callable[..., Joiner]) -> None:
    """Every family of the catalogue, filled by joined streams, shows the same numbers in the push and the scrape."""
    joiner = make_joiner()
    joiner.offer_server(server_half([200, 300, 900], trace_id=TRACE_ID, span_id="00f067aa0ba902b7"))
    joiner.offer_client(dump_client(client_half([240, 1800, 1801], paint=256.0)))
    metrics = metrics_of(pushed(joiner.meters.registry))
    assert dict(pair for metric in metrics.values() for pair in otlp_numbers(metric)) == prometheus_numbers(
        joiner.meters.registry
    )
    assert {family.name.removesuffix("_total") for family in CATALOG} <= metrics.keys()
    (exemplar,) = [e for point in metrics["streamgap_gap_seconds"].histogram.data_points for e in point.exemplars]
    assert exemplar.trace_id.hex() == TRACE_ID


def test_metrics_keep_their_kind_unit_and_help(registry: CollectorRegistry) -> None:
    """Histograms and counters are cumulative, counters monotonic; names stay, units are UCUM's."""
    metrics = metrics_of(pushed(registry))
    gap, streams = metrics["streamgap_gap_seconds"], metrics["streamgap_streams"]
    assert (gap.unit, gap.description) == ("s", "The gap.")
    assert gap.histogram.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
    assert not gap.histogram.data_points[0].HasField("min")
    assert streams.sum.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
    assert streams.sum.is_monotonic
    assert metrics["streamgap_pending_bytes"].unit == "By"


def test_exemplars_lead_to_the_trace(registry: CollectorRegistry) -> None:
    """An exemplar's trace id arrives as OTLP's own field, where a backend links it."""
    points = metrics_of(pushed(registry))["streamgap_gap_seconds"].histogram.data_points
    (exemplar,) = [exemplar for point in points for exemplar in point.exemplars]
    assert exemplar.trace_id.hex() == TRACE_ID
    assert exemplar.as_double == 0.7
    assert not any(exemplar.span_id)
    assert not exemplar.filtered_attributes


def test_an_exemplar_with_a_strange_trace_id_is_still_sent() -> None:
    """A label that is no trace id stays an attribute instead of failing the whole push."""
    registry = CollectorRegistry()
    Counter("streamgap_streams", "Joined streams.", registry=registry).inc(1, {"trace_id": "f" * 40})
    (exemplar,) = metrics_of(pushed(registry))["streamgap_streams"].sum.data_points[0].exemplars
    assert exemplar.trace_id == b""
    assert [(a.key, a.value.string_value) for a in exemplar.filtered_attributes] == [("trace_id", "f" * 40)]


def test_a_family_of_a_custom_collector_starts_with_the_push() -> None:
    """Samples that name no creation time count from the start of the exporter, and unsorted buckets are sorted."""
    family = HistogramMetricFamily("streamgap_hold_seconds", "Hold.", buckets=[("0.5", 1), ("+Inf", 3)], sum_value=9.0)
    family.samples.reverse()
    (metric,) = to_otlp([family], start_unix_ns=NOW_NS - 5, now_unix_ns=NOW_NS)
    (point,) = metric.data.data_points
    assert (point.start_time_unix_nano, point.time_unix_nano) == (NOW_NS - 5, NOW_NS)
    assert "bucket_counts=[1, 2]" in repr(point)


def test_replicas_are_told_apart(registry: CollectorRegistry) -> None:
    """Two collectors never push the same series: each has an instance id of its own."""
    first, second = (
        {a.key: a.value.string_value for a in pushed(registry).resource_metrics[0].resource.attributes}
        for _ in range(2)
    )
    assert first["service.name"] == second["service.name"] == "streamgap"
    assert first["service.instance.id"] != second["service.instance.id"]


def test_the_users_environment_names_the_service(registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """`OTEL_SERVICE_NAME` means the same here as in every other process."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop-streams")
    resource = pushed(registry).resource_metrics[0].resource
    assert ("service.name", "shop-streams") in labels_of(resource)


def test_it_pushes_at_every_interval_and_once_more_at_the_end(registry: CollectorRegistry) -> None:
    """Numbers arrive while the service runs, and the last ones when it stops."""
    results: list[bool] = []
    with otlp_receiver() as receiver:
        push = OtlpPush(
            registry, endpoint=receiver.endpoint, interval_s=0.01, timeout_s=PATIENCE_S, on_result=results.append
        )
        push.start()
        receiver.metrics.get(timeout=PATIENCE_S)
        receiver.metrics.get(timeout=PATIENCE_S)
        push.stop()
        assert receiver.metrics.qsize() + 2 == len(results)
    assert set(results) == {True}


def test_a_receiver_that_is_down_is_counted_and_nothing_else() -> None:
    """A refused push is a failure reported once; the next interval tries again."""
    results: list[bool] = []
    twice = threading.Event()

    def on_result(ok: bool) -> None:  # noqa: FBT001 - the callback's shape is the API's
        results.append(ok)
        if len(results) == 2:
            twice.set()

    push = OtlpPush(
        CollectorRegistry(), endpoint=refusing_endpoint(), interval_s=0.01, timeout_s=0.05, on_result=on_result
    )
    push.start()
    assert twice.wait(PATIENCE_S)
    push.stop()
    assert not any(results)


def test_a_receiver_that_never_answers_does_not_hold_the_shutdown(registry: CollectorRegistry) -> None:
    """With a push in flight that hangs, `stop` returns after one time-out and the thread ends by its own."""
    finished = threading.Event()
    results: list[bool] = []

    def on_result(ok: bool) -> None:  # noqa: FBT001 - the callback's shape is the API's
        results.append(ok)
        finished.set()

    with black_hole() as endpoint:
        push = OtlpPush(registry, endpoint=endpoint, interval_s=PATIENCE_S, timeout_s=0.2, on_result=on_result)
        push.start()
        push.stop()
        assert finished.wait(PATIENCE_S)
    assert results == [False]


def test_a_registry_that_raises_is_counted() -> None:
    """A broken collector fails the push, not the process."""

    class Broken(Collector):
        def collect(self) -> Any:
            raise RuntimeError("cannot collect")

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Broken())
    results: list[bool] = []
    push = OtlpPush(
        registry, endpoint=refusing_endpoint(), interval_s=PATIENCE_S, timeout_s=PATIENCE_S, on_result=results.append
    )
    push.start()
    push.stop()
    assert results == [False]
