"""Stride-thinned offsets: the times at which a count passed each multiple of a power of two.

Both halves of a stream keep at most `MAX_OFFSETS` times. Each side thins alike (when full, drop every odd entry and
double the stride), so whatever the two strides are, the indices of the coarser side are always among the finer one's.
"""

from collections.abc import Sequence

MAX_OFFSETS = 256
MAX_STRIDE = 1 << 32


class Offsets:
    """Bounded log of the times at which indices 0, stride, 2·stride, … were reached.

    `times_ms[k]` is the time of index `k * stride`. Memory is bounded by `MAX_OFFSETS` floats whatever is recorded.
    """

    __slots__ = ("stride", "times_ms")

    def __init__(self) -> None:
        self.stride = 1
        self.times_ms: list[float] = []

    def reach(self, count: int, at_ms: float) -> None:
        """Record that `count` items in all have been seen by `at_ms`."""
        times = self.times_ms
        while len(times) * self.stride < count:
            if len(times) == MAX_OFFSETS:
                del times[1::2]
                self.stride *= 2
            else:
                times.append(at_ms)


def shared(
    a_ms: Sequence[float], a_stride: int, b_ms: Sequence[float], b_stride: int
) -> tuple[Sequence[float], Sequence[float]]:
    """Return the two sides' times at the indices both kept: entry k is index k·max(a_stride, b_stride)."""
    stride = max(a_stride, b_stride)
    a, b = a_ms[:: stride // a_stride], b_ms[:: stride // b_stride]
    kept = min(len(a), len(b))
    return a[:kept], b[:kept]
