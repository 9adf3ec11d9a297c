"""Every metric that the collector and the canary expose, declared once.

Exposition, docs/metrics.md, dashboards, rules and their tests are made from this table. Units are base units
(seconds); a bucket boundary stands exactly on every threshold that a rule or a panel uses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from streamgap.core.words import (
    GENERATION_ENDS,
    HALVES,
    HELD_BY,
    LABELS_WITH_OVERFLOW,
    PROBE_HELD_BY,
    PROBE_PROTOCOLS,
    PROBE_RECENT_RUNS,
    SIDES,
    STAGES,
    Disconnect,
    Fate,
    GenerationResult,
    Outcome,
    ProbeResult,
    Reason,
    ReconnectCause,
    Unmatched,
    Verdict,
)

Kind = Literal["histogram", "counter", "gauge"]

CHUNK_GAP_BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0)
CHUNK_GAP_BUCKETS_MS = tuple(bound * 1000.0 for bound in CHUNK_GAP_BUCKETS_S)
GAP_BUCKETS_S = (0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0, 20.0)
TTFC_BUCKETS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0, 20.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric family.

    `labels` maps each label to its closed set of values, or to None where it is bounded by first-come (the rest folds
    into ``other``).
    """

    name: str
    kind: Kind
    help: str
    labels: Mapping[str, tuple[str, ...] | None]
    buckets: tuple[float, ...] = ()
    unit: str = ""


def _histogram(
    name: str, help_: str, labels: Mapping[str, tuple[str, ...] | None], buckets: tuple[float, ...]
) -> Metric:
    return Metric(name=name, kind="histogram", help=help_, labels=labels, buckets=buckets, unit="seconds")


def _counter(name: str, help_: str, **labels: tuple[str, ...] | None) -> Metric:
    return Metric(name=name, kind="counter", help=help_, labels=labels)


def _probe_seconds(name: str, help_: str) -> Metric:
    labels = {"route": None, "protocol": PROBE_PROTOCOLS}
    return Metric(name=name, kind="gauge", help=help_, labels=labels, unit="seconds")


_ROUTE: dict[str, tuple[str, ...] | None] = {"route": None}
_ROUTE_MODEL: dict[str, tuple[str, ...] | None] = {"route": None, "model": None}
_VERDICTS = tuple(Verdict)
_REASONS = tuple(Reason)

