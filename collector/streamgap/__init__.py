"""streamgap: the gap between what an LLM server streamed and what the person at the screen saw."""

from streamgap.core.sse import sse_event
from streamgap.instrument import (
    StreamGapMiddleware,
    current_stream,
    instrument_genai,
    observe,
    uninstrument_genai,
)

__all__ = [
    "StreamGapMiddleware",
    "current_stream",
    "instrument_genai",
    "observe",
    "sse_event",
    "uninstrument_genai",
]
