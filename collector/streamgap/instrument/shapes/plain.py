"""Chunks that say nothing but themselves: text, bytes, and everything unknown."""

from typing import Any

from streamgap.instrument.shapes.shape import NOTHING, Shape


def _content(chunk: Any) -> bool:
    return bool(chunk) if isinstance(chunk, str | bytes | bytearray) else chunk is not None


PLAIN = Shape(
    provider="",
    operation="",
    recognises=lambda _chunk: True,
    content=_content,
    read=lambda _chunk: NOTHING,
    ends_aloud=False,
)
