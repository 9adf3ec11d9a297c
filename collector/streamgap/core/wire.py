"""The halves and the generation records on the wire: strict schemas, parsers, and the span attributes that carry them.

All times are durations in ms since the half's own start, on its own clock; no half carries a time that the other may
subtract. docs/wire.md is the prose of this module.
"""

from collections.abc import Mapping, Sequence
from operator import le
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from streamgap.core.catalog import CHUNK_GAP_BUCKETS_S
from streamgap.core.errors import InvalidReportError
from streamgap.core.offsets import MAX_OFFSETS, MAX_STRIDE
from streamgap.core.timeline import Unit
from streamgap.core.words import MODEL_CALLS, Disconnect, GenerationResult, Outcome, Reason, ReconnectCause

WIRE_VERSION = 1
SPAN_NAME = "streamgap.stream"
GENERATION_SPAN_NAME = "streamgap.generation"
STREAM_ID_PARAM = "sid"
STREAM_ID_HEADER = "x-stream-id"
MAX_BEACON_BYTES = 4096
MAX_MS = 3_600_000.0
MAX_LABEL = 256
MAX_GENERATION_ID = 96
MAX_SHORT = 64

StreamId = Annotated[str, Meta(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9_-]+\Z")]
Ms = Annotated[float, Meta(ge=0.0, le=MAX_MS)]
Count = Annotated[int, Meta(ge=0, le=MAX_STRIDE)]
Offsets = Annotated[tuple[Ms, ...], Meta(max_length=MAX_OFFSETS)]
Gaps = Annotated[tuple[Count, ...], Meta(max_length=len(CHUNK_GAP_BUCKETS_S) + 1)]
Short = Annotated[str, Meta(max_length=MAX_SHORT)]
Label = Annotated[str, Meta(max_length=MAX_LABEL)]
GenerationId = Annotated[str, Meta(max_length=MAX_GENERATION_ID)]
TraceId = Annotated[str, Meta(max_length=32)]
SpanId = Annotated[str, Meta(max_length=16)]
UnixNs = Annotated[int, Meta(ge=0)]

End = Literal["done", "stopped", "error", "left", "lost"]
Via = Literal["fetch", "eventsource"]
GenerationStatus = Literal["done", "failed", "stopped", "refused"]
Attributes = dict[str, str | int | float | Sequence[float] | Sequence[int]]


class Half(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What both sides say of one stream.

    `at[k]` is the offset of index k·`stride` (so `at[0]` is the time to first chunk); `count` is how many indices
    there were, in `unit`. `gaps` are the bins of `streamgap_chunk_gap_seconds` with trailing zeros left out, and their
    sum is `last` − `at[0]`.
    """

    at: Offsets = ()
    stride: Annotated[int, Meta(ge=1, le=MAX_STRIDE)] = 1
    count: Count = 0
    unit: Unit = "events"
    last: Ms | None = None
    longest: Ms = 0.0
    gaps: Gaps = ()
    dur: Ms = 0.0

    @property
    def first(self) -> float | None:
        """Time to first chunk in ms, or None where no content came."""
        return self.at[0] if self.at else None

    @property
    def spread(self) -> float:
        """Last chunk − first chunk in ms; 0 where fewer than two came."""
        return self.last - self.at[0] if self.at and self.last is not None else 0.0


class ClientHalf(Half, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """The browser's half: the body of `POST /v1/beacon`.

    `page` is a random id of one page load, kept for one client window; `n` numbers the reports of one stream (highest
    wins) and `final` says that none will follow. `head`, `byte` and `paint` are headers, first body byte and first
    paint after the first chunk. `wait` is the time the browser queued the request before sending it. `hidden` and
    `busy` are ms the tab was hidden or its main thread blocked (None where the browser cannot tell); `tries` counts
    reconnects. `wire` and `body` are bytes of the body as transferred and as decoded (0 or None: not told).
    """

    v: Annotated[int, Meta(ge=0, le=1000)]
    sid: StreamId
    page: Annotated[str, Meta(min_length=8, max_length=32, pattern=r"^[A-Za-z0-9_-]+\Z")]
    n: Annotated[int, Meta(ge=1, le=10_000)]
    via: Via
    end: End
    final: bool = False
    status: Annotated[int, Meta(ge=0, le=999)] | None = None
    head: Ms | None = None
    byte: Ms | None = None
    paint: Ms | None = None
    wait: Ms | None = None
    hidden: Ms = 0.0
    busy: Ms | None = None
    tries: Annotated[int, Meta(ge=0, le=10_000)] = 0
    proto: Short = ""
    enc: Short = ""
    wire: Count | None = None
    body: Count | None = None


class ServerHalf(Half, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The app server's half: the attributes of a `streamgap.stream` span (see `ATTRIBUTES`) and the span's context.

    Zero is the moment the request was received. `call` is when the model call began, `answer` when its first content
    chunk came back (both None where no model call was observed); `at` are the moments each chunk was handed to the
    kernel. `result`, `generation` and `cause` are a relay's: how the response came by which generation, and why the
    client came again. `beats` are the heartbeats written, `how` the way a client left before the end (None: unknown).
    """

    sid: StreamId
    route: Label = ""
    model: Label = ""
    provider: Label = ""
    outcome: Outcome = Outcome.COMPLETE
    error: Label = ""
    call: Ms | None = None
    answer: Ms | None = None
    head: Ms | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    result: GenerationResult | None = None
    generation: GenerationId = ""
    cause: ReconnectCause | None = None
    beats: Count = 0
    how: Disconnect | None = None
    trace_id: TraceId = ""
    span_id: SpanId = ""
    start_unix_ns: UnixNs = 0


class GenerationRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One generation that has ended, or one that was refused: the attributes of a `streamgap.generation` span.

    `result` says why the model was called (`started`, `restarted`, `bypassed`) or that it was not (`refused`, which is
    the `status` then, too). `delivered` tokens were generated while somebody listened, `unheard` ones after that (None:
    unknown); `estimated` says that the provider gave no count. `listeners` is how many there were at most at once,
    `events` how many content events the log had. `dur` is in ms.
    """

    id: GenerationId
    result: GenerationResult
    status: GenerationStatus
    reason: Short = ""
    route: Label = ""
    model: Label = ""
    provider: Label = ""
    delivered: Count | None = None
    unheard: Count | None = None
    estimated: bool = False
    listeners: Count = 0
    events: Count = 0
    dur: Ms = 0.0
    trace_id: TraceId = ""
    span_id: SpanId = ""
    start_unix_ns: UnixNs = 0


_BOTH: Mapping[str, str] = {
    "route": "http.route",
    "model": "gen_ai.request.model",
    "provider": "gen_ai.provider.name",
    "result": "streamgap.generation.result",
    "dur": "streamgap.duration_ms",
}
ATTRIBUTES: Mapping[str, str] = {
    **_BOTH,
    "sid": "streamgap.stream.id",
    "error": "error.type",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "outcome": "streamgap.outcome",
    "call": "streamgap.call_ms",
    "answer": "streamgap.answer_ms",
    "head": "streamgap.head_ms",
    "at": "streamgap.offsets_ms",
    "stride": "streamgap.stride",
    "count": "streamgap.count",
    "unit": "streamgap.unit",
    "last": "streamgap.last_ms",
    "longest": "streamgap.longest_gap_ms",
    "gaps": "streamgap.gaps",
    "generation": "streamgap.generation.id",
    "cause": "streamgap.reconnect.cause",
    "beats": "streamgap.heartbeats",
    "how": "streamgap.disconnect",
}
GENERATION_ATTRIBUTES: Mapping[str, str] = {
    **_BOTH,
    "id": ATTRIBUTES["generation"],
    "status": "streamgap.generation.status",
    "reason": "streamgap.generation.reason",
    "delivered": "streamgap.tokens.delivered",
    "unheard": "streamgap.tokens.unheard",
    "estimated": "streamgap.tokens.estimated",
    "listeners": "streamgap.listeners",
    "events": "streamgap.events",
}
STREAM_ID_ATTRIBUTE = ATTRIBUTES["sid"]
H = TypeVar("H", bound=Half)
S = TypeVar("S", bound=msgspec.Struct)

_decode_client = msgspec.json.Decoder(ClientHalf).decode
_decode_server = msgspec.msgpack.Decoder(ServerHalf).decode
_encode_json = msgspec.json.Encoder().encode
_encode_msgpack = msgspec.msgpack.Encoder().encode


def parse_client(body: bytes) -> ClientHalf:
    """Decode and check one beacon. Raises InvalidReportError with reason `json`, `schema`, `version` or `size`."""
    if len(body) > MAX_BEACON_BYTES:
        raise InvalidReportError(
            f"beacon: expected at most {MAX_BEACON_BYTES} bytes, got {len(body)}", reason=Reason.SIZE
        )
    try:
        half = _decode_client(body)
    except msgspec.ValidationError as error:
        raise InvalidReportError(f"beacon: {error}", reason=Reason.SCHEMA) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidReportError(f"beacon: expected JSON in UTF-8, {error}", reason=Reason.JSON) from error
    if half.v != WIRE_VERSION:
        raise InvalidReportError(f"beacon: expected v = {WIRE_VERSION}, got {half.v}", reason=Reason.VERSION)
    return _consistent(half, "beacon")


def dump_client(half: ClientHalf) -> bytes:
    """Encode a client half; `parse_client(dump_client(half)) == half`."""
    return _encode_json(half)


def parse_server(
    attributes: Mapping[str, Any], *, trace_id: str = "", span_id: str = "", start_unix_ns: int = 0
) -> ServerHalf:
    """Check one server half given as span attributes (others are ignored). Raises InvalidReportError."""
    where = f"span {SPAN_NAME}"
    context = {"trace_id": trace_id, "span_id": span_id, "start_unix_ns": start_unix_ns}
    return _consistent(_from_span(attributes, ServerHalf, ATTRIBUTES, context=context, where=where), where)


def to_attributes(half: ServerHalf) -> Attributes:
    """Return the span attributes of a server half; the span's own context is not among them."""
    return _to_span(half, ATTRIBUTES)


def parse_generation(
    attributes: Mapping[str, Any], *, trace_id: str = "", span_id: str = "", start_unix_ns: int = 0
) -> GenerationRecord:
    """Check one generation record given as span attributes (others are ignored). Raises InvalidReportError."""
    where = f"span {GENERATION_SPAN_NAME}"
    context = {"trace_id": trace_id, "span_id": span_id, "start_unix_ns": start_unix_ns}
    record = _from_span(attributes, GenerationRecord, GENERATION_ATTRIBUTES, context=context, where=where)
    refused = record.result is GenerationResult.REFUSED
    if not refused and record.result not in MODEL_CALLS:
        expected = ", ".join((*MODEL_CALLS, GenerationResult.REFUSED))
        raise InvalidReportError(f"{where}: expected result {expected}, got {record.result}", reason=Reason.SCHEMA)
    if refused != (record.status == "refused"):
        raise InvalidReportError(
            f"{where}: expected status refused where the result is, and nowhere else, got {record.status} for "
            f"{record.result}",
            reason=Reason.SCHEMA,
        )
    return record


def generation_attributes(record: GenerationRecord) -> Attributes:
    """Return the span attributes of a generation record; the span's own context is not among them."""
    return _to_span(record, GENERATION_ATTRIBUTES)


def pack_server(half: ServerHalf) -> bytes:
    """Encode a server half for the pending store."""
    return _encode_msgpack(half)


def unpack_server(payload: bytes) -> ServerHalf:
    """Decode what `pack_server` made."""
    return _decode_server(payload)


def _from_span(
    attributes: Mapping[str, Any], kind: type[S], names: Mapping[str, str], *, context: Mapping[str, Any], where: str
) -> S:
    fields = {field: attributes[key] for field, key in names.items() if key in attributes}
    try:
        return msgspec.convert({**fields, **context}, kind)
    except msgspec.ValidationError as error:
        raise InvalidReportError(f"{where}: {error}", reason=Reason.SCHEMA) from error


def _to_span(record: msgspec.Struct, names: Mapping[str, str]) -> Attributes:
    fields: dict[str, Any] = msgspec.to_builtins(record)
    return {key: fields[field] for field, key in names.items() if field in fields}


def _consistent(half: H, where: str) -> H:
    """Refuse a half whose parts contradict each other.

    The offsets must be as many as count and stride say and never decrease, and fewer gaps than chunks be claimed: one
    report must not fill a histogram.
    """
    stride, kept = half.stride, len(half.at)
    if stride & (stride - 1):
        raise InvalidReportError(f"{where}: expected stride to be a power of two, got {stride}", reason=Reason.SCHEMA)
    expected = -(-half.count // stride)
    if kept != expected:
        raise InvalidReportError(
            f"{where}: expected {expected} offsets for count {half.count} and stride {stride}, got {kept}",
            reason=Reason.SCHEMA,
        )
    if half.gaps and sum(half.gaps) >= max(half.count, 1):
        raise InvalidReportError(
            f"{where}: expected fewer gaps than count {half.count}, got {sum(half.gaps)}", reason=Reason.SCHEMA
        )
    if kept and (half.last is None or half.last < half.at[-1]):
        raise InvalidReportError(
            f"{where}: expected last ≥ the last offset {half.at[-1]}, got {half.last}", reason=Reason.SCHEMA
        )
    if not all(map(le, half.at, half.at[1:])):
        raise InvalidReportError(f"{where}: expected offsets that never decrease", reason=Reason.SCHEMA)
    return half
