"""Chunks that say nothing but themselves: text, bytes, and everything unknown."""

from typing import Any

from streamgap.instrument.shapes.shape import NOTHING, Shape


def _text(chunk: Any) -> str:
    return chunk if isinstance(chunk, str) else ""


def _media(chunk: Any) -> bool:
    return bool(chunk) if isinstance(chunk, str | bytes | bytearray) else chunk is not None


PLAIN = Shape(
    provider="",
    operation="",
    recognises=lambda _chunk: True,
    text=_text,
    read=lambda _chunk: NOTHING,
    media=_media,
    ends_aloud=False,
)
