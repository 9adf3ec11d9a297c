"""A finished response → the server half of its stream."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from streamgap.core.timeline import Timeline
from streamgap.core.wire import MAX_GENERATION_ID, ServerHalf
from streamgap.core.words import Disconnect, Outcome
from streamgap.instrument.bounds import bounded_count, bounded_ms, bounded_text
from streamgap.instrument.endings import Ending, class_of, ending_of, innermost
from streamgap.instrument.generation import Generation
from streamgap.instrument.shapes import total
from streamgap.instrument.stream import Relayed, StreamRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What the middleware saw of a response; times in ms since its request was received.

    `beats` are the heartbeats written, `how` the way the client left, where that is known.
    """

    sid: str
    route: str
    head_ms: float | None
    end_ms: float
    timeline: Timeline
    ending: Ending
    beats: int = 0
    how: Disconnect | None = None


def server_half(response: Response, record: StreamRecord) -> ServerHalf:
    """Put the response and its model calls together.

    The model's share runs from the first call to the first content of any; what of it lies before the request was
    received (a relay's reader came later) is no wait, and cut off. Tokens are summed over calls, each of which reports
    a running total.
    """
    timeline, calls = response.timeline, record.generations
    first = calls[0] if calls else None
    half = ServerHalf(
        sid=response.sid,
        route=bounded_text(response.route),
        model=bounded_text(first.model) if first else "",
        provider=bounded_text(first.provider) if first else "",
        outcome=response.ending.outcome,
        error=bounded_text(response.ending.error),
        call=_earliest(record, [call.began_ns for call in calls]),
        answer=_earliest(record, [call.answered_ns for call in calls]),
        head=None if response.head_ms is None else bounded_ms(response.head_ms),
        input_tokens=_count([call.facts.input_tokens for call in calls]),
        output_tokens=_count([call.facts.output_tokens for call in calls]),
        beats=bounded_count(response.beats),
        how=record.disconnect or response.how,
        at=tuple(map(bounded_ms, timeline.offsets.times_ms)),
        stride=timeline.offsets.stride,
        count=timeline.count,
        unit=timeline.unit,
        last=None if timeline.last_ms is None else bounded_ms(timeline.last_ms),
        longest=bounded_ms(timeline.longest_gap_ms),
        gaps=_trimmed(timeline.gaps),
        dur=bounded_ms(response.end_ms),
        start_unix_ns=record.started_unix_ns,
    )
    return half if record.relayed is None else _relayed(half, record.relayed)


def outcome_of(*, gone: bool, complete: bool, error: BaseException | None, calls: Sequence[Generation]) -> Ending:
    """Say how a response ended.

    Whoever left first is to blame: the client; else the model, also where its error is what then took the app down;
    else the app. An app that stops reading the model of its own accord has completed its answer.
    """
    if gone:
        return Ending(Outcome.CLIENT_GONE, "")
    said = next((call.ending for call in reversed(calls) if call.ending is not None), None)
    if said is not None and said.outcome in (Outcome.UPSTREAM_ERROR, Outcome.TIMEOUT):
        return said
    if error is not None:
        ending = ending_of(error)
        return ending if ending.outcome is Outcome.TIMEOUT else Ending(Outcome.APP_ERROR, class_of(innermost(error)))
    if not complete:
        return Ending(Outcome.APP_ERROR, "incomplete_response")
    if said is None or said.outcome is Outcome.CLIENT_GONE:
        return Ending(Outcome.COMPLETE, "")
    return said


def _relayed(half: ServerHalf, relayed: Relayed) -> ServerHalf:
    """Add what the relay says. Tokens belong to the one response that called the model, however many read its log."""
    return msgspec.structs.replace(
        half,
        model=half.model or bounded_text(relayed.model),
        result=relayed.result,
        generation=bounded_text(relayed.generation, MAX_GENERATION_ID),
        cause=relayed.cause,
        input_tokens=half.input_tokens if relayed.calls else None,
        output_tokens=half.output_tokens if relayed.calls else None,
    )


def _earliest(record: StreamRecord, times_ns: Sequence[int | None]) -> float | None:
    known = [at_ns for at_ns in times_ns if at_ns is not None]
    return bounded_ms(record.ms(min(known))) if known else None


def _count(counts: Sequence[int | None]) -> int | None:
    tokens = total(*counts)
    return None if tokens is None else bounded_count(tokens)


def _trimmed(gaps: Sequence[int]) -> tuple[int, ...]:
    kept = len(gaps)
    while kept and not gaps[kept - 1]:
        kept -= 1
    return tuple(gaps[:kept])
