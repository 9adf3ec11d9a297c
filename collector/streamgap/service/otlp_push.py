"""Pushes the collector's one Prometheus registry over OTLP, so that both exits show the same numbers."""

import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import Exemplar as PrometheusExemplar
from prometheus_client.samples import Sample

UNITS = {"seconds": "s", "bytes": "By"}

_NS_PER_S = 1_000_000_000
_SCOPE = InstrumentationScope("streamgap")
_logger = logging.getLogger(__name__)


class OtlpPush:
    """Exports `registry` to the OTLP/HTTP receiver at `endpoint` (base URL) every `interval_s`, and once on `stop`.

    All work happens in a daemon thread of its own: a receiver that is down, slow or silent costs nobody else anything.
    Each push (with its retries) ends within about `timeout_s` and is reported to `on_result(ok)`, called from that
    thread. OTLP identifies a series by its resource too, so each instance gets a random ``service.instance.id``: the
    cumulative counts of two replicas must not overwrite each other. `OTEL_RESOURCE_ATTRIBUTES` and
    `OTEL_SERVICE_NAME` have the last word on the resource.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        endpoint: str,
        interval_s: float = 60.0,
        timeout_s: float = 3.0,
        on_result: Callable[[bool], None] = lambda _ok: None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        own = Resource({SERVICE_NAME: "streamgap", SERVICE_INSTANCE_ID: str(uuid.uuid4())})
        self._registry = registry
        self._resource = own.merge(OTELResourceDetector().detect())
        self._exporter = OTLPMetricExporter(endpoint=f"{endpoint.rstrip('/')}/v1/metrics", timeout=timeout_s)
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._on_result = on_result
        self._clock_ns = clock_ns
        self._start_unix_ns = clock_ns()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="streamgap-otlp-push")

    def start(self) -> None:
        """Begin to push; the first push comes after one interval."""
        self._thread.start()

    def stop(self) -> None:
        """Push a last time and end, within `timeout_s`; blocks, so call it from a thread where a loop runs."""
        self._stopping.set()
        self._thread.join(self._timeout_s)
        # Ends a retry's back-off. A request that hangs is left behind: its thread is a daemon and ends by its time-out.
        self._exporter.shutdown()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self._on_result(self._push())
        self._on_result(self._push())

    def _push(self) -> bool:
        try:
            result = self._exporter.export(self._metrics_data())
        except Exception:
            _logger.exception("otlp push: the registry could not be read or sent; the next interval tries again")
            return False
        return result is MetricExportResult.SUCCESS

    def _metrics_data(self) -> MetricsData:
        families = self._registry.collect()
        metrics = list(to_otlp(families, start_unix_ns=self._start_unix_ns, now_unix_ns=self._clock_ns()))
        scope_metrics = ScopeMetrics(scope=_SCOPE, metrics=metrics, schema_url="")
        resource_metrics = ResourceMetrics(resource=self._resource, scope_metrics=[scope_metrics], schema_url="")
        return MetricsData(resource_metrics=[resource_metrics])


def to_otlp(families: Iterable[Family], *, start_unix_ns: int, now_unix_ns: int) -> Iterable[Metric]:
    """Convert Prometheus families to cumulative OTLP metrics.

    Counters become monotonic sums (without ``_total``), histograms keep their explicit buckets, everything else is a
    gauge per sample name. Names stay as Prometheus has them, the unit is UCUM's. A series starts at its ``_created``
    sample where there is one, else at `start_unix_ns`.
    """
    for family in families:
        unit = UNITS.get(family.unit, "")
        series = _Series(family.samples, start_unix_ns=start_unix_ns, now_unix_ns=now_unix_ns)
        if family.type == "counter":
            total = Sum(series.numbers(f"{family.name}_total"), AggregationTemporality.CUMULATIVE, is_monotonic=True)
            yield Metric(family.name, family.documentation, unit, total)
        elif family.type == "histogram":
            histogram = Histogram(series.histograms(family.name), AggregationTemporality.CUMULATIVE)
            yield Metric(family.name, family.documentation, unit, histogram)
        else:
            for name in dict.fromkeys(sample.name for sample in family.samples):
                yield Metric(name, family.documentation, unit, Gauge(series.numbers(name)))


class _Series:
    """The samples of one family, put together as data points: one per set of labels."""

    def __init__(self, samples: Sequence[Sample], *, start_unix_ns: int, now_unix_ns: int) -> None:
        self._samples = samples
        self._now_unix_ns = now_unix_ns
        self._start_unix_ns = start_unix_ns
        self._created_unix_ns = {
            _key(sample.labels): round(sample.value * _NS_PER_S)
            for sample in samples
            if sample.name.endswith("_created")
        }

    def numbers(self, name: str) -> list[NumberDataPoint]:
        return [
            NumberDataPoint(
                attributes=sample.labels,
                start_time_unix_nano=self._start(sample.labels),
                time_unix_nano=self._now_unix_ns,
                # A collector may yield ints, which would travel as another type than the same series' floats.
                value=float(sample.value),
                exemplars=self._exemplars([sample]),
            )
            for sample in self._samples
            if sample.name == name
        ]

    def histograms(self, name: str) -> list[HistogramDataPoint]:
        buckets: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
        sums: dict[tuple[tuple[str, str], ...], float] = {}
        for sample in self._samples:
            if sample.name == f"{name}_bucket":
                buckets.setdefault(_key(sample.labels), []).append(sample)
            elif sample.name == f"{name}_sum":
                sums[_key(sample.labels)] = sample.value
        return [self._histogram(dict(key), kept, sums.get(key, 0.0)) for key, kept in buckets.items()]

    def _histogram(self, labels: Mapping[str, str], buckets: list[Sample], total: float) -> HistogramDataPoint:
        buckets.sort(key=lambda sample: float(sample.labels["le"]))
        cumulative = [round(sample.value) for sample in buckets]
        return HistogramDataPoint(
            attributes=labels,
            start_time_unix_nano=self._start(labels),
            time_unix_nano=self._now_unix_ns,
            count=cumulative[-1],
            sum=total,
            bucket_counts=[upper - lower for lower, upper in pairwise([0, *cumulative])],
            explicit_bounds=[float(sample.labels["le"]) for sample in buckets[:-1]],
            # A Prometheus histogram does not know its extremes; the encoder leaves None out of the message.
            min=None,  # type: ignore[arg-type]
            max=None,  # type: ignore[arg-type]
            exemplars=self._exemplars(buckets),
        )

    def _start(self, labels: Mapping[str, str]) -> int:
        return self._created_unix_ns.get(_key(labels), self._start_unix_ns)

    def _exemplars(self, samples: Iterable[Sample]) -> list[Exemplar]:
        return [self._exemplar(sample.exemplar) for sample in samples if sample.exemplar is not None]

    def _exemplar(self, exemplar: PrometheusExemplar) -> Exemplar:
        attributes = dict(exemplar.labels)
        trace_id = _hex_id(attributes, "trace_id", digits=32)
        span_id = _hex_id(attributes, "span_id", digits=16)
        at_s = exemplar.timestamp
        return Exemplar(
            filtered_attributes=attributes,
            value=exemplar.value,
            time_unix_nano=self._now_unix_ns if at_s is None else round(float(at_s) * _NS_PER_S),
            # The encoder sends a trace id only beside a span id; all zeros is OTLP's way to say that there is none.
            span_id=0 if span_id is None and trace_id is not None else span_id,
            trace_id=trace_id,
        )


def _key(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in labels.items() if name != "le")


def _hex_id(attributes: dict[str, str], name: str, *, digits: int) -> int | None:
    """Take the id called `name` out of `attributes`; None (and left in) where it is not one."""
    if not re.fullmatch(f"[0-9a-f]{{{digits}}}", attributes.get(name, "")):
        return None
    return int(attributes.pop(name), 16)
