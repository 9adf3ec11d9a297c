"""What a measurement comes to: findings with their evidence, in sentences."""

from collections.abc import Iterator, Sequence

from streamgap.core.mechanism import Finding, Mechanism
from streamgap.core.probe import Ending, Probe
from streamgap.core.showing import shown
from streamgap.doctor.idle.beats import Beats, beats, swallower
from streamgap.doctor.idle.cut import Cut, How, Kind, Swallower
from streamgap.doctor.idle.fate import Fate, Outcome
from streamgap.doctor.idle.measure import Measured
from streamgap.doctor.idle.plan import Role
from streamgap.doctor.idle.scene import Scene

MECHANISMS = {
    Kind.IDLE: Mechanism.IDLE_CUT,
    Kind.FIRST_BYTE: Mechanism.IDLE_CUT,
    Kind.AGE: Mechanism.AGE_CUT,
    Kind.SWALLOWED: Mechanism.SWALLOWED_HEARTBEATS,
}
ENDS = {
    Ending.FRAMED: "a proper end of the body: to the client it looks complete",
    Ending.CLOSED: "FIN behind a body that only the close delimits: to the client it looks complete",
    Ending.TRUNCATED: "FIN inside the body",
    Ending.RESET: "a reset",
}
KEPT_BACK = {
    Swallower.COMPRESSOR: "the same heartbeats with Accept-Encoding: identity come through: a compressor keeps them",
    Swallower.BUFFER: "larger writes come through, small ones do not: a buffer keeps them until it is full",
    Swallower.PATH: "nothing that was written came through, whatever its size or encoding: the path holds the stream",
}
_SILENTLY = "nobody is told: the connection stays open and nothing comes, as behind a NAT or firewall that forgot it"
_USUAL_CODING = "gzip"
_TOLD_BY_ENVOY = "x-envoy-expected-rq-timeout-ms"
_SURE, _LIKELY, _MAYBE = 0.97, 0.9, 0.6
_MANY = 3
_COVERED = 0.95  # of the longest silence lived through: nothing cuts up to it
_LATE_S = 0.3


def findings(measured: Measured) -> tuple[Finding, ...]:
    """Return what was found, the cut first."""
    if not measured.reached:
        return (_refused(measured.hello),)
    found = [_of_cut(measured, measured.cut)] if measured.cut is not None else []
    told = beats(measured.lives, plan=measured.plan)
    kept_by = swallower(told)
    swallowed = any(one.mechanism is Mechanism.SWALLOWED_HEARTBEATS for one in found)
    if kept_by is not None and not swallowed:
        found.append(_unheard(measured, told, kept_by))
    return tuple(found) or (_of_none(measured),)


def _refused(hello: Probe) -> Finding:
    said = hello.failure or "an event stream that is no drip"
    evidence = f"expected a drip (docs/drip.md), got {shown(said, at_most=300)[1:-1]}"
    return Finding(mechanism=Mechanism.REFUSED, confidence=1.0, evidence=(evidence,))


def _of_cut(measured: Measured, cut: Cut) -> Finding:
    sure = _SURE if cut.witnesses >= _MANY else _LIKELY if cut.witnesses > 1 or cut.low_s < cut.high_s else _MAYBE
    if cut.survivors or cut.swallower is Swallower.PATH:
        sure = _MAYBE
    elif cut.kind is Kind.FIRST_BYTE:
        sure = _LIKELY
    return Finding(
        mechanism=MECHANISMS[cut.kind],
        confidence=sure,
        evidence=tuple(_evidence(measured, cut)),
        period_ms=cut.at_s * 1000,
        encodings=_encodings(measured, cut.swallower),
    )


def _evidence(measured: Measured, cut: Cut) -> Iterator[str]:
    yield _headline(cut)
    yield f"it ends with {_ends(cut.how)}" if cut.how else _SILENTLY
    if cut.closes_late_s > _LATE_S:
        yield (
            f"the close came {cut.closes_late_s:.2f} s after the timer (seen at {cut.seen_s:.2f} s): "
            "Envoy does so by 1.00 s, its delayed_close_timeout"
        )
    if cut.kind is Kind.AGE and _told_by_envoy(measured.hello, cut):
        yield f"an Envoy told the app of this timer: {_TOLD_BY_ENVOY}, the `timeout` of its route"
    if cut.at_next_write:
        yield "the timer strikes at the next write: a silent stream lives until it speaks"
    yield from _about_keepers(measured, cut)
    if cut.survivors:
        yield f"{cut.survivors} streams were silent for longer and lived: more than one path may stand behind this name"
    yield from about_first_byte(measured)


def _told_by_envoy(hello: Probe, cut: Cut) -> bool:
    headers = hello.seen.headers if hello.seen is not None else ()
    told = [value for name, value in headers if name.lower() == _TOLD_BY_ENVOY]
    return any(value.isascii() and value.isdecimal() and _near(float(value) / 1000, cut.at_s) for value in told)


