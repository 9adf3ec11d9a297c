"""The one registry: every family of the catalogue as plain arrays, rendered by prometheus-client.

An observation in prometheus-client costs a lock and a label look-up; a stream makes a dozen of them. Here a histogram
is a list of bucket counts and a counter is an integer in a dict, so a whole stream costs about what three of the
library's observations do. Naming, escaping, exemplars and content negotiation stay the library's.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, product

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import CollectorRegistry
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from streamgap.core import catalog

Labels = tuple[str, ...]
Point = tuple[str, float, float]
"""An exemplar: trace id, value in ms, Unix time in s."""


Frozen = tuple[Labels, list[int], dict[int, Point], float]
"""One child of a histogram at one moment: its labels and what its cell held."""


class Cell:
    """One child of a histogram: counts per bucket (not cumulative), the sum in ms, the last exemplar by bucket."""

    __slots__ = ("bounds_ms", "counts", "points", "sum_ms")

    def __init__(self, bounds_ms: Sequence[float]) -> None:
        self.bounds_ms = bounds_ms
        self.counts = [0] * (len(bounds_ms) + 1)
        self.points: dict[int, Point] = {}
        self.sum_ms = 0.0

    def observe(self, value_ms: float) -> int:
        """Count one value; returns the index of its bucket."""
        bucket = bisect_left(self.bounds_ms, value_ms)
        self.counts[bucket] += 1
        self.sum_ms += value_ms
        return bucket


class Histogram:
    """One histogram of the catalogue."""

    def __init__(self, metric: catalog.Metric) -> None:
        self.metric = metric
        self._bounds_ms = tuple(bound_s * 1000.0 for bound_s in metric.buckets)
        self._les = (*map(floatToGoString, metric.buckets), "+Inf")
        self._cells: dict[Labels, Cell] = {}

    def cell(self, *labels: str) -> Cell:
        """Return the child with these label values, made on first use."""
        cell = self._cells.get(labels)
        if cell is None:
            cell = self._cells[labels] = Cell(self._bounds_ms)
        return cell

    def freeze(self) -> Callable[[], Metric]:
        """Copy the state now; the returned function makes the family of it later, in any thread."""
        cells = [(labels, c.counts[:], c.points.copy(), c.sum_ms) for labels, c in self._cells.items()]
        return lambda: self._family(cells)

    def _family(self, cells: Iterable[Frozen]) -> HistogramMetricFamily:
        family = HistogramMetricFamily(self.metric.name, self.metric.help, labels=tuple(self.metric.labels))
        family.unit = self.metric.unit
        for labels, counts, points, sum_ms in cells:
            family.add_metric(labels, self._buckets(counts, points), sum_value=sum_ms / 1000.0)
        return family

    def _buckets(
        self, counts: Sequence[int], points: Mapping[int, Point]
    ) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
        buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
        for index, (le, count) in enumerate(zip(self._les, accumulate(counts), strict=True)):
            if index in points:
                trace_id, value_ms, unix_s = points[index]
                buckets.append((le, count, Exemplar({"trace_id": trace_id}, value_ms / 1000.0, unix_s)))
            else:
                buckets.append((le, count))
        return buckets


class Counter:
    """One counter of the catalogue; every child whose label values are closed sets exists from the start, at 0."""

    def __init__(self, metric: catalog.Metric) -> None:
        self.metric = metric
        self._closed = [values for values in metric.labels.values() if values is not None]
        self.values: dict[Labels, int] = {}
        if None not in metric.labels.values():
            self.open()

    def open(self, *first: str) -> None:
        """Make every child whose leading, open label values are `first`, at 0; those that exist keep their value."""
        for rest in product(*self._closed):
            self.values.setdefault((*first, *map(str, rest)), 0)

    def add(self, *labels: str, count: int = 1) -> None:
        """Add to one child, which must exist."""
        self.values[labels] += count

    def total(self, **only: str) -> int:
        """Return the sum over all children that carry the given label values."""
        names = tuple(self.metric.labels)
        wanted = [(names.index(name), value) for name, value in only.items()]
        return sum(n for labels, n in self.values.items() if all(labels[i] == value for i, value in wanted))

    def freeze(self) -> Callable[[], Metric]:
        """Copy the state now; see `Histogram.freeze`."""
        values = list(self.values.items())

        def family() -> CounterMetricFamily:
            made = CounterMetricFamily(self.metric.name, self.metric.help, labels=tuple(self.metric.labels))
            for labels, value in values:
                made.add_metric(labels, value)
            return made

        return family


class Gauge:
    """One gauge of the catalogue, read when it is looked at."""

    def __init__(self, metric: catalog.Metric, read: Callable[[], Iterable[tuple[Labels, float]]]) -> None:
        self.metric = metric
        self._read = read

    def freeze(self) -> Callable[[], Metric]:
        """Read the values now; see `Histogram.freeze`."""
        values = list(self._read())

        def family() -> GaugeMetricFamily:
            made = GaugeMetricFamily(self.metric.name, self.metric.help, labels=tuple(self.metric.labels))
            made.unit = self.metric.unit
            for labels, value in values:
                made.add_metric(labels, value)
            return made

        return family


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All families at one moment. A prometheus-client collector, so the library renders it, in any thread."""

    families: Sequence[Callable[[], Metric]]

    def collect(self) -> Iterator[Metric]:
        """Make the families."""
        return (family() for family in self.families)


class Exposition:
    """Every family of the catalogue, in its order.

    `snapshot` must not run beside an update; `take` is how `collect`, which prometheus-client may call from any
    thread, gets one that does not.
    """

    def __init__(self, tables: Sequence[Histogram | Counter | Gauge], *, take: Callable[[], Snapshot]) -> None:
        self._tables = sorted(tables, key=lambda table: catalog.CATALOG.index(table.metric))
        self._take = take
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def snapshot(self) -> Snapshot:
        """Copy everything: a few hundred µs for ten thousand lines, where rendering them takes about 0.1 s."""
        return Snapshot([table.freeze() for table in self._tables])

    def describe(self) -> Iterator[Metric]:
        """Yield the families, for the registry to reserve their names."""
        return self.snapshot().collect()

    def collect(self) -> Iterator[Metric]:
        """Yield the families as they are now."""
        return self._take().collect()
