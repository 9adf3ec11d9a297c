"""Streams that wait for one another before the app sees them: a queue, which is no buffer."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from streamgap.core.diagnosis.shape import Shape
from streamgap.core.mechanism import Finding, Mechanism

# A start is the end of the stream in front, give or take a hand-over on a busy machine.
_HANDED_OVER_MS = 250.0
_WAITED_MS = 300.0
_LONGER = 3.0


def queue(shapes: Sequence[Shape]) -> Finding | None:
    """Return that requests made at once reach the app one after another, while the lone one reached it at once.

    The app's clock starts when it receives the request, so begun + min(came − wrote) is when that was, on the client's
    clock, later by the way back. Example: three at once reach it after 0.0, 1.3 and 2.6 s, each writing for 1.3 s.
    """
    crowd = max(_crowds(shapes), key=len, default=[])
    lone = [shape for shape in shapes if not any(_overlap(shape, other) for other in shapes if other is not shape)]
    if len(crowd) < 2:  # noqa: PLR2004, one is no crowd
        return None
    alone_ms = min((shape.delay_ms for shape in lone or shapes), default=0.0)
    waits = sorted(shape.delay_ms - alone_ms for shape in crowd)
    lasting_ms = median(shape.wrote_ms[-1] for shape in crowd)
    longest_hold_ms = median(shape.hold_ms for shape in crowd)
    if waits[-1] < max(_WAITED_MS, _LONGER * longest_hold_ms, lasting_ms / 4):
        return None
    handed = _handed_over(crowd)
    at_once = max((shape.probe.seen.in_flight for shape in crowd if shape.probe.seen), default=0)
    told = [
        f"of {len(crowd)} requests at once the app received the last {waits[-1] / 1000:.2f} s later than a lone one",
        f"once begun, each came as it was written (longest hold {longest_hold_ms:.0f} ms)",
    ]
    if handed:
        told.append(f"{handed} of them began when another had ended")
    if at_once:
        told.append(f"the app had at most {at_once} of them in hand at once")
    confidence = 0.95 if handed >= len(crowd) / 3 and lone else 0.75 if lone else 0.6
    return Finding(mechanism=Mechanism.QUEUE, confidence=confidence, evidence=tuple(told), hold_ms=waits[-1])


def _crowds(shapes: Sequence[Shape]) -> list[list[Shape]]:
    """Return, for each shape, those that were asked for while it lasted."""
    return [[other for other in shapes if other is shape or _overlap(shape, other)] for shape in shapes]


def _overlap(a: Shape, b: Shape) -> bool:
    one, other = a.probe, b.probe
    return one.began_ms < other.began_ms + other.end_ms and other.began_ms < one.began_ms + one.end_ms


def _handed_over(crowd: Sequence[Shape]) -> int:
    """Return how many of them reached the app just when another one ended there."""
    stays = sorted((shape.probe.began_ms + shape.delay_ms, shape.wrote_ms[-1]) for shape in crowd)
    ends = [start + lasted for start, lasted in stays]
    return sum(
        any(abs(later[0] - end) < _HANDED_OVER_MS for end in ends)
        for before, later in pairwise(stays)
        if later > before
    )
