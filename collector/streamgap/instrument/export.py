"""What was measured leaves: as a span of the app's own OpenTelemetry SDK, and to whoever asked for it here."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, SpanKind, format_span_id, format_trace_id

from streamgap.core.wire import (
    GENERATION_SPAN_NAME,
    MAX_GENERATION_ID,
    MAX_SHORT,
    SPAN_NAME,
    Attributes,
    GenerationRecord,
    ServerHalf,
    generation_attributes,
    to_attributes,
)
from streamgap.instrument.bounds import bounded_count, bounded_ms, bounded_text
from streamgap.instrument.faults import note_fault
from streamgap.instrument.gen_ai import is_bare_api

Sink = Callable[[ServerHalf], None]
"""Takes a finished server half, in the event loop: it must not block."""
GenerationSink = Callable[[GenerationRecord], None]
"""Takes the record of an ended or refused generation, in the event loop: it must not block."""
R = TypeVar("R", ServerHalf, GenerationRecord)


def export(half: ServerHalf, *, context: Context | None, sinks: Iterable[Sink]) -> None:
    """Hand a half to the tracing SDK, as a child of the span in `context`, and to every sink. Never raises."""
    _leave(half, name=SPAN_NAME, to_span=to_attributes, context=context, sinks=sinks)


def export_generation(record: GenerationRecord, *, context: Context | None, sinks: Iterable[GenerationSink]) -> None:
    """Hand a generation's record to the tracing SDK and to every sink, as `export` does with a half. Never raises.

    What is too long or too large for the wire is cut to it first: a generation may well take more than an hour.
    """
    try:
        record = _bounded(record)
    except Exception as error:  # noqa: BLE001, whoever ran the generation goes on
        note_fault("half", error)
        return
    _leave(record, name=GENERATION_SPAN_NAME, to_span=generation_attributes, context=context, sinks=sinks)


def _leave(
    record: R,
    *,
    name: str,
    to_span: Callable[[R], Attributes],
    context: Context | None,
    sinks: Iterable[Callable[[R], None]],
) -> None:
    try:
        span = _span(name, to_span(record), record, context)
    except Exception as error:  # noqa: BLE001, the response survives its tracing SDK
        note_fault("span", error)
        span = None
    if span is not None and span.trace_flags.sampled:
        record = msgspec.structs.replace(
            record, trace_id=format_trace_id(span.trace_id), span_id=format_span_id(span.span_id)
        )
    for sink in sinks:
        try:
            sink(record)
        except Exception as error:  # noqa: BLE001, a sink's failure is its own
            note_fault("sink", error)


def _span(
    name: str, attributes: Attributes, record: ServerHalf | GenerationRecord, context: Context | None
) -> SpanContext | None:
    provider = trace.get_tracer_provider()
    if is_bare_api(provider):
        return None
    span = provider.get_tracer("streamgap").start_span(
        name, context=context, kind=SpanKind.INTERNAL, attributes=attributes, start_time=record.start_unix_ns
    )
    span.end(end_time=record.start_unix_ns + round(record.dur * 1e6))
    return span.get_span_context()


def _bounded(record: GenerationRecord) -> GenerationRecord:
    return msgspec.structs.replace(
        record,
        id=bounded_text(record.id, MAX_GENERATION_ID),
        reason=bounded_text(record.reason, MAX_SHORT),
        route=bounded_text(record.route),
        model=bounded_text(record.model),
        provider=bounded_text(record.provider),
        delivered=None if record.delivered is None else bounded_count(record.delivered),
        unheard=None if record.unheard is None else bounded_count(record.unheard),
        listeners=bounded_count(record.listeners),
        events=bounded_count(record.events),
        dur=bounded_ms(record.dur),
    )
