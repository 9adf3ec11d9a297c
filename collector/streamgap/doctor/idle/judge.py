"""Tells, from all streams together, which timer ends them: pure, and asked again whenever something has happened."""

from collections.abc import Sequence

from streamgap.doctor.idle.aged import aged
from streamgap.doctor.idle.closed import LONGER, agreeing, closed, still_open
from streamgap.doctor.idle.cut import Cut, Kind, Known, Step, Wait
from streamgap.doctor.idle.dropped import dropped
from streamgap.doctor.idle.fate import Fate, Life
from streamgap.doctor.idle.plan import Plan, Role
from streamgap.doctor.idle.scene import Scene, how


def judge(lives: Sequence[Life], *, now_s: float, plan: Plan) -> Step:
    """Decide what the streams show at `now_s`, or that more must be waited for."""
    scene = Scene.of(lives, now_s=now_s, plan=plan)
    if (step := aged(scene)) is not None:
        return step
    if cluster := agreeing(scene):
        return Wait() if still_open(scene, cluster) else Known(closed(scene, cluster))
    if (step := dropped(scene)) is not None:
        return step
    return Known(_last_word(scene)) if scene.over else Wait()


def _last_word(scene: Scene) -> Cut | None:
    """Return a cut that has one witness only, if no stream contradicts it; one before the first byte needs no other."""
    for one in (*scene.first_byte, *scene.silent):
        if one.fate is not Fate.CUT or one.gap_s is None:
            continue
        before_first = one.stream.role is Role.FIRST_BYTE
        if before_first or not any(lived_s > one.gap_s * LONGER for lived_s in scene.lived_s):
            kind = Kind.FIRST_BYTE if before_first else Kind.IDLE
            return Cut(kind=kind, at_s=one.gap_s, low_s=one.gap_s, high_s=one.gap_s, seen_s=one.gap_s, how=how([one]))
    return None
