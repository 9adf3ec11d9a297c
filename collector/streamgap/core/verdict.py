"""The one word for a joined stream.

The order of the questions is the order of blame: a connection that broke, and that the browser made anew, is *cut*
whatever came of it, for the halves then speak of different connections; a person who left before anything came is
*abandoned* unless the path demonstrably sat on content; lost content is *cut*; then bytes that waited on the path, the
page, the app, the model.
"""

from dataclasses import dataclass

import msgspec

from streamgap.core.wire import ClientHalf, ServerHalf
from streamgap.core.words import Outcome, ReconnectCause, Verdict

# The answer itself was never finished: nobody between the app and the person at the screen is to blame.
UNFINISHED = frozenset({Outcome.TRUNCATED, Outcome.UPSTREAM_ERROR, Outcome.TIMEOUT, Outcome.APP_ERROR})

LEFT = frozenset({"left", "stopped", "lost"})


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


class Evidence(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The differences between the halves that a verdict rests on, in ms; None where unknown."""

    gap: float | None
    hold: float | None
    app: float | None
    model: float | None
    page: float | None


def judge(server: ServerHalf, client: ClientHalf, evidence: Evidence, limits: Thresholds) -> Verdict:
    """Return the verdict. Example: hold 2.1 s, nothing lost, idle page → `held`."""
    if reconnected(server, client):
        return Verdict.CUT
    if client.first is None or server.first is None:
        return _without_content(server, client, limits)
    if _late(server, client, evidence, limits):
        return _late_by(server, client, evidence)
    if _cut(server, client):
        return Verdict.CUT
    if server.outcome in UNFINISHED:
        return Verdict.INCOMPLETE
    return _slowest_stage(evidence, limits)


def reconnected(server: ServerHalf, client: ClientHalf) -> bool:
    """Say whether an `EventSource` lost the connection of this server half, or lost another and went on with this one.

    One that came again after the end of its answer, and was told so, has lost nothing.
    """
    return client.tries > 0 and (server.outcome is Outcome.CLIENT_GONE or server.cause is ReconnectCause.RESUME)


def _without_content(server: ServerHalf, client: ClientHalf, limits: Thresholds) -> Verdict:
    """Say whose doing it was that no content was written, or that none reached the page."""
    if server.first is None:
        left = client.end in LEFT and client.first is None
        return Verdict.ABANDONED if left else Verdict.INCOMPLETE
    if client.end not in LEFT:
        return Verdict.INCOMPLETE if server.outcome in UNFINISHED else Verdict.CUT
    # The gap is censored by the leaving, but it was at least as long as the person waited after the first write.
    return Verdict.HELD if client.dur - server.first > limits.hold else Verdict.ABANDONED


def _late_by(server: ServerHalf, client: ClientHalf, evidence: Evidence) -> Verdict:
    """Say what made content late."""
    if client.tries and client.count <= server.count:
        # Its end came over a second connection: the first was cut after the server had written it all.
        return Verdict.CUT
    return Verdict.SLOW_PAGE if _page_was_busy(client, evidence) else Verdict.HELD


def _page_was_busy(client: ClientHalf, evidence: Evidence) -> bool:
    """Say whether a blocked main thread explains the lateness: its late reads look exactly like a hold.

    A hidden tab explains nothing: its reads are not throttled (measured in Chromium 156, 2.5 s hidden).
    """
    return (client.busy or 0.0) >= max(evidence.hold or 0.0, evidence.gap or 0.0) / 2


def _slowest_stage(evidence: Evidence, limits: Thresholds) -> Verdict:
    for value, limit, verdict in (
        (evidence.page, limits.page, Verdict.SLOW_PAGE),
        (evidence.app, limits.app, Verdict.SLOW_APP),
        (evidence.model, limits.model, Verdict.SLOW_MODEL),
    ):
        if value is not None and value > limit:
            return verdict
    return Verdict.FLOWING


def _late(server: ServerHalf, client: ClientHalf, evidence: Evidence, limits: Thresholds) -> bool:
    if evidence.hold is not None and evidence.hold > limits.hold:
        return True
    if evidence.gap is not None and evidence.gap > limits.gap:
        return True
    written_ms = server.spread
    complete = client.count >= server.count > 1 and server.unit == client.unit
    return complete and written_ms > limits.hold and client.spread < limits.collapse * written_ms


def _cut(server: ServerHalf, client: ClientHalf) -> bool:
    """Say whether content was lost although nobody left: each side saw the other one go, or the page got too little."""
    lost = client.count < server.count and client.unit == server.unit
    if client.end == "error" or client.tries:
        return lost or server.outcome is Outcome.CLIENT_GONE
    # A clean end proves nothing: some idle timers close with a proper last chunk.
    return client.end == "done" and lost
