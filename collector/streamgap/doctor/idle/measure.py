"""Asks for all streams at once, and lets go of them as soon as they have told what they can."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from streamgap.core.probe import Arrival, Asked, Probe, Protocol
from streamgap.doctor.idle.cut import Cut, Known, Narrow
from streamgap.doctor.idle.fate import GRACE_S, Life
from streamgap.doctor.idle.judge import judge
from streamgap.doctor.idle.plan import Plan, Role, Stream, hello
from streamgap.doctor.progress import Progress, silent

_TICK_S = 0.1
_HELLO_S = 20.0
_APART_S = 0.01  # two dozen handshakes at the same moment would make each other late

Ask = Callable[[Asked, Callable[[Arrival], None], asyncio.Event], Awaitable[Probe]]
"""Makes one probe: what to ask, whom to tell of each event, and what ends it from outside. Raises nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What came of it: the stream asked first, the life of each other, and the cut (None: none) that they show.

    `decided_s` is when that was certain, in seconds since the start. There are no lives where `hello` was no drip.
    """

    plan: Plan
    hello: Probe
    lives: tuple[Life, ...] = ()
    cut: Cut | None = None
    decided_s: float = 0.0

    @property
    def reached(self) -> bool:
        """Whether a drip answered at all."""
        return self.hello.is_stream and self.hello.expected is not None

    @property
    def probes(self) -> tuple[Probe, ...]:
        """Everything that was asked."""
        return (self.hello, *(life.probe for life in self.lives if life.probe is not None))


@dataclass(slots=True)
class _Asked:
    """A stream that has been asked for, and what is known of it so far."""

    life: Life
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def heard(self, arrival: Arrival) -> None:
        came_s = arrival.came_ms / 1000
        first_s = came_s if self.life.first_s is None else self.life.first_s
        self.life = replace(self.life, first_s=first_s, last_s=came_s)

    def ended(self, probe: Probe, *, began_s: float) -> None:
        self.life = replace(self.life, probe=probe, began_s=began_s)


class Measurement:
    """One URL, asked by `ask` over one protocol. `clock` counts seconds, and is the probes' own."""

    def __init__(
        self, ask: Ask, *, plan: Plan, protocol: Protocol, clock: Callable[[], float], progress: Progress = silent
    ) -> None:
        self._ask = ask
        self._plan = plan
        self._protocol = protocol
        self._clock = clock
        self._progress = progress
        self._streams: list[_Asked] = []
        self._changed = asyncio.Event()
        self._until_s = plan.longest_s + GRACE_S

    async def measure(self) -> Measured:
        """Ask until it is certain what cuts a silent stream, or that nothing does; a server cannot make it raise."""
        first = await self._greeted()
        measured = Measured(plan=self._plan, hello=first)
        if not measured.reached:
            return measured
        self._began_s = self._clock()
        async with asyncio.TaskGroup() as asking:
            self._start(self._plan.first_rung, asking)
            cut = await self._judged(asking)
            decided_s = self._now_s
            self._stop(self._streams)
        lives = tuple(stream.life for stream in self._streams)
        return Measured(plan=self._plan, hello=first, lives=lives, cut=cut, decided_s=decided_s)

    async def _greeted(self) -> Probe:
        stop = asyncio.Event()
        late = asyncio.get_running_loop().call_later(_HELLO_S, stop.set)
        try:
            return await self._ask(hello(self._protocol), lambda _: None, stop)
        finally:
            late.cancel()

    @property
    def _now_s(self) -> float:
        return self._clock() - self._began_s

    async def _judged(self, asking: asyncio.TaskGroup) -> Cut | None:
        while True:
            lives = [stream.life for stream in self._streams]
            match judge(lives, now_s=self._now_s, plan=self._plan):
                case Known(cut):
                    return cut
                case Narrow() as bracket:
                    self._narrow(bracket, asking)
            self._tell()
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _TICK_S)

    def _narrow(self, bracket: Narrow, asking: asyncio.TaskGroup) -> None:
        """Ask for the next rung; silences longer than the bracket tell nothing any more."""
        self._stop([one for one in self._streams if _is_longer(one.life, bracket.high_s)])
        self._until_s = self._now_s + bracket.high_s + GRACE_S
        self._start(self._plan.split(bracket.low_s, bracket.high_s, rung=bracket.rung), asking)

    def _start(self, streams: Sequence[Stream], asking: asyncio.TaskGroup) -> None:
        for nth, stream in enumerate(streams):
            asked = _Asked(Life(stream=stream, began_s=self._now_s + nth * _APART_S))
            self._streams.append(asked)
            asking.create_task(self._follow(asked, wait_s=nth * _APART_S))

    async def _follow(self, asked: _Asked, *, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        what = self._plan.asked(asked.life.stream, protocol=self._protocol)
        probe = await self._ask(what, asked.heard, asked.stop)
        asked.ended(probe, began_s=probe.began_ms / 1000 - self._began_s)
        self._changed.set()

    @staticmethod
    def _stop(streams: Sequence[_Asked]) -> None:
        for stream in streams:
            stream.stop.set()

    def _tell(self) -> None:
        still = sum(stream.life.probe is None for stream in self._streams)
        words = f"{still} of {len(self._streams)} streams open, silent for up to {self._now_s:.0f} s"
        self._progress(self._now_s, self._until_s, words)


def _is_longer(life: Life, silence_s: float) -> bool:
    return life.stream.role is Role.SILENT and life.stream.lasts_s > silence_s
