"""The record of one model call."""

import asyncio
import contextlib
import weakref
from array import array
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from operator import sub
from typing import Any, Self

from streamgap.core.words import Outcome
from streamgap.instrument.endings import Ending, ending_of
from streamgap.instrument.faults import note_fault
from streamgap.instrument.gen_ai import Measurement, record_call
from streamgap.instrument.shapes import NOTHING, PLAIN, Facts, Shape, merged, recognise

MAX_STAMPS = 1024
"""Arrival times kept before they fold into gaps; gaps kept before every other one is dropped."""
TAIL_CHUNKS = 8
"""Last chunks kept: the reason for the end and the token totals are looked for there, not in every chunk."""
_NS = 1e9

Clock = Callable[[], int]
"""A monotonic clock in ns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is known of a call before its first chunk; what is empty is taken from the chunks.

    `emits`: record the semantic conventions' metrics (false where someone else already does). `content` tells content
    chunks from others instead of the shape.
    """

    model: str = ""
    provider: str = ""
    operation: str = ""
    server_address: str = ""
    server_port: int | None = None
    shape: Shape | None = None
    content: Callable[[Any], bool] | None = None
    emits: bool = True

    def completed_by(self, other: Self) -> Self:
        """Return this call with what it leaves empty taken from `other`; either can forbid the metrics."""
        return type(self)(
            model=self.model or other.model,
            provider=self.provider or other.provider,
            operation=self.operation or other.operation,
            server_address=self.server_address or other.server_address,
            server_port=self.server_port or other.server_port,
            shape=self.shape or other.shape,
            content=self.content or other.content,
            emits=self.emits and other.emits,
        )


