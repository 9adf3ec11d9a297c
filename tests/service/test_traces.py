"""OTLP traces in: from the real SDK's exporter, in protobuf and JSON, good and bad."""

import asyncio
import gzip
import json
import math
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec
import pytest
from google.protobuf.json_format import Parse
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped] # its stubs come without py.typed
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

from halves import SID, generation_record, server_half
from service.lab import PACE_MS, Caught, body, get, http, post, served, value
from streamgap.core.wire import GENERATION_SPAN_NAME, SPAN_NAME, generation_attributes, to_attributes
from streamgap.instrument.export import export_generation
from streamgap.service.collector import Collector
from streamgap.service.joiner import Joiner
from streamgap.service.traces import (
    JSON,
    MAX_INFLATED_BYTES,
    MAX_INLINE_BYTES,
    MAX_SENT_BYTES,
    PROTOBUF,
    Answer,
    receive_traces,
)

HALF = server_half(PACE_MS, call=5.0, answer=480.0, outcome="client_gone", input_tokens=12)
TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def any_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": "NaN" if math.isnan(value) else value}
    return {"arrayValue": {"values": [any_value(item) for item in value]}}


def span(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "traceId": TRACE_ID,
        "spanId": SPAN_ID,
        "name": SPAN_NAME,
        "startTimeUnixNano": "1700000000000000000",
        "attributes": [{"key": key, "value": any_value(value)} for key, value in attributes.items()],
    }


def request(*spans: dict[str, Any]) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()


async def export(joiner: Joiner, payload: bytes, media_type: str = JSON, encoding: str = "") -> Answer:
    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(payload), 65536):
            yield payload[at : at + 65536]

    return await receive_traces(joiner, content_type=media_type, content_encoding=encoding, chunks=chunks())


def refusal(answer: Answer) -> tuple[int, str]:
    message = Status.FromString(answer.body) if answer.media_type == PROTOBUF else Parse(answer.body, Status())
    return answer.status, message.message


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
async def test_the_sdks_exporter_delivers_server_halves(
    make_collector: Callable[..., Collector], compression: Compression
) -> None:
    """A span made and exported by the ordinary SDK arrives as the half it was made of, with its context."""
    sink = Caught()
    collector = make_collector(sinks=[sink])
    async with served(collector) as site:
        exporter = OTLPSpanExporter(f"http://127.0.0.1:{site.admin_port}/v1/traces", compression=compression)
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        made = provider.get_tracer("app").start_span(SPAN_NAME, attributes=to_attributes(HALF), start_time=17)
        await asyncio.to_thread(made.end)
        await asyncio.to_thread(provider.shutdown)
        await http(site.public_port, post(body()))
    (stream,) = sink.streams
    context = made.get_span_context()
    assert stream.server == msgspec.structs.replace(
        HALF, trace_id=f"{context.trace_id:032x}", span_id=f"{context.span_id:016x}", start_unix_ns=17
    )


async def test_the_sdks_exporter_delivers_generation_records(
    make_collector: Callable[..., Collector], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generation's span, made by the instrumentation and exported by the ordinary SDK, is in the ledger, once."""
    collector = make_collector()
    async with served(collector) as site:
        exporter = OTLPSpanExporter(f"http://127.0.0.1:{site.admin_port}/v1/traces")
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(exporter))
        monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", provider)
        record = generation_record(delivered=40, unheard=2, start_unix_ns=17)
        export_generation(record, context=None, sinks=[collector.offer_generation])
        await asyncio.to_thread(provider.shutdown)
    assert value(collector.joiner, "streamgap_generations_total", route="/chat", result="started") == 1
    assert value(collector.joiner, "streamgap_tokens_total", route="/chat", fate="unheard") == 2


async def test_a_bad_record_is_refused_alone(joiner: Joiner) -> None:
    """The good spans of a batch are taken; the bad record is named in the partial success, and is no half."""
    good = generation_attributes(generation_record())
    bad = {**good, "streamgap.generation.status": "running"}
    named = [span(attributes) | {"name": GENERATION_SPAN_NAME} for attributes in (bad, good)]
    named[1]["spanId"] = SPAN_ID[::-1]
    answer = await export(joiner, request(*named, span(to_attributes(HALF))))
    partial = Parse(answer.body, ExportTraceServiceResponse()).partial_success
    assert (answer.status, partial.rejected_spans) == (200, 1)
    assert partial.error_message.startswith("span streamgap.generation: ")
    assert value(joiner, "streamgap_generations_total", route="/chat", result="started") == 1
    assert value(joiner, "streamgap_generation_records_rejected_total") == 1
    assert value(joiner, "streamgap_reports_received_total", half="server") == 1


async def test_json_carries_ids_in_hex(make_joiner: Callable[..., Joiner]) -> None:
    """OTLP's JSON, with its hex ids and its integers in strings, gives the same half as protobuf."""
    sink = Caught()
    joiner = make_joiner(sinks=[sink])
    answer = await export(joiner, request(span(to_attributes(HALF))), "application/json; charset=utf-8")
    assert (answer.status, answer.media_type, json.loads(answer.body)) == (200, JSON, {})
    joiner.offer_client(body())
    assert sink.streams[0].server == msgspec.structs.replace(
        HALF, trace_id=TRACE_ID, span_id=SPAN_ID, start_unix_ns=1_700_000_000_000_000_000
    )


