"""Label values are a bounded set: the first N of each label, then `other`."""

import re
from collections.abc import Callable

OTHER = "other"
UNKNOWN = "unknown"

_ALLOWED = re.compile(r"[A-Za-z0-9._:/@+{}*<>-]{1,128}\Z").match


class LabelBook:
    """The values of one label, first come first kept.

    An empty value reads `unknown`. A value of other characters than ``A-Za-z0-9._:/@+{}*<>-``, longer than 128, or
    beyond the first `limit` reads `other`, and `on_overflow` is told.
    """

    __slots__ = ("_kept", "_limit", "_on_overflow")

    def __init__(self, *, limit: int, on_overflow: Callable[[], None]) -> None:
        self._limit = limit
        self._on_overflow = on_overflow
        self._kept = {OTHER, UNKNOWN}

    def fold(self, value: str) -> str:
        """Return the label value that stands for `value`."""
        if value in self._kept:
            return value
        if not value:
            return UNKNOWN
        if len(self._kept) < self._limit + 2 and _ALLOWED(value):
            self._kept.add(value)
            return value
        self._on_overflow()
        return OTHER