def _near(told_s: float, at_s: float) -> bool:
    return abs(told_s - at_s) <= max(0.05 * told_s, 0.25)


def _headline(cut: Cut) -> str:
    exactly = f"{cut.at_s:.2f} s"
    between = f"between {cut.low_s:.2f} and {cut.high_s:.2f} s"
    match cut.kind:
        case Kind.AGE:
            return f"{cut.witnesses} streams were cut at an age of {exactly}, although what they said came through"
        case Kind.FIRST_BYTE:
            return f"a stream that had sent nothing yet was cut after {exactly}; those that had begun were not"
        case Kind.IDLE | Kind.SWALLOWED if cut.silently or cut.at_next_write:
            return f"{cut.witnesses} streams lost what came behind a silence; the timer is {between}"
    return f"{cut.witnesses} streams were cut {exactly} after their last bytes"


def _ends(how: How) -> str:
    if how.status is not None:
        return f"an error page: status {how.status}"
    return ENDS.get(how.ending, how.ending.value)


def _about_keepers(measured: Measured, cut: Cut) -> Iterator[str]:
    every_s = measured.plan.heartbeat_s
    if cut.swallower is not None:
        yield f"a heartbeat every {every_s:g} s did not keep it alive: {KEPT_BACK[cut.swallower]}"
    elif cut.heartbeats_help:
        yield f"the stream with a heartbeat every {every_s:g} s lived on"
    elif cut.kind is Kind.AGE:
        yield f"a heartbeat every {every_s:g} s, or an event every {measured.plan.talk_s:.2g} s, did not help"
    elif cut.heartbeats_help is False:
        yield f"a heartbeat every {every_s:g} s came through and did not help"


def about_first_byte(measured: Measured) -> Iterator[str]:
    """Say what became of the stream that was silent before its first byte."""
    for one in _outcomes(measured):
        if one.stream.role is not Role.FIRST_BYTE or one.life.probe is None:
            continue
        probe = one.life.probe
        at_s = probe.end_ms / 1000
        early = probe.head_ms is not None and probe.head_ms / 1000 < at_s - _LATE_S
        kept = "its headers came at once" if early else "nothing came, not even headers"
        if one.dead:
            how = _ends(How(ending=probe.ending, status=None if probe.is_stream else probe.status))
            yield f"before the first byte: cut after {at_s:.2f} s with {how} ({kept})"
        elif one.fate in (Fate.STOPPED, Fate.WHOLE):
            yield f"before the first byte: not cut within {at_s:.1f} s ({kept})"


def _unheard(measured: Measured, told: Sequence[Beats], kept_by: Swallower) -> Finding:
    one = next(one for one in told if one.role is Role.HEARTBEAT)
    counted = f"{one.count} comments in {one.over_s:.1f} s, up to {one.quiet_s:.1f} s without any"
    evidence = (f"the stream lives, but its heartbeats do not arrive: {counted}", KEPT_BACK[kept_by])
    return Finding(
        mechanism=Mechanism.SWALLOWED_HEARTBEATS,
        confidence=_LIKELY,
        evidence=evidence,
        encodings=_encodings(measured, kept_by),
    )


def _encodings(measured: Measured, kept_by: Swallower | None) -> tuple[str, ...]:
    """Return the coding under which heartbeats are kept back, where it is the coding that keeps them."""
    if kept_by is not Swallower.COMPRESSOR:
        return ()
    return (next((probe.encoding for probe in measured.probes if probe.encoding), _USUAL_CODING),)


def _of_none(measured: Measured) -> Finding:
    scene = Scene.of(measured.lives, now_s=measured.decided_s, plan=measured.plan)
    lived_s = max(scene.lived_s, default=0.0)
    refused = [one.life.probe for one in scene.outcomes if one.fate is Fate.REFUSED and one.life.probe is not None]
    evidence = [f"the longest silence that a stream lived through was {lived_s:.1f} s"]
    if refused:
        why = shown(refused[0].failure or f"status {refused[0].status}", at_most=300)[1:-1]
        evidence.append(f"{len(refused)} of {len(scene.outcomes)} streams were refused: {why}")
    queued = sum(one.fate is Fate.RUNNING for one in scene.outcomes)
    if queued:
        evidence.append(f"{queued} of {len(scene.outcomes)} streams had not ended by then; try fewer with --streams")
    if lived_s < _COVERED * measured.plan.longest_s:
        return Finding(mechanism=Mechanism.UNKNOWN, confidence=0.0, evidence=tuple(evidence))
    evidence[0] = f"no idle cut up to {lived_s:.1f} s"
    evidence += about_first_byte(measured)
    return Finding(mechanism=Mechanism.FLOWING, confidence=_SURE, evidence=tuple(evidence))


def _outcomes(measured: Measured) -> tuple[Outcome, ...]:
    return Scene.of(measured.lives, now_s=measured.decided_s, plan=measured.plan).outcomes
