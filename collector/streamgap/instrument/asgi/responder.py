"""One request on its way through the middleware."""

import asyncio
import time

from streamgap.core.timeline import Unit
from streamgap.instrument.asgi.kinds import BEAT, TAKEN, App, Message, Receive, Scope, Send, unit_of
from streamgap.instrument.asgi.mailbox import Mailbox
from streamgap.instrument.asgi.options import Options
from streamgap.instrument.asgi.streamed import StreamedResponse
from streamgap.instrument.asgi.writer import COMMENT, StreamWriter
from streamgap.instrument.faults import note_fault
from streamgap.instrument.stream import CURRENT, StreamRecord


class Responder:
    """Holds the state of one request; the middleware holds none.

    Until the app opens a response that turns out to be a stream, this only passes messages through.
    """

    __slots__ = ("_mailbox", "_options", "_record", "_scope", "_send", "_streamed", "_task")

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, options: Options) -> None:
        self._scope = scope
        self._send = send
        self._options = options
        self._mailbox = Mailbox(receive)
        self._record = StreamRecord(clock=options.clock, started_unix_ns=time.time_ns())
        self._task = asyncio.current_task()
        self._streamed: StreamedResponse | None = None

    async def respond(self, app: App) -> None:
        """Run the app. What it raises is raised; only the cancellation that was ours ends here."""
        token = CURRENT.set(self._record)
        try:
            await app(self._scope, self._mailbox.receive, self._on_send)
        except BaseException as error:
            if self._streamed is None or not await self._streamed.end(error):
                raise
        else:
            if self._streamed is not None:
                await self._streamed.end(None)
        finally:
            CURRENT.reset(token)

    async def _on_send(self, message: Message) -> None:
        if self._streamed is not None:
            await self._streamed.send(message)
        elif message["type"] == "http.response.start" and (unit := self._unit(message)) is not None:
            self._streamed = self._take_over(unit, message.get(BEAT, COMMENT))
            await self._streamed.open(message)
        else:
            await self._send(message)

    def _unit(self, start: Message) -> Unit | None:
        try:
            return None if TAKEN in start else unit_of(start, method=self._scope["method"])
        except Exception as error:  # noqa: BLE001, the response survives our misreading it
            note_fault("headers", error)
            return None

    def _take_over(self, unit: Unit, beat: bytes) -> StreamedResponse:
        options = self._options
        writer = StreamWriter(
            self._send,
            unit=unit,
            record=self._record,
            heartbeat_s=options.heartbeat_s,
            content_types=options.content_types,
            beat=beat,
        )
        return StreamedResponse(
            writer,
            scope=self._scope,
            mailbox=self._mailbox,
            record=self._record,
            options=options,
            task=self._task,
        )
