"""Arrivals as a staircase: time runs to the right, events pile up, `·` is written and `█` has come.

A stream that flows has both stairs on top of each other; what a hop holds is the area between them.
"""

from collections.abc import Sequence

from streamgap.core.probe import Probe

_BARS = " ▁▂▃▄▅▆▇█"
_WRITTEN, _CAME, _NONE = "·", "█", " "


def staircase(probe: Probe, *, width: int, height: int = 8) -> list[str]:
    """Draw one probe in `height` lines of `width` cells and a line for the time; empty where no event came."""
    if not probe.events:
        return []
    end_ms = max(probe.end_ms, 1.0)
    count = max(probe.expected or 0, len(probe.events))
    came = _shares([event.came_ms for event in probe.events], cells=width, end_ms=end_ms, count=count)
    wrote = _shares(_written_ms(probe), cells=width, end_ms=end_ms, count=count)
    rows = [
        "".join(_cell(came[x], wrote[x], floor=row / height) for x in range(width)) for row in reversed(range(height))
    ]
    scale = f"{end_ms / 1000:.1f} s"
    return [*(f"│{row}" for row in rows), f"└{'─' * width}", f" 0{scale:>{width - 1}}"]


def sparkline(times_ms: Sequence[float], *, count: int, end_ms: float, cells: int) -> str:
    """Draw the share of `count` events that had come, in one line: ` ▁▂▃▄▅▆▇█`."""
    shares = _shares(times_ms, cells=cells, end_ms=max(end_ms, 1.0), count=max(count, 1))
    return "".join(_BARS[min(round(share * (len(_BARS) - 1)), len(_BARS) - 1)] for share in shares)


def _written_ms(probe: Probe) -> list[float]:
    """Return when each event was written, on the client's clock: the least delayed event is taken not to be late."""
    pairs = [(event.came_ms, event.wrote_ms) for event in probe.events if event.wrote_ms is not None]
    if not pairs:
        return []
    least_ms = min(came - wrote for came, wrote in pairs)
    return sorted(wrote + least_ms for _, wrote in pairs)


def _shares(times_ms: Sequence[float], *, cells: int, end_ms: float, count: int) -> list[float]:
    """Return for each cell the share of events whose time lies before the cell's end."""
    ordered = sorted(times_ms)
    shares, seen = [], 0
    for cell in range(cells):
        edge_ms = end_ms * (cell + 1) / cells
        while seen < len(ordered) and ordered[seen] <= edge_ms:
            seen += 1
        shares.append(seen / count)
    return shares


def _cell(came: float, wrote: float, *, floor: float) -> str:
    if came > floor:
        return _CAME
    return _WRITTEN if wrote > floor else _NONE
