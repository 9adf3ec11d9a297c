"""What the two halves say together."""

import math
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halves import client_half, client_halves, server_half, server_halves
from streamgap.core.join import Stall, join
from streamgap.core.wire import ClientHalf, ServerHalf
from streamgap.core.words import Outcome, ReconnectCause, Verdict

PACE = [600.0 + 50.0 * i for i in range(60)]
gaps_ms = st.lists(st.floats(0.0, 2000.0), min_size=1, max_size=400)


def test_hold_is_what_the_path_kept_beyond_its_least() -> None:
    """Server 0, 50, 100 ms; client 900, 901, 902 ms: d = 900, 851, 802 and hold = 98 ms."""
    joined = join(server_half([0, 50, 100]), client_half([900, 901, 902]))
    assert (joined.hold, joined.gap, joined.path_delay) == (98, 900, 802)


@given(gaps_ms, gaps_ms, st.floats(0.0, 100_000.0))
def test_constant_delays_and_clock_offsets_cancel(wrote: list[float], lags: list[float], constant: float) -> None:
    """Hold does not change when every client time moves by one constant."""
    server = list(accumulate(wrote))
    client = sorted(s + lag for s, lag in zip(server, lags * len(server), strict=False))
    hold = join(server_half(server), client_half(client)).hold
    moved = join(server_half(server), client_half([c + constant for c in client])).hold
    assert hold == pytest.approx(moved, abs=1e-6)


@given(server_halves, client_halves)
def test_no_input_reaches_a_nan(server: ServerHalf, client: ClientHalf) -> None:
    """Whatever two valid halves say, every joined number is finite, hold is ≥ 0, and the verdict is one word."""
    joined = join(server, client)
    for value in (joined.gap, joined.hold, joined.path_delay, joined.app, joined.model, joined.page):
        assert value is None or math.isfinite(value)
    assert joined.hold is None or joined.hold >= 0.0
    assert joined.verdict in set(Verdict)


def test_stages_add_up_to_the_clients_wait() -> None:
    """App + model + path = the client's TTFC, and the page's share comes after it."""
    joined = join(server_half([700.0], call=30.0, answer=680.0), client_half([720.0], paint=735.0))
    assert (joined.app, joined.model, joined.gap, joined.page) == (50.0, 650.0, 20.0, 15.0)


def test_the_longest_stalls_are_named() -> None:
    """The step over which the path lost 2 s is the first of the stalls, with the index it ended at."""
    late = [t + (2000.0 if i >= 20 else 10.0) for i, t in enumerate(PACE)]
    assert join(server_half(PACE), client_half(late)).stalls[0] == Stall(index=20, path_ms=1990.0)


def test_sides_that_count_different_things_have_no_hold() -> None:
    """Events and bytes cannot be compared index by index."""
    assert join(server_half(PACE, unit="bytes"), client_half(PACE)).hold is None


