"""A cut at an age: streams die although what they said came through until then, and all at the same age."""

from collections.abc import Sequence

from streamgap.doctor.idle.cut import Cut, Kind, Known, Step, Wait
from streamgap.doctor.idle.fate import Fate, Outcome
from streamgap.doctor.idle.plan import Role
from streamgap.doctor.idle.scene import AGREE, AGREE_S, Scene, how

_LATE_S = 0.5  # silence before the close of a stream that talked until then: the hop closes late


def aged(scene: Scene) -> Step | None:
    """Return the cut at an age that the talkative streams show, None where they show none, or not yet."""
    flowing = sorted((one for one in scene.keepers.values() if one.dead and one.flowing), key=_age_s)
    talking = scene.keepers.get(Role.TALKING)
    if not flowing or (talking is not None and talking.alive):
        return None
    first_s = _age_s(flowing[0])
    within_s = max(AGREE_S + scene.plan.heartbeat_s, AGREE * first_s)
    died = [one for one in flowing if _age_s(one) - first_s <= within_s]
    silent = [one for one in scene.silent if one.fate is Fate.CUT and abs(_age_s(one) - first_s) <= within_s]
    if len(died) > 1 or (silent and not any(one.alive for one in scene.keepers.values())):
        return Wait() if scene.unsettled(died) else Known(_cut(scene, died, silent))
    return None  # one stream alone may die of anything


def stalled(scene: Scene) -> Cut | None:
    """Return the cut at an age that nobody tells of: a stream that talked says nothing any more."""
    talking = scene.keepers.get(Role.TALKING)
    return None if talking is None or not (talking.dead and talking.flowing) else _cut(scene, [talking], [])


def _cut(scene: Scene, died: Sequence[Outcome], silent: Sequence[Outcome]) -> Cut:
    teller = next((one for one in died if one.stream.role is Role.TALKING), died[0])
    pause_s = scene.plan.talk_s if teller.stream.role is Role.TALKING else scene.plan.heartbeat_s
    end_s, said_s = _age_s(teller), teller.said_s or 0.0
    closed = teller.life.probe is not None
    late = not closed or end_s - said_s > _LATE_S + pause_s
    longer = [one for one in scene.silent if one.stream.lasts_s > end_s + AGREE_S]
    return Cut(
        kind=Kind.AGE,
        at_s=said_s + pause_s / 2 if late else end_s,
        low_s=said_s,
        high_s=said_s + pause_s if late else end_s,
        seen_s=end_s if closed else None,
        how=how(died),
        at_next_write=bool(longer) and not any(one.fate is Fate.CUT for one in longer),
        witnesses=len(died) + len(silent),
        heartbeats_help=False,
    )


def _age_s(outcome: Outcome) -> float:
    return outcome.age_s or 0.0
