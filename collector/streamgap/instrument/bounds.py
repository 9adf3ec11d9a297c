"""Any value → the nearest that the wire takes: what an app tells of itself must not cost it its report."""

from streamgap.core.offsets import MAX_STRIDE
from streamgap.core.wire import MAX_LABEL, MAX_MS


def bounded_ms(value_ms: float) -> float:
    """Round to µs, and hold between 0 and the hour that the wire allows."""
    return min(max(round(value_ms, 3), 0.0), MAX_MS)


def bounded_count(count: int) -> int:
    """Hold between 0 and the largest count that the wire allows."""
    return min(max(count, 0), MAX_STRIDE)


def bounded_text(text: str, most: int = MAX_LABEL) -> str:
    """Cut to `most` characters, without the lone surrogates that no exporter can encode."""
    return text[:most].encode(errors="replace").decode()