HELD_WHOLE = [3600.0] * len(PACE)
HELD_FIRST = [max(t, 3600.0) for t in PACE]
LEAK_THEN_HOLD = [PACE[0], *[3600.0] * (len(PACE) - 1)]
LATER = [10.0 * i for i in range(40)]
RESUMED: dict[str, Any] = {"offsets_ms": [*PACE[:20], *(PACE[20] + 4000.0 + ms for ms in LATER)], "tries": 1}
BLOCKS = [PACE[min(i // 25 * 25 + 24, len(PACE) - 1)] for i in range(len(PACE))]


@pytest.mark.parametrize(
    ("verdict", "server", "client"),
    [
        (Verdict.FLOWING, {}, {}),
        (Verdict.HELD, {}, {"offsets_ms": HELD_WHOLE}),
        (Verdict.HELD, {}, {"offsets_ms": HELD_FIRST}),
        (Verdict.HELD, {}, {"offsets_ms": LEAK_THEN_HOLD}),
        (Verdict.HELD, {}, {"offsets_ms": BLOCKS}),
        (Verdict.HELD, {"offsets_ms": [500.0]}, {"offsets_ms": [4000.0]}),
        (Verdict.HELD, {}, {"offsets_ms": [], "end": "left", "dur": 3000.0}),
        (Verdict.ABANDONED, {}, {"offsets_ms": [], "end": "left", "dur": 700.0}),
        (Verdict.ABANDONED, {"offsets_ms": []}, {"offsets_ms": [], "end": "stopped", "dur": 9000.0}),
        (Verdict.CUT, {}, {"offsets_ms": PACE[:20], "end": "error"}),
        (Verdict.CUT, {}, {"offsets_ms": PACE[:20], "end": "done"}),
        (Verdict.CUT, {}, {"offsets_ms": [], "end": "error", "dur": 700.0}),
        (Verdict.CUT, {"outcome": Outcome.CLIENT_GONE}, {"end": "error"}),
        (Verdict.CUT, {"offsets_ms": PACE[:20], "outcome": Outcome.CLIENT_GONE}, {"tries": 1}),
        (Verdict.CUT, {"offsets_ms": PACE[:40], "outcome": Outcome.CLIENT_GONE}, RESUMED),
        (Verdict.CUT, {"offsets_ms": [], "outcome": Outcome.CLIENT_GONE}, RESUMED),
        (Verdict.CUT, {"offsets_ms": LATER, "cause": ReconnectCause.RESUME}, RESUMED),
        (Verdict.CUT, {}, {"offsets_ms": [*PACE[:-1], PACE[-1] + 2500.0], "tries": 1}),
        (Verdict.HELD, {"offsets_ms": PACE[:40]}, {"offsets_ms": HELD_WHOLE[:80], "tries": 1}),
        (Verdict.FLOWING, {"cause": ReconnectCause.REPEAT}, {"tries": 1}),
        (Verdict.FLOWING, {}, {"tries": 1}),
        (Verdict.FLOWING, {"outcome": Outcome.CLIENT_GONE}, {"offsets_ms": PACE[:20], "end": "left"}),
        (Verdict.INCOMPLETE, {"outcome": Outcome.UPSTREAM_ERROR}, {}),
        (Verdict.INCOMPLETE, {"offsets_ms": [], "outcome": Outcome.UPSTREAM_ERROR}, {"offsets_ms": [], "end": "error"}),
        (Verdict.SLOW_PAGE, {}, {"paint": PACE[0] + 1500.0}),
        (Verdict.SLOW_PAGE, {}, {"offsets_ms": HELD_FIRST, "busy": 2900.0}),
        (Verdict.HELD, {}, {"offsets_ms": HELD_FIRST, "hidden": 2900.0}),
        (
            Verdict.SLOW_APP,
            {"call": 1500.0, "answer": 1600.0, "offsets_ms": [t + 1500.0 for t in PACE]},
            {"offsets_ms": [t + 1500.0 for t in PACE]},
        ),
        (
            Verdict.SLOW_MODEL,
            {"call": 1.0, "answer": 6000.0, "offsets_ms": [t + 6000.0 for t in PACE]},
            {"offsets_ms": [t + 6000.0 for t in PACE]},
        ),
    ],
)
def test_verdicts(verdict: Verdict, server: dict[str, Any], client: dict[str, Any]) -> None:
    """Each way a stream can go wrong has its word, and a healthy one flows."""
    one, other = {"offsets_ms": PACE, **server}, {"offsets_ms": PACE, **client}
    assert join(server_half(**one), client_half(**other)).verdict == verdict


def test_a_lost_connection_has_no_hold_but_a_gap() -> None:
    """What was written to it and came over the next one was not held; its first chunk came as it came."""
    joined = join(server_half(PACE[:40], outcome=Outcome.CLIENT_GONE), client_half(**RESUMED))
    assert (joined.gap, joined.hold, joined.verdict) == (0.0, None, Verdict.CUT)
    assert joined.stalls[0].index == 20


def test_the_half_of_a_later_connection_measures_nothing_of_the_page() -> None:
    """Its zero is the reconnect, not the page's request: no gap, hold, stage or stall can be told from it."""
    server = server_half(LATER, call=0.0, answer=0.0, cause=ReconnectCause.RESUME)
    joined = join(server, client_half(**RESUMED, paint=PACE[0] + 5.0))
    assert (joined.gap, joined.hold, joined.path_delay, joined.app, joined.model) == (None,) * 5
    assert joined.stalls == ()
    assert joined.page == 5.0
