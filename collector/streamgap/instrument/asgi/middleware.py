"""`StreamGapMiddleware`: one line in the app."""

import time
from collections.abc import Callable, Collection, Iterable

from streamgap.core.errors import SettingsError
from streamgap.instrument.asgi.kinds import App, Receive, Scope, Send
from streamgap.instrument.asgi.options import Options
from streamgap.instrument.asgi.responder import Responder
from streamgap.instrument.asgi.routes import route_template
from streamgap.instrument.export import Sink
from streamgap.instrument.generation import Clock


class StreamGapMiddleware:
    """Pure ASGI middleware that measures, protects and keeps alive every streamed response, and touches no other.

    `heartbeat_s`: send a comment after so many seconds of silence (0: never; half of the path's idle timeout is the
    rule). `measure`: false sends the headers, the id and the heartbeats, and reports nothing (for streams that are no
    answers). `sinks` are called with each finished server half. `content_types` are the SSE event types that carry
    content. `route` names the route of a request for frameworks other than Starlette and FastAPI; it must return a
    template, never the path as asked for. `clock` is monotonic, in ns. Add it last, so that it is the outermost; where
    one stands inside another, the inner one has the response.
    """

    def __init__(
        self,
        app: App,
        *,
        heartbeat_s: float = 15.0,
        measure: bool = True,
        sinks: Iterable[Sink] = (),
        content_types: Collection[str] = ("message",),
        route: Callable[[Scope], str] = route_template,
        clock: Clock = time.perf_counter_ns,
    ) -> None:
        if not heartbeat_s >= 0:
            raise SettingsError(
                f"StreamGapMiddleware heartbeat_s: expected seconds ≥ 0, got {heartbeat_s!r}; 0 turns heartbeats off"
            )
        if isinstance(content_types, str):
            raise SettingsError(
                f"StreamGapMiddleware content_types: expected a collection, got {content_types!r}; "
                f"try ({content_types!r},)"
            )
        self._app = app
        self._options = Options(
            heartbeat_s=heartbeat_s,
            measure=measure,
            sinks=tuple(sinks),
            content_types=frozenset(content_types),
            route=route,
            clock=clock,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        else:
            await Responder(scope, receive, send, options=self._options).respond(self._app)
