"""Simulated paths: stages that pass bytes on late, composed over a drip's writes into the probes of an examination.

Deliberately another model than `core.holders`: bytes and not events are passed on here, and the client puts the events
together again, as on a real path.
"""

import random
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from msgspec.structs import replace

from streamgap.core.probe import (
    LARGE_FIRST,
    ORDINARY,
    SHORT,
    Arrival,
    Asked,
    Ending,
    Hint,
    Pace,
    Probe,
    Protocol,
    Read,
)

BROWSER = "gzip, deflate, br, zstd"
HEAD_BYTES = 230


@dataclass(frozen=True, slots=True)
class Piece:
    """`size` bytes of body on their way at `at_ms`."""

    at_ms: float
    size: float


Pieces = list[Piece]


@dataclass(slots=True, kw_only=True)
class Trip:
    """One response on its way through the path: what its stages know of it, and what they change."""

    asked: Asked
    random: random.Random
    pieces: Pieces
    head_ms: float = 0.0
    coding: str = ""
    ratio: float = 1.0
    members: int = 0
    extra: dict[str, str] = field(default_factory=dict)
    dropped: set[int] = field(default_factory=set)
    ending: Ending = Ending.FRAMED

    @property
    def end_ms(self) -> float:
        return self.pieces[-1].at_ms if self.pieces else 0.0


Stage = Callable[[Trip], None]


def schedule(pace: Pace, *, chance: random.Random, size_jitter: float = 0.0) -> list[tuple[float, int]]:
    """Return when each event is written and its size."""
    at_ms, events = 0.0, []
    for segment in pace:
        for nth in range(segment.count):
            at_ms += segment.gap_ms if nth else segment.silence_ms
            size = segment.size_bytes * (1 + chance.uniform(-size_jitter, size_jitter))
            events.append((at_ms, max(int(size), 40)))
    return events


# Stages that hold.


def whole(trip: Trip) -> None:
    _hold_all(trip, until_ms=trip.end_ms)


def _hold_all(trip: Trip, *, until_ms: float) -> None:
    trip.pieces = [Piece(until_ms, sum(piece.size for piece in trip.pieces))]
    trip.head_ms = until_ms


