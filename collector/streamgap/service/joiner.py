"""The collector's engine: halves in, joined streams out, everything counted. No sockets and no tasks in here."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from streamgap.core.errors import InvalidReportError
from streamgap.core.join import JoinedStream, join
from streamgap.core.wire import (
    ClientHalf,
    GenerationRecord,
    ServerHalf,
    generation_attributes,
    pack_server,
    parse_client,
    parse_generation,
    parse_server,
    to_attributes,
    unpack_server,
)
from streamgap.core.words import Reason, Unmatched
from streamgap.service.exposition import Snapshot
from streamgap.service.meters import Meters
from streamgap.service.pending import (
    MAX_DEPARTURES_PER_TICK,
    Departed,
    Fate,
    HalfName,
    MemoryPending,
    Offer,
    PendingStore,
    Waiting,
)
from streamgap.service.settings import Settings
from streamgap.service.windows import ClientWindows

MAX_RECENT_REJECTIONS = 20
MAX_QUOTED = 256

_logger = logging.getLogger(__name__)


class Sink(Protocol):
    """Takes joined streams."""

    def emit(self, stream: JoinedStream) -> None:
        """Take one joined stream, without blocking. What it raises is counted and goes no further."""
        ...


Refused = HalfName | Literal["generation"]


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """One refused half or generation record: when (Unix time in s), which, why, and what was expected and got."""

    at_unix_s: float
    half: Refused
    reason: Reason
    message: str


class Joiner:
    """Takes halves in from any thread, joins them, measures, and hands the joined streams to the sinks.

    `sinks` are pairs of the place under which a sink's errors count (`where` of `streamgap_internal_errors_total`) and
    the sink. They are called in the thread that offered the half which completed the pair, or that called `tick` or
    `drain`. `clock` is monotonic, `unix_clock` the time of day (for exemplars and rejections); both in s.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sinks: Iterable[tuple[str, Sink]],
        clock: Callable[[], float],
        unix_clock: Callable[[], float],
        pending: PendingStore | None = None,
    ) -> None:
        self._thresholds = settings.thresholds
        self._sinks = tuple(sinks)
        self._clock = clock
        self._unix_clock = unix_clock
        self._lock = threading.Lock()
        self._pending = pending or MemoryPending(
            ttl_s=settings.ttl_s, max_streams=settings.pending_entries, max_bytes=settings.pending_bytes
        )
        self.meters = Meters(
            max_routes=settings.max_routes,
            max_models=settings.max_models,
            unix_clock=unix_clock,
            waiting=self._pending.waiting,
            take=self.snapshot,
        )
        windows = self.meters.measurements.windows
        self._windows = ClientWindows(
            window_s=settings.window_s, count=lambda route, verdict: windows.add(route, verdict.value)
        )
        self.rejections: deque[Rejection] = deque(maxlen=MAX_RECENT_REJECTIONS)

    def offer_client(self, body: bytes) -> InvalidReportError | None:
        """Take the body of one beacon; returns why it was refused, or None."""
        try:
            half = parse_client(body)
        except InvalidReportError as error:
            return self.reject("client", error)
        with self._lock:
            offer = self._offer("client", half.sid, n=half.n, final=half.final, payload=body)
            if isinstance(offer, InvalidReportError):
                return offer
            if offer.fate is Fate.JOINED:
                streams = [self._joined(offer.other, half)]
            else:
                streams = self._leave(offer.evicted, Unmatched.EVICTED)
        self._emit(streams)
        return None

    def offer_server(self, half: ServerHalf) -> InvalidReportError | None:
        """Take a server half made in this process; returns why it was refused, or None.

        It is checked like one from the network: a struct made in code has been through no schema.
        """
        try:
            attributes = to_attributes(half)
        except Exception as error:  # noqa: BLE001 a struct can hold anything, and the app's stream must not notice
            return self.reject("server", _schema_error("server half", f"expected plain values, {error}"))
        return self.offer_span(
            attributes, trace_id=half.trace_id, span_id=half.span_id, start_unix_ns=half.start_unix_ns
        )

    def offer_span(
        self, attributes: Mapping[str, Any], *, trace_id: str, span_id: str, start_unix_ns: int
    ) -> InvalidReportError | None:
        """Take a server half as a span's attributes and context; returns why it was refused, or None."""
        try:
            half = parse_server(attributes, trace_id=trace_id, span_id=span_id, start_unix_ns=start_unix_ns)
            payload = pack_server(half)
        except InvalidReportError as error:
            return self.reject("server", error)
        except UnicodeEncodeError as error:
            return self.reject("server", _schema_error("server half", f"expected Unicode text, {error.reason}"))
        with self._lock:
            offer = self._offer("server", half.sid, n=1, final=True, payload=payload)
            if isinstance(offer, InvalidReportError):
                return offer
            self._count(half, offer.fate)
            if offer.fate is Fate.JOINED:
                streams = [self._joined(half, offer.other)]
            else:
                streams = self._leave(offer.evicted, Unmatched.EVICTED)
        self._emit(streams)
        return None

    def offer_generation(self, record: GenerationRecord) -> InvalidReportError | None:
        """Take a generation's record made in this process; returns why it was refused, or None."""
        try:
            attributes = generation_attributes(record)
        except Exception as error:  # noqa: BLE001 as for a half
            return self._reject_generation(_schema_error("generation", f"expected plain values, {error}"))
        return self.offer_generation_span(
            attributes, trace_id=record.trace_id, span_id=record.span_id, start_unix_ns=record.start_unix_ns
        )

    def offer_generation_span(
        self, attributes: Mapping[str, Any], *, trace_id: str, span_id: str, start_unix_ns: int
    ) -> InvalidReportError | None:
        """Take a generation's record as a span's attributes and context; returns why it was refused, or None."""
        try:
            record = parse_generation(attributes, trace_id=trace_id, span_id=span_id, start_unix_ns=start_unix_ns)
        except InvalidReportError as error:
            return self._reject_generation(error)
        with self._lock:
            self.meters.generations.end(self.meters.measurements.route(record.route), record)
        return None

    def reject(self, half: HalfName, refusal: InvalidReportError) -> InvalidReportError:
        """Count a half that is refused, here or by the transport, and remember why; returns `refusal`."""
        with self._lock:
            self.meters.ledger.reject(half, Reason(refusal.reason))
            self._remember(half, refusal)
        return refusal

    def tick(self) -> bool:
        """Let go of what has waited long enough and close windows; bounded work, returns whether there is more."""
        with self._lock:
            now_s = self._clock()
            departed = self._pending.tick(now_s)
            streams = self._leave(departed, Unmatched.EXPIRED)
            more = self._windows.tick(now_s) or len(departed) >= MAX_DEPARTURES_PER_TICK
        self._emit(streams)
        return more

    def drain(self) -> None:
        """Let go of everything that waits and close all windows, for a shutdown."""
        with self._lock:
            streams = self._leave(self._pending.drain(), Unmatched.SHUTDOWN)
            self._windows.close_all()
        self._emit(streams)

    def snapshot(self) -> Snapshot:
        """Copy every number at one moment; rendering the copy may take its time in another thread."""
        with self._lock:
            return self.meters.snapshot()

    def waiting(self) -> Waiting:
        """Return what waits for its other half now."""
        return self._pending.waiting()

    def count_error(self, where: str, *, count: int = 1) -> None:
        """Count errors of the collector itself. Raises KeyError for a place the catalogue does not know."""
        with self._lock:
            self.meters.internal_errors.add(where, count=count)

    def count_export(self, *, ok: bool) -> None:
        """Count one push of the registry over OTLP."""
        with self._lock:
            self.meters.otlp_exports.add("success" if ok else "failure")

    def _offer(self, half: HalfName, sid: str, *, n: int, final: bool, payload: bytes) -> Offer | InvalidReportError:
        try:
            offer = self._pending.offer(sid, half=half, n=n, final=final, payload=payload, now_s=self._clock())
        except Exception:
            _logger.exception("ingest: a report met an error of the collector")
            self.meters.ledger.reject(half, Reason.INTERNAL)
            self.meters.internal_errors.add("ingest")
            return InvalidReportError("collector: internal error, see its log", reason=Reason.INTERNAL)
        self.meters.ledger.accept(half, offer)
        return offer

    def _count(self, half: ServerHalf, fate: Fate) -> None:
        """Count what an accepted server half says by itself: a stream's end once, the relay's part each time."""
        route = self.meters.measurements.route(half.route)
        if fate in (Fate.STORED, Fate.JOINED):
            self.meters.measurements.finish(route, half.outcome)
        self.meters.generations.answer(route, half)

    def _reject_generation(self, refusal: InvalidReportError) -> InvalidReportError:
        with self._lock:
            self.meters.generations.rejected.add()
            self._remember("generation", refusal)
        return refusal

    def _remember(self, what: Refused, refusal: InvalidReportError) -> None:
        reason, message = Reason(refusal.reason), str(refusal)[:MAX_QUOTED]
        self.rejections.append(Rejection(at_unix_s=self._unix_clock(), half=what, reason=reason, message=message))

    def _joined(self, server: ServerHalf | bytes, client: ClientHalf | bytes) -> JoinedStream | None:
        """Join and measure a pair that has been counted as joined; halves from the store come as bytes."""
        try:
            server = unpack_server(server) if isinstance(server, bytes) else server
            client = parse_client(client) if isinstance(client, bytes) else client
            stream = join(server, client, thresholds=self._thresholds)
            route = self.meters.measurements.observe(stream)
            self._windows.meet(client.page, route=route, verdict=stream.verdict, now_s=self._clock())
        except Exception:
            _logger.exception("join: a pair was counted as joined, then lost")
            self.meters.internal_errors.add("join")
            return None
        return stream

    def _leave(self, departed: Sequence[Departed], reason: Unmatched) -> list[JoinedStream | None]:
        """Count what leaves the store; a stream that has both halves is joined with what it has."""
        streams = []
        for stream in departed:
            if stream.server is None or stream.client is None:
                self.meters.ledger.part(stream, reason)
            else:
                self.meters.ledger.pair()
                streams.append(self._joined(stream.server, stream.client))
        return streams

    def _emit(self, streams: Iterable[JoinedStream | None]) -> None:
        for stream in filter(None, streams):
            for where, sink in self._sinks:
                try:
                    sink.emit(stream)
                except Exception:
                    _logger.exception("sink: %s raised on a joined stream", type(sink).__name__)
                    self.count_error(where)


def _schema_error(where: str, message: str) -> InvalidReportError:
    return InvalidReportError(f"{where}: {message}", reason=Reason.SCHEMA)
