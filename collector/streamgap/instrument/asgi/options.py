"""What the middleware was told."""

from collections.abc import Callable
from dataclasses import dataclass

from streamgap.instrument.asgi.kinds import Scope
from streamgap.instrument.export import Sink
from streamgap.instrument.generation import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """See `StreamGapMiddleware`."""

    heartbeat_s: float
    measure: bool
    sinks: tuple[Sink, ...]
    content_types: frozenset[str]
    route: Callable[[Scope], str]
    clock: Clock