async def test_spans_without_a_stream_id_are_ignored(joiner: Joiner) -> None:
    """A whole trace pipeline can be forwarded: other spans are neither taken nor refused."""
    others = [span({"http.route": "/x"}), span({"streamgap.generation.id": "g"}) | {"name": "other"}]
    answer = await export(joiner, request(*others, span(to_attributes(HALF))))
    assert json.loads(answer.body) == {}
    assert value(joiner, "streamgap_reports_received_total", half="server") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"streamgap.stream.id": "short"},
        {"streamgap.stream.id": True},
        {"streamgap.call_ms": "NaN"},
        {"streamgap.call_ms": -1.0},
        {"streamgap.count": 99},
        {"streamgap.outcome": "exploded"},
        {"streamgap.offsets_ms": [1.0, "x"]},
    ],
    ids=str,
)
async def test_a_bad_half_is_refused_alone(joiner: Joiner, wrong: dict[str, Any]) -> None:
    """The good halves of a batch are taken; the bad one is counted and named in the partial success."""
    good, bad = to_attributes(HALF), {**to_attributes(HALF), **wrong}
    answer = await export(joiner, request(span(bad), span(good)))
    assert answer.status == 200
    partial = Parse(answer.body, ExportTraceServiceResponse()).partial_success
    assert partial.rejected_spans == 1
    assert partial.error_message.startswith("span streamgap.stream: ")
    assert value(joiner, "streamgap_reports_accepted_total", half="server") == 1
    assert value(joiner, "streamgap_reports_rejected_total", half="server", reason="schema") == 1


async def test_a_nan_in_protobuf_is_refused(joiner: Joiner) -> None:
    """Protobuf can carry NaN; no histogram may."""
    attributes = to_attributes(HALF) | {"streamgap.last_ms": math.nan}
    message = Parse(request(span(attributes)), ExportTraceServiceRequest())
    answer = await export(joiner, message.SerializeToString(), PROTOBUF)
    assert ExportTraceServiceResponse.FromString(answer.body).partial_success.rejected_spans == 1


TOO_MUCH = gzip.compress(bytes(MAX_INFLATED_BYTES + 1))


@pytest.mark.parametrize(
    ("payload", "media_type", "encoding", "status", "reason"),
    [
        (b"\xff\xff", PROTOBUF, "", 400, "schema"),
        (b"{", JSON, "", 400, "schema"),
        (b'{"resourceSpans":1}', JSON, "", 400, "schema"),
        (b"[" * 100_000, JSON, "", 400, "schema"),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"\\ud800"}]}]}]}', JSON, "", 400, "schema"),
        (b"x", "text/plain", "", 415, "encoding"),
        (b"x", "", "", 415, "encoding"),
        (b"x", PROTOBUF, "br", 415, "encoding"),
        (b"x", PROTOBUF, "gzip", 415, "encoding"),
        (gzip.compress(bytes(100))[:-9], PROTOBUF, "gzip", 415, "encoding"),
        (TOO_MUCH, PROTOBUF, "gzip", 413, "size"),
        (bytes(MAX_SENT_BYTES + 1), PROTOBUF, "", 413, "size"),
    ],
    ids=[
        *("garbage", "truncated", "wrong shape", "deep", "surrogate", "media type", "no media type", "brotli"),
        *("no gzip", "cut gzip", "bomb", "large"),
    ],
)
async def test_a_bad_request_is_refused_as_a_whole(
    joiner: Joiner, *, payload: bytes, media_type: str, encoding: str, status: int, reason: str
) -> None:
    """It is answered with a Status that says what was expected, and counted once."""
    answer = await export(joiner, payload, media_type, encoding)
    got_status, message = refusal(answer)
    assert got_status == status
    assert message.startswith("POST /v1/traces: expected ")
    assert value(joiner, "streamgap_reports_rejected_total", half="server", reason=reason) == 1


async def test_a_large_batch_is_taken_whole(joiner: Joiner) -> None:
    """What is too large for the event loop is decoded elsewhere, to the same end."""
    attributes = [to_attributes(server_half(PACE_MS, sid=f"stream-{i:04d}")) for i in range(200)]
    payload = request(*map(span, attributes))
    assert len(payload) > MAX_INLINE_BYTES
    await export(joiner, gzip.compress(payload), JSON, "gzip")
    assert value(joiner, "streamgap_reports_accepted_total", half="server") == 200


async def test_traces_are_not_taken_in_public(make_collector: Callable[..., Collector]) -> None:
    """The public listener has no /v1/traces: server halves come from where the operator let them."""
    async with served(make_collector()) as site:
        payload = request(span(to_attributes(HALF) | {"streamgap.stream.id": SID}))
        answer = await http(site.public_port, post(payload, path="/v1/traces"))
        assert answer.status == 404
        assert (await http(site.admin_port, get("/v1/traces"))).status in (404, 405)