class Generation:
    """One model call while it streams, and what is known of it afterwards. Times in ns on `clock`; None: not reached.

    A face (see `faces`) appends to `stamps` and `tail` for each chunk, and calls `attend` only until the first
    content chunk and once per `MAX_STAMPS` after it: this is what keeps a chunk cheap. Memory is bounded: of a stream
    with more gaps than `MAX_STAMPS` an evenly spaced sample is kept.
    """

    __slots__ = (
        "_facts",
        "_gap_stride",
        "_gaps_ns",
        "_reader",
        "_shape",
        "answered_ns",
        "away_ns",
        "began_ns",
        "call",
        "clock",
        "ended_ns",
        "ending",
        "iterated",
        "stamps",
        "steps",
        "tail",
    )

    def __init__(self, call: Call, *, clock: Clock) -> None:
        self.call = call
        self.clock = clock
        self.began_ns: int | None = None
        self.answered_ns: int | None = None
        self.ended_ns: int | None = None
        self.away_ns = 0
        self.iterated = False
        self.ending: Ending | None = None
        self.stamps = array("q")
        self.tail: deque[Any] = deque(maxlen=TAIL_CHUNKS)
        # Weak, so that a stream that is dropped is still closed at once, by its reference count.
        self.steps: Callable[[], AsyncGenerator[Any, None] | None] = _nothing
        self._reader: Callable[[], asyncio.Task[Any] | None] = _nothing
        self._shape = call.shape
        self._facts = NOTHING
        self._gaps_ns = array("q")
        self._gap_stride = 1

    def begin(self) -> None:
        """Start the clock, unless it runs: the next thing that happens is the request."""
        if self.began_ns is None:
            self.began_ns = self.clock()

    def read_here(self) -> None:
        """Note which task reads the stream."""
        with contextlib.suppress(RuntimeError):  # another event loop than asyncio's
            task = asyncio.current_task()
            self._reader = weakref.ref(task) if task else _nothing

    @property
    def orphan(self) -> AsyncGenerator[Any, None] | None:
        """The unfinished stream of a dead reader, which something still refers to; None where all is well."""
        reader = self._reader()
        return None if self.ended_ns is not None or (reader and not reader.done()) else self.steps()

    def attend(self, chunk: Any, at_ns: int) -> int:
        """Judge the chunk that was stamped last; return how many stamps may gather until the next is to be judged."""
        if self.answered_ns is not None:
            self._fold()
        elif self._is_content(chunk):
            self.answered_ns = at_ns
        else:
            self.stamps.pop()
            return 0
        return MAX_STAMPS

    def end(self) -> None:
        """Close the record of a stream that ended by itself."""
        facts = self.facts
        shape = self._shape or PLAIN
        outcome = facts.outcome or (Outcome.TRUNCATED if shape.ends_aloud else Outcome.COMPLETE)
        self._close(Ending(outcome, facts.error))

    def fail(self, error: BaseException) -> None:
        """Close the record of a stream that an exception ended; leaving after the last word is no failure."""
        ending, facts = ending_of(error), self.facts
        if ending.outcome is Outcome.CLIENT_GONE and facts.outcome is not None:
            ending = Ending(facts.outcome, facts.error)
        self._close(ending)

    @property
    def facts(self) -> Facts:
        """What the chunks said so far."""
        if self.ended_ns is not None or self._shape is None:
            return self._facts
        try:
            return merged((self._facts, *map(self._shape.read, tuple(self.tail))))
        except Exception as error:  # noqa: BLE001, a chunk of an unknown kind may raise anything
            note_fault("read", error)
            self._shape = PLAIN
            return self._facts

    @property
    def outcome(self) -> Outcome | None:
        """How the call ended, None while it lasts."""
        return self.ending.outcome if self.ending else None

    @property
    def model(self) -> str:
        """The requested model, else the one that answered."""
        return self.call.model or self.facts.model

    @property
    def provider(self) -> str:
        """The semantic conventions' `gen_ai.provider.name`."""
        return self.call.provider or (self._shape.provider if self._shape else "")

    @property
    def lingers(self) -> bool:
        """Whether the source's own `aclose()` would leave its socket open."""
        return self._shape is not None and self._shape.lingers

    @property
    def duration_s(self) -> float | None:
        """From the request to the end."""
        return None if self.began_ns is None or self.ended_ns is None else (self.ended_ns - self.began_ns) / _NS

    @property
    def app_s(self) -> float:
        """Time the consumer kept the stream waiting: work of the app, back-pressure of its client."""
        return self.away_ns / _NS

    @property
    def model_s(self) -> float | None:
        """Time spent waiting for the model."""
        return None if self.duration_s is None else self.duration_s - self.app_s

    @property
    def gaps_s(self) -> list[float]:
        """Chunk gaps after the first content chunk; an evenly spaced sample of them in a very long stream."""
        return [gap_ns / _NS for gap_ns in (*self._gaps_ns, *map(sub, self.stamps[1:], self.stamps))]

    def _is_content(self, chunk: Any) -> bool:
        try:
            if self._shape is None:
                self._shape = recognise(chunk)
            if self._facts is NOTHING:
                self._facts = self._shape.read(chunk)
            return (self.call.content or self._shape.content)(chunk)
        except Exception as error:  # noqa: BLE001, the stream survives our misjudging its chunks
            note_fault("classify", error)
            self._shape = PLAIN
            return True

    def _fold(self) -> None:
        """Turn the stamps into gaps, all but the last one, which the next gap needs."""
        gaps = array("q", map(sub, self.stamps[1:], self.stamps))
        self._gaps_ns.extend(gaps[:: self._gap_stride])
        while len(self._gaps_ns) > MAX_STAMPS:
            del self._gaps_ns[1::2]
            self._gap_stride *= 2
        del self.stamps[:-1]

    def _close(self, ending: Ending) -> None:
        if self.ended_ns is not None:
            return
        self._facts = self.facts
        self.ended_ns = self.clock()
        self.ending = ending
        self.tail.clear()
        if self.call.emits:
            self._emit()
        self._gaps_ns = self.stamps = array("q")

    def _emit(self) -> None:
        try:
            record_call(self._measurement)
        except Exception as error:  # noqa: BLE001, the stream survives its metrics SDK
            note_fault("metrics", error)

    def _measurement(self) -> Measurement:
        began_ns, answered_ns, ending = self.began_ns, self.answered_ns, self.ending
        return Measurement(
            operation=self.call.operation or (self._shape.operation if self._shape else ""),
            provider=self.provider,
            request_model=self.call.model,
            response_model=self._facts.model,
            server_address=self.call.server_address,
            server_port=self.call.server_port,
            error=ending.error if ending else "",
            duration_s=self.duration_s or 0.0,
            first_chunk_s=None if began_ns is None or answered_ns is None else (answered_ns - began_ns) / _NS,
            gaps_s=self.gaps_s,
            input_tokens=self._facts.input_tokens,
            output_tokens=self._facts.output_tokens,
        )


def _nothing() -> None:
    """Stand in for a weak reference that refers to nothing."""
