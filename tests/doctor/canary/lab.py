"""Probes as values, an asker that plays them, and a judge whose answers are read off the probe's headers."""

from collections.abc import Callable, Sequence

from streamgap.core.mechanism import Finding, Mechanism
from streamgap.core.probe import Arrival, Asked, Ending, Probe

Brings = Callable[[Asked], Mechanism]
SHOWS = "x-shows"


def brought(asked: Asked, mechanism: Mechanism, *, hold_ms: float = 0.0, failure: str = "") -> Probe:
    """Return a probe of two events that `judge` takes for what it is called; the first is late by `hold_ms`."""
    refused = mechanism is Mechanism.REFUSED
    events = () if refused else (Arrival(0, 210.0 + hold_ms, 200.0, 0, 110), Arrival(1, 260.0, 250.0, 1, 220))
    return Probe(
        asked=asked,
        status=None if refused else 200,
        headers=((SHOWS, mechanism.value),),
        head_ms=None if refused else 12.0,
        events=events,
        ending=Ending.REFUSED if refused else Ending.FRAMED,
        failure=failure or ("expected a connection, got none" if refused else ""),
        end_ms=300.0,
        expected=2,
        done=not refused,
    )


def judge(probes: Sequence[Probe]) -> tuple[Finding, ...]:
    """Accuse what at least two of the probes show; a single one is a doubt, and of none is made more than it is."""
    shown = [Mechanism(probe.header(SHOWS)) for probe in probes]
    odd = [one for one in shown if one is not Mechanism.FLOWING]
    if not odd:
        return (Finding(mechanism=Mechanism.FLOWING, confidence=0.9),)
    confidence = 0.9 if odd.count(odd[0]) > 1 else 0.4
    return (Finding(mechanism=odd[0], confidence=confidence, evidence=("2 of 2 events came late",), hold_ms=1800.0),)


class Path:
    """Answers each request as `brings` says at that moment, and remembers what was asked."""

    def __init__(self, brings: Brings | None = None) -> None:
        self.brings = brings or flowing
        self.asked: list[Asked] = []

    async def __call__(self, asked: Asked) -> Probe:
        self.asked.append(asked)
        return brought(asked, self.brings(asked))

    @property
    def names(self) -> list[str]:
        return [asked.name for asked in self.asked]


def flowing(_: Asked) -> Mechanism:
    return Mechanism.FLOWING


def held(_: Asked) -> Mechanism:
    return Mechanism.WHOLE


def refused(_: Asked) -> Mechanism:
    return Mechanism.REFUSED
