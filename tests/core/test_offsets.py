"""Thinning is invisible to whoever compares the two sides."""

from hypothesis import given
from hypothesis import strategies as st

from streamgap.core.offsets import MAX_OFFSETS, Offsets, shared


def recorded(times_ms: list[float], *, bursts: list[int] | None = None) -> Offsets:
    """Record one index per time, or `bursts[i]` indices at time i."""
    offsets = Offsets()
    count = 0
    for at_ms, items in zip(times_ms, bursts or [1] * len(times_ms), strict=True):
        count += items
        offsets.reach(count, at_ms)
    return offsets


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_both_sides_share_the_indices_of_the_coarser_one(wrote: int, got: int) -> None:
    """Whatever the lengths, the shared indices are all multiples of the larger stride below the shorter count."""
    server, client = recorded([float(i) for i in range(wrote)]), recorded([float(i) for i in range(got)])
    a, b = shared(server.times_ms, server.stride, client.times_ms, client.stride)
    stride = max(server.stride, client.stride)
    assert a == b == [float(i) for i in range(0, min(wrote, got), stride)]


@given(st.lists(st.integers(1, 5000), max_size=200))
def test_memory_is_bounded(bursts: list[int]) -> None:
    """However many indices are reached, at most MAX_OFFSETS times are kept, and ⌈count/stride⌉ exactly."""
    offsets = recorded([float(i) for i in range(len(bursts))], bursts=bursts)
    assert len(offsets.times_ms) == -(-sum(bursts) // offsets.stride) <= MAX_OFFSETS


def test_the_stride_stays_as_fine_as_memory_allows() -> None:
    """A list that just fits is not thinned, one more entry thins it once."""
    assert recorded([0.0] * MAX_OFFSETS).stride == 1
    assert recorded([0.0] * (MAX_OFFSETS + 1)).stride == 2
