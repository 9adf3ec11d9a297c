"""A drop that nobody tells of, or only at the next write: the event behind the silence does not come."""

from collections.abc import Sequence

from streamgap.core.probe import Ending
from streamgap.doctor.idle.aged import stalled
from streamgap.doctor.idle.closed import told_by_keepers
from streamgap.doctor.idle.cut import Cut, Kind, Known, Narrow, Step, Wait
from streamgap.doctor.idle.fate import Fate, Outcome
from streamgap.doctor.idle.scene import Scene, how

_ENOUGH = 1.08  # a bracket this narrow is ± 4 %
_MAX_RUNGS = 4


def dropped(scene: Scene) -> Step | None:
    """Return what the missing last events show: a bracket to split, or a timer; None where none is missing."""
    low_s = max(scene.lived_s, default=0.0)
    lost = sorted((one for one in scene.silent if one.fate is Fate.LOST and _lasts_s(one) > low_s), key=_lasts_s)
    if not lost:
        return None
    if scene.unsettled(lost):
        return Wait()
    if (cut := stalled(scene)) is not None:
        return Known(cut)
    high_s = _lasts_s(lost[0])
    if not scene.over and any(one.fate is Fate.RUNNING and _lasts_s(one) < high_s for one in scene.silent):
        return Wait()
    rung = max(one.stream.rung for one in scene.silent)
    if high_s <= low_s * _ENOUGH or rung == _MAX_RUNGS:
        return Known(_cut(scene, lost, low_s=low_s, high_s=high_s))
    return Narrow(low_s, high_s, rung + 1)


def _cut(scene: Scene, lost: Sequence[Outcome], *, low_s: float, high_s: float) -> Cut:
    refused = [one for one in lost if one.life.probe is not None and one.life.probe.ending is not Ending.TIMED_OUT]
    at_s = (low_s + high_s) / 2
    kind, swallower, helped = told_by_keepers(scene, timer_s=high_s)
    return Cut(
        kind=Kind.IDLE if kind is Kind.AGE else kind,
        at_s=at_s,
        low_s=low_s,
        high_s=high_s,
        seen_s=at_s if refused else None,
        how=how(refused),
        at_next_write=bool(refused),
        witnesses=len(lost),
        swallower=swallower,
        heartbeats_help=helped,
    )


def _lasts_s(outcome: Outcome) -> float:
    return outcome.stream.lasts_s