GAP = _histogram(
    "streamgap_gap_seconds",
    "Client time to first chunk minus server time to first chunk of one joined stream; negative ones clamp to 0.",
    _ROUTE_MODEL,
    GAP_BUCKETS_S,
)
SERVER_TTFC = _histogram(
    "streamgap_server_time_to_first_chunk_seconds",
    "Request received by the app until its first content chunk was handed to the kernel (app server's clock).",
    _ROUTE_MODEL,
    TTFC_BUCKETS_S,
)
CLIENT_TTFC = _histogram(
    "streamgap_client_time_to_first_chunk_seconds",
    "Request started in the browser until its first content chunk reached the page (browser's clock).",
    _ROUTE_MODEL,
    TTFC_BUCKETS_S,
)
CLIENT_TTFB = _histogram(
    "streamgap_client_time_to_first_byte_seconds",
    "Request started in the browser until the first byte of the body, comments included: a baseline, not the wait.",
    _ROUTE,
    TTFC_BUCKETS_S,
)
STAGE = _histogram(
    "streamgap_stage_seconds",
    "Where the client's time to first chunk went, and after it the time until it was painted (stage page).",
    {"route": None, "stage": STAGES},
    TTFC_BUCKETS_S,
)
HOLD = _histogram(
    "streamgap_hold_seconds",
    "Longest time the path kept a chunk beyond the chunk it kept least; clocks, round trip and model cancel out.",
    _ROUTE,
    GAP_BUCKETS_S,
)
CHUNK_GAP = _histogram(
    "streamgap_chunk_gap_seconds",
    "Time between consecutive chunks, every gap of every joined stream, binned in bulk.",
    {"route": None, "side": SIDES},
    CHUNK_GAP_BUCKETS_S,
)
LONGEST_CHUNK_GAP = _histogram(
    "streamgap_longest_chunk_gap_seconds",
    "Longest time between consecutive chunks, one observation per joined stream and side.",
    {"route": None, "side": SIDES},
    CHUNK_GAP_BUCKETS_S,
)
STREAMS = _counter("streamgap_streams_total", "Joined streams by verdict.", route=None, verdict=_VERDICTS)
HELD = _counter(
    "streamgap_held_total",
    "Joined streams judged held, by the likely mechanism: their sum is the streams whose verdict is held.",
    route=None,
    mechanism=HELD_BY,
)
CLIENT_WINDOWS = _counter(
    "streamgap_client_windows_total",
    "One per client and window (5 minutes) with its worst verdict: the share of people affected, the paging SLI.",
    route=None,
    verdict=_VERDICTS,
)
SERVER_STREAMS = _counter(
    "streamgap_server_streams_total",
    "Streams the app servers finished, by outcome, joined or not.",
    route=None,
    outcome=tuple(Outcome),
)
NEGATIVE_GAPS = _counter(
    "streamgap_negative_gaps_total",
    "Joined streams whose gap was below −50 ms: a joined pair that cannot be right, or a clock set late.",
    route=None,
)
GENERATIONS = _counter(
    "streamgap_generations_total",
    "Requests to the relay by how they came by their answer; started, restarted and bypassed ones called the model.",
    route=None,
    result=tuple(GenerationResult),
)
GENERATIONS_ENDED = _counter(
    "streamgap_generations_ended_total", "Generations that ended, by how.", route=None, status=GENERATION_ENDS
)
TOKENS = _counter(
    "streamgap_tokens_total",
    "Output tokens of ended generations, by whether anybody listened when they were generated.",
    route=None,
    fate=tuple(Fate),
)
RECONNECTS = _counter(
    "streamgap_reconnects_total",
    "Responses to clients that came for an answer that was there, by why they came.",
    route=None,
    cause=tuple(ReconnectCause),
)
HEARTBEATS = _counter("streamgap_heartbeats_total", "Heartbeats written in silence.", route=None)
DISCONNECTS = _counter(
    "streamgap_disconnects_total",
    "Clients that left before the end, by how, where the server that runs the app can tell.",
    route=None,
    how=tuple(Disconnect),
)
GENERATION_RECORDS_REJECTED = _counter(
    "streamgap_generation_records_rejected_total",
    "Records of generations that do not fit the schema; they are no halves, and in no other counter.",
)
RECEIVED = _counter("streamgap_reports_received_total", "Halves that reached the collector.", half=HALVES)
ACCEPTED = _counter("streamgap_reports_accepted_total", "Halves that passed admission.", half=HALVES)
REJECTED = _counter("streamgap_reports_rejected_total", "Halves refused, by reason.", half=HALVES, reason=_REASONS)
JOINED = _counter("streamgap_reports_joined_total", "Halves that became part of a joined stream.", half=HALVES)
DUPLICATE = _counter("streamgap_reports_duplicate_total", "Halves received again.", half=HALVES)
SUPERSEDED = _counter(
    "streamgap_reports_superseded_total", "Reports replaced by a later one of the same stream.", half=HALVES
)
LATE = _counter("streamgap_reports_late_total", "Halves whose stream had been joined before.", half=HALVES)
UNMATCHED = _counter(
    "streamgap_reports_unmatched_total",
    "Accepted halves whose other half never came.",
    half=HALVES,
    reason=tuple(Unmatched),
)
PENDING = Metric(
    name="streamgap_pending",
    kind="gauge",
    help="Accepted halves that wait for their other half.",
    labels={"half": HALVES},
)
PENDING_BYTES = Metric(
    name="streamgap_pending_bytes", kind="gauge", help="Payload bytes of the waiting halves.", labels={}, unit="bytes"
)
RESIDUAL = Metric(
    name="streamgap_residual",
    kind="gauge",
    help="received − accepted − rejected, plus accepted − (joined + duplicate + superseded + late + unmatched + "
    "pending): 0 unless a report was lost uncounted.",
    labels={"half": HALVES},
)
LABEL_OVERFLOW = _counter(
    "streamgap_label_overflow_total", "Label values folded into `other`.", label=LABELS_WITH_OVERFLOW
)
INTERNAL_ERRORS = _counter(
    "streamgap_internal_errors_total",
    "Errors of the collector itself; the report that met one is counted too. Should stay 0.",
    where=("ingest", "join", "otlp_push", "span_export", "live"),
)
OTLP_EXPORTS = _counter(
    "streamgap_otlp_exports_total", "Pushes of this registry over OTLP.", result=("success", "failure")
)
BUILD_INFO = Metric(
    name="streamgap_build_info", kind="gauge", help="Always 1; the version is the label.", labels={"version": None}
)
PROBE_RUNS = _counter(
    "streamgap_probe_runs_total",
    "Runs of the canary: one probe, or several at once where the first was not clean.",
    route=None,
    result=tuple(ProbeResult),
)
PROBE_OVERRUNS = _counter(
    "streamgap_probe_overruns_total", "Runs that were left out because the run before was not over.", route=None
)
PROBE_RECENT_HELD = Metric(
    name="streamgap_probe_recent_held_runs",
    kind="gauge",
    help=f"How many of the last {PROBE_RECENT_RUNS} runs were held.",
    labels=_ROUTE,
)
PROBE_HELD = Metric(
    name="streamgap_probe_held",
    kind="gauge",
    help="1 for the mechanism by which the last run was held, else 0.",
    labels={"route": None, "mechanism": PROBE_HELD_BY},
)
PROBE_HOLD = _probe_seconds(
    "streamgap_probe_hold_seconds",
    "Longest time the path kept an event of the last probe beyond the event it kept least; NaN before any.",
)
PROBE_HEAD = _probe_seconds(
    "streamgap_probe_head_seconds", "Last probe sent until its response headers were there; NaN before any."
)
PROBE_TTFC = _probe_seconds(
    "streamgap_probe_time_to_first_chunk_seconds",
    "Last probe sent until its first event with content was complete; NaN before any.",
)
PROBE_LAST_RUN = Metric(
    name="streamgap_probe_last_run_timestamp_seconds",
    kind="gauge",
    help="Unix time at which the last run ended; 0 before any.",
    labels=_ROUTE,
    unit="seconds",
)

