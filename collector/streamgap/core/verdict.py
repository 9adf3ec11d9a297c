"""The one word for a joined stream.

The order of the questions is the order of blame: a person who left before anything came is *abandoned* unless the path
demonstrably sat on content; lost content is *cut*; then bytes that waited on the path, the page, the app, the model.
"""

from dataclasses import dataclass

from streamgap.core.catalog import Outcome, Verdict
from streamgap.core.wire import ClientHalf, ServerHalf


# The answer itself was never finished: nobody between the app and the person at the screen is to blame.
UNFINISHED = frozenset({Outcome.TRUNCATED, Outcome.UPSTREAM_ERROR, Outcome.TIMEOUT, Outcome.APP_ERROR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Limits in ms beyond which a stage is to blame.

    `hold` 1 s: simulated on healthy traffic 0.25 % of streams exceed it, where 1.26 % exceed a gap of 1 s.
    `gap` judges what hold cannot see: one-chunk answers, and a whole stream that came late by a constant.
    `collapse` is the second way into `held`: the client's spread fell below this share of the server's (> `hold`).
    """

    hold: float = 1000.0
    gap: float = 3000.0
    page: float = 1000.0
    app: float = 1000.0
    model: float = 5000.0
    collapse: float = 0.2


DEFAULT_THRESHOLDS = Thresholds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The differences between the halves that a verdict rests on, in ms; None where unknown."""

    gap: float | None
    hold: float | None
    app: float | None
    model: float | None
    page: float | None


def judge(server: ServerHalf, client: ClientHalf, evidence: Evidence, limits: Thresholds) -> Verdict:
    """Return the verdict. Example: hold 2.1 s, nothing lost, idle page → `held`."""
    if client.first is None:
        return _without_content(server, client, limits)
    if server.first is None:
        return Verdict.INCOMPLETE
    if _held(server, client, evidence, limits):
        # A blocked or hidden page reads late, and the late reads look exactly like a hold.
        page_ms = (client.busy or 0.0) + client.hidden
        late_ms = max(evidence.hold or 0.0, evidence.gap or 0.0)
        return Verdict.SLOW_PAGE if page_ms >= late_ms / 2 else Verdict.HELD
    if client.count < server.count and client.unit == server.unit and client.end in ("error", "done"):
        # A clean end proves nothing: some idle timers close with a proper last chunk.
        return Verdict.CUT
    if server.outcome in UNFINISHED:
        return Verdict.INCOMPLETE
    for value, limit, verdict in (
        (evidence.page, limits.page, Verdict.SLOW_PAGE),
        (evidence.app, limits.app, Verdict.SLOW_APP),
        (evidence.model, limits.model, Verdict.SLOW_MODEL),
    ):
        if value is not None and value > limit:
            return verdict
    return Verdict.FLOWING


def _without_content(server: ServerHalf, client: ClientHalf, limits: Thresholds) -> Verdict:
    """Say whose doing it was that no content reached the page."""
    left = client.end in ("left", "stopped", "lost")
    waited_ms = None if server.first is None else client.dur - server.first
    if left and waited_ms is not None and waited_ms > limits.hold:
        # The gap is censored by the leaving, but it was at least this long.
        return Verdict.HELD
    if left:
        return Verdict.ABANDONED
    return (
        Verdict.CUT
        if server.count and server.outcome in (Outcome.COMPLETE, Outcome.CLIENT_GONE)
        else Verdict.INCOMPLETE
    )


def _held(server: ServerHalf, client: ClientHalf, evidence: Evidence, limits: Thresholds) -> bool:
    if evidence.hold is not None and evidence.hold > limits.hold:
        return True
    if evidence.gap is not None and evidence.gap > limits.gap:
        return True
    written_ms = server.spread
    complete = client.count >= server.count > 1 and server.unit == client.unit
    return complete and written_ms > limits.hold and client.spread < limits.collapse * written_ms
