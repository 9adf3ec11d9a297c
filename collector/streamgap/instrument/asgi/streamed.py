"""One streamed response, from its headers until its server half has left."""

import asyncio
from typing import Any

from opentelemetry import context as otel_context

from streamgap.core.words import Disconnect
from streamgap.instrument.asgi.connection import Connection
from streamgap.instrument.asgi.headers import stream_headers
from streamgap.instrument.asgi.kinds import BEAT, CONNECTION, TAKEN, Message, Scope
from streamgap.instrument.asgi.mailbox import Mailbox
from streamgap.instrument.asgi.options import Options
from streamgap.instrument.asgi.stream_ids import stream_id
from streamgap.instrument.asgi.writer import StreamWriter
from streamgap.instrument.closing import close_orphans
from streamgap.instrument.export import export
from streamgap.instrument.faults import note_fault
from streamgap.instrument.half import Response, outcome_of, server_half
from streamgap.instrument.stream import StreamRecord

LINGER_S = 1.0
"""Time after the last byte in which an error of the app still counts: BaseHTTPMiddleware ends a failed body cleanly,
and raises afterwards. Longer the half does not wait, for background tasks may run for minutes."""


class StreamedResponse:
    """Watches for the client's leaving, stops the app's work then, and reports how it went.

    An app that is listening to `receive` when the client leaves is told, and stops by itself in its own way (Starlette
    then runs its background tasks); it is cancelled only if it goes on sending. Any other is cancelled at once, because
    a send after the disconnect is a silent no-op and nothing else would ever stop it, nor the model.
    """

    __slots__ = (
        "_before",
        "_cancelled",
        "_context",
        "_gone",
        "_linger",
        "_mailbox",
        "_options",
        "_record",
        "_reported",
        "_scope",
        "_sid",
        "_task",
        "_watch",
        "_writer",
    )

    def __init__(
        self,
        writer: StreamWriter,
        *,
        scope: Scope,
        mailbox: Mailbox,
        record: StreamRecord,
        options: Options,
        task: "asyncio.Task[Any] | None",
    ) -> None:
        self._writer = writer
        self._sid = record.sid = stream_id(scope)
        self._scope = scope
        self._mailbox = mailbox
        self._record = record
        self._options = options
        self._task = task
        self._before = task.cancelling() if task else 0
        self._gone = self._cancelled = self._reported = False
        self._linger: asyncio.TimerHandle | None = None
        # Whatever the order of middlewares: here the app's own span, if there is one, is current.
        self._context = otel_context.get_current()
        self._watch = asyncio.create_task(self._watch_client())

    async def open(self, start: Message) -> None:
        """Send the headers."""
        opening = {**start, TAKEN: True, "headers": stream_headers(start.get("headers", ()), sid=self._sid)}
        opening.pop(BEAT, None)
        try:
            await self._writer.open(opening)
        except OSError:
            self._client_left()
            raise

    async def send(self, message: Message) -> None:
        """Send one of the app's messages, unless nobody is there to read it."""
        if self._gone:
            self._cancel_app()
            await asyncio.sleep(0)
            return
        try:
            await self._writer.send(message)
        except OSError:
            self._client_left()
            raise
        if self._writer.finished_ms is not None and self._linger is None:
            self._linger = asyncio.get_running_loop().call_later(LINGER_S, self._report, None)

    async def end(self, error: BaseException | None) -> bool:
        """Report, once the app has returned or raised; return whether what it raised was our own cancellation."""
        if self._mailbox.gone and not self._writer.closing:
            # The app heard it first and has ended, before the watch got to run.
            self._client_left()
        self._writer.stop()
        self._watch.cancel()
        try:
            await asyncio.wait((self._watch,))
            await close_orphans(self._record.generations)
        finally:
            self._report(error)
        if not self._cancelled or self._task is None:
            return False
        return self._task.uncancel() <= self._before and isinstance(error, asyncio.CancelledError)

    async def _watch_client(self) -> None:
        try:
            await self._mailbox.client_left()
        except Exception as error:  # noqa: BLE001, a server that cannot tell is one we do not ask again
            note_fault("watch", error)
            return
        if self._writer.closing:
            return
        self._client_left()
        if not self._mailbox.told:
            self._cancel_app()

    def _client_left(self) -> None:
        self._gone = True
        self._writer.stop()

    def _cancel_app(self) -> None:
        if self._task is not None and not self._cancelled:
            self._cancelled = True
            self._task.cancel()

    def _report(self, error: BaseException | None) -> None:
        """Let the server half leave, once."""
        if self._reported or not self._options.measure:
            return
        self._reported = True
        if self._linger is not None:
            self._linger.cancel()
        try:
            half = server_half(self._response(error), self._record)
        except Exception as fault:  # noqa: BLE001, the response survives our misreading it
            note_fault("half", fault)
            return
        export(half, context=self._context, sinks=self._options.sinks)

    def _response(self, error: BaseException | None) -> Response:
        writer, record = self._writer, self._record
        # Whoever closed the connection on a client has lost it as much as if it had left by itself.
        gone = self._gone or record.disconnect is not None
        return Response(
            sid=self._sid,
            route=self._options.route(self._scope),
            head_ms=writer.head_ms,
            end_ms=record.now_ms() if writer.finished_ms is None else writer.finished_ms,
            timeline=writer.timeline,
            ending=outcome_of(
                gone=gone,
                complete=writer.finished_ms is not None,
                error=error,
                calls=record.generations,
            ),
            beats=writer.beats,
            how=self._lost_by() if gone else None,
        )

    def _lost_by(self) -> Disconnect | None:
        connection = self._scope.get(CONNECTION)
        return connection.lost_by if isinstance(connection, Connection) else None
