"""The connection: stamps each receive before anything else is done with it."""

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from streamgap.core.probe import Ending
from streamgap.doctor.client.recording import Recording


class Session(Protocol):
    """HTTP of one version over bytes."""

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the server and return what is to be answered."""
        ...

    def eof(self) -> None:
        """Take the server's FIN."""
        ...


class Wire(asyncio.Protocol):
    """Feeds a session from a socket until the recording has its ending; then `ended` is set.

    `clock` counts seconds. TCP_NODELAY is on: asyncio sets it on every TCP connection.
    """

    def __init__(self, recording: Recording, clock: Callable[[], float]) -> None:
        self.ended = asyncio.Event()
        self._lost = asyncio.Event()
        self._lost.set()
        self._transport: asyncio.Transport | None = None
        self._recording = recording
        self._clock = clock
        self._session: Session | None = None
        self._early: list[bytes] = []
        self._grace: asyncio.TimerHandle | None = None
        self._arrived = -1

    @property
    def agreed(self) -> str:
        """The protocol that ALPN agreed to, "" for none."""
        tls = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        return (tls.selected_alpn_protocol() or "") if tls is not None else ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._lost.clear()

    def start(self, session: Session, request: bytes) -> None:
        """Send the request; every time is told since now."""
        self._session = session
        self._recording.began_ms = self._clock() * 1000
        self._write(request)
        early, self._early = self._early, []
        for data in early:
            self._feed(self._recording.began_ms, data)

    def data_received(self, data: bytes) -> None:
        """Stamp and feed."""
        now_ms = self._clock() * 1000
        if self._session is None:
            self._early.append(data)  # a server that speaks first: HTTP/2's SETTINGS
        else:
            self._feed(now_ms, data)

    def eof_received(self) -> bool:
        """Stamp the FIN, and let the transport close."""
        now_ms = self._clock() * 1000
        if self._session is not None and not self.ended.is_set():
            self._recording.receive(now_ms, 0)
            self._session.eof()
            self._check()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Note an RST, or an end that TLS did not announce."""
        now_ms = self._clock() * 1000
        if not self.ended.is_set():
            self._recording.receive(now_ms, 0)
            if error is not None or self._session is None:
                self._break(error)
            else:
                self._session.eof()
            self._check()
        self._lost.set()

    def _break(self, error: Exception | None) -> None:
        said = "FIN" if error is None else "RST" if isinstance(error, ConnectionError) else repr(error)
        if self._recording.status is None:
            self._recording.end(Ending.REFUSED, f"expected a response, got {said}")
        else:
            self._recording.end(Ending.RESET, f"expected the rest of the response, got {said}")

    def _feed(self, now_ms: float, data: bytes) -> None:
        if self.ended.is_set() or self._session is None:
            return
        self._recording.receive(now_ms, len(data))
        if answer := self._session.receive(data):
            self._write(answer)
        self._check()

    def _check(self) -> None:
        if self._recording.ending is not None:
            self.ended.set()
            if self._grace is not None:
                self._grace.cancel()
        elif self._recording.content.done and self._recording.arrived != self._arrived:
            # Some streams go on behind what looked like their end: each event has the grace anew.
            self._arrived = self._recording.arrived
            if self._grace is not None:
                self._grace.cancel()
            grace_s = self._recording.limits.after_done_s
            self._grace = asyncio.get_running_loop().call_later(grace_s, self._seen_enough)

    def _seen_enough(self) -> None:
        self.end(Ending.STOPPED, "expected the response's end soon after its terminator, got none")

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def end(self, ending: Ending, failure: str = "") -> None:
        """End it from outside, now, unless it has ended."""
        self._recording.end(ending, failure, at_ms=self._clock() * 1000)
        self._check()

    async def drop(self) -> None:
        """Drop the connection and wait until it is gone."""
        if self._grace is not None:
            self._grace.cancel()
        if self._transport is not None:
            self._transport.abort()
        await self._lost.wait()
