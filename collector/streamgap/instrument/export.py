"""The server half leaves: as a span of the app's own OpenTelemetry SDK, and to whoever asked for it in this process."""

from collections.abc import Callable, Iterable

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, SpanKind, format_span_id, format_trace_id

from streamgap.core.wire import SPAN_NAME, ServerHalf, to_attributes
from streamgap.instrument.faults import note_fault
from streamgap.instrument.gen_ai import is_bare_api

Sink = Callable[[ServerHalf], None]
"""Takes a finished server half, in the event loop: it must not block."""


def export(half: ServerHalf, *, context: Context | None, sinks: Iterable[Sink]) -> None:
    """Hand a half to the tracing SDK, as a child of the span in `context`, and to every sink. Never raises."""
    try:
        span = _span(half, context)
    except Exception as error:  # noqa: BLE001, the response survives its tracing SDK
        note_fault("span", error)
        span = None
    if span is not None and span.trace_flags.sampled:
        half = msgspec.structs.replace(
            half, trace_id=format_trace_id(span.trace_id), span_id=format_span_id(span.span_id)
        )
    for sink in sinks:
        try:
            sink(half)
        except Exception as error:  # noqa: BLE001, a sink's failure is its own
            note_fault("sink", error)


def _span(half: ServerHalf, context: Context | None) -> SpanContext | None:
    provider = trace.get_tracer_provider()
    if is_bare_api(provider):
        return None
    span = provider.get_tracer("streamgap").start_span(
        SPAN_NAME,
        context=context,
        kind=SpanKind.INTERNAL,
        attributes=to_attributes(half),
        start_time=half.start_unix_ns,
    )
    span.end(end_time=half.start_unix_ns + round(half.dur * 1e6))
    return span.get_span_context()
