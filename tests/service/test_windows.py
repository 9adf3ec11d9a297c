"""One count per client and window, with its worst verdict."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from streamgap.core.words import Verdict
from streamgap.service.windows import MAX_CLOSED_PER_TICK, ClientWindows

Counts = Counter[tuple[str, Verdict]]


def windows(counts: Counts, *, max_clients: int = 100_000) -> ClientWindows:
    return ClientWindows(window_s=300.0, count=lambda r, v: counts.update([(r, v)]), max_clients=max_clients)


def meet(open_: ClientWindows, verdict: Verdict, *, page: str = "p", route: str = "/a", now_s: float = 0.0) -> None:
    open_.meet(page, route=route, verdict=verdict, now_s=now_s)


def test_a_held_stream_counts_at_once_and_once() -> None:
    """Detection does not wait for the window's end, and ten retries are one unhappy client."""
    counts = Counts()
    open_ = windows(counts)
    for now_s in range(10):
        meet(open_, Verdict.HELD, now_s=now_s)
    meet(open_, Verdict.FLOWING, now_s=20.0)
    assert counts == {("/a", Verdict.HELD): 1}
    open_.tick(301.0)
    assert counts == {("/a", Verdict.HELD): 1}


def test_any_other_window_counts_its_worst_at_its_end() -> None:
    """The worst verdict wins, with the route it was met on, when the window is over."""
    counts = Counts()
    open_ = windows(counts)
    meet(open_, Verdict.FLOWING, now_s=0.0)
    meet(open_, Verdict.SLOW_APP, route="/b", now_s=1.0)
    meet(open_, Verdict.SLOW_MODEL, now_s=2.0)
    open_.tick(299.9)
    assert not counts
    open_.tick(300.0)
    assert counts == {("/b", Verdict.SLOW_APP): 1}


def test_a_cut_after_flowing_counts_at_once() -> None:
    """A window that turns bad is counted when it does, and not again at its end."""
    counts = Counts()
    open_ = windows(counts)
    meet(open_, Verdict.FLOWING, now_s=0.0)
    meet(open_, Verdict.CUT, now_s=1.0)
    assert counts == {("/a", Verdict.CUT): 1}
    meet(open_, Verdict.HELD, now_s=2.0)
    open_.tick(300.0)
    assert counts == {("/a", Verdict.CUT): 1}


def test_the_next_window_counts_again() -> None:
    """A client seen after its window's end opens a new one, also before a tick closed the old one."""
    counts = Counts()
    open_ = windows(counts)
    meet(open_, Verdict.FLOWING, now_s=0.0)
    meet(open_, Verdict.HELD, now_s=300.0)
    assert counts == {("/a", Verdict.FLOWING): 1, ("/a", Verdict.HELD): 1}


def test_open_windows_are_bounded() -> None:
    """Past the bound the oldest window closes early, with what it had."""
    counts = Counts()
    open_ = windows(counts, max_clients=2)
    for page, verdict in (("a", Verdict.SLOW_PAGE), ("b", Verdict.FLOWING), ("c", Verdict.FLOWING)):
        meet(open_, verdict, page=page)
    assert counts == {("/a", Verdict.SLOW_PAGE): 1}
    assert len(open_) == 2
    open_.close_all()
    assert counts.total() == 3


def test_a_tick_does_bounded_work() -> None:
    """A tick closes a bounded number of windows and says that more may be due."""
    counts = Counts()
    open_ = windows(counts)
    for i in range(MAX_CLOSED_PER_TICK + 1):
        meet(open_, Verdict.FLOWING, page=str(i))
    assert open_.tick(300.0) is True
    assert counts.total() == MAX_CLOSED_PER_TICK
    assert open_.tick(300.0) is False
    assert counts.total() == MAX_CLOSED_PER_TICK + 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(Verdict), st.floats(0.0, 200.0)), max_size=40))
def test_each_window_is_counted_exactly_once(streams: list[tuple[str, Verdict, float]]) -> None:
    """As many counts as windows, whatever the order; and a window that met `held` or `cut` is counted as bad."""
    counts = Counts()
    open_ = windows(counts)
    now_s, ends_s, met = 0.0, dict.fromkeys("abc", -1.0), 0
    for page, verdict, step_s in streams:
        now_s += step_s
        if now_s >= ends_s[page]:
            ends_s[page] = now_s + 300.0
            met += 1
        meet(open_, verdict, page=page, now_s=now_s)
    open_.close_all()
    assert counts.total() == met
    if {verdict for _, verdict, _ in streams} & {Verdict.HELD, Verdict.CUT}:
        assert counts["/a", Verdict.HELD] + counts["/a", Verdict.CUT] > 0
