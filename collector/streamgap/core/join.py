"""Two halves → one joined stream. Durations are subtracted, never timestamps, so the two clocks need not agree."""

from heapq import nlargest
from itertools import count
from operator import sub

import msgspec

from streamgap.core.held import held_by
from streamgap.core.mechanism import Mechanism
from streamgap.core.offsets import shared
from streamgap.core.verdict import DEFAULT_THRESHOLDS, Evidence, Thresholds, judge, reconnected
from streamgap.core.wire import ClientHalf, ServerHalf
from streamgap.core.words import ReconnectCause, Verdict

LONGEST_STALLS = 3


class Stall(msgspec.Struct, frozen=True):
    """Between two indices that both sides kept, the client's wait exceeded the server's by `path_ms`."""

    index: int
    path_ms: float


class JoinedStream(msgspec.Struct, frozen=True, kw_only=True):
    """What the two halves say together; times in ms, None where a half lacks the moment or saw another connection.

    `gap` may be negative (raw); whoever fills a histogram clamps it. `path_delay` is the smallest client − server
    offset among the shared indices: the baseline that `hold` and the client span of the trace subtract. `mechanism` is
    the likely one of a stream that was `held`, and None for every other.
    """

    server: ServerHalf
    client: ClientHalf
    gap: float | None
    hold: float | None
    path_delay: float | None
    app: float | None
    model: float | None
    page: float | None
    verdict: Verdict
    mechanism: Mechanism | None = None

    @property
    def stalls(self) -> tuple[Stall, ...]:
        """The steps over which the path lost most time, longest first; worked out when asked for, joins are many."""
        delays = _delays(self.server, self.client)
        stride = max(self.server.stride, self.client.stride)
        growth = nlargest(LONGEST_STALLS, zip(map(sub, delays[1:], delays), count(stride, stride), strict=False))
        return tuple(Stall(index=index, path_ms=round(lost_ms, 3)) for lost_ms, index in growth if lost_ms > 0)


def join(server: ServerHalf, client: ClientHalf, *, thresholds: Thresholds = DEFAULT_THRESHOLDS) -> JoinedStream:
    """Join the halves of one stream.

    gap = client TTFC − server TTFC. With dᵢ = clientᵢ − serverᵢ over the indices both sides kept,
    hold = max dᵢ − min dᵢ (Example: server 0, 50, 100 ms; client 900, 901, 902 ms: d = 900, 851, 802; hold 98 ms.)
    Any constant (clock offset, round trip, model time) cancels. Error bound: the clocks' resolution, plus what the
    thinning skipped, which is at most the growth of dᵢ within one stride.

    Of a page that lost its connection the later chunks came over another: there is no hold. Where this server half is
    of the later one, its zero is not the page's either, and no time of it is a part of the page's wait.
    """
    later = _resumed(server, client)
    gap = None if later else _minus(client.first, server.first)
    delays = _delays(server, client)
    least = min(delays, default=None)
    hold = None if least is None or reconnected(server, client) else max(delays) - least
    app = None
    if not later and server.call is not None and server.answer is not None and server.first is not None:
        app = server.call + max(server.first - server.answer, 0.0)
    page = None if client.paint is None else _minus(client.paint, client.first)
    model = None if later else _minus(server.answer, server.call)
    verdict = judge(server, client, Evidence(gap=gap, hold=hold, app=app, model=model, page=page), thresholds)
    return JoinedStream(
        server=server,
        client=client,
        gap=gap,
        hold=hold,
        path_delay=least,
        app=app,
        model=model,
        page=page,
        verdict=verdict,
        mechanism=held_by(server, client) if verdict is Verdict.HELD else None,
    )


def _delays(server: ServerHalf, client: ClientHalf) -> list[float]:
    """Return dᵢ for every shared index, in order; empty where the sides counted different things."""
    if server.unit != client.unit or _resumed(server, client):
        return []
    written, arrived = shared(server.at, server.stride, client.at, client.stride)
    return list(map(sub, arrived, written))


def _resumed(server: ServerHalf, client: ClientHalf) -> bool:
    """Say whether this server half begins where an earlier connection of the same page was lost."""
    return client.tries > 0 and server.cause is ReconnectCause.RESUME


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
