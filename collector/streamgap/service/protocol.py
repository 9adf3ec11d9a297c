"""The collector's HTTP protocol: how long a request may take to arrive, and how long its head may be."""

import asyncio
from typing import Any

from streamgap.instrument.uvicorn import StreamProtocol

MAX_HEAD_BYTES = 16 * 1024


class GuardedProtocol(StreamProtocol):
    """Closes connections whose request does not arrive.

    uvicorn itself waits for ever for the rest of a head or of a body. Timers per request would cost more than the
    request: each connection only notes since when it has been receiving, and `close_slow` is called for all of them
    from time to time. A head is cut off once `MAX_HEAD_BYTES` of it have come in more than one piece.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._receiving_since_s: float | None = None
        self._in_head = True
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Expect a request."""
        super().connection_made(transport)
        self._receiving_since_s = self.loop.time()

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        super().on_message_begin()
        self._in_head = True
        self._receiving_since_s = self.loop.time()

    def on_headers_complete(self) -> None:
        """Note that the head is complete."""
        super().on_headers_complete()
        self._in_head = False
        self._head_bytes = 0

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        super().on_message_complete()
        self._receiving_since_s = None

    def data_received(self, data: bytes) -> None:
        """Parse, then refuse a head that goes on and on."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response(f"Expected a request head of at most {MAX_HEAD_BYTES} bytes.")

    def close_slow(self, max_receive_s: float) -> None:
        """Close the connection if the request it began to send has not arrived within `max_receive_s`."""
        since_s = self._receiving_since_s
        if since_s is not None and self.loop.time() - since_s > max_receive_s:
            self.transport.abort()
