"""What paths do to the times at which chunks were written: write times in, arrival times out, all in ms.

Each path draws its own size or time from `chance`, beyond what people configure, and returns it all in order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random

Path = Callable[["Written", Random], list[float]]


@dataclass(frozen=True, slots=True)
class Written:
    """An answer as the app wrote it: the time and the size of each event."""

    at_ms: list[float]
    sizes: list[int]
    body_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "body_bytes", sum(self.sizes))


def answer(chance: Random) -> Written:
    """Return an answer of 4 to 30 s with uneven gaps and, mostly, one pause of the model in its midst."""
    gap_ms = chance.choice([20.0, 35.0, 60.0])
    count = max(round(chance.uniform(4000.0, 30_000.0) / gap_ms), 80)
    gaps = [gap_ms * chance.uniform(0.4, 1.7) for _ in range(count)]
    gaps[0] = chance.uniform(100.0, 900.0)
    gaps[chance.randrange(count // 4, 3 * count // 4)] += chance.choice([0.0, 600.0, 1500.0, 3000.0])
    return Written(list(accumulate(gaps)), [chance.randrange(60, 180) for _ in range(count)])


def clean(written: Written, _chance: Random) -> list[float]:
    """Pass each event at once."""
    return list(written.at_ms)


def whole(written: Written, _chance: Random) -> list[float]:
    """Let everything go at the end."""
    return [written.at_ms[-1]] * len(written.at_ms)


def blocks(written: Written, chance: Random) -> list[float]:
    """Let whole blocks of bytes go, cut in the midst of events; at least five of them, which take above 1 s to fill."""
    filling_ms = written.at_ms[-1] / written.body_bytes
    block_bytes = round(max(written.body_bytes / chance.uniform(5.0, 12.0), 1200.0 / filling_ms))
    ends = list(accumulate(written.sizes))
    full_at_ms = {end // block_bytes: ms for end, ms in reversed(list(zip(ends, written.at_ms, strict=True)))}
    return [full_at_ms.get(-(-end // block_bytes), written.at_ms[-1]) for end in ends]


def timer(written: Written, chance: Random) -> list[float]:
    """Let everything go some time after the first event that is held."""
    period_ms = max(written.at_ms[-1] / chance.uniform(5.0, 12.0), 1200.0)
    came, due_ms = [], 0.0
    for ms in written.at_ms:
        due_ms = ms + period_ms if ms > due_ms else due_ms
        came.append(min(due_ms, written.at_ms[-1]))
    return came


def one_behind(written: Written, _chance: Random) -> list[float]:
    """Let each event go with the next one."""
    return [*written.at_ms[1:], written.at_ms[-1]]


def first_bytes(written: Written, chance: Random) -> list[float]:
    """Hold the beginning for a while, then pass."""
    until_ms = written.at_ms[0] + written.at_ms[-1] * chance.uniform(0.3, 0.7)
    return [max(ms, until_ms) for ms in written.at_ms]


def queue(written: Written, chance: Random) -> list[float]:
    """Bring the request late to the app, and then pass."""
    late_ms = chance.uniform(3500.0, 20_000.0)
    return [ms + late_ms for ms in written.at_ms]


def stalls(written: Written, chance: Random) -> list[float]:
    """Stall one to three times, somewhere behind the beginning, as a lost packet or a lift does; then catch up."""
    came = list(written.at_ms)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(5, len(came) - 5)
        until_ms = written.at_ms[at] + chance.uniform(1100.0, 1500.0)
        came = [max(ms, until_ms) if i >= at else ms for i, ms in enumerate(came)]
    return came


def travelled(sent_ms: Sequence[float], chance: Random, *, jitter_ms: float) -> list[float]:
    """Add a round trip and jitter, alike for what was sent together, and keep the order."""
    trip_ms = chance.uniform(2.0, 250.0)
    lag_ms = {ms: trip_ms + chance.expovariate(1.0 / jitter_ms) for ms in sent_ms}
    return list(accumulate((ms + lag_ms[ms] + chance.uniform(0.0, 0.3) for ms in sent_ms), max))
