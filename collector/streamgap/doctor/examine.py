"""Which probes are made of one URL: few at first, more where the first ones differ.

A drip costs nothing and is asked some ten to twenty times. Any other stream may cost a model call each time, and is
asked at most `MAX_STREAMS_ASKED` times.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from streamgap.core.diagnosis import diagnose
from streamgap.core.mechanism import Finding, Mechanism, Severity
from streamgap.core.probe import LARGE_FIRST, ORDINARY, SHORT, Asked, Hint, Pace, Probe, Protocol, pace_ms
from streamgap.doctor.progress import Progress, silent, while_shown

BROWSER_ENCODINGS = "gzip, deflate, br, zstd"
MAX_STREAMS_ASKED = 4
_SINGLE_ENCODINGS = ("gzip", "br", "zstd")
_SEVERAL = 3
_DISTURBED_MS = 100.0
_SLACK_S = 0.5  # connecting, and a last round trip

Ask = Callable[[Asked], Awaitable[Probe]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """The probes of one URL, and what they show together."""

    probes: tuple[Probe, ...]
    findings: tuple[Finding, ...]

    @property
    def is_drip(self) -> bool:
        """Whether the stream was a drip, that is, whether the app told when it wrote."""
        return any(probe.expected is not None for probe in self.probes)

    @property
    def held(self) -> tuple[Finding, ...]:
        """The findings that somebody may be accused of."""
        return tuple(finding for finding in self.findings if accuses(finding))


def accuses(finding: Finding) -> bool:
    """Say whether a finding is sure enough, and bad enough, to fail a gate."""
    return finding.code.severity is Severity.HELD and finding.confidence >= 0.5  # noqa: PLR2004, more likely than not


def expected_s(*, rounds: int = 4) -> float:
    """Return about how long the examination of one drip takes, in seconds."""
    return pace_ms(SHORT) / 1000 + (rounds - 1) * (pace_ms(ORDINARY) / 1000) + rounds * _SLACK_S


class Examiner:
    """Asks one URL by `ask`, in rounds; every probe of a round but the first is made at the same time."""

    def __init__(
        self, ask: Ask, *, tls: bool, has_body: bool = False, pace: Pace = (), progress: Progress = silent
    ) -> None:
        self._ask = ask
        self._tls = tls
        self._pace = pace
        self._base = Protocol.TLS if tls else Protocol.CLEAR
        self._method = "POST" if has_body else "GET"
        self._progress = progress
        self._done_s = 0.0
        self._probes: list[Probe] = []

    async def examine(self) -> Examination:
        """Make the probes that are needed; never raises for what a server does."""
        # Without a pace the URL is asked as it stands: only its answer tells whether it is a drip.
        await self._round("alone", (self._asked("alone", self._pace),))
        first = self._probes[0]
        if first.is_stream and first.expected is not None:
            if not self._pace:
                self._pace = ORDINARY
                await self._begin_again()
            await self._examine_drip()
        elif first.is_stream:
            await self._examine_stream()
        return Examination(probes=tuple(self._probes), findings=diagnose(self._probes))

    async def _begin_again(self) -> None:
        """Let the first probe be one at our own pace; most drips wrote that without being asked."""
        first = self._probes.pop()
        if first.expected == sum(segment.count for segment in self._pace):
            self._probes.append(replace(first, asked=replace(first.asked, pace=self._pace)))
        else:
            await self._round("alone", (self._asked("alone", self._pace),))

    async def _examine_drip(self) -> None:
        await self._round("several at once", tuple(self._asked("several", SHORT) for _ in range(_SEVERAL)))
        queued = any(finding.mechanism is Mechanism.QUEUE for finding in diagnose(self._probes))
        varied = self._variations()
        if queued:
            for asked in varied[:_SEVERAL]:
                await self._round(f"{asked.name}, one at a time", (asked,))
        else:
            await self._round("other encodings, sizes, methods, protocols", varied)
        if doubted := self._doubted(diagnose(self._probes)):
            asked_for = self._hinted(doubted)
            if queued:
                asked_for = asked_for[:_SEVERAL]
            await self._round("repetition, and each header that asks not to be held", asked_for)

    async def _examine_stream(self) -> None:
        """Ask a stream that is no drip: one at a time, for somebody pays for each."""
        left = [self._asked("identity", (), encoding="identity")]
        if self._tls:
            left.append(self._asked("h2", (), protocol=Protocol.H2))
        left.append(self._asked("confirm", ()))
        for asked in left[: MAX_STREAMS_ASKED - 1]:
            await self._round(asked.name, (asked,))

    def _variations(self) -> tuple[Asked, ...]:
        """Return the probes that differ from the first in one thing each, the most telling ones first."""
        varied = [self._asked("identity", self._pace, encoding="identity"), self._asked("large-first", LARGE_FIRST)]
        if self._tls:
            varied.append(self._asked("h2", self._pace, protocol=Protocol.H2))
            varied.append(self._asked("h2-identity", self._pace, protocol=Protocol.H2, encoding="identity"))
        other = "GET" if self._method == "POST" else "POST"
        varied.append(self._asked(other.lower(), self._pace, method=other))
        varied += [self._asked(name, SHORT, encoding=name) for name in _SINGLE_ENCODINGS]
        return tuple(varied)

    def _hinted(self, doubted: Finding) -> tuple[Asked, ...]:
        """Return a repetition under the conditions of what was found, and each hint under them."""
        protocol = self._base if self._base in doubted.protocols or not doubted.protocols else doubted.protocols[0]
        encoding = BROWSER_ENCODINGS if len(doubted.encodings) != 1 else doubted.encodings[0] or "identity"
        method = self._method if self._method in doubted.methods or not doubted.methods else doubted.methods[0]

        def again(name: str, *hints: Hint) -> Asked:
            return self._asked(
                name, self._pace, protocol=protocol, encoding=encoding, method=method, hints=frozenset(hints)
            )

        return (again("confirm"), again("all hints", *Hint), *(again(hint.value, hint) for hint in Hint))

    @staticmethod
    def _doubted(findings: Sequence[Finding]) -> Finding | None:
        """Return the finding that is worth a closer look, None where all is well."""
        well = (Mechanism.FLOWING, Mechanism.QUEUE, Mechanism.SLOW_APP)
        return next((finding for finding in findings if finding.mechanism not in well), None)

    def _asked(
        self,
        name: str,
        pace: Pace,
        *,
        protocol: Protocol | None = None,
        encoding: str = BROWSER_ENCODINGS,
        method: str | None = None,
        hints: frozenset[Hint] = frozenset(),
    ) -> Asked:
        return Asked(
            name=name,
            protocol=protocol or self._base,
            accept_encoding=encoding,
            method=method or self._method,
            hints=hints,
            pace=pace,
        )

    async def _round(self, words: str, asked: Sequence[Asked]) -> None:
        lasts_s = max(pace_ms(one.pace or ORDINARY) for one in asked) / 1000 + _SLACK_S

        def tell(over_s: float) -> None:
            self._progress(self._done_s + min(over_s, lasts_s), max(expected_s(), self._done_s + lasts_s), words)

        self._probes += await while_shown(asyncio.gather(*map(self._undisturbed, asked)), progress=tell)
        self._done_s += lasts_s

    async def _undisturbed(self, asked: Asked) -> Probe:
        """Ask a drip once more where this process itself was held up meanwhile; return the calmer of the two."""
        probe = await self._ask(asked)
        if probe.lag_ms < _DISTURBED_MS or probe.expected is None:
            return probe
        return min(probe, await self._ask(asked), key=lambda one: one.lag_ms)