def blocks(size: int, *, framing: bool = False, head: bool = False) -> Stage:
    """Hold until `size` bytes, cut mid-event; `framing` and the `head` count, too, where asked."""

    def stage(trip: Trip) -> None:
        put_in, given = HEAD_BYTES if head else 0.0, 0.0
        full, out = 0, []
        for piece in trip.pieces:
            frame = len(f"{int(piece.size):x}") + 4 if framing else 0
            before, put_in = put_in, put_in + piece.size + frame
            if put_in // size > full:
                full = int(put_in // size)
                inside = max(full * size - before - frame, 0.0) if full * size > before else piece.size
                total = sum(one.size for one in trip.pieces[: trip.pieces.index(piece)]) + min(inside, piece.size)
                out.append(Piece(piece.at_ms, total - given))
                given = total
        rest = sum(piece.size for piece in trip.pieces) - given
        out.append(Piece(trip.end_ms, rest))
        if head:
            trip.head_ms = out[0].at_ms
        trip.pieces = out

    return stage


def writer(size: int, *, above: bool = False) -> Stage:
    """Hold like a buffered writer that flushes whole writes."""

    def stage(trip: Trip) -> None:
        kept, out = 0.0, []
        for piece in trip.pieces:
            if not above and kept and kept + piece.size > size:
                out.append(Piece(piece.at_ms, kept))
                kept = 0.0
            kept += piece.size
            if kept >= size:
                out.append(Piece(piece.at_ms, kept))
                kept = 0.0
        trip.pieces = [*out, Piece(trip.end_ms, kept)]

    return stage


def timer(period_ms: float, *, cap: float = float("inf"), wobble_ms: float = 5.0) -> Stage:
    """Hold from the first byte held until `period_ms` later (a cork: `timer(200)`), or until `cap` bytes are there."""

    def stage(trip: Trip) -> None:
        out: Pieces = []
        kept, due_ms = 0.0, None
        for piece in trip.pieces:
            if due_ms is not None and piece.at_ms > due_ms:
                out.append(Piece(due_ms, kept))
                kept, due_ms = 0.0, None
            if due_ms is None:
                due_ms = piece.at_ms + period_ms + trip.random.uniform(0, wobble_ms)
            kept += piece.size
            if kept >= cap:
                sent = kept // cap * cap
                out.append(Piece(piece.at_ms, sent))
                kept -= sent
                due_ms = piece.at_ms + period_ms if kept else None
        trip.pieces = [*out, Piece(trip.end_ms, kept)]
        trip.head_ms += period_ms

    return stage


def grid(period_ms: float) -> Stage:
    """Let through at the ticks of a clock of its own."""

    def stage(trip: Trip) -> None:
        phase = trip.random.uniform(0, period_ms)
        end_ms = trip.end_ms
        trip.pieces = [
            Piece(min(-(-(piece.at_ms - phase) // period_ms) * period_ms + phase, end_ms), piece.size)
            for piece in trip.pieces
        ]

    return stage


def one_behind(*, share: float = 1.0) -> Stage:
    """Keep the last byte of each event (or of a share of them) until the next one comes."""

    def stage(trip: Trip) -> None:
        out, kept = [], 0.0
        for piece in trip.pieces[:-1]:
            keep = 8.0 if trip.random.random() < share else 0.0
            out.append(Piece(piece.at_ms, piece.size + kept - keep))
            kept = keep
        trip.pieces = [*out, Piece(trip.end_ms, trip.pieces[-1].size + kept)]

    return stage


def first_bytes(size: int) -> Stage:
    """Hold until the first `size` bytes are there, then let everything flow."""

    def stage(trip: Trip) -> None:
        totals = list(accumulate(piece.size for piece in trip.pieces))
        opening = bisect_left(totals, size)
        open_ms = trip.pieces[opening].at_ms if opening < len(totals) else trip.end_ms
        trip.pieces = [Piece(max(piece.at_ms, open_ms), piece.size) for piece in trip.pieces]

    return stage


def by_count(events: int) -> Stage:
    """Hold until so many events are there."""

    def stage(trip: Trip) -> None:
        groups = [trip.pieces[i : i + events] for i in range(0, len(trip.pieces), events)]
        trip.pieces = [Piece(group[-1].at_ms, sum(piece.size for piece in group)) for group in groups]

    return stage


def compressed(*codings: str, hold: bool = True, ratio: float = 0.4, always: bool = False, first_out: int = 0) -> Stage:
    """Compress with the first coding that the client accepts; `hold` until the end or `first_out` decoded bytes."""

    def stage(trip: Trip) -> None:
        wanted = trip.asked.accept_encoding
        coding = next((one for one in codings if one in wanted or always), "")
        if not coding or trip.asked.hints & {Hint.IDENTITY}:
            return
        trip.coding, trip.ratio = coding, ratio if hold else 0.6
        if hold and first_out:
            blocks(first_out)(trip)
        elif hold:
            trip.pieces = [Piece(trip.end_ms, sum(piece.size for piece in trip.pieces))]

    return stage


def only(condition: Callable[[Asked], bool], stage: Stage) -> Stage:
    """Apply a stage to those probes only."""

    def applied(trip: Trip) -> None:
        if condition(trip.asked):
            stage(trip)

    return applied


def tls(asked: Asked) -> bool:
    return asked.protocol is Protocol.TLS


def clear(asked: Asked) -> bool:
    return asked.protocol is Protocol.CLEAR


def late_head(trip: Trip) -> None:
    if Hint.OPENING not in trip.asked.hints:
        trip.head_ms = trip.pieces[0].at_ms


def members(trip: Trip) -> None:
    """Make each event a gzip member of its own."""
    if "gzip" in trip.asked.accept_encoding:
        trip.coding, trip.ratio, trip.members = "gzip", 0.9, len(trip.pieces)


def cut(after_ms: float, ending: Ending = Ending.TRUNCATED) -> Stage:
    """End the transfer after `after_ms`."""

    def stage(trip: Trip) -> None:
        if trip.end_ms > after_ms:
            trip.pieces = [piece for piece in trip.pieces if piece.at_ms <= after_ms]
            trip.ending = ending

    return stage


# Stages that are the network's, the box's or the person's.


def rtt(ms: float) -> Stage:
    def stage(trip: Trip) -> None:
        trip.pieces = [Piece(piece.at_ms + ms, piece.size) for piece in trip.pieces]
        trip.head_ms += ms

    return stage


def jitter(ms: float) -> Stage:
    """Delay each piece by 0…`ms`, in order."""

    def stage(trip: Trip) -> None:
        _in_order(trip, [piece.at_ms + trip.random.uniform(0, ms) for piece in trip.pieces])

    return stage


def loss(share: float, *, rto_ms: float = 200.0) -> Stage:
    """Lose a share of the pieces; each comes again after the retransmission timeout, doubled each time it is lost."""

    def stage(trip: Trip) -> None:
        times = []
        for piece in trip.pieces:
            at_ms, wait_ms = piece.at_ms, rto_ms + trip.random.uniform(0, 40)
            while trip.random.random() < share:
                at_ms, wait_ms = at_ms + wait_ms, wait_ms * 2
            times.append(at_ms)
        _in_order(trip, times)

    return stage


def slow_link(bytes_per_ms: float) -> Stage:
    def stage(trip: Trip) -> None:
        free_ms, times = 0.0, []
        for piece in trip.pieces:
            free_ms = max(free_ms, piece.at_ms) + piece.size * trip.ratio / bytes_per_ms
            times.append(free_ms)
        _in_order(trip, times)

    return stage


def stalls(at: Sequence[tuple[float, float]]) -> Stage:
    """Stop the whole box at moments of the wall clock: (when, how long)."""

    def stage(trip: Trip) -> None:
        began = float(trip.extra.get(":began", "0"))
        times = []
        for piece in trip.pieces:
            now = piece.at_ms + began
            for when, long in at:
                if when <= now < when + long:
                    now = when + long
            times.append(now - began)
        _in_order(trip, times)

    return stage


def _in_order(trip: Trip, times: Sequence[float]) -> None:
    ordered = list(accumulate(times, max))
    trip.pieces = [Piece(at, piece.size) for at, piece in zip(ordered, trip.pieces, strict=True)]


# The examination.


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A path under examination: its stages from the app outwards, and what the app itself does."""

    stages: tuple[Stage, ...] = ()
    secure: bool = False
    workers: int = 99
    size_jitter: float = 0.0
    app_lag: Callable[[float], float] = float
    timed: bool = True
    seed: int = 0
    pace: Pace = ORDINARY
    large_first: Pace = LARGE_FIRST
    short: Pace = SHORT
    cached: bool = False
    lag_ms: float = 3.0
    headers: tuple[tuple[str, str], ...] = ()


def examined(path: Path, *, hints: bool = True) -> list[Probe]:
    """Return the probes that an examiner would make."""
    chance = random.Random(path.seed)  # noqa: S311, a seeded simulation
    probes: list[Probe] = []
    began = 0.0
    for batch in _rounds(path, hints=hints):
        starts = _starts(path, [_writes_ms(asked) for asked in batch])
        for asked, waits in zip(batch, starts, strict=True):
            probes.append(probe_of(path, asked, chance=chance, began_ms=began, waits_ms=waits))
        began += max(_writes_ms(asked) for asked in batch) + 500.0
    if path.cached:
        probes = [probes[0], *(_replayed(probes[0], probe) for probe in probes[1:])]
    return probes


def _writes_ms(asked: Asked) -> float:
    return schedule(asked.pace, chance=random.Random(0))[-1][0]  # noqa: S311, a seeded simulation


def _rounds(path: Path, *, hints: bool) -> Iterator[list[Asked]]:
    base = Protocol.TLS if path.secure else Protocol.CLEAR

    def ask(name: str, pace: Pace = path.pace, encoding: str = BROWSER, **more: object) -> Asked:
        asked = Asked(name=name, protocol=base, accept_encoding=encoding, pace=pace)
        return replace(asked, **more)

    yield [ask("alone")]
    yield [ask("several", path.short) for _ in range(3)]
    varied = [ask("identity", encoding="identity"), ask("large-first", path.large_first)]
    if path.secure:
        varied += [
            ask("h2", protocol=Protocol.H2),
            ask("h2-identity", encoding="identity", protocol=Protocol.H2),
        ]
    varied.append(ask("post", method="POST"))
    yield varied + [ask(name, path.short, name) for name in ("gzip", "br", "zstd")]
    if hints:
        every = ask("all hints", hints=frozenset(Hint))
        yield [ask("confirm"), every, *(ask(hint.value, hints=frozenset({hint})) for hint in Hint)]


def _starts(path: Path, writes_ms: Sequence[float]) -> list[float]:
    """Return how long each request waits for one of the workers."""
    free = [0.0] * path.workers
    waits = []
    for lasts in writes_ms:
        free.sort()
        waits.append(free[0])
        free[0] += lasts
    return waits


def probe_of(path: Path, asked: Asked, *, chance: random.Random, began_ms: float, waits_ms: float) -> Probe:
    events = schedule(asked.pace, chance=chance, size_jitter=path.size_jitter)
    wrote = [path.app_lag(at) + chance.uniform(0, 1.0) for at, _ in events]
    opening = len(b":drip\n\n") if Hint.OPENING in asked.hints else 0
    sizes = [size + (340 if not i else 0) for i, (_, size) in enumerate(events)]
    pieces = [Piece(at, size) for at, size in zip(wrote, sizes, strict=True)]
    trip = Trip(asked=asked, random=chance, pieces=pieces, extra={":began": str(began_ms + waits_ms)})
    for stage in path.stages:
        stage(trip)
    ends = [opening + end for end in accumulate(sizes)]
    reads = _reads(trip, chance, waits_ms=waits_ms, opening=opening)
    arrivals = _arrivals(reads, [end * trip.ratio for end in ends], wrote, ends, timed=path.timed)
    run = f"{chance.getrandbits(32):08x}"
    coding = (("content-encoding", trip.coding),) if trip.coding else ()
    complete = len(arrivals) == len(events)
    return Probe(
        asked=asked,
        began_ms=began_ms,
        status=200,
        headers=(("content-type", "text/event-stream"), *coding, *path.headers),
        head_ms=min(trip.head_ms + waits_ms + 1.0, reads[0].at_ms if reads else 1e9),
        events=tuple(arrivals),
        reads=tuple(reads),
        ending=trip.ending,
        end_ms=reads[-1].at_ms if reads else 0.0,
        done=complete,
        expected=len(events) if path.timed else None,
        run=run if path.timed else "",
        runs=(run,) if path.timed else (),
        wire_bytes=sum(read.wire_bytes for read in reads),
        body_bytes=ends[len(arrivals) - 1] if arrivals else 0,
        members=trip.members,
        lag_ms=path.lag_ms,
    )


def _reads(trip: Trip, chance: random.Random, *, waits_ms: float, opening: int) -> list[Read]:
    reads: list[Read] = []
    at_ms, carried = 0.0, 0.0
    for piece in trip.pieces:
        at_ms = max(at_ms, piece.at_ms + waits_ms + 1.0 + abs(chance.gauss(0, 0.4)))
        carried += piece.size * trip.ratio
        whole_bytes = int(carried + 1e-6)
        while whole_bytes > 0:
            taken = min(whole_bytes, 65_536)
            reads.append(Read(at_ms, taken + (0 if reads else opening)))
            whole_bytes -= taken
            carried -= taken
            at_ms += 0.1 if whole_bytes else 0.0
    return reads


def _arrivals(
    reads: Sequence[Read], wire: Sequence[float], wrote: Sequence[float], ends: Sequence[int], *, timed: bool
) -> list[Arrival]:
    totals = list(accumulate(read.wire_bytes for read in reads))
    arrivals = []
    for index, end in enumerate(wire):
        at = bisect_left(totals, int(end + 1e-6) - 1)
        if at == len(totals):
            break
        arrivals.append(Arrival(index, reads[at].at_ms, wrote[index] if timed else None, at, ends[index]))
    return arrivals


def _replayed(first: Probe, probe: Probe) -> Probe:
    """Return what a cache gives: the first probe's stream, at once."""
    if probe.asked.pace != first.asked.pace:
        return probe
    return replace(
        probe,
        events=tuple(Arrival(e.index, 2.0, e.wrote_ms, 0, e.end_byte) for e in first.events),
        reads=(Read(2.0, first.wire_bytes),),
        headers=(*first.headers, ("age", "2")),
        head_ms=1.0,
        end_ms=3.0,
        runs=first.runs,
        run=first.run,
    )
