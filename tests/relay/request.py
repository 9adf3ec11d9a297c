"""One HTTP request without a socket: what a server hands to the app, and what becomes of the app's answer."""

import asyncio
import math
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from relay.page import Page
from streamgap.relay.events import PING

ANSWERED = (204, 404, 422, 429, 503)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a page asks for: `reads_only` at the endpoint that never calls the model."""

    prompt: str = "hi"
    retry: bool = False
    method: str = "GET"
    reads_only: bool = False


PLAIN = Wish()


class Request:
    """A page's request: a client that takes what it is sent, stalls, or leaves in the middle.

    `epoch` is what the store granted to it, `was_refused` that the store could not be asked; `stuck_s` since when the
    app has been waiting for the client to take something.
    """

    def __init__(self, page: Page, wish: Wish, *, process: Any, clock: Callable[[], float]) -> None:
        self.page = page
        self.wish = wish
        self.process = process
        self.last = page.last
        self.epoch: int | None = None
        self.was_refused = False
        self.status = 0
        self.body = b""
        self.is_complete = self.has_left = self.has_stalled = False
        self.began_s = clock()
        self.over_s = math.inf
        self.stuck_s = math.inf
        self._clock = clock
        self._bytes_left = math.inf
        self._is_asked = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._over = asyncio.Event()

    @property
    def scope(self) -> dict[str, Any]:
        query = f"cid={self.page.cid}" + ("&retry=1" if self.wish.retry else "")
        headers = [(b"accept", b"text/event-stream"), *([(b"last-event-id", self.last.encode())] if self.last else [])]
        return http_scope(self.wish.method, "/chat", query=query, headers=headers)

    @property
    def is_open(self) -> bool:
        """Whether the client is there and waits for more."""
        return not self._over.is_set()

    @property
    def is_explicit(self) -> bool:
        """Whether the client knows where it stands: it was told, it was asked to come back, or it left by itself."""
        if self.has_left or self.has_stalled:
            return True
        if self.status != 200:
            return self.is_complete and self.status in ANSWERED
        return self.is_complete and (b"event: sg-end\n" in self.body or self.body.startswith(b"retry: "))

    def leave(self, *, after_bytes: int = 0) -> None:
        """Let the client be gone: now, or in the middle of what it is sent."""
        self._bytes_left = after_bytes
        if not after_bytes:
            self.has_left = True
            self.hang_up()

    def stall(self) -> None:
        """Let the client read no more: all buffers are full."""
        self.has_stalled = True
        self._flows.clear()

    def flow(self) -> None:
        """Let it read on."""
        self._flows.set()

    def hang_up(self) -> None:
        """Close the connection, from whichever side."""
        if self.is_open:
            self.over_s = self._clock()
        self._over.set()
        self._flows.set()

    async def receive(self) -> MutableMapping[str, Any]:
        if not self._is_asked:
            self._is_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if not self._flows.is_set() and message.get("body") != PING:
            self.stuck_s = self._clock()
        await self._flows.wait()
        self.stuck_s = math.inf
        if not self.is_open:
            return  # as uvicorn does
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        self._take(message.get("body", b""))
        if not (message.get("more_body", False) or self._over.is_set()):
            self.is_complete = True
            self.hang_up()

    def _take(self, body: bytes) -> None:
        taken = body if self._bytes_left > len(body) else body[: int(self._bytes_left)]
        self.body += taken
        if self.status == 200:
            self.page.take(taken)
        self._bytes_left -= len(taken)
        if not self._bytes_left:
            self.leave()


def http_scope(method: str, path: str, *, query: str = "", headers: Any = ()) -> dict[str, Any]:
    """Return what an ASGI server says of a request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
