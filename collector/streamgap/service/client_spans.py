"""The browser's share of a stream as a span of the server's own trace.

A trace ends where the server handed its last byte to the kernel. `ClientSpans` adds the missing part: for each joined
stream one span ``streamgap.client``, child of the span that carried the server half, so that any trace viewer shows
what the path and the page did with the answer.
"""

import logging
import threading
from collections.abc import Callable, Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_RESPONSE_HEADER_TEMPLATE,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
)
from opentelemetry.semconv.attributes.network_attributes import NETWORK_PROTOCOL_NAME, NETWORK_PROTOCOL_VERSION
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

from streamgap.core.join import JoinedStream
from streamgap.core.wire import ATTRIBUTES, ClientHalf, ServerHalf
from streamgap.core.words import Verdict

CLIENT_SPAN_NAME = "streamgap.client"
MAX_WAITING_SPANS = 2048
HTTP_VERSIONS = {"http/1.0": "1.0", "http/1.1": "1.1", "h2": "2", "h3": "3"}

VISIBLE_STALL_MS = 100.0
"""What the path lost between two chunks becomes an event of the span from here on: less than that nobody sees."""
_NS_PER_MS = 1_000_000
_SCOPE = InstrumentationScope("streamgap")
_ids = RandomIdGenerator()
_logger = logging.getLogger(__name__)


