"""Which spans have been counted: exporters repeat a batch whose answer they missed, and pipelines may fork."""

MOST = 32_768


class Seen:
    """Remembers at least the last `most` span ids, at most twice as many (some 100 bytes each)."""

    __slots__ = ("_before", "_ids", "_most")

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._ids: set[str] = set()
        self._before: set[str] = set()

    def first(self, span_id: str) -> bool:
        """Say whether this span comes for the first time, as far as it is remembered; one without an id always does."""
        if not span_id:
            return True
        if span_id in self._ids or span_id in self._before:
            return False
        if len(self._ids) >= self._most:
            self._before, self._ids = self._ids, set()
        self._ids.add(span_id)
        return True
