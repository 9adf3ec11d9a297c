"""The canary's metrics: every child of the catalogue exists from the start, and prometheus-client renders them."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from math import nan

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import CollectorRegistry

from streamgap.core import catalog
from streamgap.core.catalog import Metric
from streamgap.core.probe import Probe, Protocol
from streamgap.core.words import PROBE_HELD_BY, PROBE_RECENT_RUNS, ProbeResult
from streamgap.doctor.canary.watch import Run

_MEASURED = (catalog.PROBE_HOLD, catalog.PROBE_HEAD, catalog.PROBE_TTFC)


class Board:
    """What the canary knows, as families of metrics. `routes` names the protocols that each route is asked by."""

    def __init__(self, routes: Mapping[str, Sequence[Protocol]]) -> None:
        self._values: dict[str, dict[tuple[str, ...], float]] = {metric.name: {} for metric in catalog.PROBE_CATALOG}
        self._recent = {route: deque[ProbeResult](maxlen=PROBE_RECENT_RUNS) for route in routes}
        self._registry = CollectorRegistry()
        for route, protocols in routes.items():
            self._open(route, protocols)
        self._registry.register(self)

    def record(self, route: str, run: Run, *, at_unix_s: float) -> None:
        """Take one run that ended at `at_unix_s`."""
        self._values[catalog.PROBE_RUNS.name][route, run.result] += 1
        self._values[catalog.PROBE_LAST_RUN.name][route,] = at_unix_s
        self._recent[route].append(run.result)
        self._values[catalog.PROBE_RECENT_HELD.name][route,] = self._recent[route].count(ProbeResult.HELD)
        held_by = run.finding.mechanism if run.result is ProbeResult.HELD else None
        for mechanism in PROBE_HELD_BY:
            self._values[catalog.PROBE_HELD.name][route, mechanism] = float(mechanism is held_by)
        self._measure(route, run.probes)

    def overran(self, route: str, left_out: int) -> None:
        """Count runs that were left out."""
        self._values[catalog.PROBE_OVERRUNS.name][route,] += left_out

    def render(self, accept: str) -> tuple[str, bytes]:
        """Return the content type that fits the `Accept` header, and the text."""
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self._registry)

    def collect(self) -> Iterator[Family]:
        """Yield the families, as prometheus-client asks a collector to."""
        for metric in catalog.PROBE_CATALOG:
            make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = make(metric.name, metric.help, labels=tuple(metric.labels))
            family.unit = metric.unit
            for labels, value in self._values[metric.name].items():
                family.add_metric(labels, value)
            yield family

    def _open(self, route: str, protocols: Sequence[Protocol]) -> None:
        for metric in catalog.PROBE_CATALOG:
            # A last measurement of 0 s would be a lie where there was none; counts and states begin at 0.
            start = nan if metric in _MEASURED else 0.0
            for labels in product((route,), *_closed(metric, protocols)):
                self._values[metric.name][labels] = start

    def _measure(self, route: str, probes: Sequence[Probe]) -> None:
        """Keep the longest time of each protocol: a run may hold one way of asking and pass another."""
        measured: dict[tuple[str, Protocol], float] = {}
        for probe in probes:
            for metric, value_ms in zip(_MEASURED, (hold_ms(probe), probe.head_ms, first_ms(probe)), strict=True):
                if value_ms is not None:
                    key = metric.name, probe.asked.protocol
                    measured[key] = max(measured.get(key, 0.0), value_ms)
        for (name, protocol), value_ms in measured.items():
            self._values[name][route, protocol] = value_ms / 1000.0


def hold_ms(probe: Probe) -> float | None:
    """Return max − min of came − wrote over the probe's events, in ms; None where the app did not say when it wrote."""
    delays = [event.came_ms - event.wrote_ms for event in probe.events if event.wrote_ms is not None]
    return max(delays) - min(delays) if delays else None


def first_ms(probe: Probe) -> float | None:
    """Return when the first event with content was complete, in ms since the request; None where none was."""
    return probe.events[0].came_ms if probe.events else None


def _closed(metric: Metric, protocols: Sequence[Protocol]) -> Iterable[tuple[str, ...]]:
    for label, values in metric.labels.items():
        if label == "protocol":
            yield tuple(protocols)
        elif values is not None:
            yield values
