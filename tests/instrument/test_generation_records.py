"""How a generation's record leaves: as a span of its own, and to the sinks."""

from collections.abc import Callable

import msgspec
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, format_span_id, format_trace_id

from halves import generation_record
from streamgap.core.offsets import MAX_STRIDE
from streamgap.core.wire import (
    GENERATION_SPAN_NAME,
    MAX_MS,
    GenerationRecord,
    generation_attributes,
    parse_generation,
)
from streamgap.instrument.export import export_generation

RECORD = generation_record(delivered=40, unheard=2, estimated=True, dur=1500.0, start_unix_ns=17)


class SinkError(Exception):
    """What a sink may raise."""


def broken(_record: GenerationRecord) -> None:
    raise SinkError


def exported(record: GenerationRecord) -> GenerationRecord:
    records: list[GenerationRecord] = []
    export_generation(record, context=None, sinks=[records.append])
    (left,) = records
    return left


def test_the_span_is_the_record(spans: InMemorySpanExporter) -> None:
    """The record leaves as one span that reads back as the same record, lasts as long, and is a child of its cause."""
    records: list[GenerationRecord] = []
    with trace.get_tracer("app").start_as_current_span("POST /chat") as request:
        context = trace.set_span_in_context(request)
    export_generation(RECORD, context=context, sinks=[records.append])
    span = {span.name: span for span in spans.get_finished_spans()}[GENERATION_SPAN_NAME]
    assert span.kind is SpanKind.INTERNAL
    assert span.parent is not None
    assert span.parent.span_id == request.get_span_context().span_id
    assert (span.start_time, span.end_time) == (17, 17 + 1_500_000_000)
    ids = {"trace_id": format_trace_id(span.context.trace_id), "span_id": format_span_id(span.context.span_id)}
    assert records == [parse_generation(dict(span.attributes or {}), **ids, start_unix_ns=17)]
    assert records[0] == msgspec.structs.replace(RECORD, **ids)


def test_without_a_tracing_sdk_the_sinks_get_the_record() -> None:
    """An app without OpenTelemetry still keeps its ledger."""
    assert exported(RECORD) == RECORD


def test_a_record_is_cut_to_what_the_wire_takes() -> None:
    """A generation of hours, a model's endless name, a reason without end: the record is cut, and not refused."""
    left = exported(
        generation_record(
            id="i" * 200,
            reason="r" * 200,
            route="/" * 300,
            model="m\ud800" * 300,
            provider="p" * 300,
            delivered=1 << 40,
            unheard=-1,
            listeners=1 << 40,
            dur=2 * MAX_MS,
        )
    )
    assert parse_generation(generation_attributes(left)) == left
    assert (len(left.id), len(left.reason), len(left.route), len(left.provider)) == (96, 64, 256, 256)
    assert left.model == "m?" * 128
    assert (left.delivered, left.unheard, left.listeners, left.dur) == (MAX_STRIDE, 0, MAX_STRIDE, MAX_MS)


def test_a_sink_that_fails_hurts_nobody(faults: Callable[[], list[str]]) -> None:
    """An error in a sink is logged and counted; the other sinks do not notice."""
    records: list[GenerationRecord] = []
    export_generation(RECORD, context=None, sinks=[broken, records.append])
    assert records == [RECORD]
    assert faults() == ["sink"]


def test_a_record_that_makes_no_sense_raises_nothing(faults: Callable[[], list[str]]) -> None:
    """Whatever a caller put into it, whoever ran the generation goes on."""
    export_generation(generation_record(model=None), context=None, sinks=[broken])
    assert faults() == ["half"]
