"""One route's runs: a glance while all is well, a closer look before anybody is accused."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from streamgap.core.mechanism import Finding, Mechanism, Severity
from streamgap.core.probe import ORDINARY, Asked, Ending, Probe, Protocol
from streamgap.core.words import ProbeResult
from streamgap.doctor.canary.ways import GLANCE, ways_of
from streamgap.doctor.examine import Ask, accuses

Judge = Callable[[Sequence[Probe]], tuple[Finding, ...]]

# One probe alone cannot tell a network's stall from a hold that would repeat, so `network` is looked at again.
_CLEAN = (Mechanism.FLOWING, Mechanism.LATE_HEADERS, Mechanism.SLOW_APP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run: its result, the finding that decided it, and the probes it made, the first one first."""

    result: ProbeResult
    finding: Finding
    probes: tuple[Probe, ...]


class Watch:
    """Asks one URL, run after run, in one way after another; never two requests at once.

    A run is one short probe. Where that is not clean, the same way is asked again at once, and if that is not clean
    either, every other way too, so that the mechanism is told from probes of the same moment. While a route is held,
    runs begin with the way that was.
    """

    def __init__(self, ask: Ask, *, tls: bool, judge: Judge) -> None:
        self._ask = ask
        self._judge = judge
        self._ways = list(ways_of(tls=tls))
        self._suspected: Asked | None = None

    async def every_way(self) -> Run:
        """Make runs until each way has been asked once; returns the first that does not flow, else the last."""
        for _ in range(len(self._ways)):
            run = await self.run()
            if run.result is not ProbeResult.FLOWING:
                break
        return run

    async def run(self) -> Run:
        """Make one run; never raises for what a server does."""
        way = self._suspected or self._turn()
        # A glance may miss what only some events show, so it does not end a hold.
        first = await self._ask(replace(way, pace=GLANCE if self._suspected is None else ORDINARY))
        findings = self._judge((first,))
        if _not_offered(first):
            # A server without h2 is no failure of its h1: that way is not gone again.
            self._ways.remove(way)
            self._suspected = None
            return await self.run()
        if _clean(findings) or findings[0].mechanism is Mechanism.REFUSED:
            return self._end(way, findings, (first,))
        again = await self._ask(replace(way, name="confirm", pace=ORDINARY))
        findings = self._judge((again,))
        if _clean(findings):
            return self._end(way, findings, (first, again))
        others = [await self._ask(replace(other, pace=ORDINARY)) for other in self._ways if other != way]
        probes = (first, again, *others)
        return self._end(way, self._judge(probes), probes)

    def _turn(self) -> Asked:
        way = self._ways.pop(0)
        self._ways.append(way)
        return way

    def _end(self, way: Asked, findings: Sequence[Finding], probes: tuple[Probe, ...]) -> Run:
        finding = next((one for one in findings if accuses(one)), findings[0])
        result = _result_of(finding)
        if result is ProbeResult.HELD:
            self._suspected = way
        elif result is ProbeResult.FLOWING:
            self._suspected = None
        return Run(result=result, finding=finding, probes=probes)


def _not_offered(probe: Probe) -> bool:
    """Say whether the server speaks TLS and did not agree to h2."""
    return probe.asked.protocol is Protocol.H2 and probe.ending is Ending.REFUSED and "ALPN" in probe.failure


def _clean(findings: Sequence[Finding]) -> bool:
    return findings[0].mechanism in _CLEAN and not any(map(accuses, findings))


def _result_of(finding: Finding) -> ProbeResult:
    if accuses(finding):
        return ProbeResult.HELD
    if finding.mechanism is Mechanism.REFUSED:
        return ProbeResult.FAILED
    well = finding.code.severity in (Severity.FLOWING, Severity.NOTE)
    return ProbeResult.FLOWING if well else ProbeResult.DOUBTFUL
