"""A reverse proxy that hoards, for the demo and the tests. Not for production.

It misbehaves on purpose, as CDNs, compressors and idle timers do by accident. It listens on 127.0.0.1, speaks just
enough HTTP/1.1 to find where a head ends, and forces `Connection: close` on both sides, so that one connection is one
request. Every other byte passes untouched: body bytes are counted as they travel, chunked framing included.
"""

import asyncio
import contextlib
import enum
import random
import socket
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from streamgap.demo.loopback import HOST, MAX_HEAD_BYTES, READ_BYTES, Loopback, completes, finish, reset

_HEAD_END = b"\r\n\r\n"
_HOP_FIELDS = frozenset({b"connection", b"keep-alive", b"proxy-connection"})
_BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Mode(enum.Enum):
    """What the proxy does to one response."""

    PASS = "pass"  # noqa: S105 - a mode, not a password
    """Nothing: every byte leaves as it came."""
    HOLD_ALL = "hold_all"
    """Everything, the head included, waits until upstream ends."""
    HOLD_FIRST = "hold_first"
    """The head passes; the body waits `hold_s` from its first byte, or until upstream ends, then streams on."""
    BLOCKS = "blocks"
    """The head passes; the body leaves in whole blocks of `block_bytes`, the rest when upstream ends."""
    CUT_IDLE = "cut_idle"
    """Every byte passes, and an upstream silent for `idle_s` costs the client its connection."""
    CUT_OFTEN = "cut_often"
    """Every byte passes, but the first `cuts` responses to a URL are each cut `cut_s` after their head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How much and how long a hoarder holds.

    4096 bytes over an answer of 6 kB in 2 s make steps with gaps above 1 s. `max_held_bytes` bounds what one
    connection may hold, beside 192 KiB in its sockets: past it the hoarder gives in, and the rest passes.
    """

    hold_s: float = 3.0
    block_bytes: int = 4096
    idle_s: float = 1.0
    cut_s: tuple[float, float] = (0.5, 1.0)
    """From and to; drawn for each response."""
    cuts: int = 4
    cut_with_reset: bool = True
    """Cut with RST; otherwise with a FIN before the last chunk."""
    max_held_bytes: int = 8 * 1024 * 1024


_USUAL_HABITS = Habits()
_MAX_URLS = 1000
_NO_PREFIXES: Mapping[str, Mode] = MappingProxyType({})


