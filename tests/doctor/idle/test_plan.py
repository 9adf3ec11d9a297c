"""Which streams are asked for."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgap.core.probe import Protocol
from streamgap.doctor.drip import Limits, plan_of, query_of
from streamgap.doctor.idle.plan import MAX_LONGEST_S, MAX_STREAMS, MIN_LONGEST_S, MIN_STREAMS, Plan, Role

PLANS = st.builds(
    Plan, longest_s=st.floats(MIN_LONGEST_S, MAX_LONGEST_S), streams=st.integers(MIN_STREAMS, MAX_STREAMS)
)


@given(plan=PLANS)
def test_the_number_of_streams_is_the_one_asked_for(plan: Plan) -> None:
    """No rung opens more streams than --streams says, the keepers included."""
    keepers = [one for one in plan.first_rung if one.role not in (Role.SILENT, Role.FIRST_BYTE)]
    assert len(plan.first_rung) == plan.streams
    assert len(plan.split(1.0, 2.0, rung=2)) + len(keepers) < plan.streams


@given(plan=PLANS)
def test_the_longest_silence_has_two_witnesses(plan: Plan) -> None:
    """Silences rise geometrically from the shortest to the longest, which is asked for twice."""
    silences_s = sorted(one.lasts_s for one in plan.first_rung if one.role is Role.SILENT)
    assert silences_s[0] == pytest.approx(plan.shortest_s)
    assert silences_s[-2:] == pytest.approx([plan.longest_s] * 2)


@given(plan=PLANS)
def test_a_drip_with_usual_limits_serves_every_stream(plan: Plan) -> None:
    """No stream asks for more events, bytes or time than a drip gives by default."""
    for stream in (*plan.first_rung, *plan.split(1.0, plan.longest_s, rung=2)):
        asked = plan.asked(stream, protocol=Protocol.CLEAR)
        query = "&".join(f"{name}={value}" for name, value in query_of(asked).items()).replace("+", "%2B")
        served = plan_of(query, limits=Limits())
        assert served.total_ms == pytest.approx(stream.lasts_s * 1000, abs=plan.talk_s * 1000 + 1)


def test_a_split_leaves_out_the_ends_of_the_bracket() -> None:
    """What is known already is not asked again."""
    lasts_s = [one.lasts_s for one in Plan(streams=24).split(10.0, 12.0, rung=2)]
    assert 10.0 < min(lasts_s) < max(lasts_s) < 12.0
    assert all(later - sooner == pytest.approx(0.1) for sooner, later in pairwise(lasts_s))


def test_what_must_not_wait_for_its_turn_is_asked_first() -> None:
    """An app that serves a few streams at once gets the most telling ones: talking, identity, the longest silence."""
    first, second, third, *_ = Plan().first_rung
    assert (first.role, second.role, third.role) == (Role.TALKING, Role.IDENTITY, Role.SILENT)
    assert third.lasts_s == Plan().longest_s
