"""The result of `streamgap idle`, for people, programs and other commands."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from streamgap.core.hops import Hop, Suspect
from streamgap.core.mechanism import Finding, Mechanism, Severity
from streamgap.core.probe import Protocol
from streamgap.core.suspects import suspects
from streamgap.doctor.idle.cut import Kind
from streamgap.doctor.idle.findings import findings
from streamgap.doctor.idle.measure import Ask, Measured, Measurement
from streamgap.doctor.idle.plan import Plan
from streamgap.doctor.progress import Progress, silent

_TENTHS_BELOW_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A finding, and who may be the cause of it."""

    finding: Finding
    suspects: tuple[Suspect, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was measured, and what it means."""

    measured: Measured
    charges: tuple[Charge, ...]

    @property
    def exit_status(self) -> int:
        """0 nothing cuts below the longest silence, 1 something does, 3 unreachable or undecided (2 is usage)."""
        severities = {charge.finding.code.severity for charge in self.charges}
        if Severity.HELD in severities:
            return 1
        return 3 if Severity.DOUBT in severities else 0

    @property
    def heartbeat_s(self) -> float | None:
        """The pause between heartbeats that keeps a stream alive: half the timer; None: no timer, or none helps."""
        cut = self.measured.cut
        if cut is None or cut.kind in (Kind.AGE, Kind.FIRST_BYTE):
            return None
        half_s = cut.at_s / 2
        return math.floor(half_s) if half_s >= _TENTHS_BELOW_S else math.floor(half_s * 10) / 10

    @property
    def advice(self) -> tuple[str, ...]:
        """What to do about it, in sentences."""
        return tuple(_advice(self))


async def measure_idle(
    ask: Ask,
    *,
    plan: Plan,
    protocol: Protocol,
    hops: Sequence[Hop],
    clock: Callable[[], float],
    progress: Progress = silent,
) -> Result:
    """Measure how long the path behind `ask` lets a stream be silent; never raises for what a server does."""
    measurement = Measurement(ask, plan=plan, protocol=protocol, clock=clock, progress=progress)
    return conclude(await measurement.measure(), hops=hops)


def conclude(measured: Measured, *, hops: Sequence[Hop]) -> Result:
    """Name the suspects of what was measured."""
    charges = tuple(
        Charge(finding=finding, suspects=_suspects(finding, measured, hops=hops)) for finding in findings(measured)
    )
    return Result(measured=measured, charges=charges)


def _suspects(finding: Finding, measured: Measured, *, hops: Sequence[Hop]) -> tuple[Suspect, ...]:
    cut = measured.cut
    if finding.code.severity is not Severity.HELD or (cut is not None and cut.silently):
        return ()
    if finding.mechanism is Mechanism.SWALLOWED_HEARTBEATS and finding.encodings:
        # Whoever compresses keeps the heartbeats; the hop with the timer only does what it was told.
        finding = replace(finding, mechanism=Mechanism.COMPRESSOR, period_ms=None)
    named = suspects(finding, probes=measured.probes, hops=hops)
    return tuple(suspect for suspect in named if suspect.hop)


def _advice(result: Result) -> list[str]:
    cut, every_s = result.measured.cut, result.heartbeat_s
    unheard = any(one.finding.mechanism is Mechanism.SWALLOWED_HEARTBEATS for one in result.charges)
    free = ["free the stream: its heartbeats reach nobody (`streamgap doctor` names the hop that holds them)"]
    if cut is None:
        return free if unheard else []
    match cut.kind:
        case Kind.AGE:
            return ["no heartbeat helps: raise or switch off that timer, and let clients resume with Last-Event-ID"]
        case Kind.FIRST_BYTE:
            return ["send headers and an opening comment at once, before the model answers"]
        case Kind.SWALLOWED:
            return [
                "free the heartbeats first: no compression, no buffer (`streamgap doctor` names the hop)",
                f"then send a heartbeat every {every_s:g} s, half of the timer",
            ]
    return [f"send a heartbeat every {every_s:g} s, half of the timer", *(free if unheard else [])]
