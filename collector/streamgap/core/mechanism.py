"""The words for what a path does to a stream, and the codes people look them up by."""

from enum import StrEnum

import msgspec

from streamgap.core.probe import Hint, Protocol


class Mechanism(StrEnum):
    """Why content came late, incomplete or not at all; or whose doing it was when it was not the path's."""

    FLOWING = "flowing"
    WHOLE = "whole_response"
    COMPRESSOR = "compressor"
    BLOCKS = "blocks"
    TIMER = "timer"
    LATE_HEADERS = "late_headers"
    FIRST_BYTES = "first_bytes"
    ONE_BEHIND = "one_behind"
    QUEUE = "queue"
    REPLAY = "replay"
    LOST_EVENTS = "lost_events"
    CUT = "cut"
    IDLE_CUT = "idle_cut"
    AGE_CUT = "age_cut"
    SWALLOWED_HEARTBEATS = "swallowed_heartbeats"
    SLOW_APP = "slow_app"
    NETWORK = "network"
    CLIENT = "client"
    REFUSED = "refused"
    IRREGULAR = "irregular"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """What a finding means for a person: `held` streams fail a gate, a `note` does not, `doubt` decides nothing."""

    FLOWING = "flowing"
    NOTE = "note"
    HELD = "held"
    DOUBT = "doubt"


class Code(msgspec.Struct, frozen=True):
    """A stable code, its page is docs/codes/`code`.md."""

    code: str
    title: str
    severity: Severity


CODES: dict[Mechanism, Code] = {
    Mechanism.FLOWING: Code("SG100", "the stream flows", Severity.FLOWING),
    Mechanism.WHOLE: Code("SG101", "the whole response is held until its end", Severity.HELD),
    Mechanism.COMPRESSOR: Code("SG102", "a compressor keeps the stream in its buffer", Severity.HELD),
    Mechanism.BLOCKS: Code("SG103", "bytes are held until a block is full", Severity.HELD),
    Mechanism.TIMER: Code("SG104", "events are held until a timer fires", Severity.HELD),
    Mechanism.LATE_HEADERS: Code("SG105", "the headers wait for the first content", Severity.NOTE),
    Mechanism.FIRST_BYTES: Code("SG106", "the first bytes are held", Severity.HELD),
    Mechanism.ONE_BEHIND: Code("SG107", "each event waits for the next one", Severity.HELD),
    Mechanism.QUEUE: Code("SG108", "streams wait for one another before the app", Severity.HELD),
    Mechanism.REPLAY: Code("SG109", "a cache replays another request's stream", Severity.HELD),
    Mechanism.LOST_EVENTS: Code("SG110", "events are lost and the end looks clean", Severity.HELD),
    Mechanism.CUT: Code("SG111", "the stream is cut before its end", Severity.HELD),
    Mechanism.IRREGULAR: Code("SG112", "events come late, in no way that is known", Severity.DOUBT),
    Mechanism.IDLE_CUT: Code("SG120", "a silent stream is cut", Severity.HELD),
    Mechanism.AGE_CUT: Code("SG121", "a stream is cut at an age, silent or not", Severity.HELD),
    Mechanism.SWALLOWED_HEARTBEATS: Code("SG122", "heartbeats do not arrive", Severity.HELD),
    Mechanism.SLOW_APP: Code("SG201", "the app or its model is slow, the path is not", Severity.NOTE),
    Mechanism.NETWORK: Code("SG202", "the network is slow or uneven, nobody holds the stream", Severity.NOTE),
    Mechanism.CLIENT: Code("SG203", "the prober itself was held up", Severity.DOUBT),
    Mechanism.REFUSED: Code("SG301", "no stream came", Severity.DOUBT),
    Mechanism.UNKNOWN: Code("SG302", "the evidence decides nothing", Severity.DOUBT),
}


_ALIKE = 0.15  # one more layer of framing makes blocks look 3.5 % smaller, a loaded machine timers some 5 % longer


def alike(one: float | None, other: float | None) -> bool:
    """Say whether two block sizes, or two periods, may be of the same hold; None is not known, and fits any."""
    return one is None or other is None or abs(one - other) <= _ALIKE * max(one, other)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What the probes of one URL show together.

    `confidence` is 0…1: the share of paths with this evidence whose mechanism it is (figures in docs/doctor.md). Below
    0.5 nobody is accused. `evidence` are sentences with their numbers, strongest first. `block_bytes` and `period_ms`
    describe `blocks` and `timer`; `hold_ms` is the worst delay that repeated. `protocols`, `encodings` and `methods`
    say under which of those tried the stream is held (empty: under all of them); `freed_by` are the hints that
    made it flow, `not_freed_by` those that were tried in vain.
    """

    mechanism: Mechanism
    confidence: float
    evidence: tuple[str, ...] = ()
    hold_ms: float = 0.0
    block_bytes: int | None = None
    period_ms: float | None = None
    protocols: tuple[Protocol, ...] = ()
    encodings: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    freed_by: tuple[Hint, ...] = ()
    not_freed_by: tuple[Hint, ...] = ()

    @property
    def code(self) -> Code:
        """The finding's stable code."""
        return CODES[self.mechanism]
