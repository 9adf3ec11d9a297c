"""All routes at once, each in its own time, for ever."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from streamgap.core.hops import Hop
from streamgap.core.mechanism import Mechanism
from streamgap.core.suspects import suspects
from streamgap.core.words import ProbeResult
from streamgap.doctor.canary.board import Board
from streamgap.doctor.canary.journal import Journal
from streamgap.doctor.canary.schedule import Schedule
from streamgap.doctor.canary.watch import Run, Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The patrol's time: seconds since some start, seconds since 1970, and a way to wait."""

    now_s: Callable[[], float]
    unix_s: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Patrol:
    """Runs the watches, counts on the board, and tells the journal of every change of a route's state."""

    def __init__(
        self, watches: Mapping[str, Watch], *, board: Board, journal: Journal, hops: Sequence[Hop], clock: Clock
    ) -> None:
        self._watches = watches
        self._board = board
        self._journal = journal
        self._hops = hops
        self._clock = clock
        self._states: dict[str, tuple[ProbeResult, Mechanism]] = {}

    async def keep(self, route: str, schedule: Schedule) -> None:
        """Watch one route until cancelled; a run that is not over when the next is due takes its place."""
        while True:
            begins_s, left_out = schedule.after(self._clock.now_s())
            self._board.overran(route, left_out)
            await self._clock.sleep(max(begins_s - self._clock.now_s(), 0.0))
            run = await self._watches[route].run()
            self._board.record(route, run, at_unix_s=self._clock.unix_s())
            self._tell(route, run)

    def _tell(self, route: str, run: Run) -> None:
        # A flowing route may be flowing for this reason or that, which is no news.
        flowing = run.result is ProbeResult.FLOWING
        state = run.result, Mechanism.FLOWING if flowing else run.finding.mechanism
        before = self._states.get(route)
        self._states[route] = state
        if state != before:
            self._journal.say(run.result, route=route, was=before[0] if before else None, **told(run, hops=self._hops))


def told(run: Run, *, hops: Sequence[Hop]) -> dict[str, str | float | None]:
    """Return what a log line says of a run: the finding and, where the path is held, who does it most likely."""
    finding = run.finding
    named = suspects(finding, probes=run.probes, hops=hops, limit=1) if run.result is ProbeResult.HELD else ()
    return {
        "mechanism": finding.mechanism,
        "code": finding.code.code,
        "confidence": round(finding.confidence, 2),
        "hold_s": round(finding.hold_ms / 1000, 3),
        "asked": run.probes[0].asked.name,
        "evidence": finding.evidence[0] if finding.evidence else None,
        "failure": run.probes[0].failure or None,
        "suspect": (named[0].title or "a program that is not known") if named else None,
        "suspect_confidence": round(named[0].confidence, 2) if named else None,
        "remedy": named[0].remedies[0].lines.strip() if named and named[0].remedies else None,
    }
