"""Runs inside the user's server: measures model calls and streamed responses, and never breaks either."""

from streamgap.instrument.asgi.middleware import StreamGapMiddleware
from streamgap.instrument.export import Sink
from streamgap.instrument.faces import ObservedAsync, ObservedSync
from streamgap.instrument.genai import instrument_genai, uninstrument_genai
from streamgap.instrument.generation import Generation
from streamgap.instrument.observe import observe
from streamgap.instrument.stream import StreamRecord, current_stream

__all__ = [
    "Generation",
    "ObservedAsync",
    "ObservedSync",
    "Sink",
    "StreamGapMiddleware",
    "StreamRecord",
    "current_stream",
    "instrument_genai",
    "observe",
    "uninstrument_genai",
]
