"""When the runs of one route begin."""

from random import Random

JITTER_SHARE = 0.1


class Schedule:
    """A run every `every_s` seconds from `first_s` on, each up to a tenth of that later by chance.

    The jitter keeps runs from falling on the same beat as a job that runs every minute. It does not add up: run k
    begins between first + k·every and first + (k + 0.1)·every.
    """

    def __init__(self, *, first_s: float, every_s: float, random: Random) -> None:
        self._next_s = first_s
        self._every_s = every_s
        self._random = random

    def after(self, now_s: float) -> tuple[float, int]:
        """Return when the next run begins, and how many had to be left out because their time is over."""
        left_out = 0
        begins_s = self._take()
        while begins_s < now_s:
            left_out += 1
            begins_s = self._take()
        return begins_s, left_out

    def _take(self) -> float:
        begins_s = self._next_s + self._random.uniform(0.0, JITTER_SHARE * self._every_s)
        self._next_s += self._every_s
        return begins_s
