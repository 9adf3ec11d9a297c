"""OTLP/HTTP traces in: the spans that carry server halves or generation records, in protobuf or JSON, among others."""

import asyncio
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToJson, Parse, ParseError
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped] # its stubs come without py.typed
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from streamgap.core.errors import InvalidReportError
from streamgap.core.wire import GENERATION_SPAN_NAME, STREAM_ID_ATTRIBUTE
from streamgap.core.words import Reason
from streamgap.service.admission import STATUS, RefusedError
from streamgap.service.joiner import Joiner

TRACES_PATH = "/v1/traces"
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
MIB = 1024 * 1024
MAX_SENT_BYTES = 4 * MIB
MAX_INFLATED_BYTES = 16 * MIB
MAX_INLINE_BYTES = 64 * 1024
"""A request up to this size is decoded on the event loop; a larger one would hold it up and goes to a thread."""


OfferSpan = Callable[..., InvalidReportError | None]
"""Takes a span's attributes and context; returns why it was refused, or None."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer an exporter: HTTP status, media type, body."""

    status: int
    media_type: str
    body: bytes


async def receive_traces(
    joiner: Joiner, *, content_type: str, content_encoding: str, chunks: AsyncIterator[bytes]
) -> Answer:
    """Take one export request in. Spans that carry nothing for us are ignored, bad ones refused one by one."""
    media_type = content_type.partition(";")[0].strip().lower()
    try:
        if media_type not in (PROTOBUF, JSON):
            raise _refused(f"expected {PROTOBUF} or {JSON}, got {content_type!r}", Reason.ENCODING)
        sent = await _read(chunks)
        if len(sent) > MAX_INLINE_BYTES:
            request = await asyncio.to_thread(_decode, sent, content_encoding, media_type)
        else:
            request = _decode(sent, content_encoding, media_type)
    except RefusedError as error:
        joiner.reject("server", error)
        status = Status(code=3, message=str(error))
        return Answer(STATUS[Reason(error.reason)], *_encode(status, media_type))
    refusals = [refusal for span, offer in _ours(request, joiner) if (refusal := _offer(offer, span, media_type))]
    response = ExportTraceServiceResponse()
    if refusals:
        response.partial_success.rejected_spans = len(refusals)
        response.partial_success.error_message = str(refusals[0])
    return Answer(200, *_encode(response, media_type))


def inflate(body: bytes, content_encoding: str) -> bytes:
    """Undo gzip, at most `MAX_INFLATED_BYTES` of it. Raises RefusedError with reason `encoding` or `size`."""
    if content_encoding in ("", "identity"):
        return body
    if content_encoding != "gzip":
        raise _refused(f"expected content encoding gzip or none, got {content_encoding!r}", Reason.ENCODING)
    inflater = zlib.decompressobj(wbits=31)
    try:
        inflated = inflater.decompress(body, MAX_INFLATED_BYTES)
    except zlib.error as error:
        raise _refused(f"expected gzip, got {error}", Reason.ENCODING) from error
    if inflater.unconsumed_tail:
        raise _refused(f"expected at most {MAX_INFLATED_BYTES} bytes when inflated, got more", Reason.SIZE)
    if not inflater.eof:
        raise _refused("expected the whole gzip stream, got a part", Reason.ENCODING)
    return inflated


async def _read(chunks: AsyncIterator[bytes]) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_SENT_BYTES:
            raise _refused(f"expected at most {MAX_SENT_BYTES} bytes, got more; lower the batch size", Reason.SIZE)
    return bytes(body)


def _decode(sent: bytes, content_encoding: str, media_type: str) -> ExportTraceServiceRequest:
    body = inflate(sent, content_encoding)
    request = ExportTraceServiceRequest()
    try:
        if media_type == JSON:
            Parse(body, request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except (DecodeError, ParseError, UnicodeDecodeError, RecursionError) as error:
        raise _refused(f"expected an ExportTraceServiceRequest, got {error}", Reason.SCHEMA) from error
    return request


def _ours(request: ExportTraceServiceRequest, joiner: Joiner) -> Iterator[tuple[Span, OfferSpan]]:
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                if any(attribute.key == STREAM_ID_ATTRIBUTE for attribute in span.attributes):
                    yield span, joiner.offer_span
                elif span.name == GENERATION_SPAN_NAME:
                    yield span, joiner.offer_generation_span


def _offer(offer: OfferSpan, span: Span, media_type: str) -> InvalidReportError | None:
    return offer(
        {attribute.key: _value(attribute.value) for attribute in span.attributes},
        trace_id=_hex(span.trace_id, media_type),
        span_id=_hex(span.span_id, media_type),
        start_unix_ns=span.start_time_unix_nano,
    )


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return None if kind is None else getattr(value, kind)


def _hex(identifier: bytes, media_type: str) -> str:
    # OTLP's JSON writes ids in hex where protobuf's reads base64; encoding them again gives back what was written.
    return b64encode(identifier).decode().lower() if media_type == JSON else identifier.hex()


def _encode(message: Message, media_type: str) -> tuple[str, bytes]:
    if media_type == JSON:
        return JSON, MessageToJson(message, indent=None).encode()
    return PROTOBUF, message.SerializeToString()


def _refused(message: str, reason: Reason) -> RefusedError:
    return RefusedError(f"POST {TRACES_PATH}: {message}", reason=reason)
