"""The streamed response that is being made, as the code inside the app can reach it."""

from contextvars import ContextVar
from dataclasses import dataclass

from streamgap.core.words import MODEL_CALLS, Disconnect, GenerationResult, ReconnectCause
from streamgap.instrument.generation import Clock, Generation

MAX_GENERATIONS = 64
"""Model calls kept per response; later ones are still measured, but are no part of the response's server half."""

CURRENT: ContextVar["StreamRecord | None"] = ContextVar("streamgap_stream", default=None)


@dataclass(frozen=True, slots=True)
class Relayed:
    """How a relay answered a request: by which generation it came, and why it had come again (None: it had not).

    `model` is told for a response whose model call nobody here has seen.
    """

    result: GenerationResult
    generation: str
    cause: ReconnectCause | None = None
    model: str = ""

    @property
    def calls(self) -> bool:
        """Whether the model was called for this very response."""
        return self.result in MODEL_CALLS


class StreamRecord:
    """One response, from the moment its request was received (`zero_ns` on `clock`), and its model calls.

    `sid` is known once the response has begun to stream. `relayed` is set by a relay. `disconnect` is set by whoever
    closes the connection on a client, and says why.
    """

    __slots__ = ("clock", "disconnect", "generations", "relayed", "sid", "started_unix_ns", "zero_ns")

    def __init__(self, *, clock: Clock, started_unix_ns: int) -> None:
        self.clock = clock
        self.zero_ns = clock()
        self.started_unix_ns = started_unix_ns
        self.generations: list[Generation] = []
        self.sid = ""
        self.relayed: Relayed | None = None
        self.disconnect: Disconnect | None = None

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
