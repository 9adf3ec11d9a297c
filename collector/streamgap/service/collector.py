"""The collector: the one place where its parts are put together, whether it runs alone or inside somebody's app."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

from streamgap.core.errors import InvalidReportError
from streamgap.core.wire import GenerationRecord, ServerHalf
from streamgap.service.admin import create_admin_app
from streamgap.service.client_spans import ClientSpans
from streamgap.service.joiner import Joiner, Sink
from streamgap.service.live import LiveFeed
from streamgap.service.live_view import Coverage
from streamgap.service.otlp_push import OtlpPush
from streamgap.service.public import create_public_app
from streamgap.service.script import BeaconScript
from streamgap.service.settings import Settings

TICK_S = 0.25

_logger = logging.getLogger(__name__)


class Collector:
    """Joins server halves and beacons, measures, and serves both listeners' apps.

    Inside your own FastAPI app, one process and nothing else to run::

        collector = Collector()
        app.mount("/streamgap", collector.public)
        app.mount("/internal/streamgap", collector.admin)
        app.add_middleware(StreamGapMiddleware, sinks=[collector.offer_server])

    There it starts with the first request; await `stop` in your app's lifespan, or what still waits is not counted.
    `sinks` get every joined stream, as the live page does. `offer_client` and `offer_server` may be called from any
    thread while nobody looks at the live page, which wakes its readers on the event loop and so wants them called
    there; `offer_generation`, a sink for a relay, from any at any time. `clock` (monotonic) and `unix_clock` are in s.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        sinks: Iterable[Sink] = (),
        script: BeaconScript | None = None,
        clock: Callable[[], float] = time.monotonic,
        unix_clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or Settings()
        self.script = script or BeaconScript.shipped()
        self.draining = False
        self._live = LiveFeed(coverage=self._coverage, clock=clock)
        self._spans = self._client_spans()
        own: list[tuple[str, Sink]] = [("live", self._live)]
        if self._spans is not None:
            own.append(("span_export", self._spans))
        self.joiner = Joiner(
            self.settings,
            sinks=[*own, *(("join", sink) for sink in sinks)],
            clock=clock,
            unix_clock=unix_clock,
        )
        self._push = self._otlp_push()
        self._ticking: asyncio.Task[None] | None = None
        self._stopped = False
        public = create_public_app(self.joiner, settings=self.settings, script=self.script, clock=clock)
        admin = create_admin_app(self.joiner, draining=lambda: self.draining, live=self._live.app)
        self.public: ASGIApp = _Starting(public, self.start)
        self.admin: ASGIApp = _Starting(admin, self.start)

    @property
    def registry(self) -> CollectorRegistry:
        """The one registry; it can be rendered and collected from any thread."""
        return self.joiner.meters.registry

    def offer_client(self, body: bytes) -> InvalidReportError | None:
        """Take the body of one beacon; returns why it was refused, or None."""
        return self.joiner.offer_client(body)

    def offer_server(self, half: ServerHalf) -> None:
        """Take a server half made in this process, as a sink of the middleware. A refusal is counted, not raised."""
        self.joiner.offer_server(half)

    def offer_generation(self, record: GenerationRecord) -> None:
        """Take the record of a generation of this process, as a sink of the relay. A refusal is counted, not raised."""
        self.joiner.offer_generation(record)

    def start(self) -> None:
        """Begin to expire what waits, on the running loop, and to push. Does nothing where that has begun or ended."""
        # Asked with every request: whether a loop is closed is cheap to ask, which one runs is a system call.
        if self._stopped or (self._ticking is not None and not self._ticking.get_loop().is_closed()):
            return
        if self._ticking is None and self._push is not None:
            self._push.start()
        self._ticking = asyncio.get_running_loop().create_task(self._tick(), name="streamgap-tick")

    def begin_drain(self) -> None:
        """Say so on /readyz and end the live page's streams; everything else goes on being served."""
        self.draining = True
        self._live.close()

    async def stop(self) -> None:
        """Count what still waits and flush the pushers, within about twice `otlp_timeout_s`. Call it once."""
        self._stopped = True
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking
        self.joiner.drain()
        if self._spans is not None:
            await asyncio.to_thread(self._spans.stop, self.settings.otlp_timeout_s)
        if self._push is not None and self._ticking is not None:
            await asyncio.to_thread(self._push.stop)

    async def _tick(self) -> None:
        while True:
            try:
                more = self.joiner.tick()
            except Exception:
                _logger.exception("tick: nothing expires until this is mended")
                self.joiner.count_error("join")
                more = False
            await asyncio.sleep(0.0 if more else TICK_S)

    def _coverage(self) -> Coverage:
        joined = self.joiner.meters.ledger.joined.total(half="server")
        return Coverage(finished=self.joiner.meters.measurements.server_streams.total(), joined=joined)

    def _client_spans(self) -> ClientSpans | None:
        if not self.settings.otlp_endpoint:
            return None
        return ClientSpans.over_otlp(
            self.settings.otlp_endpoint,
            timeout_s=self.settings.otlp_timeout_s,
            on_lost=lambda spans: self.joiner.count_error("span_export", count=spans),
        )

    def _otlp_push(self) -> OtlpPush | None:
        if not self.settings.otlp_endpoint:
            return None
        return OtlpPush(
            self.registry,
            endpoint=self.settings.otlp_endpoint,
            interval_s=self.settings.otlp_interval_s,
            timeout_s=self.settings.otlp_timeout_s,
            on_result=lambda ok: self.joiner.count_export(ok=ok),
        )


class _Starting:
    """Starts the collector with the first request: an app mounted in another gets no lifespan."""

    def __init__(self, app: ASGIApp, start: Callable[[], None]) -> None:
        self._app = app
        self._start = start

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._start()
        await self._app(scope, receive, send)