class ClientSpans:
    """Sink that exports one client span per joined stream whose server half came with a span context.

    At most `MAX_WAITING_SPANS` wait for export; one that finds no room, whose export fails, or that still waits when
    `stop` gives up, is lost and reported to `on_lost(spans)`, each exactly once. `on_lost` may be called from the
    export thread. `emit` takes no I/O and raises nothing.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        *,
        on_lost: Callable[[int], None] = lambda _spans: None,
        service_name: str = "browser",
        batch_delay_s: float = 5.0,
    ) -> None:
        self._exporter = _Accounted(exporter, on_lost)
        self._resource = Resource({SERVICE_NAME: service_name})
        self._processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=MAX_WAITING_SPANS,
            schedule_delay_millis=batch_delay_s * 1000.0,
            max_export_batch_size=MAX_WAITING_SPANS // 4,
        )

    @classmethod
    def over_otlp(
        cls, endpoint: str, *, timeout_s: float = 3.0, on_lost: Callable[[int], None] = lambda _spans: None
    ) -> "ClientSpans":
        """Export to the OTLP/HTTP receiver at `endpoint` (its base URL, without ``/v1/traces``)."""
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=timeout_s)
        return cls(exporter, on_lost=on_lost)

    def emit(self, stream: JoinedStream) -> None:
        """Queue the client span of `stream`; nothing where its server half has no span to be a child of."""
        span = client_span(stream, resource=self._resource)
        if span is not None and self._exporter.admit():
            self._processor.on_end(span)

    def stop(self, timeout_s: float = 3.0) -> None:
        """Export what waits, for at most `timeout_s`; blocks, so call it from a thread where a loop runs."""
        # The SDK's own shutdown waits up to 30 s for its worker and takes no shorter bound.
        worker = threading.Thread(target=self._processor.shutdown, daemon=True, name="streamgap-spans-stop")
        worker.start()
        worker.join(timeout_s)
        self._exporter.close()


class _Accounted(SpanExporter):
    """Counts spans from admission to the end of their export, so that each one lost is reported once."""

    def __init__(self, exporter: SpanExporter, on_lost: Callable[[int], None]) -> None:
        self._inner = exporter
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._waiting = 0
        self._closed = False

    def admit(self) -> bool:
        """Take a place for one span; where there is none the span counts as lost."""
        with self._lock:
            admitted = not self._closed and self._waiting < MAX_WAITING_SPANS
            self._waiting += admitted
        if not admitted:
            self._on_lost(1)
        return admitted

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._inner.export(spans)
        except Exception:
            _logger.exception("client spans: an exporter raised; %d spans are lost", len(spans))
        with self._lock:
            open_still = not self._closed
            self._waiting -= len(spans)
        if open_still and result is not SpanExportResult.SUCCESS:
            self._on_lost(len(spans))
        return result

    def close(self) -> None:
        """Report what still waits as lost and let go of the exporter; later results change nothing."""
        with self._lock:
            lost = 0 if self._closed else self._waiting
            self._closed = True
        if lost:
            self._on_lost(lost)
        self._inner.shutdown()

    def shutdown(self) -> None:
        """Do nothing: the processor calls this while spans may still wait; `close` ends the exporter."""


def client_span(stream: JoinedStream, *, resource: Resource) -> ReadableSpan | None:
    """Return the client span of a joined stream, or None where the server half has no valid span context.

    A server half with a span context is taken to have been sampled: unsampled spans are never exported.
    """
    server, client = stream.server, stream.client
    parent = _parent(server)
    if parent is None or not server.start_unix_ns:
        return None
    zero_unix_ns = server.start_unix_ns - round(uplink_ms(stream) * _NS_PER_MS)

    def moment(offset_ms: float) -> int:
        return zero_unix_ns + round(offset_ms * _NS_PER_MS)

    events = {"headers": client.head, "first_chunk": client.first, "paint": client.paint, "last_chunk": client.last}
    known = sorted((at_ms, name) for name, at_ms in events.items() if at_ms is not None)
    marks = [Event(name, timestamp=moment(at_ms)) for at_ms, name in known]
    for stall in stream.stalls:
        if stall.path_ms >= VISIBLE_STALL_MS:
            told = {"streamgap.index": stall.index, "streamgap.path_ms": stall.path_ms}
            marks.append(Event("stall", told, timestamp=moment(client.at[stall.index // client.stride])))
    return ReadableSpan(
        CLIENT_SPAN_NAME,
        context=SpanContext(parent.trace_id, _ids.generate_span_id(), is_remote=False, trace_flags=parent.trace_flags),
        parent=parent,
        resource=resource,
        attributes=_attributes(stream),
        events=marks,
        status=_status(stream),
        start_time=moment(0.0),
        end_time=moment(max([client.dur, *(at_ms for at_ms, _ in known)])),
        instrumentation_scope=_SCOPE,
    )


def uplink_ms(stream: JoinedStream) -> float:
    """Return how long before the server's zero the browser's zero is taken to have been, in ms.

    Browser time t is server time start + t − uplink. Let u be the true way up; whatever came down (headers, chunk i)
    was seen at dᵢ = clientᵢ − serverᵢ = u + (its way down). So 0 ≤ u ≤ min dᵢ, and uplink = max(0, min dᵢ): the
    fastest thing is assumed to have come down in no time. Example: written at 200 ms, seen at 260 ms, later chunks
    slower: the browser began 60 ms before the server. Error bound: the browser is placed early, by at most the one-way
    delay of the fastest thing; what others waited beyond it (the hold) is exact. Nothing to compare: uplink = 0.
    """
    server, client = stream.server, stream.client
    delays = [] if stream.path_delay is None else [stream.path_delay]
    if server.head is not None and client.head is not None:
        delays.append(client.head - server.head)
    return max(0.0, min(delays, default=0.0))


def _parent(server: ServerHalf) -> SpanContext | None:
    try:
        trace_id, span_id = int(server.trace_id, 16), int(server.span_id, 16)
    except ValueError:
        return None
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return context if context.is_valid else None


def _status(stream: JoinedStream) -> Status:
    if stream.client.end == "error" or stream.verdict is Verdict.CUT:
        return Status(StatusCode.ERROR, f"the browser got {stream.client.count} of {stream.server.count}")
    return Status(StatusCode.UNSET)


def _attributes(stream: JoinedStream) -> dict[str, AttributeValue]:
    server, client = stream.server, stream.client
    optional: dict[str, AttributeValue | None] = {
        HTTP_ROUTE: server.route or None,
        ATTRIBUTES["model"]: server.model or None,
        HTTP_RESPONSE_STATUS_CODE: client.status,
        "streamgap.gap_ms": stream.gap,
        "streamgap.hold_ms": stream.hold,
        "streamgap.path_delay_ms": stream.path_delay,
        "streamgap.page_ms": stream.page,
        "streamgap.wait_ms": client.wait,
        "streamgap.busy_ms": client.busy,
        "streamgap.mechanism": stream.mechanism,
    }
    known = {key: value for key, value in optional.items() if value is not None}
    return (
        known
        | _transport(client)
        | {
            ATTRIBUTES["sid"]: server.sid,
            ATTRIBUTES["count"]: client.count,
            ATTRIBUTES["unit"]: client.unit,
            "streamgap.verdict": stream.verdict.value,
            "streamgap.end": client.end,
            "streamgap.via": client.via,
            "streamgap.hidden_ms": client.hidden,
            "streamgap.tries": client.tries,
        }
    )


def _transport(client: ClientHalf) -> dict[str, AttributeValue]:
    """Return the negotiated protocol and content encoding under their semantic-convention names."""
    found: dict[str, AttributeValue] = {}
    if client.proto:
        found[NETWORK_PROTOCOL_NAME] = "http" if client.proto in HTTP_VERSIONS else client.proto
    if client.proto in HTTP_VERSIONS:
        found[NETWORK_PROTOCOL_VERSION] = HTTP_VERSIONS[client.proto]
    if client.enc:
        found[f"{HTTP_RESPONSE_HEADER_TEMPLATE}.content-encoding"] = (client.enc,)
    return found
