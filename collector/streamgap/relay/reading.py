"""One connection that reads a log: from the client's place to the log's end."""

from streamgap.instrument.asgi.kinds import BEAT, CONTENT, Header, Send
from streamgap.relay import events
from streamgap.relay.farewell import EXPIRED, TRUNCATED, Farewell
from streamgap.relay.log import Log
from streamgap.relay.stalls import Reader


class Reading:
    """Writes one response. `cursor` is the number of the last event that the client has (of the log's epoch)."""

    __slots__ = ("_reader", "_send", "cursor")

    def __init__(self, send: Send, reader: Reader) -> None:
        self._send = send
        self._reader = reader
        self.cursor = 0

    async def open(self, headers: list[Header]) -> None:
        """Send the headers; what silence is filled with is ours, where a middleware fills it."""
        await self._send({"type": "http.response.start", "status": 200, "headers": headers, BEAT: events.PING})

    async def write(self, body: bytes) -> None:
        """Write whole events."""
        reader = self._reader
        reader.sending = True
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
        reader.sending = False
        reader.sends += 1

    async def follow(self, log: Log) -> Farewell:
        """Write every event as it comes, until none will; return how the log ended."""
        reader, send = self._reader, self._send
        while True:
            cursor, last = self.cursor, log.last
            if cursor + 1 < log.first:
                return Farewell(status=EXPIRED, reason=TRUNCATED)
            if cursor < last:
                self.cursor = last
                reader.sending = True
                await send(
                    {"type": "http.response.body", "body": log.after(cursor), "more_body": True, CONTENT: last - cursor}
                )
                reader.sending = False
                reader.sends += 1
            elif log.farewell is not None:
                return log.farewell
            else:
                await log.changed()

    async def close(self, body: bytes) -> None:
        """Write the last event, and end the response."""
        self._reader.sending = True
        await self._send({"type": "http.response.body", "body": body})
        self._reader.sending = False
