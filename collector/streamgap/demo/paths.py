"""The demo's paths, each chosen by the request path's prefix: one healthy, four that hoard or cut, and the storm."""

from enum import StrEnum

from streamgap.core.catalog import Verdict
from streamgap.demo.hoarder import Habits, Mode


class DemoPath(StrEnum):
    """A way from the app to the browser."""

    HEALTHY = "healthy"
    HOLD_ALL = "hold_all"
    HOLD_FIRST = "hold_first"
    BLOCKS = "blocks"
    CUT_IDLE = "cut_idle"


MODES = {
    DemoPath.HEALTHY: Mode.PASS,
    DemoPath.HOLD_ALL: Mode.HOLD_ALL,
    DemoPath.HOLD_FIRST: Mode.HOLD_FIRST,
    DemoPath.BLOCKS: Mode.BLOCKS,
    DemoPath.CUT_IDLE: Mode.CUT_IDLE,
}
PREFIXES = {f"/chat/{path}": mode for path, mode in MODES.items()} | {"/storm/": Mode.CUT_OFTEN}
EXPECTED = {
    DemoPath.HEALTHY: Verdict.FLOWING,
    DemoPath.HOLD_ALL: Verdict.HELD,
    DemoPath.HOLD_FIRST: Verdict.HELD,
    DemoPath.BLOCKS: Verdict.HELD,
    DemoPath.CUT_IDLE: Verdict.CUT,
}
# The idle timer is shorter than the pause in the middle of the answer (script.PAUSE_S), and no verdict blames a pause.
HABITS = Habits(hold_s=2.0, block_bytes=900, idle_s=0.9)
