"""`EventStream`: the response that reads a generation's log to one connection."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

from streamgap.core.sse import sse_retry
from streamgap.core.words import Disconnect, GenerationResult, ReconnectCause
from streamgap.instrument.asgi.kinds import TAKEN, Receive, Scope, Send
from streamgap.instrument.asgi.middleware import StreamGapMiddleware
from streamgap.instrument.stream import CURRENT, Relayed, StreamRecord
from streamgap.relay import events
from streamgap.relay.asking import Ask
from streamgap.relay.event_ids import EventId
from streamgap.relay.events import Manners
from streamgap.relay.farewell import EXPIRED, Farewell
from streamgap.relay.ledger import generation_id
from streamgap.relay.reading import Reading
from streamgap.relay.refusals import AbsentError, BusyError, PastEndError, RefusedError
from streamgap.relay.source import Source
from streamgap.relay.stalls import Reader
from streamgap.relay.states import OWNER_LOST

_SHORT = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache, no-transform")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A request with the source of its answer, which counts it as a reader; `cause` where the answer was there."""

    ask: Ask
    source: Source
    result: GenerationResult
    cause: ReconnectCause | None
    model: str


Attach = Callable[[Scope, Reader], Awaitable[Attached]]
Detach = Callable[[Source, Reader], None]


class EventStream(Response):
    """A response that reads an answer out, from where the client left off to its end.

    Headers, opening comment, heartbeats and measuring are the middleware's; where none stands around the app, the
    response brings its own. Made by `Relay.stream` and `Relay.resume`.
    """

    media_type = "text/event-stream"

    def __init__(self, attach: Attach, detach: Detach, *, manners: Manners, end_event: str) -> None:
        super().__init__()
        self._attach = attach
        self._detach = detach
        self._manners = manners
        self._end_event = end_event

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if CURRENT.get() is None:
            await StreamGapMiddleware(self._respond, heartbeat_s=self._manners.heartbeat_s)(scope, receive, send)
        else:
            await self._respond(scope, receive, send)
        if self.background is not None:
            await self.background()

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        reader = Reader(functools.partial(_cancel, asyncio.current_task()))
        try:
            attached = await self._attach(scope, reader)
        except RefusedError as error:
            await JSONResponse({"error": str(error)}, error.status)(scope, receive, send)
        except PastEndError:
            await Response(status_code=204)(scope, receive, send)
        except AbsentError as error:
            await _answer(send, self._farewell(Farewell(status=EXPIRED), epoch=error.epoch, last=0))
        except BusyError:
            await self._put_off(scope, receive, send)
        else:
            await self._serve(attached, scope, reader, send)

    async def _serve(self, attached: Attached, scope: Scope, reader: Reader, send: Send) -> None:
        stalls = self._manners.stalls
        stalls.add(reader)
        try:
            await self._read(attached, scope, reader, send)
        except asyncio.CancelledError:
            record, task = CURRENT.get(), asyncio.current_task()
            if not reader.dropped or task is None or task.uncancel():
                raise
            # Left unfinished, so that the client knows that there is more, and comes back for it.
            if record is not None:
                record.disconnect = Disconnect.SLOW
        finally:
            stalls.remove(reader)

    async def _read(self, attached: Attached, scope: Scope, reader: Reader, send: Send) -> None:
        reading = Reading(send, reader)
        source = attached.source
        try:
            await reading.open([header for header in self.raw_headers if header[0] != b"content-length"])
            await reading.write(sse_retry(self._manners.retry_ms()) + self._greeting(attached, reading))
            farewell = await reading.follow(source.log)
            while _never_began(farewell, source) and (again := await self._again(attached, scope, reader)):
                self._detach(source, reader)
                attached, source = again, again.source
                reading.cursor = 0
                await reading.write(events.reset(source.log.epoch) + self._greeting(attached, reading))
                farewell = await reading.follow(source.log)
        finally:
            self._detach(source, reader)
        await reading.close(self._farewell(farewell, epoch=source.log.epoch, last=source.log.last))

    async def _again(self, attached: Attached, scope: Scope, reader: Reader) -> Attached | None:
        """Ask anew for a generation whose owner was lost before it said anything; None where that leads nowhere."""
        if not attached.ask.may_start:
            return None
        try:
            again = await self._attach(scope, reader)
        except (RefusedError, PastEndError, AbsentError, BusyError):
            return None
        if again.result is GenerationResult.REPLAYED:
            self._detach(again.source, reader)
            return None
        return again

    def _greeting(self, attached: Attached, reading: Reading) -> bytes:
        """Take the client's place in the log; return what tells it where it is, and whose answer it reads."""
        log, last, record = attached.source.log, attached.ask.last, CURRENT.get()
        # A client without a place is put to the beginning; one that has a place stays there until it is told to reset:
        # were it put to the new epoch first, and cut off then, it would read on without forgetting.
        own = last or EventId(log.epoch, 0)
        is_reset = own.epoch != log.epoch
        reading.cursor = 0 if is_reset else own.seq or 0
        if record is not None:
            _note(record, attached)
        sid = record.sid if record is not None else ""
        return (
            events.place(own)
            + events.opened(sid=sid, epoch=log.epoch, result=attached.result)
            + (events.reset(log.epoch) if is_reset else b"")
        )

    def _farewell(self, farewell: Farewell, *, epoch: int, last: int) -> bytes:
        return events.ended(farewell, epoch=epoch, events=last, name=self._end_event)

    async def _put_off(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask the client to come back. An EventSource takes any status but 200 as a no for ever."""
        wait_ms = self._manners.busy_ms()
        if scope["method"] == "GET":
            await _answer(send, sse_retry(wait_ms))
        else:
            headers = {"retry-after": str(-(-wait_ms // 1000))}
            await JSONResponse({"error": "relay: busy; come back later"}, 429, headers)(scope, receive, send)


def _never_began(farewell: Farewell, source: Source) -> bool:
    return farewell.reason == OWNER_LOST and source.log.last == 0


def _note(record: StreamRecord, attached: Attached) -> None:
    """Let the server half of this response say of which generation it is, and how long the model took."""
    source = attached.source
    name = generation_id(source.key, source.log.epoch)
    record.relayed = Relayed(result=attached.result, generation=name, cause=attached.cause, model=attached.model)
    if source.generation is not None and source.generation not in record.generations:
        record.attach(source.generation)


async def _answer(send: Send, body: bytes) -> None:
    """Send a short stream that says all there is to say; it is no answer, and is not measured."""
    await send({"type": "http.response.start", "status": 200, "headers": _SHORT, TAKEN: True})
    await send({"type": "http.response.body", "body": body})


def _cancel(task: asyncio.Task[Any] | None) -> None:
    if task is not None:
        task.cancel()
