"""The query of a drip says what to stream, and is written as it is read."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.drip.lab import VIEW, taken_apart
from streamgap.core.probe import ORDINARY, Asked, Hint, Pace, Protocol, Segment
from streamgap.doctor.drip.limits import MAX_EVENT_BYTES, MIN_EVENT_BYTES, Limits
from streamgap.doctor.drip.plan import PlanError, plan_of, query_of, read_segments
from streamgap.doctor.drip.schedule import Plan, steps

WIDE = Limits(max_events=1_000_000, max_bytes=1024**3, max_s=86_400)
waits_ms = st.integers(0, 600_000).map(lambda us: us / 1000)
segments = st.builds(
    Segment,
    count=st.integers(1, 20),
    gap_ms=waits_ms,
    size_bytes=st.integers(MIN_EVENT_BYTES, 2000),
    silence_ms=waits_ms,
)
asked_for = st.builds(
    Asked,
    name=st.just("probe"),
    protocol=st.just(Protocol.CLEAR),
    accept_encoding=st.just(""),
    hints=st.frozensets(st.sampled_from(Hint)),
    pace=st.lists(segments, min_size=1, max_size=6).map(tuple),
    heartbeat_ms=st.sampled_from([0.0, 10.0, 33.5, 500.0]),
    padding_bytes=st.integers(0, 300),
)


def plan_for(asked: Asked) -> Plan:
    return plan_of(urlencode(query_of(asked)), limits=WIDE)


@given(asked_for)
def test_what_is_written_is_what_is_read(asked: Asked) -> None:
    """The query of any request, read back, is the plan of that request."""
    assert plan_for(asked) == Plan(
        segments=asked.pace, hints=asked.hints, heartbeat_ms=asked.heartbeat_ms, padding_bytes=asked.padding_bytes
    )


@given(asked_for)
def test_a_plan_knows_what_it_will_cost(asked: Asked) -> None:
    """Count, bytes and time of a plan are those of its writes, so the limits are limits of the stream."""
    plan = plan_for(asked)
    written = list(steps(plan, run="8f3a51c0", view=lambda: VIEW))
    body = taken_apart(b"".join(step.make(step.at_ms) for step in written))
    beats = [comment for comment in body.comments if comment != b":drip"]
    assert len(body.numbered) == plan.expected
    assert sum(body.sizes) + sum(len(beat) + 2 for beat in beats) == plan.total_bytes
    assert written[-1].at_ms == pytest.approx(plan.total_ms)


@pytest.mark.parametrize("plus", ["+", "%2B", "%20"])
def test_a_bare_plus_means_a_silence(plus: str) -> None:
    """A plus that nobody escaped reaches the app as a space, and is understood."""
    plan = plan_of(f"segments=20x110@60,150x700@8.5{plus}900", limits=Limits())
    expected: Pace = (
        Segment(count=20, size_bytes=110, gap_ms=60),
        Segment(count=150, size_bytes=700, gap_ms=8.5, silence_ms=900),
    )
    assert plan.segments == expected == read_segments("20x110@60,150x700@8.5+900")


def test_without_a_query_it_is_the_stream_that_the_doctor_asks_for() -> None:
    """So the first probe of an unknown URL, which is asked as it stands, need not be made twice."""
    assert plan_of("", limits=Limits()).segments == ORDINARY


def test_one_segment_is_shorter_to_type() -> None:
    """`count`, `size` and `gap_ms` make one segment, each with its default; parameters of others are passed over."""
    assert plan_of("size=300", limits=Limits()).segments == (Segment(count=40, size_bytes=300, gap_ms=50),)
    plan = plan_of("tenant=7&count=3&gap_ms=2.5&_=1&_=2", limits=Limits())
    assert plan.segments == (Segment(count=3, size_bytes=120, gap_ms=2.5),)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("segments=20x110", r"expected segments as COUNTxSIZE@GAP_MS\[\+SILENCE_MS\], got '20x110'; try segments="),
        ("segments=", "expected segments as .* got ''"),
        ("segments=1x100@-5", "expected segments as"),
        ("segments=1x100@nan", "expected segments as"),
        ("segments=1x100@1e9", "expected segments as"),
        ("segments=\N{ARABIC-INDIC DIGIT ONE}x100@5", "expected segments as"),
        ("segments=0x100@5", "expected at least one event in a segment, got '0x100@5'"),
        (f"segments=1x{MIN_EVENT_BYTES - 1}@5", "expected a size of 80 to 65536 bytes, got '1x79@5'"),
        (f"segments=1x{MAX_EVENT_BYTES + 1}@5", "expected a size of 80 to 65536 bytes"),
        ("segments=" + ",".join(["1x100@1"] * 65), "expected at most 64 segments, got 65"),
        ("segments=1x100@1&count=5", "expected either segments or count, size, gap_ms, got segments and count"),
        ("count=5&count=6", "expected count once, got it 2 times"),
        ("count=%1b[31m", r"got '\\x1b\[31mx120@50'"),
        ("hints=x-accel", "expected hints of content-encoding-identity, .* got 'x-accel'"),
        ("hints=opening-comment", "the opening comment is open=1"),
        ("open=yes", "expected open=0 or open=1, got 'yes'"),
        ("heartbeat_ms=5", "expected heartbeat_ms to be 0 or a number from 10 to 900000, got '5'"),
        ("heartbeat_ms=x", "expected heartbeat_ms"),
        ("padding=1.5", "expected padding to be 0 or a whole number from 1 to 65536, got '1.5'"),
        ("&".join(f"p{nth}=1" for nth in range(101)), "expected at most 100 query parameters"),
        ("count=4001", "expected at most 4000 events, got 4001"),
        ("segments=1x100@1,1x100@1+901000", "expected a stream of at most 900 s, got 901.0 s"),
        ("segments=2x100@900001", "expected a stream of at most 900 s"),
        ("segments=100x65536@1", "expected at most 4194304 bytes, got 6553600"),
        ("segments=2x100@100000&heartbeat_ms=10&padding=1000", "got 10049195; .* less padding"),
    ],
)
def test_a_query_that_is_no_plan_is_told_why(query: str, message: str) -> None:
    """The message says what was expected, what was got (escaped and cut), and what to try."""
    with pytest.raises(PlanError, match=f"^drip: .*{message}"):
        plan_of(query, limits=Limits())
