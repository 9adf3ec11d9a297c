"""A silence that ends with a close: every stream that would be silent for longer dies at the same moment."""

from collections.abc import Sequence
from statistics import median

from streamgap.core.probe import Ending
from streamgap.doctor.idle.cut import Cut, Kind, Swallower
from streamgap.doctor.idle.fate import Fate, Outcome
from streamgap.doctor.idle.plan import KEEPERS, Role
from streamgap.doctor.idle.scene import AGREE_S, Scene, agree, how

ENVOY_CLOSES_LATE_S = 1.0  # its delayed_close_timeout; measured: Envoy 1.39.3 closes 1.00 s after its timers
LONGER = 1.05
_BEATS_WITHIN = 0.8  # heartbeats say something about a timer only where they come well before it
_MIN_WAIT_S, _MAX_WAIT_S, _WAIT = 0.4, 3.0, 0.05

Told = tuple[Kind, Swallower | None, bool | None]


def agreeing(scene: Scene) -> tuple[Outcome, ...]:
    """Return the streams that were closed after the same silence: two at least, and the shortest such silence."""
    cuts = sorted((one for one in (*scene.silent, *scene.first_byte) if one.fate is Fate.CUT), key=_gap_s)
    for nth, one in enumerate(cuts):
        near = tuple(other for other in cuts[nth:] if agree(_gap_s(one), _gap_s(other)))
        if len(near) > 1:
            return near
    return ()


def still_open(scene: Scene, cluster: Sequence[Outcome]) -> bool:
    """Say whether it is too early to call those survivors that said something meanwhile: they get a twentieth more."""
    last_s = max(one.end_s for one in cluster)
    return scene.now_s < last_s + min(max(_WAIT * _silence_s(cluster), _MIN_WAIT_S), _MAX_WAIT_S)


def closed(scene: Scene, cluster: Sequence[Outcome]) -> Cut:
    """Return the cut that streams closed after the same silence show; the keepers decide of which kind it is."""
    seen_s = _silence_s(cluster)
    low_s, at_s = _before_late_close(scene, cluster)
    kind, swallower, helped = told_by_keepers(scene, timer_s=seen_s)
    return Cut(
        kind=kind,
        at_s=at_s,
        low_s=low_s,
        high_s=max(map(_gap_s, cluster)),
        seen_s=seen_s,
        how=how(cluster),
        witnesses=len(cluster),
        survivors=sum(lived_s > seen_s * LONGER + AGREE_S for lived_s in scene.lived_s),
        swallower=swallower,
        heartbeats_help=helped,
    )


def told_by_keepers(scene: Scene, *, timer_s: float) -> Told:
    """Tell by who lives, of those that spoke before the timer's end, what the timer waits for."""
    keepers = _judging(scene, timer_s)
    alive = {role for role, one in keepers.items() if one.alive}
    heard = {role for role, one in keepers.items() if one.flowing}
    if Role.HEARTBEAT not in keepers:
        return Kind.IDLE, None, None
    if Role.HEARTBEAT in alive:
        return Kind.IDLE, None, True
    if not alive:
        return (Kind.AGE, None, False) if heard else (Kind.SWALLOWED, Swallower.PATH, False)
    if Role.HEARTBEAT in heard:
        return Kind.IDLE, None, False
    swallower = Swallower.COMPRESSOR if Role.IDENTITY in alive else Swallower.BUFFER
    return Kind.SWALLOWED, swallower, False


def _judging(scene: Scene, timer_s: float) -> dict[Role, Outcome]:
    """Return the keepers that spoke often enough to have kept a timer of `timer_s` from its end."""
    pauses_s = dict.fromkeys(KEEPERS, scene.plan.heartbeat_s) | {Role.TALKING: scene.plan.talk_s}
    known = {role: one for role, one in scene.keepers.items() if one.alive or one.dead}
    return {role: one for role, one in known.items() if pauses_s[role] < _BEATS_WITHIN * timer_s}


def _before_late_close(scene: Scene, cluster: Sequence[Outcome]) -> tuple[float, float]:
    """Return the low end and the best guess of a timer after which the close may come late.

    An event that was due well before the close and did not come shows that the timer was over by then; and Envoy is
    known to close 1.00 s late.
    """
    seen_s = _silence_s(cluster)
    least_s = min(map(_gap_s, cluster))
    lived_s = max((one for one in scene.lived_s if one < seen_s), default=0.0)
    lost_s = min((one.stream.lasts_s for one in scene.silent if one.fate is Fate.LOST), default=seen_s)
    late_s = seen_s - ENVOY_CLOSES_LATE_S
    if any(map(_by_envoy, cluster)) and lived_s <= late_s:
        return min(least_s, late_s), late_s
    if lived_s < lost_s < seen_s - AGREE_S:
        return lived_s, (lived_s + lost_s) / 2
    return least_s, seen_s


def _by_envoy(outcome: Outcome) -> bool:
    probe = outcome.life.probe
    return probe is not None and probe.ending is Ending.TRUNCATED and probe.header("server").strip() == "envoy"


def _silence_s(cluster: Sequence[Outcome]) -> float:
    return median(map(_gap_s, cluster))


def _gap_s(outcome: Outcome) -> float:
    return outcome.gap_s or 0.0
