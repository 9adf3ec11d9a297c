"""Which streams are asked for at once, so that whatever cuts a silent one is told from all else that ends streams."""

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from streamgap.core.probe import Asked, Hint, Pace, Protocol, Segment

LONGEST_S = 130.0  # the longest idle timer that is common is seen at 125 s
STREAMS = 24
MIN_STREAMS, MAX_STREAMS = 10, 60
MIN_LONGEST_S, MAX_LONGEST_S = 2.0, 890.0  # a drip gives 900 s

BROWSER_ENCODINGS = "gzip, deflate, br, zstd"
_EVENT_BYTES = 120
_PADDING_BYTES = 2048
_OPENING = frozenset({Hint.OPENING})


class Role(StrEnum):
    """What a stream is there to tell. The keepers, all but the silent ones, say something before long."""

    SILENT = "silent"
    FIRST_BYTE = "silent before its first byte"
    TALKING = "talking"
    HEARTBEAT = "heartbeat"
    IDENTITY = "heartbeat, not compressed"
    PADDED = "padded heartbeat"


KEEPERS = (Role.TALKING, Role.IDENTITY, Role.HEARTBEAT, Role.PADDED)


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One stream: its last event is due `lasts_s` after its start. Each `rung` splits what the one before left open."""

    name: str
    role: Role
    lasts_s: float
    rung: int = 1


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that depends on the two numbers a person gives: the longest silence, and how many streams at once."""

    longest_s: float = LONGEST_S
    streams: int = STREAMS

    @property
    def shortest_s(self) -> float:
        """The shortest silence: 1/64 of the longest, within 0.5…2 s."""
        return min(max(self.longest_s / 64, 0.5), 2.0)

    @property
    def heartbeat_s(self) -> float:
        """The pause between heartbeats: half of the shortest silence, so that every silence would need some."""
        return self.shortest_s / 2

    @property
    def talk_s(self) -> float:
        """The pause between small events: what a cut at an age is found with, within 0.1…1 s."""
        return min(max(self.longest_s / 480, 0.1), 1.0)

    @property
    def first_rung(self) -> tuple[Stream, ...]:
        """The streams in the order of their start: those that tell most first, for an app may serve only a few at once.

        The silences are geometric: with n of them a silent drop is bracketed within (longest/shortest)^(1/(n−1)), 1.28
        for the usual 18 up to 130 s. The longest is asked for twice, so that a timer near it has two witnesses.
        """
        keepers = [Stream(name=role.value, role=role, lasts_s=self.longest_s) for role in KEEPERS]
        first_byte = Stream(name=Role.FIRST_BYTE.value, role=Role.FIRST_BYTE, lasts_s=self.longest_s)
        again = _silent(self.longest_s, name=f"silent {self.longest_s:.1f} s again")
        silences = [
            _silent(silence_s)
            for silence_s in _geometric(self.shortest_s, self.longest_s, self.streams - len(keepers) - 2)
        ]
        talking, identity, *others = keepers
        return (talking, identity, silences.pop(), *others, first_byte, again, *reversed(silences))

    def split(self, low_s: float, high_s: float, *, rung: int) -> tuple[Stream, ...]:
        """Split a bracket evenly, its ends left out: its width shrinks by the number of silences + 1."""
        count = self.streams - len(KEEPERS) - 1
        step_s = (high_s - low_s) / (count + 1)
        return tuple(_silent(low_s + nth * step_s, rung=rung) for nth in range(1, count + 1))

    def asked(self, stream: Stream, *, protocol: Protocol) -> Asked:
        """Return how a stream is asked of a drip."""
        identity = stream.role is Role.IDENTITY
        beats = stream.role in (Role.HEARTBEAT, Role.IDENTITY, Role.PADDED)
        return Asked(
            name=stream.name,
            protocol=protocol,
            accept_encoding="identity" if identity else BROWSER_ENCODINGS,
            hints=frozenset() if stream.role is Role.FIRST_BYTE else _OPENING,
            pace=self._pace(stream),
            heartbeat_ms=self.heartbeat_s * 1000 if beats else 0.0,
            padding_bytes=_PADDING_BYTES if stream.role is Role.PADDED else 0,
        )

    def _pace(self, stream: Stream) -> Pace:
        silence = Segment(count=1, gap_ms=0.0, size_bytes=_EVENT_BYTES, silence_ms=stream.lasts_s * 1000)
        if stream.role is Role.FIRST_BYTE:
            return (silence,)
        if stream.role is Role.TALKING:
            count = int(stream.lasts_s / self.talk_s) + 1
            return (Segment(count=count, gap_ms=self.talk_s * 1000, size_bytes=_EVENT_BYTES),)
        return (Segment(count=1, gap_ms=0.0, size_bytes=_EVENT_BYTES), silence)


def hello(protocol: Protocol) -> Asked:
    """Return the stream that is asked for first, alone: two events at once tell who is there, and how far away."""
    pace = (Segment(count=2, gap_ms=0.0, size_bytes=_EVENT_BYTES),)
    return Asked(name="hello", protocol=protocol, accept_encoding=BROWSER_ENCODINGS, hints=_OPENING, pace=pace)


def _silent(silence_s: float, *, name: str = "", rung: int = 1) -> Stream:
    return Stream(name=name or f"silent {silence_s:.3f} s", role=Role.SILENT, lasts_s=silence_s, rung=rung)


def _geometric(low_s: float, high_s: float, count: int) -> Iterator[float]:
    ratio = (high_s / low_s) ** (1 / (count - 1))
    yield from (low_s * ratio**nth for nth in range(count - 1))
    yield high_s
