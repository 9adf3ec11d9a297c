from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from halves import client_half, server_half
from otlp_receiver import PATIENCE_S, black_hole, otlp_receiver, refusing_endpoint
from streamgap.core.join import JoinedStream, join
from streamgap.service.client_spans import CLIENT_SPAN_NAME, MAX_WAITING_SPANS, ClientSpans, client_span, uplink_ms

START_UNIX_NS = 1_800_000_000_000_000_000
TRACE: dict[str, Any] = {
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "span_id": "00f067aa0ba902b7",
    "start_unix_ns": START_UNIX_NS,
}
RESOURCE = Resource({})


def joined(
    written_ms: Sequence[float] = (200, 250, 300), seen_ms: Sequence[float] = (900, 901, 902), **client: Any
) -> JoinedStream:
    return join(server_half(written_ms, **TRACE), client_half(seen_ms, **client))


def from_start_ms(at_unix_ns: int | None) -> float:
    assert at_unix_ns is not None
    return (at_unix_ns - START_UNIX_NS) / 1_000_000


def span_of(stream: JoinedStream) -> ReadableSpan:
    span = client_span(stream, resource=RESOURCE)
    assert span is not None
    return span


def test_the_client_span_is_a_child_of_the_server_halfs_span() -> None:
    """A trace viewer shows the browser's part under the span that streamed, in the same trace."""
    exporter = InMemorySpanExporter()
    spans = ClientSpans(exporter)
    spans.emit(joined())
    spans.stop(PATIENCE_S)
    (span,) = exporter.get_finished_spans()
    assert span.name == CLIENT_SPAN_NAME
    assert span.parent is not None
    assert span.context.trace_id == span.parent.trace_id == int(TRACE["trace_id"], 16)
    assert span.parent.span_id == int(TRACE["span_id"], 16) != span.context.span_id


def test_browser_times_land_on_the_servers_clock() -> None:
    """With dᵢ = 700, 651, 602 the browser began 602 ms before the server, so its last chunk comes as it is written."""
    span = span_of(joined(head=610.0, paint=910.0))
    assert from_start_ms(span.start_time) == -602.0
    assert [(event.name, from_start_ms(event.timestamp)) for event in span.events] == [
        ("headers", 8.0),
        ("first_chunk", 298.0),
        ("last_chunk", 300.0),
        ("paint", 308.0),
    ]
    assert from_start_ms(span.end_time) == 308.0


def test_headers_that_came_fast_show_a_hold_that_chunks_alone_cannot() -> None:
    """A one-chunk answer held 3 s is drawn 3 s after its writing when its headers passed at once."""
    stream = join(server_half([200], head=5.0, **TRACE), client_half([3215], head=20.0))
    assert stream.path_delay == 3015.0
    assert uplink_ms(stream) == 15.0
    first_chunk = next(event for event in span_of(stream).events if event.name == "first_chunk")
    assert from_start_ms(first_chunk.timestamp) == 3200.0


def test_the_longest_stalls_of_the_path_are_marked() -> None:
    """Where the path lost time between two chunks, the span says at which chunk, how much, and when it came."""
    stream = join(server_half([100, 150, 200], **TRACE), client_half([110, 1160, 1161]))
    (stall,) = [event for event in span_of(stream).events if event.name == "stall"]
    assert dict(stall.attributes or {}) == {"streamgap.index": 1, "streamgap.path_ms": 1000.0}
    assert from_start_ms(stall.timestamp) == 1150.0


@pytest.mark.parametrize(
    ("server_head_ms", "client_head_ms"), [(500.0, 10.0), (None, None)], ids=["answered by a hop", "nothing known"]
)
def test_the_browser_never_begins_after_the_server(server_head_ms: float | None, client_head_ms: float | None) -> None:
    """A request cannot arrive before it is sent, whatever a hop that answers by itself makes the halves say."""
    stream = join(server_half([], head=server_head_ms, **TRACE), client_half([], head=client_head_ms, end="left"))
    assert uplink_ms(stream) == 0.0


def test_attributes_use_the_semantic_conventions_names() -> None:
    """Protocol, status and encoding are found where every other HTTP span has them."""
    span = span_of(joined(status=200, proto="h2", enc="gzip", busy=12.0))
    assert span.attributes is not None
    expected = {
        "http.route": "/chat",
        "gen_ai.request.model": "gemini",
        "http.response.status_code": 200,
        "network.protocol.name": "http",
        "network.protocol.version": "2",
        "http.response.header.content-encoding": ("gzip",),
        "streamgap.stream.id": "stream-0001",
        "streamgap.gap_ms": 700.0,
        "streamgap.hold_ms": 98.0,
        "streamgap.path_delay_ms": 602.0,
        "streamgap.busy_ms": 12.0,
        "streamgap.verdict": "flowing",
        "streamgap.end": "done",
    }
    assert expected.items() <= dict(span.attributes).items()


