"""Duck typing of chunks: one tiny file per SDK, none of which imports that SDK."""

from typing import Any

from streamgap.instrument.shapes.anthropic import ANTHROPIC
from streamgap.instrument.shapes.gemini import GEMINI
from streamgap.instrument.shapes.interactions import INTERACTIONS
from streamgap.instrument.shapes.openai_chat import OPENAI_CHAT
from streamgap.instrument.shapes.openai_responses import OPENAI_RESPONSES
from streamgap.instrument.shapes.plain import PLAIN
from streamgap.instrument.shapes.shape import NOTHING, Facts, Shape, merged, total

_SHAPES = (GEMINI, OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC, INTERACTIONS, PLAIN)

__all__ = ["GEMINI", "INTERACTIONS", "NOTHING", "PLAIN", "Facts", "Shape", "merged", "recognise", "total"]


def recognise(chunk: Any) -> Shape:
    """Return the shape of a stream by its first chunk; `PLAIN` takes whatever no SDK's does."""
    return next(shape for shape in _SHAPES if shape.recognises(chunk))
