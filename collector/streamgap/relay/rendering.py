"""Chunks of a model's stream → the data of the relay's content events."""

import codecs
from collections.abc import Callable
from typing import Any

from streamgap.instrument.shapes import PLAIN, Shape, recognise

Render = Callable[[Any], Any | None]
"""Makes the data of one content event (anything JSON) from a chunk; None where the chunk makes no event."""

_TEXT = (str, bytes, bytearray)
_JSON = (dict, list, tuple, int, float, type(None))
_ADVICE = "pass render=, a function that makes JSON of a chunk (None: no event)"


def text_of_chunks() -> Render:
    """Return a `Render` for one stream: what a person could read in each chunk, as ``{"t": text}``.

    It knows the chunks of google-genai, OpenAI and Anthropic; the first one that is no plain data decides whose the
    stream is. Text is text, bytes are UTF-8, cut anywhere; dicts, lists and numbers go out as they are. Raises
    TypeError for any other chunk.
    """
    shape: Shape | None = None
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    halves = codecs.getincrementaldecoder("utf-16-le")(errors="replace")

    def render(chunk: Any) -> Any | None:
        nonlocal shape
        if isinstance(chunk, _JSON):
            return chunk
        if isinstance(chunk, _TEXT):
            return _event(chunk if isinstance(chunk, str) else decode(chunk), halves)
        if shape is None:
            shape = _shape_of(chunk)
        return _event(_text(shape, chunk), halves)

    return render


def _event(text: str, halves: codecs.IncrementalDecoder) -> dict[str, str] | None:
    """Make an event of text. A character that the model's JSON cuts in two waits for its second half in `halves`."""
    waits, _ = halves.getstate()
    if waits or not _is_whole(text):
        text = halves.decode(text.encode("utf-16-le", "surrogatepass"))
    return {"t": text} if text else None


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shape_of(chunk: Any) -> Shape:
    shape = recognise(chunk)
    if shape is PLAIN:
        raise TypeError(
            f"relay: expected chunks of text, of JSON, or of google-genai's, OpenAI's or Anthropic's streams, got "
            f"{_name(chunk)}; {_ADVICE}"
        )
    return shape


def _text(shape: Shape, chunk: Any) -> str:
    try:
        return shape.text(chunk)
    except Exception as error:
        raise TypeError(
            f"relay: expected another chunk of the stream that began like one of {shape.provider}, got {_name(chunk)}, "
            f"which does not read like one ({error!r}); {_ADVICE}"
        ) from error


def _name(chunk: Any) -> str:
    return f"{type(chunk).__module__}.{type(chunk).__qualname__}"