def test_a_held_stream_says_by_what() -> None:
    """The mechanism is on the client span of a stream that was held, and on no other."""
    written_ms = [200.0 + 50.0 * k for k in range(60)]
    span = span_of(joined(written_ms, [3160.0] * 60, enc="gzip"))
    assert (span.attributes or {})["streamgap.mechanism"] == "compressor"
    assert "streamgap.mechanism" not in (span_of(joined()).attributes or {})


def test_a_cut_stream_is_an_error_of_the_trace() -> None:
    """A viewer that lists failed traces lists answers that never came whole."""
    span = span_of(joined(seen_ms=(201, 251), end="error"))
    assert span.status.status_code.name == "ERROR"
    assert span.status.description == "the browser got 2 of 3"


@pytest.mark.parametrize(
    "context",
    [
        {},
        {**TRACE, "trace_id": "not hexadecimal"},
        {**TRACE, "trace_id": "0" * 32},
        {**TRACE, "span_id": "-1"},
        {**TRACE, "start_unix_ns": 0},
    ],
    ids=["absent", "not hex", "zero", "negative", "no start"],
)
def test_a_half_without_a_valid_span_makes_none(context: dict[str, Any]) -> None:
    """Where there is no trace to join, nothing is exported and nothing counts as lost."""
    lost: list[int] = []
    exporter = InMemorySpanExporter()
    spans = ClientSpans(exporter, on_lost=lost.append)
    spans.emit(join(server_half([1], **context), client_half([2])))
    spans.stop(PATIENCE_S)
    assert exporter.get_finished_spans() == ()
    assert lost == []


def test_spans_arrive_at_an_otlp_receiver() -> None:
    """What the real exporter sends decodes to the same ids, times and events."""
    with otlp_receiver() as receiver:
        spans = ClientSpans.over_otlp(receiver.endpoint + "/", timeout_s=PATIENCE_S)
        spans.emit(joined(head=610.0))
        spans.stop(PATIENCE_S)
        (resource_spans,) = receiver.traces.get(timeout=PATIENCE_S).resource_spans
    (span,) = resource_spans.scope_spans[0].spans
    assert span.trace_id.hex() == TRACE["trace_id"]
    assert span.parent_span_id.hex() == TRACE["span_id"]
    assert span.kind == Span.SpanKind.SPAN_KIND_INTERNAL
    assert from_start_ms(span.start_time_unix_nano) == -602.0
    assert [event.name for event in span.events] == ["headers", "first_chunk", "last_chunk"]
    assert {a.key: a.value.string_value for a in resource_spans.resource.attributes} == {"service.name": "browser"}


def test_a_receiver_that_is_down_loses_spans_counted() -> None:
    """Each span that could not be sent is reported, and no error reaches the collector."""
    lost: list[int] = []
    spans = ClientSpans.over_otlp(refusing_endpoint(), timeout_s=0.1, on_lost=lost.append)
    for _ in range(3):
        spans.emit(joined())
    spans.stop(PATIENCE_S)
    assert sum(lost) == 3


def test_a_receiver_that_never_answers_does_not_hold_the_shutdown() -> None:
    """`stop` returns after its own bound, long before the request's, with every span accounted for once."""
    lost: list[int] = []
    with black_hole() as endpoint:
        spans = ClientSpans.over_otlp(endpoint, timeout_s=PATIENCE_S * 4, on_lost=lost.append)
        spans.emit(joined())
        spans.stop(0.05)
    assert lost == [1]
    spans.emit(joined())
    assert lost == [1, 1]


def test_waiting_spans_are_bounded() -> None:
    """Beyond the bound new spans are refused and reported; memory does not grow with a slow receiver."""
    lost: list[int] = []
    with black_hole() as endpoint:
        spans = ClientSpans.over_otlp(endpoint, timeout_s=PATIENCE_S * 4, on_lost=lost.append)
        stream = joined()
        for _ in range(MAX_WAITING_SPANS + 5):
            spans.emit(stream)
        assert sum(lost) == 5
        spans.stop(0.05)
    assert sum(lost) == MAX_WAITING_SPANS + 5


def test_an_exporter_that_raises_loses_spans_counted() -> None:
    """A fault of the exporter is logged and counted, never raised into the collector."""

    class Faulty(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            raise RuntimeError(f"no way out for {len(spans)}")

    lost: list[int] = []
    spans = ClientSpans(Faulty(), on_lost=lost.append)
    spans.emit(joined())
    spans.stop(PATIENCE_S)
    assert lost == [1]
