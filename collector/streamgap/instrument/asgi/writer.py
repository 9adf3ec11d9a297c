"""Writes one streamed response: stamps each content event once it is sent, and keeps its silences alive."""

from collections.abc import Collection

from streamgap.core.sse import ContentScanner, sse_comment
from streamgap.core.timeline import Timeline, Unit
from streamgap.instrument.asgi.heartbeat import Heartbeat
from streamgap.instrument.asgi.kinds import CONTENT, Message, Send
from streamgap.instrument.faults import note_fault
from streamgap.instrument.stream import StreamRecord

OPENING = sse_comment("stream")
COMMENT = sse_comment()


class StreamWriter:
    """The sending side of one streamed response.

    A stamp is taken after `await send`: servers hand the bytes to the kernel before it returns, unless the client is
    more than a socket buffer behind. `closing`: the app's last message is being sent, or has been, at `finished_ms`.
    `beat` is what is written in silence, a whole event or comment; `beats` counts how often it was.
    """

    __slots__ = (
        "_beat_bytes",
        "_heartbeat",
        "_record",
        "_scanner",
        "_send",
        "_stamps",
        "beats",
        "closing",
        "finished_ms",
        "head_ms",
        "timeline",
    )

    def __init__(
        self,
        send: Send,
        *,
        unit: Unit,
        record: StreamRecord,
        heartbeat_s: float,
        content_types: Collection[str],
        beat: bytes = COMMENT,
    ) -> None:
        self._send = send
        self._record = record
        self._scanner = ContentScanner(content_types)
        self._beat_bytes = beat
        self._heartbeat: Heartbeat | None = None
        if unit == "events" and heartbeat_s > 0:
            self._heartbeat = Heartbeat(self._beat, every_s=heartbeat_s, allowed=self._between_events)
        self._stamps = True
        self.beats = 0
        self.timeline = Timeline(unit)
        self.head_ms: float | None = None
        self.closing = False
        self.finished_ms: float | None = None

    async def open(self, start: Message) -> None:
        """Send the headers, and a comment that makes them leave at once."""
        await self._send(start)
        self.head_ms = self._record.now_ms()
        if self.timeline.unit == "events":
            await self._write(OPENING)
        if self._heartbeat is not None:
            self._heartbeat.wrote()
            self._heartbeat.start()

    async def send(self, message: Message) -> None:
        """Send a message of the app's, exactly as it is."""
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        heartbeat, last = self._heartbeat, not message.get("more_body", False)
        self.closing = self.closing or last
        if heartbeat is not None:
            if last:
                heartbeat.stop()
            if heartbeat.writing is not None:
                await heartbeat.pause()
            heartbeat.busy = True
        await self._send(message)
        if heartbeat is not None:
            heartbeat.busy = False
            heartbeat.wrote()
        at_ms = self._record.now_ms()
        if self._stamps:
            self._stamp(message, at_ms)
        if last:
            self.finished_ms = at_ms

    def stop(self) -> None:
        """Write nothing of our own any more, and stamp nothing: the client is gone, or the stream is over."""
        self._stamps = False
        if self._heartbeat is not None:
            self._heartbeat.stop()

    def _stamp(self, message: Message, at_ms: float) -> None:
        try:
            items = message.get(CONTENT)
            if items is None:
                body = message.get("body", b"")
                items = len(body) if self.timeline.unit == "bytes" else self._scanner.feed(bytes(body))
            self.timeline.arrive(items, at_ms)
        except Exception as error:  # noqa: BLE001, the response survives our misreading it
            note_fault("stamp", error)
            self.stop()

    def _between_events(self) -> bool:
        return self._scanner.at_boundary

    async def _beat(self) -> None:
        await self._write(self._beat_bytes)
        self.beats += 1

    async def _write(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