CATALOG: tuple[Metric, ...] = (
    GAP,
    SERVER_TTFC,
    CLIENT_TTFC,
    CLIENT_TTFB,
    STAGE,
    HOLD,
    CHUNK_GAP,
    LONGEST_CHUNK_GAP,
    STREAMS,
    HELD,
    CLIENT_WINDOWS,
    SERVER_STREAMS,
    NEGATIVE_GAPS,
    GENERATIONS,
    GENERATIONS_ENDED,
    TOKENS,
    RECONNECTS,
    HEARTBEATS,
    DISCONNECTS,
    GENERATION_RECORDS_REJECTED,
    RECEIVED,
    ACCEPTED,
    REJECTED,
    JOINED,
    DUPLICATE,
    SUPERSEDED,
    LATE,
    UNMATCHED,
    PENDING,
    PENDING_BYTES,
    RESIDUAL,
    LABEL_OVERFLOW,
    INTERNAL_ERRORS,
    OTLP_EXPORTS,
    BUILD_INFO,
)

PROBE_CATALOG: tuple[Metric, ...] = (
    PROBE_RUNS,
    PROBE_OVERRUNS,
    PROBE_RECENT_HELD,
    PROBE_HELD,
    PROBE_HOLD,
    PROBE_HEAD,
    PROBE_TTFC,
    PROBE_LAST_RUN,
)
"""What `streamgap canary` exposes; everything above is the collector's."""
