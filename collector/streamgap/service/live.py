"""The live page: the last joined streams as two staircases each, as they come in.

`LiveFeed` is a sink and an ASGI app in one. Its only buffer is a ring of the last `capacity` streams. A reader is one
number, its place in the ring, so a slow one costs nothing and cannot hold anybody up: it skips what has left the ring.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from importlib.resources import files
from itertools import groupby

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from streamgap.core.join import JoinedStream
from streamgap.core.sse import sse_event
from streamgap.core.words import HELD_BY, Verdict
from streamgap.instrument import StreamGapMiddleware
from streamgap.service.live_view import Coverage, LiveStream, Snapshot, Summary, held_by, summarise, view

RECONNECT = b"retry: 2000\n\n"
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
STATIC = {
    "live.html": "text/html",
    "live.css": "text/css",
    "live.js": "text/javascript",
    "staircase.js": "text/javascript",
    "words.js": "text/javascript",
}


class _Entry(msgspec.Struct, frozen=True):
    seq: int
    at_s: float
    stream: JoinedStream


class LiveFeed:
    """Sink of joined streams and the app that shows them: mount `app` at the root of the admin listener.

    `coverage` is asked for the collector's figure at every summary. Each reader is sent at most one batch per `pace_s`,
    so what a reader costs is bounded by the ring and not by the traffic; without news it hears of a changed summary
    within `refresh_s`. `emit` belongs on the event loop's thread and encodes nothing.
    """

    def __init__(
        self,
        *,
        capacity: int = 50,
        coverage: Callable[[], Coverage | None] = lambda: None,
        heartbeat_s: float = 15.0,
        refresh_s: float = 5.0,
        pace_s: float = 0.1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ring: deque[_Entry] = deque(maxlen=capacity)
        self._coverage = coverage
        self._refresh_s = refresh_s
        self._pace_s = pace_s
        self._clock = clock
        self._seq = 0
        self._verdicts = dict.fromkeys(Verdict, 0)
        self._held_by = dict.fromkeys(HELD_BY, 0)
        self._news: asyncio.Event | None = None
        self._closed = False
        self.app = StreamGapMiddleware(Starlette(routes=self._routes()), heartbeat_s=heartbeat_s, measure=False)

    def emit(self, stream: JoinedStream) -> None:
        """Show a joined stream. Never raises."""
        self._seq += 1
        self._verdicts[stream.verdict] += 1
        if stream.mechanism is not None:
            self._held_by[stream.mechanism] += 1
        self._ring.append(_Entry(self._seq, self._clock(), stream))
        self._wake()

    def close(self) -> None:
        """End every reader's response, so that a server can drain; a later one gets the snapshot and ends."""
        self._closed = True
        self._wake()

    def snapshot(self) -> Snapshot:
        """Return the state of the page as of now."""
        return Snapshot(
            seq=self._seq,
            capacity=self._ring.maxlen or 0,
            summary=self._summary(),
            streams=[self._view(entry) for entry in self._ring],
        )

    def _summary(self) -> Summary:
        streams = [entry.stream for entry in self._ring]
        by_route = sorted(streams, key=_route)
        return Summary(
            joined=self._seq,
            verdicts=dict(self._verdicts),
            held_by=held_by(self._held_by),
            coverage=self._coverage(),
            overall=summarise("", streams),
            routes=[summarise(route, list(group)) for route, group in groupby(by_route, key=_route)],
        )

    def _view(self, entry: _Entry) -> LiveStream:
        return view(entry.stream, seq=entry.seq, age_ms=round((self._clock() - entry.at_s) * 1000.0, 1))

    def _wake(self) -> None:
        news, self._news = self._news, None
        if news is not None:
            news.set()

    async def _events(self) -> AsyncGenerator[bytes]:
        yield RECONNECT
        snapshot = self.snapshot()
        seen, told = snapshot.seq, snapshot.summary
        yield sse_event(snapshot, event="snapshot", event_id=str(seen))
        while not self._closed:
            await self._news_since(seen)
            for entry in [entry for entry in self._ring if entry.seq > seen]:
                seen = entry.seq
                yield sse_event(self._view(entry), event="stream", event_id=str(seen))
            if (summary := self._summary()) != told:
                told = summary
                yield sse_event(summary, event="summary")
            await asyncio.sleep(self._pace_s)

    async def _news_since(self, seen: int) -> None:
        """Wait for a stream newer than `seen`, for closing, or for `refresh_s`: coverage falls without any stream."""
        if self._seq > seen or self._closed:
            return
        news = self._news = self._news or asyncio.Event()
        try:
            async with asyncio.timeout(self._refresh_s):
                await news.wait()
        except TimeoutError:
            return

    def _routes(self) -> list[Route]:
        return [
            Route("/", _static("live.html")),
            *(Route(f"/live/{name}", _static(name)) for name in STATIC if name != "live.html"),
            Route("/live/snapshot", self._get_snapshot),
            Route("/live/events", self._get_events),
        ]

    async def _get_snapshot(self, _request: Request) -> Response:
        body = msgspec.json.encode(self.snapshot())
        return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})

    async def _get_events(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        return StreamingResponse(self._events(), media_type="text/event-stream")


def _route(stream: JoinedStream) -> str:
    return stream.server.route


def _static(name: str) -> Callable[[Request], Awaitable[Response]]:
    body = files("streamgap.service").joinpath("static", name).read_bytes()

    async def respond(_request: Request) -> Response:
        return Response(body, media_type=STATIC[name], headers=PAGE_HEADERS)

    return respond
