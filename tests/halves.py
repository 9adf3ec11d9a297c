"""Builders and Hypothesis strategies of valid halves."""

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import strategies as st

from streamgap.core.timeline import Timeline
from streamgap.core.wire import WIRE_VERSION, ClientHalf, GenerationRecord, ServerHalf
from streamgap.core.words import GENERATION_ENDS, MODEL_CALLS, Disconnect, GenerationResult, ReconnectCause

SID = "stream-0001"
PAGE = "page-0001"


def half_fields(offsets_ms: Sequence[float]) -> dict[str, Any]:
    """Return the fields both halves share, for one content event at each offset."""
    timeline = Timeline()
    for at_ms in offsets_ms:
        timeline.arrive(1, at_ms)
    return {
        "at": tuple(timeline.offsets.times_ms),
        "stride": timeline.offsets.stride,
        "count": timeline.count,
        "last": timeline.last_ms,
        "longest": timeline.longest_gap_ms,
        "gaps": tuple(timeline.gaps),
        "dur": (timeline.last_ms or 0.0) + 1.0,
    }


def server_half(offsets_ms: Sequence[float], **fields: Any) -> ServerHalf:
    """Return a server half that wrote one content event at each offset."""
    return msgspec.structs.replace(
        ServerHalf(sid=SID, route="/chat", model="gemini"), **half_fields(offsets_ms), **fields
    )


def client_half(offsets_ms: Sequence[float], **fields: Any) -> ClientHalf:
    """Return the final report of a client that got one content event at each offset."""
    base = ClientHalf(v=WIRE_VERSION, sid=SID, page=PAGE, n=1, via="fetch", end="done", final=True)
    return msgspec.structs.replace(base, **{**half_fields(offsets_ms), **fields})


_generations = itertools.count(1)


def generation_record(**fields: Any) -> GenerationRecord:
    """Return the record of a generation that somebody heard to its end; without an `id`, of another one each time."""
    base = GenerationRecord(
        id=f"generation-{next(_generations):04d}",
        result=GenerationResult.STARTED,
        status="done",
        route="/chat",
        model="gemini",
    )
    return msgspec.structs.replace(base, **fields)


durations_ms = st.floats(min_value=0.0, max_value=600_000.0, allow_nan=False).map(lambda ms: round(ms, 1))
offset_lists = st.lists(durations_ms, max_size=600).map(sorted)
client_halves = st.builds(
    client_half,
    offset_lists,
    sid=st.from_regex(r"[A-Za-z0-9_-]{8,64}", fullmatch=True),
    page=st.from_regex(r"[A-Za-z0-9_-]{8,32}", fullmatch=True),
    n=st.integers(1, 10_000),
    end=st.sampled_from(["done", "stopped", "error", "left", "lost"]),
    final=st.booleans(),
    status=st.none() | st.integers(0, 999),
    paint=st.none() | durations_ms,
    busy=st.none() | durations_ms,
    proto=st.text(st.characters(codec="utf-8"), max_size=64),
)
server_halves = st.builds(
    server_half,
    offset_lists,
    call=st.none() | durations_ms,
    answer=st.none() | durations_ms,
    error=st.text(st.characters(codec="utf-8"), max_size=64),
    input_tokens=st.none() | st.integers(0, 1 << 31),
    result=st.none() | st.sampled_from(GenerationResult),
    generation=st.text(st.characters(codec="utf-8"), max_size=96),
    cause=st.none() | st.sampled_from(ReconnectCause),
    beats=st.integers(0, 1 << 31),
    how=st.none() | st.sampled_from(Disconnect),
)
generation_records = st.builds(
    generation_record,
    id=st.text(st.characters(codec="utf-8"), max_size=96),
    result=st.sampled_from(MODEL_CALLS),
    status=st.sampled_from(GENERATION_ENDS),
    reason=st.text(st.characters(codec="utf-8"), max_size=64),
    delivered=st.none() | st.integers(0, 1 << 31),
    unheard=st.none() | st.integers(0, 1 << 31),
    estimated=st.booleans(),
    listeners=st.integers(0, 1000),
    events=st.integers(0, 20_000),
    dur=durations_ms,
)
