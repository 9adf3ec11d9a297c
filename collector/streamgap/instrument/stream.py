"""The streamed response that is being made, as the code inside the app can reach it."""

from contextvars import ContextVar

from streamgap.instrument.generation import Clock, Generation

MAX_GENERATIONS = 64
"""Model calls kept per response; later ones are still measured, but are no part of the response's server half."""

CURRENT: ContextVar["StreamRecord | None"] = ContextVar("streamgap_stream", default=None)


class StreamRecord:
    """One response, from the moment its request was received (`zero_ns` on `clock`), and its model calls."""

    __slots__ = ("clock", "generations", "started_unix_ns", "zero_ns")

    def __init__(self, *, clock: Clock, started_unix_ns: int) -> None:
        self.clock = clock
        self.zero_ns = clock()
        self.started_unix_ns = started_unix_ns
        self.generations: list[Generation] = []

    def attach(self, generation: Generation) -> None:
        """Take a model call as part of this response."""
        if len(self.generations) < MAX_GENERATIONS:
            self.generations.append(generation)

    def ms(self, at_ns: int) -> float:
        """Return a time of `clock` as ms since the request was received."""
        return (at_ns - self.zero_ns) / 1e6

    def now_ms(self) -> float:
        """Return the ms since the request was received."""
        return self.ms(self.clock())


def current_stream() -> StreamRecord | None:
    """Return the response that this code works for, to pass to `observe(…, stream=…)` in a thread without context."""
    return CURRENT.get()