class Hoarder:
    """A hoarding proxy in front of `upstream_host:upstream_port`, listening while its `async with` block runs.

    The longest matching entry of `prefixes` (request path prefix → mode) chooses a request's mode, else `mode` does.
    `mode` and `habits` may be assigned at any time; a request under way keeps its mode. `port` 0 takes a free one.
    """

    def __init__(
        self,
        upstream_host: str,
        upstream_port: int,
        *,
        mode: Mode = Mode.PASS,
        prefixes: Mapping[str, Mode] = _NO_PREFIXES,
        habits: Habits = _USUAL_HABITS,
        port: int = 0,
    ) -> None:
        self.mode = mode
        self.habits = habits
        self.port = port
        self._upstream = (upstream_host, upstream_port)
        self._cuts: Counter[str] = Counter()
        self._prefixes = sorted(prefixes.items(), key=lambda item: len(item[0]), reverse=True)

    async def __aenter__(self) -> Self:
        listener = socket.create_server((HOST, self.port))
        self.port = listener.getsockname()[1]
        self._loopback = await Loopback(self._serve, listener).__aenter__()
        return self

    async def __aexit__(self, exc_type: object, *_: object) -> None:
        await self._loopback.__aexit__()
        if self._loopback.errors and exc_type is None:
            raise self._loopback.errors[0]

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        # Suppressed: a client that left before it had asked, or asked with a head past the bound.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await client.readuntil(_HEAD_END)
            await self._forward(head, client, to_client)

    async def _forward(self, head: bytes, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            upstream, to_upstream = await asyncio.open_connection(*self._upstream, limit=MAX_HEAD_BYTES)
        except OSError:
            to_client.write(_BAD_GATEWAY)
            await finish(to_client, client)
            return
        try:
            to_upstream.write(_with_connection_close(head))
            url = head.split(b" ", 2)[1].decode("latin-1") if head.count(b" ") > 1 else ""
            answering = self._answer(upstream, to_client, url)
            answered = await completes(answering, before=_upload(client, to_upstream))
        finally:
            to_upstream.transport.abort()
        if answered:
            await finish(to_client, client)

    def _mode_for(self, url: str) -> Mode:
        return next((mode for prefix, mode in self._prefixes if url.startswith(prefix)), self.mode)

    def _life_s(self, url: str, mode: Mode) -> float | None:
        """Return for how long the next response to `url` may last; None: as long as it likes."""
        if mode is not Mode.CUT_OFTEN or self._cuts[url] >= self.habits.cuts:
            return None
        if len(self._cuts) > _MAX_URLS:
            self._cuts.clear()
        self._cuts[url] += 1
        return random.uniform(*self.habits.cut_s)  # noqa: S311, it only has to differ

    async def _answer(self, upstream: asyncio.StreamReader, to_client: asyncio.StreamWriter, url: str) -> None:
        mode = self._mode_for(url)
        patience_s = self.habits.idle_s if mode is Mode.CUT_IDLE else None
        try:
            held = bytearray(await _read_head(upstream, to_client, patience_s=patience_s))
            if mode is not Mode.HOLD_ALL:
                await _flush(held, to_client)
            async with asyncio.timeout(self._life_s(url, mode)):
                await self._hoard(held, upstream, to_client, mode)
                await _pass(held, upstream, to_client, patience_s=patience_s)
        except TimeoutError:
            if self.habits.cut_with_reset:
                reset(to_client)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            reset(to_client)  # upstream broke off: so must we, or a cut answer would look whole

    async def _hoard(
        self, held: bytearray, upstream: asyncio.StreamReader, to_client: asyncio.StreamWriter, mode: Mode
    ) -> None:
        """Hold as `mode` says and let go; whatever upstream still has to say is the caller's to pass."""
        habits = self.habits
        if mode is Mode.HOLD_ALL:
            await _gather(held, upstream, max_bytes=habits.max_held_bytes)
        elif mode is Mode.HOLD_FIRST:
            held += await upstream.read(READ_BYTES)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(habits.hold_s):
                    await _gather(held, upstream, max_bytes=habits.max_held_bytes)
        elif mode is Mode.BLOCKS:
            block_bytes = min(habits.block_bytes, habits.max_held_bytes)
            while data := await upstream.read(READ_BYTES):
                held += data
                whole = held[: len(held) - len(held) % block_bytes]
                del held[: len(whole)]
                await _flush(whole, to_client)
        await _flush(held, to_client)


async def _upload(client: asyncio.StreamReader, to_upstream: asyncio.StreamWriter) -> None:
    """Pass the request's body on, and return as soon as the client leaves: upstream's refusal does not end it."""
    with contextlib.suppress(ConnectionError):
        while data := await client.read(READ_BYTES):
            with contextlib.suppress(ConnectionError):
                await _flush(bytearray(data), to_upstream)


async def _read_head(
    upstream: asyncio.StreamReader, to_client: asyncio.StreamWriter, *, patience_s: float | None
) -> bytes:
    """Return the final response head, rewritten; interim ones (1xx) pass at once, or the client would not go on."""
    while True:
        async with asyncio.timeout(patience_s):
            head = await upstream.readuntil(_HEAD_END)
        if head.split(b" ", 1)[-1][:1] != b"1":
            return _with_connection_close(head)
        await _flush(bytearray(head), to_client)


def _with_connection_close(head: bytes) -> bytes:
    start, *fields = head.removesuffix(_HEAD_END).split(b"\r\n")
    kept = (field for field in fields if field.partition(b":")[0].lower() not in _HOP_FIELDS)
    return b"\r\n".join([start, *kept, b"Connection: close"]) + _HEAD_END


async def _pass(
    held: bytearray, upstream: asyncio.StreamReader, to_client: asyncio.StreamWriter, *, patience_s: float | None
) -> None:
    """Pass everything until upstream ends. Raises TimeoutError when it is silent for `patience_s` seconds."""
    while True:
        async with asyncio.timeout(patience_s):
            held += await upstream.read(READ_BYTES)
        if not held:
            return
        await _flush(held, to_client)


async def _gather(held: bytearray, upstream: asyncio.StreamReader, *, max_bytes: int) -> None:
    while len(held) < max_bytes and (data := await upstream.read(READ_BYTES)):
        held += data


async def _flush(held: bytearray, writer: asyncio.StreamWriter) -> None:
    """Write what is held, forget it, and wait while the peer reads slower than we write."""
    if held:
        writer.write(bytes(held))
        held.clear()
        await writer.drain()
