"""The judge, on paths that exist on paper only: any timer is found, told from the others, and soon enough."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from doctor.idle.paths import HEADERS, Course, Path, measured
from streamgap.core.probe import Ending
from streamgap.doctor.idle.cut import Cut, Kind, Swallower
from streamgap.doctor.idle.plan import MIN_STREAMS, Plan, Role

WITHIN = 0.05
SOON = 1.5
NETWORK = st.fixed_dictionaries(
    {
        "delay_s": st.floats(0.0, 0.3),
        "jitter_s": st.floats(0.0, 0.06),
        "seed": st.integers(0, 10_000),
    }
)
ENDINGS = st.sampled_from([Ending.TRUNCATED, Ending.FRAMED, Ending.CLOSED, Ending.RESET])
LONGEST_S = st.floats(8.0, 60.0)
SHARE = st.floats(0.0, 1.0)
ENVOY = (*HEADERS, ("server", "envoy"))
few = settings(max_examples=40, deadline=None)


def timer_s(longest_s: float, share: float, *, least_s: float = 2.5) -> float:
    """Return a timer somewhere below the longest silence."""
    return least_s + share * (0.9 * longest_s - least_s)


def found(course: Course, kind: Kind, at_s: float, *, soon: float = SOON) -> Cut:
    assert course.cut is not None
    assert course.cut.kind is kind
    assert course.cut.at_s == pytest.approx(at_s, rel=WITHIN)
    assert course.decided_s <= soon * at_s
    return course.cut


@few
@given(longest_s=LONGEST_S, share=SHARE, ending=ENDINGS, network=NETWORK)
@example(longest_s=130.0, share=0.5, ending=Ending.FRAMED, network={})
def test_an_idle_timer_is_read_from_the_close(
    longest_s: float, share: float, ending: Ending, network: dict[str, float]
) -> None:
    """Any close after a silence is an idle cut, a proper end of the body too; heartbeats are seen to help."""
    at_s = timer_s(longest_s, share)
    course = measured(Path(idle_s=at_s, ending=ending, **network), Plan(longest_s=longest_s))  # type: ignore[arg-type]
    cut = found(course, Kind.IDLE, at_s)
    assert cut.how is not None
    assert (cut.how.ending, cut.heartbeats_help, cut.survivors) == (ending, True, 0)


@few
@given(longest_s=LONGEST_S, share=SHARE, network=NETWORK)
def test_a_late_close_of_envoy_is_subtracted(longest_s: float, share: float, network: dict[str, float]) -> None:
    """Envoy closes 1.00 s after its timer: the timer is told, not the close."""
    at_s = timer_s(longest_s - 2, share, least_s=4.0)
    path = Path(idle_s=at_s, closes_late_s=1.0, headers=ENVOY, **network)  # type: ignore[arg-type]
    cut = found(measured(path, Plan(longest_s=longest_s)), Kind.IDLE, at_s)
    assert cut.closes_late_s == pytest.approx(1.0, abs=0.1)


def test_a_late_close_of_anybody_is_seen_where_an_event_was_due_before_it() -> None:
    """An event that was due before the close and did not come shows that the timer was over by then."""
    cut = found(measured(Path(idle_s=5.0, closes_late_s=1.0), Plan(longest_s=12.0)), Kind.IDLE, 5.0)
    assert cut.low_s < 5.0 < cut.at_s + 0.5
    assert cut.seen_s == pytest.approx(6.0, abs=0.05)


@few
@given(longest_s=LONGEST_S, share=SHARE, at_write=st.booleans(), late=st.booleans(), network=NETWORK)
def test_an_age_is_told_from_a_silence(
    longest_s: float,
    share: float,
    network: dict[str, float],
    *,
    at_write: bool,
    late: bool,
) -> None:
    """Streams that talk die at the same age: no heartbeat helps, whenever the timer strikes or the hop closes."""
    at_s = timer_s(longest_s - 2, share, least_s=4.0)
    path = Path(age_s=at_s, at_write=at_write, closes_late_s=float(late), **network)  # type: ignore[arg-type]
    cut = found(measured(path, Plan(longest_s=longest_s)), Kind.AGE, at_s)
    assert cut.heartbeats_help is False


def test_an_age_that_strikes_at_the_next_write_is_said_to() -> None:
    """A silent stream outlives an age that is only looked at when it speaks."""
    struck = measured(Path(age_s=5.0, at_write=True), Plan(longest_s=12.0)).cut
    closed = measured(Path(age_s=5.0), Plan(longest_s=12.0)).cut
    assert struck is not None
    assert closed is not None
    assert (struck.at_next_write, closed.at_next_write) == (True, False)


@few
@given(longest_s=LONGEST_S, share=SHARE, streams=st.integers(20, 40), network=NETWORK)
@example(longest_s=130.0, share=0.99, streams=24, network={})
def test_a_silent_drop_is_bracketed_and_split(
    longest_s: float, share: float, streams: int, network: dict[str, float]
) -> None:
    """Where nothing closes, a second and narrower rung finds the timer."""
    at_s = timer_s(longest_s, share)
    path = Path(idle_s=at_s, drops=True, **network)  # type: ignore[arg-type]
    course = measured(path, Plan(longest_s=longest_s, streams=streams))
    cut = found(course, Kind.IDLE, at_s, soon=5)
    assert cut.low_s - 0.1 <= at_s <= cut.high_s + 0.1
    assert (cut.silently, course.rungs) == (True, 2)


def test_few_streams_take_more_rungs() -> None:
    """With the fewest streams the bracket is split until it is narrow enough."""
    course = measured(Path(idle_s=5.0, drops=True), Plan(longest_s=12.0, streams=MIN_STREAMS))
    found(course, Kind.IDLE, 5.0, soon=9)
    assert course.rungs > 2


def test_a_silent_drop_at_an_age_is_no_idle_timer() -> None:
    """Where a stream that talks falls silent too, it is its age."""
    found(measured(Path(age_s=6.0, drops=True), Plan(longest_s=12.0)), Kind.AGE, 6.0, soon=2)


@few
@given(longest_s=LONGEST_S, share=SHARE, network=NETWORK)
def test_a_compressor_that_swallows_heartbeats_is_told_by_identity(
    longest_s: float,
    share: float,
    network: dict[str, float],
) -> None:
    """Heartbeats that are compressed and not flushed do not help; those that are not compressed do."""
    at_s = timer_s(longest_s, share)
    path = Path(idle_s=at_s, compresses=True, **network)  # type: ignore[arg-type]
    cut = found(measured(path, Plan(longest_s=longest_s)), Kind.SWALLOWED, at_s)
    assert (cut.swallower, cut.heartbeats_help) == (Swallower.COMPRESSOR, False)


@pytest.mark.parametrize(("holds_bytes", "swallower"), [(1500, Swallower.BUFFER), (1_000_000, Swallower.PATH)])
def test_a_buffer_that_swallows_heartbeats_is_told_by_larger_ones(holds_bytes: int, swallower: Swallower) -> None:
    """Padding comes through a small buffer; behind a large one nothing does, and no age is claimed."""
    cut = found(measured(Path(idle_s=4.0, holds_bytes=holds_bytes), Plan(longest_s=12.0)), Kind.SWALLOWED, 4.0)
    assert cut.swallower is swallower


def test_a_first_byte_timer_is_told_apart() -> None:
    """Only the stream that had not begun is cut; the others are waited for."""
    course = measured(Path(first_byte_s=4.0), Plan(longest_s=8.0))
    found(course, Kind.FIRST_BYTE, 4.0, soon=3)


@few
@given(longest_s=LONGEST_S, delay_s=st.floats(0.0, 1.0), jitter_s=st.floats(0.0, 0.4), seed=st.integers(0, 10_000))
def test_a_path_that_cuts_nothing_is_not_accused(longest_s: float, delay_s: float, jitter_s: float, seed: int) -> None:
    """However far and uneven the network, every silence is lived through, and the end comes soon after the longest."""
    path = Path(delay_s=delay_s, jitter_s=jitter_s, seed=seed)
    course = measured(path, Plan(longest_s=longest_s))
    assert course.cut is None
    assert course.decided_s < longest_s + 2


@few
@given(nth=st.integers(0, 23), at=st.floats(0.05, 0.95), timer=st.sampled_from([None, 6.0]))
def test_one_stream_that_dies_convicts_nobody(nth: int, at: float, timer: float | None) -> None:
    """A single death among streams that live is an accident; the timer behind it is found all the same."""
    plan = Plan(longest_s=12.0)
    victim = plan.first_rung[nth]
    path = Path(accident=(victim.name, at * victim.lasts_s), idle_s=timer or 1e9)
    course = measured(path, plan)
    if timer is not None:
        found(course, Kind.IDLE, timer)
    elif victim.role is not Role.FIRST_BYTE and victim.lasts_s < plan.longest_s:
        assert course.cut is None


def test_streams_that_are_refused_do_not_count() -> None:
    """With half of the streams refused, the others still tell."""
    plan = Plan(longest_s=12.0)
    refused = frozenset(stream.name for stream in plan.first_rung[12:])
    found(measured(Path(idle_s=5.0, refused=refused), plan), Kind.IDLE, 5.0)
    everything = frozenset(stream.name for stream in plan.first_rung)
    assert measured(Path(refused=everything), plan).cut is None
