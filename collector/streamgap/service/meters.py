"""Every family of the catalogue, put together: the one place that says which part of the service fills which."""

from collections.abc import Callable, Iterable
from importlib.metadata import version

from streamgap.core import catalog
from streamgap.service.exposition import Counter, Exposition, Gauge, Histogram, Labels, Snapshot
from streamgap.service.generations import Generations
from streamgap.service.ledger import Ledger
from streamgap.service.measurements import Measurements
from streamgap.service.pending import HalfName, Waiting

HALVES: tuple[HalfName, ...] = ("server", "client")


class Meters:
    """The collector's numbers. Updates and `snapshot` must not run beside each other: the caller holds the lock.

    `take` is how prometheus-client's registry gets a snapshot under that lock.
    """

    def __init__(
        self,
        *,
        max_routes: int,
        max_models: int,
        unix_clock: Callable[[], float],
        waiting: Callable[[], Waiting],
        take: Callable[[], Snapshot],
    ) -> None:
        self._waiting = waiting
        self.ledger = Ledger()
        self.generations = Generations()
        self.measurements = Measurements(
            max_routes=max_routes,
            max_models=max_models,
            unix_clock=unix_clock,
            by_route=self.generations.by_route,
        )
        self.internal_errors = Counter(catalog.INTERNAL_ERRORS)
        self.otlp_exports = Counter(catalog.OTLP_EXPORTS)
        self._exposition = Exposition([*self._filled(), *self._gauges()], take=take)
        self.registry = self._exposition.registry

    def snapshot(self) -> Snapshot:
        """Copy every number."""
        return self._exposition.snapshot()

    def _filled(self) -> list[Histogram | Counter]:
        m, ledger, generations = self.measurements, self.ledger, self.generations
        return [
            *(m.gap, m.server_ttfc, m.client_ttfc, m.client_ttfb, m.stage, m.hold, m.chunk_gap, m.longest),
            *(m.streams, m.held, m.windows, m.server_streams, m.negative_gaps, m.overflow),
            *(*generations.by_route, generations.rejected),
            *(ledger.received, ledger.accepted, ledger.rejected, ledger.joined, ledger.duplicate, ledger.superseded),
            *(ledger.late, ledger.unmatched, self.internal_errors, self.otlp_exports),
        ]

    def _gauges(self) -> list[Gauge]:
        return [
            Gauge(catalog.PENDING, self._pending),
            Gauge(catalog.PENDING_BYTES, lambda: [((), self._waiting().payload_bytes)]),
            Gauge(catalog.RESIDUAL, self._residual),
            Gauge(catalog.BUILD_INFO, lambda: [((version("streamgap"),), 1.0)]),
        ]

    def _pending(self) -> Iterable[tuple[Labels, float]]:
        waiting = self._waiting()
        return [(("server",), waiting.server), (("client",), waiting.client)]

    def _residual(self) -> Iterable[tuple[Labels, float]]:
        waiting = self._waiting()
        return [((half,), self.ledger.residual(half, waiting)) for half in HALVES]
