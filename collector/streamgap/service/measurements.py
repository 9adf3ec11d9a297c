"""One joined stream → every histogram and counter it belongs in.

Labels come from the server half only, and no browser's number gets here unless it was joined.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from streamgap.core import catalog
from streamgap.core.join import JoinedStream
from streamgap.core.mechanism import Mechanism
from streamgap.core.words import HELD_BY, STAGES, Outcome, Verdict
from streamgap.service.exposition import Cell, Counter, Histogram
from streamgap.service.labels import LabelBook

NEGATIVE_GAP_MS = -50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Children:
    """The children that streams of one route and model touch, looked up once.

    `traced` take exemplars: gap, hold, server and client TTFC. `plain` are client TTFB and the stages app, model, path,
    page. `gaps` and `longest` are those of the server and of the client.
    """

    route: str
    traced: tuple[Cell, ...]
    plain: tuple[Cell, ...]
    gaps: tuple[Cell, Cell]
    longest: tuple[Cell, Cell]
    verdicts: dict[Verdict, tuple[str, str]]
    mechanisms: dict[Mechanism, tuple[str, str]]


class Measurements:
    """The histograms and counters of joined streams, and of what the servers finished.

    `by_route` are counters of others that share the labels of routes.
    """

    def __init__(
        self, *, max_routes: int, max_models: int, unix_clock: Callable[[], float], by_route: Iterable[Counter] = ()
    ) -> None:
        self.gap = Histogram(catalog.GAP)
        self.server_ttfc = Histogram(catalog.SERVER_TTFC)
        self.client_ttfc = Histogram(catalog.CLIENT_TTFC)
        self.client_ttfb = Histogram(catalog.CLIENT_TTFB)
        self.stage = Histogram(catalog.STAGE)
        self.hold = Histogram(catalog.HOLD)
        self.chunk_gap = Histogram(catalog.CHUNK_GAP)
        self.longest = Histogram(catalog.LONGEST_CHUNK_GAP)
        self.streams = Counter(catalog.STREAMS)
        self.held = Counter(catalog.HELD)
        self.windows = Counter(catalog.CLIENT_WINDOWS)
        self.server_streams = Counter(catalog.SERVER_STREAMS)
        self.negative_gaps = Counter(catalog.NEGATIVE_GAPS)
        self.overflow = Counter(catalog.LABEL_OVERFLOW)
        own = (self.streams, self.held, self.windows, self.server_streams, self.negative_gaps)
        self._by_route = (*own, *by_route)
        self._routes = LabelBook(limit=max_routes, on_overflow=lambda: self.overflow.add("route"))
        self._models = LabelBook(limit=max_models, on_overflow=lambda: self.overflow.add("model"))
        self._children: dict[tuple[str, str], _Children] = {}
        self._open_routes: set[str] = set()
        self._unix_clock = unix_clock

    def finish(self, route: str, outcome: Outcome) -> None:
        """Count a stream that an app server finished, whether or not it will be joined; `route` is a label."""
        self.server_streams.values[route, outcome.value] += 1

    def observe(self, stream: JoinedStream) -> str:
        """Put one joined stream into every family; returns the route label it was counted under."""
        server, client, gap_ms = stream.server, stream.client, stream.gap
        children = self._children.get((server.route, server.model)) or self._open(server.route, server.model)
        if gap_ms is not None and gap_ms < 0.0:
            if gap_ms < NEGATIVE_GAP_MS:
                self.negative_gaps.values[(children.route,)] += 1
            gap_ms = 0.0
        _observe_traced(
            children.traced, (gap_ms, stream.hold, server.first, client.first), server.trace_id, self._unix_clock
        )
        for cell, value_ms in zip(
            children.plain, (client.byte, stream.app, stream.model, gap_ms, stream.page), strict=True
        ):
            if value_ms is not None:
                cell.counts[bisect_left(cell.bounds_ms, value_ms)] += 1
                cell.sum_ms += value_ms
        if server.gaps:
            _add_gaps(children.gaps[0], server.gaps, server.spread)
            children.longest[0].observe(server.longest)
        if client.gaps:
            _add_gaps(children.gaps[1], client.gaps, client.spread)
            children.longest[1].observe(client.longest)
        self.streams.values[children.verdicts[stream.verdict]] += 1
        if stream.mechanism is not None:
            self.held.values[children.mechanisms[stream.mechanism]] += 1
        return children.route

    def route(self, route: str) -> str:
        """Return the label of a route; a new one gets all its counter children at 0, so that rates see the first."""
        label = self._routes.fold(route)
        if label not in self._open_routes:
            self._open_routes.add(label)
            for counter in self._by_route:
                counter.open(label)
        return label

    def _open(self, raw_route: str, raw_model: str) -> _Children:
        route, model = self.route(raw_route), self._models.fold(raw_model)
        children = self._children.get((route, model))
        if children is None:
            children = self._children[route, model] = self._make(route, model)
        return children

    def _make(self, route: str, model: str) -> _Children:
        return _Children(
            route=route,
            traced=(
                self.gap.cell(route, model),
                self.hold.cell(route),
                self.server_ttfc.cell(route, model),
                self.client_ttfc.cell(route, model),
            ),
            plain=(self.client_ttfb.cell(route), *(self.stage.cell(route, stage) for stage in STAGES)),
            gaps=(self.chunk_gap.cell(route, "server"), self.chunk_gap.cell(route, "client")),
            longest=(self.longest.cell(route, "server"), self.longest.cell(route, "client")),
            verdicts={verdict: (route, verdict.value) for verdict in Verdict},
            mechanisms={mechanism: (route, mechanism.value) for mechanism in HELD_BY},
        )


def _observe_traced(
    cells: tuple[Cell, ...], values_ms: tuple[float | None, ...], trace_id: str, unix_clock: Callable[[], float]
) -> None:
    unix_s = unix_clock() if trace_id else 0.0
    for cell, value_ms in zip(cells, values_ms, strict=True):
        if value_ms is not None:
            bucket = bisect_left(cell.bounds_ms, value_ms)
            cell.counts[bucket] += 1
            cell.sum_ms += value_ms
            if trace_id:
                cell.points[bucket] = (trace_id, value_ms, unix_s)


def _add_gaps(cell: Cell, gaps: Sequence[int], spread_ms: float) -> None:
    """Add one stream's chunk gaps, which come already counted per bucket; they sum to its spread."""
    counts = cell.counts
    for bucket, count in enumerate(gaps):
        if count:
            counts[bucket] += count
    cell.sum_ms += spread_ms
