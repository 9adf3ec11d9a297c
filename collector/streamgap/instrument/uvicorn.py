"""uvicorn's HTTP protocol, made to notice clients that vanish or stall.

`uvicorn app:app --http streamgap.instrument.uvicorn:StreamProtocol`, or `uvicorn.run(app, http=StreamProtocol)`.
"""

import asyncio
import errno
import functools
import logging
import socket
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from streamgap.core.errors import SettingsError
from streamgap.core.words import Disconnect
from streamgap.instrument.asgi.connection import Connection
from streamgap.instrument.asgi.kinds import CONNECTION

_TCP = (socket.AF_INET, socket.AF_INET6)
_VANISHED = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH)
_MAX_TIMEOUT_S = 24 * 3600
_MAX_UNSENT_BYTES = 1 << 30

_logger = logging.getLogger(__name__)


class StreamProtocol(HttpToolsProtocol):
    """Gives up on a client that vanished, makes `send` wait for one that stalls, and notes how a client went.

    The limits are attributes of the class: to change one, subclass, and give uvicorn the subclass. None leaves that
    limit to the system. Raises SettingsError for a limit that is none.

    `user_timeout_s`: seconds that bytes may stay unacknowledged, or the window of a client that reads nothing closed,
    until the connection is lost; Linux by itself tries for 15 min. Heartbeats see to it that there are such bytes.
    `unsent_bytes`: how much may wait in the kernel, and as much again in the server, before `send` waits; by default
    that is megabytes. What is on its way, or unread at the client, comes on top.
    """

    user_timeout_s: ClassVar[float | None] = 30.0
    unsent_bytes: ClassVar[int | None] = 16 * 1024

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _expect(f"{cls.__name__}.user_timeout_s", cls.user_timeout_s, least=0.001, most=_MAX_TIMEOUT_S)
        _expect(f"{cls.__name__}.unsent_bytes", cls.unsent_bytes, least=1, most=_MAX_UNSENT_BYTES)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connection = Connection()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Set the limits of a new connection."""
        super().connection_made(transport)
        if self.user_timeout_s is not None:
            _set(transport, "TCP_USER_TIMEOUT", int(self.user_timeout_s * 1000))
        if self.unsent_bytes is not None:
            _set(transport, "TCP_NOTSENT_LOWAT", int(self.unsent_bytes))
            # Else the transport keeps another 64 KiB, and 512 KiB under TLS.
            transport.set_write_buffer_limits(high=int(self.unsent_bytes))

    def on_message_begin(self) -> None:
        """Let the app see the connection."""
        super().on_message_begin()
        self.scope[CONNECTION] = self._connection  # type: ignore[literal-required] # no key of ASGI's

    def eof_received(self) -> None:
        """Note that the client closed; uvicorn closes then, too, and what goes wrong with that is not news."""
        super().eof_received()
        self._lost(Disconnect.FIN)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note how the client went."""
        self._lost(_how(exc))
        super().connection_lost(exc)

    def _lost(self, how: Disconnect) -> None:
        # uvicorn has no cycle before the first request.
        if self._connection.lost_by is None and not getattr(self.cycle, "response_complete", True):
            self._connection.lost_by = how


def _expect(where: str, value: object, *, least: float, most: float) -> None:
    if value is not None and not (isinstance(value, int | float) and least <= value <= most):
        raise SettingsError(
            f"{where}: expected a number from {least} to {most}, got {value!r}; None leaves it to the system"
        )


def _how(error: Exception | None) -> Disconnect:
    if error is None:
        return Disconnect.FIN
    if isinstance(error, OSError) and error.errno in _VANISHED:
        return Disconnect.TIMEOUT
    return Disconnect.RST


def _set(transport: asyncio.Transport, option: str, value: int) -> None:
    """Set an option of TCP where there is TCP; a system without that option is told of once."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in _TCP:
        return
    try:
        sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    except (AttributeError, OSError) as error:
        _warn_once(option, str(error))


@functools.cache
def _warn_once(option: str, reason: str) -> None:
    _logger.warning(
        "StreamProtocol: expected a system with %s, got %r; streams work, but clients that vanish or stall "
        "are noticed late. Linux has it.",
        option,
        reason,
    )
