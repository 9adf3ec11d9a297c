"""Paths that exist on paper only: what an app writes, what the hops make of it, and what of it is known when."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from msgspec import structs

from streamgap.core.probe import AppView, Arrival, Ending, Probe, Protocol, Read
from streamgap.doctor.idle.cut import Cut, Known, Narrow
from streamgap.doctor.idle.fate import Life
from streamgap.doctor.idle.judge import judge
from streamgap.doctor.idle.measure import Measured
from streamgap.doctor.idle.plan import Plan, Role, Stream
from streamgap.doctor.idle.plan import hello as greeting

TICK_S = 0.1
MOST_S = 2000.0
NEVER_S = 1e9
HEADERS = (("content-type", "text/event-stream"),)
OPENING, BEAT, EVENT, DONE = "opening", "beat", "event", "done"


@dataclass(frozen=True)
class Write:
    """Something the app writes: at which age of the stream, in s, and how many bytes."""

    at_s: float
    what: str
    size: int = 120
    index: int = 0


@dataclass(frozen=True, kw_only=True)
class Path:
    """A path. Its timers are NEVER_S where it has none; the hops that hold come first, the one with the timers last.

    `compresses` holds all that is not asked for as identity, `holds_bytes` whatever does not fill a block of so many.
    `drops`: nothing closes. `at_write`: the age's end is noticed at the next write. `closes_late_s` after the timer.
    `accident`: one stream, by name, dies of nothing in particular. `refused` are the names of streams that get 429.
    """

    idle_s: float = NEVER_S
    age_s: float = NEVER_S
    first_byte_s: float = NEVER_S
    drops: bool = False
    at_write: bool = False
    compresses: bool = False
    holds_bytes: int = 0
    closes_late_s: float = 0.0
    ending: Ending = Ending.TRUNCATED
    delay_s: float = 0.02
    jitter_s: float = 0.0
    headers: tuple[tuple[str, str], ...] = HEADERS
    refused: frozenset[str] = frozenset()
    seed: int = 0
    accident: tuple[str, float] = ("", NEVER_S)


@dataclass
class Journey:
    """What the client gets, in s since its request."""

    came: list[tuple[float, Write]] = field(default_factory=list)
    end_s: float = NEVER_S
    ending: Ending = Ending.FRAMED


def written(stream: Stream, plan: Plan) -> list[Write]:
    """Return what a drip writes."""
    writes = []
    if stream.role is not Role.FIRST_BYTE:
        writes.append(Write(0.0, OPENING, 8))
    events = [0.0, stream.lasts_s]
    if stream.role is Role.FIRST_BYTE:
        events = [stream.lasts_s]
    elif stream.role is Role.TALKING:
        events = [nth * plan.talk_s for nth in range(int(stream.lasts_s / plan.talk_s) + 1)]
    writes += [Write(at_s, EVENT, index=index) for index, at_s in enumerate(events)]
    if stream.role in (Role.HEARTBEAT, Role.IDENTITY, Role.PADDED):
        beats = int(stream.lasts_s / plan.heartbeat_s)
        size = 2053 if stream.role is Role.PADDED else 5
        writes += [Write(nth * plan.heartbeat_s, BEAT, size) for nth in range(1, beats)]
    writes.append(Write(events[-1], DONE, 60))
    return sorted(writes, key=lambda write: write.at_s)


def passed_on(writes: Sequence[Write], stream: Stream, path: Path) -> list[tuple[float, Write]]:
    """Return when the holding hops let go of each write."""
    last_s = writes[-1].at_s
    if path.compresses and stream.role is not Role.IDENTITY:
        return [(last_s, write) for write in writes]
    if not path.holds_bytes:
        return [(write.at_s, write) for write in writes]
    passed: list[tuple[float, Write]] = []
    waiting: list[Write] = []
    for write in writes:
        waiting.append(write)
        if sum(one.size for one in waiting) >= path.holds_bytes or write.what == DONE:
            passed += [(write.at_s, one) for one in waiting]
            waiting = []
    return passed


def ended_s(times_s: Sequence[float], path: Path) -> float:
    """Return at which age the timers end a stream that passes bytes on at `times_s`; NEVER_S: they do not."""
    last_s, spoke = 0.0, False
    for at_s in times_s:
        allowed_s = path.idle_s if spoke else min(path.idle_s, path.first_byte_s)
        if at_s - last_s > allowed_s:
            return min(last_s + allowed_s, NEVER_S if path.at_write else path.age_s)
        if at_s > path.age_s:
            return at_s if path.at_write else path.age_s
        last_s, spoke = at_s, True
    return NEVER_S


def journey(stream: Stream, path: Path, plan: Plan) -> Journey:
    """Return what the client gets of a stream."""
    noise = random.Random(f"{path.seed} {stream.name}")  # noqa: S311, a network
    passed = passed_on(written(stream, plan), stream, path)
    cut_s = ended_s([at_s for at_s, _ in passed], path)
    if stream.name == path.accident[0]:
        cut_s = min(cut_s, path.accident[1])
    made = Journey()
    came_s = 0.0
    for at_s, write in passed:
        if at_s < cut_s:
            came_s = max(came_s, at_s + path.delay_s + noise.uniform(0, path.jitter_s))
            made.came.append((came_s, write))
    if cut_s >= NEVER_S:
        made.end_s = came_s
    elif not path.drops:
        made.end_s = max(came_s, cut_s + path.closes_late_s + path.delay_s + noise.uniform(0, path.jitter_s))
        made.ending = path.ending
    return made


def life_at(now_s: float, stream: Stream, path: Path, *, began_s: float, plan: Plan, travelled: Journey) -> Life:
    """Return what is known of a stream at a moment."""
    over_s = now_s - began_s
    if stream.name in path.refused:
        return Life(stream=stream, began_s=began_s, probe=_probe(stream, plan, 429, Journey(end_s=0.01), path))
    if travelled.end_s <= over_s:
        return Life(stream=stream, began_s=began_s, probe=_probe(stream, plan, 200, travelled, path))
    events_s = [came_s for came_s, write in travelled.came if write.what == EVENT and came_s <= over_s]
    first_s, last_s = (events_s[0], events_s[-1]) if events_s else (None, None)
    return Life(stream=stream, began_s=began_s, first_s=first_s, last_s=last_s)


def _probe(stream: Stream, plan: Plan, status: int, travelled: Journey, path: Path) -> Probe:
    came = travelled.came
    return Probe(
        asked=plan.asked(stream, protocol=Protocol.CLEAR),
        status=status,
        headers=path.headers,
        head_ms=came[0][0] * 1000 if came else travelled.end_s * 1000,
        events=tuple(
            Arrival(write.index, at_s * 1000, write.at_s * 1000, nth, 0)
            for nth, (at_s, write) in enumerate(came)
            if write.what == EVENT
        ),
        comments_ms=tuple(at_s * 1000 for at_s, write in came if write.what in (BEAT, OPENING)),
        reads=tuple(Read(at_s * 1000, write.size) for at_s, write in came),
        ending=travelled.ending,
        end_ms=travelled.end_s * 1000,
        done=any(write.what == DONE for _, write in came),
    )


@dataclass(frozen=True)
class Course:
    """A measurement of a path: what was found, when, with which streams."""

    cut: Cut | None
    decided_s: float
    lives: tuple[Life, ...]
    rungs: int


def measured(path: Path, plan: Plan) -> Course:
    """Judge a path as the runner does: whenever a stream ends, and every tenth of a second."""
    started: list[tuple[float, Stream, Journey]] = [
        (0.0, stream, journey(stream, path, plan)) for stream in plan.first_rung
    ]
    rungs = 1
    for now_s in _moments(started):
        lives = tuple(
            life_at(now_s, stream, path, began_s=began_s, plan=plan, travelled=went)
            for began_s, stream, went in started
        )
        match judge(lives, now_s=now_s, plan=plan):
            case Known(cut):
                return Course(cut, now_s, lives, rungs)
            case Narrow(low_s, high_s, rungs):
                started += [(now_s, one, journey(one, path, plan)) for one in plan.split(low_s, high_s, rung=rungs)]
    raise AssertionError("the judge: expected a decision, got none")


def as_measured(path: Path, plan: Plan, *, seen: AppView | None = None) -> Measured:
    """Return what the runner would: the streams that still run are stopped at the decision."""
    course = measured(path, plan)
    lives = []
    for life in course.lives:
        if life.probe is None:
            over_s = course.decided_s - life.began_s
            went = journey(life.stream, path, plan)
            so_far = Journey([one for one in went.came if one[0] <= over_s], over_s, Ending.STOPPED)
            life = structs.replace(life, probe=_probe(life.stream, plan, 200, so_far, path))  # noqa: PLW2901
        lives.append(life)
    hello = Probe(
        asked=greeting(Protocol.CLEAR),
        status=200,
        headers=path.headers,
        ending=Ending.FRAMED,
        end_ms=5.0,
        done=True,
        expected=2,
        seen=seen,
    )
    return Measured(plan=plan, hello=hello, lives=tuple(lives), cut=course.cut, decided_s=course.decided_s)


def _moments(started: Sequence[tuple[float, Stream, Journey]]) -> Iterator[float]:
    """Yield the times at which the judge is asked, `started` growing meanwhile."""
    now_s = 0.0
    while now_s < MOST_S:
        tick_s = now_s + TICK_S
        while ends_s := [began_s + went.end_s for began_s, _, went in started if now_s < began_s + went.end_s < tick_s]:
            now_s = min(ends_s)
            yield now_s
        now_s = tick_s
        yield now_s
