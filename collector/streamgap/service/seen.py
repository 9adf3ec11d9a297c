"""What has been counted, by its id: exporters repeat a batch whose answer they missed, and pipelines may fork."""

MOST = 32_768


class Seen:
    """Remembers at least the last `most` ids, at most twice as many (some 100 bytes each)."""

    __slots__ = ("_before", "_ids", "_most")

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._ids: set[str] = set()
        self._before: set[str] = set()

    def first(self, name: str) -> bool:
        """Say whether this id comes for the first time, as far as it is remembered; an empty one always does."""
        if not name:
            return True
        if name in self._ids or name in self._before:
            return False
        if len(self._ids) >= self._most:
            self._before, self._ids = self._ids, set()
        self._ids.add(name)
        return True
