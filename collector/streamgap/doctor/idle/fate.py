"""What became of one stream, as far as a moment of the measurement knows."""

from collections.abc import Iterator, Sequence
from enum import StrEnum

import msgspec

from streamgap.core.probe import Ending, Probe
from streamgap.doctor.idle.plan import Plan, Role, Stream

GRACE_S = 1.5  # an event may be this much later than it is due before it counts as lost
STALL_S = 3.0  # a stream that talks ten times a second and stops for so long has been dropped
_FLUSH_S = 0.1  # what comes this close to the end was set free by the end
# What comes later than this waited for its turn before the app, and its timers with it. What comes sooner may have been
# kept back by the very hop with the timer, which runs since the bytes were written (HAProxy's cork: 200 ms).
_QUEUED_S = 0.5
_DUE_S = 0.05
_LATE_CLOSE_S = 1.2  # Envoy closes 1.00 s after its timer; measured: Envoy 1.39.3
_EARLY_S = 1.0  # an error page that takes longer than this waited for something
_TALKED = 5  # so many pauses of regular talk, before its end can be called a stall


class Fate(StrEnum):
    """Where a stream stands. `cut`: ended before its last event was due. `lost`: due and not come, or refused then."""

    RUNNING = "running"
    WHOLE = "whole"
    CUT = "cut"
    LOST = "lost"
    REFUSED = "refused"
    STOPPED = "stopped"


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """One stream as it is known: its request left at `began_s` on the measurement's clock.

    `first_s` and `last_s` are when its first and its latest event came, in seconds since then; `probe` is there once
    it has ended.
    """

    stream: Stream
    began_s: float
    first_s: float | None = None
    last_s: float | None = None
    probe: Probe | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A life, judged. `age_s` is counted from its start to its end, `gap_s` from the last bytes on; None: unknown.

    `flowing`: what the app said came through, until shortly before the end. `said_s` is the age of the last of it.
    """

    life: Life
    fate: Fate
    age_s: float | None = None
    gap_s: float | None = None
    flowing: bool = False
    said_s: float | None = None

    @property
    def stream(self) -> Stream:
        """The stream that this is about."""
        return self.life.stream

    @property
    def end_s(self) -> float:
        """When it ended, on the measurement's clock; its beginning where it has not."""
        return self.life.began_s + (self.life.probe.end_ms / 1000 if self.life.probe is not None else 0.0)

    @property
    def dead(self) -> bool:
        """Whether it ended otherwise than it should."""
        return self.fate in (Fate.CUT, Fate.LOST)

    @property
    def alive(self) -> bool:
        """Whether it has not ended, or as it should."""
        return self.fate in (Fate.RUNNING, Fate.WHOLE)


def transit_s(lives: Sequence[Life]) -> float:
    """Return the shortest time that any event took, request included, in seconds; 0 where nothing is known."""
    probes = [life.probe for life in lives if life.probe is not None]
    took_ms = [one.came_ms - one.wrote_ms for probe in probes for one in probe.events if one.wrote_ms is not None]
    return max(min(took_ms, default=0.0), 0.0) / 1000


def outcome_of(life: Life, *, now_s: float, transit_s: float, plan: Plan) -> Outcome:
    """Judge one stream by what is known at `now_s`."""
    if life.probe is None:
        return _while_running(life, over_s=now_s - life.began_s, plan=plan)
    return _after_end(life, life.probe, transit_s=transit_s, plan=plan)


def _while_running(life: Life, *, over_s: float, plan: Plan) -> Outcome:
    if life.first_s is None or life.last_s is None:
        return Outcome(life=life, fate=Fate.RUNNING)
    if life.stream.role is Role.TALKING and life.last_s - life.first_s >= _TALKED * plan.talk_s:
        stalled = over_s - life.last_s > STALL_S + 2 * plan.talk_s
        if stalled and life.last_s < life.stream.lasts_s - plan.talk_s:
            return Outcome(life=life, fate=Fate.LOST, age_s=life.last_s, said_s=life.last_s, flowing=True)
    if over_s > life.first_s + life.stream.lasts_s + GRACE_S:
        return Outcome(life=life, fate=Fate.LOST, age_s=life.last_s, said_s=life.last_s)
    return Outcome(life=life, fate=Fate.RUNNING)


def _after_end(life: Life, probe: Probe, *, transit_s: float, plan: Plan) -> Outcome:
    end_s = probe.end_ms / 1000
    born_s = _born_s(probe, transit_s=transit_s)
    age_s = end_s - born_s
    if not probe.is_stream and (probe.ending is Ending.STOPPED or end_s < _EARLY_S):
        return Outcome(life=life, fate=Fate.STOPPED if probe.ending is Ending.STOPPED else Fate.REFUSED)
    if probe.done:
        return Outcome(life=life, fate=Fate.WHOLE, age_s=age_s)
    if probe.ending is Ending.STOPPED or (probe.ending is Ending.TIMED_OUT and not probe.events):
        return Outcome(life=life, fate=Fate.STOPPED, age_s=age_s)
    said_s = max((at_s - born_s for at_s in _said_s(life.stream, probe, born_s, plan=plan)), default=None)
    overdue = probe.ending is Ending.TIMED_OUT or age_s >= life.stream.lasts_s - _DUE_S
    since_s = _silent_since_s(probe, born_s=born_s)
    return Outcome(
        life=life,
        fate=Fate.LOST if overdue else Fate.CUT,
        age_s=age_s,
        gap_s=end_s - since_s,
        flowing=said_s is not None and age_s - said_s <= _LATE_CLOSE_S + 2 * _pause_s(life.stream, plan),
        said_s=said_s,
    )


def _born_s(probe: Probe, *, transit_s: float) -> float:
    """Return when the app began, in seconds since the request: at once, unless the stream had to queue."""
    marks_ms = [probe.head_ms, probe.events[0].came_ms if probe.events else None]
    early_s = [at_ms / 1000 for at_ms in marks_ms if at_ms is not None and at_ms < probe.end_ms - _FLUSH_S * 1000]
    first_s = min(early_s, default=0.0)
    return first_s if first_s > _QUEUED_S + transit_s else min(transit_s, probe.end_ms / 1000)


def _silent_since_s(probe: Probe, *, born_s: float) -> float:
    """Return when the last bytes came, in seconds; those that the end itself set free do not count."""
    before_ms = probe.end_ms - _FLUSH_S * 1000
    last_s = max((read.at_ms / 1000 for read in probe.reads if read.at_ms < before_ms), default=born_s)
    return last_s if last_s - born_s > _QUEUED_S else born_s


def _said_s(stream: Stream, probe: Probe, born_s: float, *, plan: Plan) -> Iterator[float]:
    """Yield when something came that the app said to keep the stream alive: after its start, and before its end."""
    from_s, to_s = born_s + _pause_s(stream, plan) / 2, probe.end_ms / 1000 - _FLUSH_S
    came_ms = (*(event.came_ms for event in probe.events), *probe.comments_ms)
    yield from (at_ms / 1000 for at_ms in came_ms if from_s < at_ms / 1000 < to_s)


def _pause_s(stream: Stream, plan: Plan) -> float:
    match stream.role:
        case Role.TALKING:
            return plan.talk_s
        case Role.SILENT | Role.FIRST_BYTE:
            return stream.lasts_s
    return plan.heartbeat_s
