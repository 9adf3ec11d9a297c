"""Where a half waits for its other half.

The store knows streams by id and halves by bytes, never by object, so the same contract fits a process's memory and a
server that several replicas share. It decides what becomes of each half; counting and joining are its caller's.
"""

from collections import OrderedDict
from collections.abc import Sequence
from enum import Enum
from typing import Literal, Protocol

import msgspec

HalfName = Literal["server", "client"]

MAX_DEPARTURES_PER_TICK = 1024


class Fate(Enum):
    """What became of an offered half."""

    STORED = "stored"
    JOINED = "joined"
    DUPLICATE = "duplicate"
    LATE = "late"


class Departed(msgspec.Struct, frozen=True):
    """A stream that leaves the store: both payloads where it was matched, else one and None."""

    server: bytes | None
    client: bytes | None


class Offer(msgspec.Struct, frozen=True):
    """What one `offer` did.

    `other` is the payload of the other half where the fate is JOINED. `superseded` says that the offered half took the
    place of an earlier one. `evicted` are the streams that had to make room.
    """

    fate: Fate
    other: bytes = b""
    superseded: bool = False
    evicted: Sequence[Departed] = ()


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """How many halves wait, and how many payload bytes they take."""

    server: int
    client: int
    payload_bytes: int


class PendingStore(Protocol):
    """The contract.

    A pair is emitted (fate JOINED) when the server half is there and the client half is final. A client half that is
    not final waits for a better one: the highest `n` wins, the one it replaces is superseded, one that is not higher is
    a duplicate. Every half that is kept gives its stream a new time to live; when that has passed, `tick` lets the
    stream go. An emitted stream leaves a mark for at least one time to live, under which a later client half with a
    higher `n` is LATE and every other half a DUPLICATE: a pair is emitted once.
    """

    def offer(self, sid: str, *, half: HalfName, n: int, final: bool, payload: bytes, now_s: float) -> Offer:
        """Take one half in. A server half is always final and `n` means nothing for it."""
        ...

    def tick(self, now_s: float) -> Sequence[Departed]:
        """Let go of streams whose time is over, at most `MAX_DEPARTURES_PER_TICK`; call again while it is that many."""
        ...

    def drain(self) -> Sequence[Departed]:
        """Let go of everything."""
        ...

    def waiting(self) -> Waiting:
        """Return what waits now."""
        ...


class _Stream(msgspec.Struct, gc=False):
    # Without garbage-collector tracking a full store adds nothing to the pauses of a full collection.
    deadline_s: float
    server: bytes | None = None
    client: bytes | None = None
    n: int = 0
    final: bool = False


_STORED = Offer(Fate.STORED)
_DUPLICATE = Offer(Fate.DUPLICATE)
_LATE = Offer(Fate.LATE)
_REPLACED = Offer(Fate.STORED, superseded=True)


class MemoryPending:
    """`PendingStore` in this process.

    Bounds: `max_streams` streams and `max_bytes` of payload, past which the stream that was touched least recently is
    evicted; twice as many marks of emitted streams, past which the older half of them is dropped before its time to
    live is over (to be joined twice, a stream would then have to send both halves twice).
    """

    def __init__(self, *, ttl_s: float, max_streams: int, max_bytes: int) -> None:
        self._ttl_s = ttl_s
        self._max_streams = max_streams
        self._max_bytes = max_bytes
        self._streams: OrderedDict[str, _Stream] = OrderedDict()
        self._servers = 0
        self._clients = 0
        self._payload_bytes = 0
        self._emitted: dict[str, int] = {}
        self._emitted_before: dict[str, int] = {}
        self._rotate_at_s = 0.0

    def offer(self, sid: str, *, half: HalfName, n: int, final: bool, payload: bytes, now_s: float) -> Offer:
        """See `PendingStore.offer`."""
        emitted_n = self._emitted.get(sid)
        if emitted_n is None:
            emitted_n = self._emitted_before.get(sid)
        if emitted_n is not None:
            return _LATE if half == "client" and n > emitted_n else _DUPLICATE
        stream = self._streams.get(sid)
        if stream is None:
            stream = self._streams[sid] = _Stream(now_s)
        if half == "server":
            repeated, superseded = stream.server is not None, False
            complete, other, last_n = stream.final, stream.client, stream.n
        else:
            superseded = stream.client is not None
            repeated = n <= stream.n
            complete, other, last_n = final and stream.server is not None, stream.server, n
        if repeated:
            return _DUPLICATE
        if complete:
            self._remove(sid, stream)
            self._mark(sid, n=last_n, now_s=now_s)
            return Offer(Fate.JOINED, other or b"", superseded)
        self._keep(stream, half=half, n=n, final=final, payload=payload)
        stream.deadline_s = now_s + self._ttl_s
        self._streams.move_to_end(sid)
        if len(self._streams) > self._max_streams or self._payload_bytes > self._max_bytes:
            return Offer(Fate.STORED, superseded=superseded, evicted=self._evict(now_s))
        return _REPLACED if superseded else _STORED

    def tick(self, now_s: float) -> Sequence[Departed]:
        """See `PendingStore.tick`."""
        departed: list[Departed] = []
        while self._streams and len(departed) < MAX_DEPARTURES_PER_TICK:
            sid, stream = next(iter(self._streams.items()))
            if stream.deadline_s > now_s:
                break
            departed.append(self._depart(sid, stream, now_s))
        return departed

    def drain(self) -> Sequence[Departed]:
        """See `PendingStore.drain`."""
        return [self._depart(sid, stream, stream.deadline_s) for sid, stream in list(self._streams.items())]

    def waiting(self) -> Waiting:
        """See `PendingStore.waiting`."""
        return Waiting(server=self._servers, client=self._clients, payload_bytes=self._payload_bytes)

    def _keep(self, stream: _Stream, *, half: HalfName, n: int, final: bool, payload: bytes) -> None:
        if half == "server":
            stream.server = payload
            self._servers += 1
        else:
            if stream.client is None:
                self._clients += 1
            else:
                self._payload_bytes -= len(stream.client)
            stream.client, stream.n, stream.final = payload, n, final
        self._payload_bytes += len(payload)

    def _evict(self, now_s: float) -> list[Departed]:
        evicted = []
        while self._streams and (len(self._streams) > self._max_streams or self._payload_bytes > self._max_bytes):
            evicted.append(self._depart(*next(iter(self._streams.items())), now_s))
        return evicted

    def _depart(self, sid: str, stream: _Stream, now_s: float) -> Departed:
        self._remove(sid, stream)
        if stream.server is not None and stream.client is not None:
            self._mark(sid, n=stream.n, now_s=now_s)
        return Departed(stream.server, stream.client)

    def _remove(self, sid: str, stream: _Stream) -> None:
        del self._streams[sid]
        if stream.server is not None:
            self._servers -= 1
            self._payload_bytes -= len(stream.server)
        if stream.client is not None:
            self._clients -= 1
            self._payload_bytes -= len(stream.client)

    def _mark(self, sid: str, *, n: int, now_s: float) -> None:
        if now_s >= self._rotate_at_s or len(self._emitted) >= self._max_streams:
            self._emitted_before, self._emitted = self._emitted, {}
            self._rotate_at_s = now_s + self._ttl_s
        self._emitted[sid] = n
