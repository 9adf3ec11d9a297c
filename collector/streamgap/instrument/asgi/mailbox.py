"""The one reader of an ASGI `receive`, for two: the app, which wants its body, and us, who want to know who left."""

import asyncio
from collections import deque

from streamgap.instrument.asgi.kinds import Message, Receive

MAX_AHEAD = 16
"""Messages read ahead of the app. Past it, a client that leaves is noticed once the app reads on."""


class Mailbox:
    """Hands every message to the app, in order, once, and keeps the disconnect for both.

    `told` says that the app was listening when the client left, and so knows. Costs a request that is no stream next
    to nothing: until `client_left` is awaited, `receive` is the server's.
    """

    __slots__ = ("_ahead", "_change", "_listeners", "_reading", "_receive", "gone", "told")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ahead: deque[Message] = deque()
        self._change: asyncio.Future[None] | None = None
        self._reading = False
        self._listeners = 0
        self.gone = False
        self.told = False

    async def receive(self) -> Message:
        """Return the next message, for the app."""
        self._listeners += 1
        try:
            while self._reading and not self._ahead:
                await self._changed()
            if not self._ahead:
                return {"type": "http.disconnect"} if self.gone else await self._next()
            self._announce()
            return self._ahead.popleft()
        finally:
            self._listeners -= 1

    async def client_left(self) -> None:
        """Return when the client is gone (or the response is complete, which servers report alike)."""
        while not self.gone:
            if self._reading or len(self._ahead) >= MAX_AHEAD:
                await self._changed()
                continue
            message = await self._next()
            if not self.gone:
                self._ahead.append(message)

    async def _next(self) -> Message:
        self._reading = True
        try:
            message = await self._receive()
        finally:
            self._reading = False
            self._announce()
        if message["type"] == "http.disconnect":
            self.gone = True
            self.told = self._listeners > 0
        return message

    def _announce(self) -> None:
        """Wake whoever waits for a message to be read or taken."""
        if self._change is not None:
            self._change.set_result(None)
            self._change = None

    async def _changed(self) -> None:
        if self._change is None:
            self._change = asyncio.get_running_loop().create_future()
        # Not awaited itself: the others wait for the same future, and must not be cancelled with one of them.
        await asyncio.wait((self._change,))
