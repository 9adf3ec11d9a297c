"""Whether heartbeats arrive: a stream that lives may live by bytes that stop before they reach anybody."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from streamgap.core.probe import Ending, Probe
from streamgap.doctor.idle.cut import Swallower
from streamgap.doctor.idle.fate import Life
from streamgap.doctor.idle.plan import Plan, Role

_ENOUGH_BEATS = 4
_KEPT = 0.5  # of a silence: its first event came that much later than its last one


class Beats(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one stream's heartbeats: `quiet_s` is the longest time without any, out of `over_s`."""

    role: Role
    count: int
    quiet_s: float
    over_s: float
    arrived: bool


def beats(lives: Sequence[Life], *, plan: Plan) -> tuple[Beats, ...]:
    """Return what came of the heartbeats of the streams that were not cut, and went on for long enough."""
    roles = (Role.HEARTBEAT, Role.IDENTITY, Role.PADDED)
    told = [(life.stream.role, life.probe) for life in lives if life.stream.role in roles and life.probe is not None]
    held = any(_was_held(life) for life in lives)
    made = [_beats(role, probe, held=held, plan=plan) for role, probe in told if _lived(probe)]
    return tuple(one for one in made if one.over_s >= _ENOUGH_BEATS * plan.heartbeat_s)


def swallower(told: Sequence[Beats]) -> Swallower | None:
    """Return what keeps the heartbeats of streams that live; None where they arrive, or nothing is known."""
    arrived = {one.role: one.arrived for one in told}
    if arrived.get(Role.HEARTBEAT, True):
        return None
    if arrived.get(Role.IDENTITY, False):
        return Swallower.COMPRESSOR
    return Swallower.BUFFER if arrived.get(Role.PADDED, False) else Swallower.PATH


def _was_held(life: Life) -> bool:
    """Say whether the event before the silence waited for the one behind it."""
    if life.stream.role is not Role.SILENT or life.probe is None:
        return False
    late_ms = [one.came_ms - one.wrote_ms for one in life.probe.events if one.wrote_ms is not None]
    return len(late_ms) > 1 and late_ms[0] - late_ms[-1] > _KEPT * life.stream.lasts_s * 1000


def _lived(probe: Probe) -> bool:
    return probe.done or probe.ending is Ending.STOPPED


def _began_s(probe: Probe, *, held: bool) -> float:
    """Return when the stream began, in seconds since the request.

    Headers that are late, or missing, mean that it waited for a worker, unless others show that the path holds them.
    """
    if held:
        return 0.0
    return (probe.end_ms if probe.head_ms is None else probe.head_ms) / 1000


def _beats(role: Role, probe: Probe, *, held: bool, plan: Plan) -> Beats:
    began_s, end_s = _began_s(probe, held=held), probe.end_ms / 1000
    came_s = sorted(at_ms / 1000 for at_ms in (*probe.comments_ms, *(event.came_ms for event in probe.events)))
    quiet_s = max(later - sooner for sooner, later in pairwise([began_s, *came_s, end_s]))
    usual_s = max(3 * plan.heartbeat_s, plan.heartbeat_s + 2.0)
    count = len(probe.comments_ms)
    return Beats(role=role, count=count, quiet_s=quiet_s, over_s=end_s - began_s, arrived=quiet_s <= usual_s)
