"""The demo's paths, each chosen by the request path's prefix: one healthy, four that hoard or cut, and the storm.

Along each of the five goes the answer of a model (`/chat/…`) and a drip, for `streamgap doctor` (`/drip/…/`).
"""

from enum import StrEnum

from streamgap.core.mechanism import Mechanism
from streamgap.core.words import Verdict
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
DRIPS = {path: f"/drip/{path}/" for path in DemoPath}
PREFIXES = {
    **{f"/chat/{path}": mode for path, mode in MODES.items()},
    **{DRIPS[path]: mode for path, mode in MODES.items()},
    "/storm/": Mode.CUT_OFTEN,
}
EXPECTED = {
    DemoPath.HEALTHY: Verdict.FLOWING,
    DemoPath.HOLD_ALL: Verdict.HELD,
    DemoPath.HOLD_FIRST: Verdict.HELD,
    DemoPath.BLOCKS: Verdict.HELD,
    DemoPath.CUT_IDLE: Verdict.CUT,
}
HELD_BY = {
    DemoPath.HOLD_ALL: Mechanism.WHOLE,
    DemoPath.HOLD_FIRST: Mechanism.FIRST_BYTES,
    DemoPath.BLOCKS: Mechanism.BLOCKS,
}
# The idle timer is shorter than the pause in the middle of the answer (script.PAUSE_S), and no verdict blames a pause;
# and shorter than the silence of 0.9 s in the middle of what `streamgap doctor` asks a drip for.
HABITS = Habits(hold_s=2.0, block_bytes=900, idle_s=0.75)
