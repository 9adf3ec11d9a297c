"""What the live page shows of joined streams: plain values, times in ms rounded to 0.1."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from streamgap.core.join import JoinedStream
from streamgap.core.mechanism import CODES, Mechanism
from streamgap.core.offsets import shared
from streamgap.core.pages import code_page
from streamgap.core.timeline import Unit, quantile
from streamgap.core.wire import Half
from streamgap.core.words import HELD_BY, Verdict


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """How many streams the app servers finished, and how many of them joined a browser's half."""

    finished: int
    joined: int


class Staircase(msgspec.Struct, frozen=True, kw_only=True):
    """One side: index k·`stride` was reached at `at_ms[k]`, the last of `count` at `last_ms`, all over at `dur_ms`."""

    at_ms: tuple[float, ...]
    stride: int
    count: int
    unit: Unit
    last_ms: float | None
    dur_ms: float


class HoldSpan(msgspec.Struct, frozen=True, kw_only=True):
    """Where the path kept a chunk longest: `index` could have been there at `from_ms` and came at `to_ms`."""

    index: int
    from_ms: float
    to_ms: float


class Likely(msgspec.Struct, frozen=True, kw_only=True):
    """A mechanism in words: its stable code, what that says, and the page that explains it."""

    name: Mechanism
    code: str
    title: str
    url: str


class HeldBy(msgspec.Struct, frozen=True, kw_only=True):
    """How many streams were likely held by one mechanism."""

    mechanism: Likely
    streams: int


class LiveStream(msgspec.Struct, frozen=True, kw_only=True):
    """A joined stream as the page shows it; both staircases start at their own side's zero."""

    seq: int
    age_ms: float
    sid: str
    trace_id: str
    route: str
    model: str
    verdict: Verdict
    mechanism: Likely | None
    outcome: str
    end: str
    server: Staircase
    client: Staircase
    gap_ms: float | None
    hold_ms: float | None
    hold_span: HoldSpan | None
    app_ms: float | None
    model_ms: float | None
    page_ms: float | None


class RouteSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One route's streams among those in the ring; None where no stream knew the value."""

    route: str
    streams: int
    gap_p50_ms: float | None
    gap_p95_ms: float | None
    hold_p50_ms: float | None
    hold_p95_ms: float | None


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """`joined`, `verdicts` and `held_by` (most first) count since the start, the rest is of the streams in the ring."""

    joined: int
    verdicts: dict[Verdict, int]
    held_by: list[HeldBy]
    coverage: Coverage | None
    overall: RouteSummary
    routes: list[RouteSummary]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All the page needs, streams oldest first; `seq` is the number of the last one."""

    seq: int
    capacity: int
    summary: Summary
    streams: list[LiveStream]


def view(stream: JoinedStream, *, seq: int, age_ms: float) -> LiveStream:
    """Return what the page shows of a joined stream that joined `age_ms` ago as the feed's `seq`-th."""
    server, client = stream.server, stream.client
    return LiveStream(
        seq=seq,
        age_ms=age_ms,
        sid=server.sid,
        trace_id=server.trace_id,
        route=server.route,
        model=server.model,
        verdict=stream.verdict,
        mechanism=None if stream.mechanism is None else LIKELY[stream.mechanism],
        outcome=server.outcome.value,
        end=client.end,
        server=_staircase(server),
        client=_staircase(client),
        gap_ms=_rounded(stream.gap),
        hold_ms=_rounded(stream.hold),
        hold_span=_hold_span(stream),
        app_ms=_rounded(stream.app),
        model_ms=_rounded(stream.model),
        page_ms=_rounded(stream.page),
    )


def held_by(streams: Mapping[Mechanism, int]) -> list[HeldBy]:
    """Return the mechanisms that were met, the most frequent first."""
    met = [HeldBy(mechanism=LIKELY[mechanism], streams=count) for mechanism, count in streams.items() if count]
    return sorted(met, key=lambda held: held.streams, reverse=True)


def _likely(mechanisms: Iterable[Mechanism]) -> dict[Mechanism, Likely]:
    codes = {mechanism: CODES[mechanism] for mechanism in mechanisms}
    return {
        name: Likely(name=name, code=known.code, title=known.title, url=code_page(known.code))
        for name, known in codes.items()
    }


LIKELY = _likely(HELD_BY)


def _staircase(half: Half) -> Staircase:
    return Staircase(
        at_ms=tuple(round(at_ms, 1) for at_ms in half.at),
        stride=half.stride,
        count=half.count,
        unit=half.unit,
        last_ms=_rounded(half.last),
        dur_ms=round(half.dur, 1),
    )


def _hold_span(stream: JoinedStream) -> HoldSpan | None:
    """Find the shared index with the largest delay; `to_ms` − `from_ms` is the hold."""
    server, client, least = stream.server, stream.client, stream.path_delay
    if least is None or stream.hold is None:
        return None
    written, arrived = shared(server.at, server.stride, client.at, client.stride)
    k = max(range(len(written)), key=lambda i: arrived[i] - written[i])
    return HoldSpan(
        index=k * max(server.stride, client.stride),
        from_ms=round(written[k] + least, 1),
        to_ms=round(arrived[k], 1),
    )


def summarise(route: str, streams: Sequence[JoinedStream]) -> RouteSummary:
    """Return the quantiles of some streams; a negative gap counts as 0, as in the histogram."""
    gaps = [max(stream.gap, 0.0) for stream in streams if stream.gap is not None]
    holds = [stream.hold for stream in streams if stream.hold is not None]
    return RouteSummary(
        route=route,
        streams=len(streams),
        gap_p50_ms=_rounded(quantile(gaps, 0.5)),
        gap_p95_ms=_rounded(quantile(gaps, 0.95)),
        hold_p50_ms=_rounded(quantile(holds, 0.5)),
        hold_p95_ms=_rounded(quantile(holds, 0.95)),
    )


def _rounded(value_ms: float | None) -> float | None:
    return None if value_ms is None else round(value_ms, 1)
