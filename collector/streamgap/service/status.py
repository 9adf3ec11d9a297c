"""What `/status` says: is anything wrong, and what to try."""

from collections.abc import Sequence

import msgspec

from streamgap.service.joiner import Joiner, Rejection
from streamgap.service.ledger import Ledger
from streamgap.service.meters import HALVES
from streamgap.service.pending import HalfName, Waiting

MIN_STREAMS_TO_JUDGE = 100
LOW_COVERAGE = 0.5


class HalfStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The conservation law of one half, in numbers."""

    received: int
    accepted: int
    rejected: int
    joined: int
    duplicate: int
    superseded: int
    late: int
    unmatched: int
    pending: int
    residual: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """`coverage` is the share of the server's streams that met their browser half, of those decided; null before any.

    `rejections` are the last refused halves, newest last; their messages are cut and quote no other part of a report.
    """

    version: str
    draining: bool
    coverage: float | None
    advice: Sequence[str]
    server: HalfStatus
    client: HalfStatus
    pending_bytes: int
    internal_errors: dict[str, int]
    rejections: Sequence[Rejection]


def status_of(joiner: Joiner, *, version: str, draining: bool) -> Status:
    """Return the collector's status as of now."""
    waiting = joiner.waiting()
    ledger = joiner.meters.ledger
    server, client = (_half(ledger, half, waiting) for half in HALVES)
    return Status(
        version=version,
        draining=draining,
        coverage=ledger.coverage(),
        advice=_advice(server, client, coverage=ledger.coverage()),
        server=server,
        client=client,
        pending_bytes=waiting.payload_bytes,
        internal_errors={where: count for (where,), count in joiner.meters.internal_errors.values.items() if count},
        rejections=list(joiner.rejections),
    )


def _half(ledger: Ledger, half: HalfName, waiting: Waiting) -> HalfStatus:
    pending = waiting.server if half == "server" else waiting.client
    return HalfStatus(**ledger.totals(half), pending=pending, residual=ledger.residual(half, waiting))


def _advice(server: HalfStatus, client: HalfStatus, *, coverage: float | None) -> list[str]:
    advice = []
    if client.received and not server.received:
        advice.append(
            "browsers report, no app server does: pass `sinks=[collector.offer_server]` to StreamGapMiddleware, or let "
            "its OpenTelemetry SDK export to /v1/traces of this listener"
        )
    if server.received >= MIN_STREAMS_TO_JUDGE and not client.received:
        advice.append(
            "app servers report, no browser does: does the page load the beacon, may it connect here (its CSP's "
            "connect-src), and does the app answer with x-stream-id?"
        )
    if client.rejected > client.accepted:
        advice.append("most reports of browsers are refused: `rejections` says why")
    decided = server.joined + server.unmatched
    if client.accepted and decided >= MIN_STREAMS_TO_JUDGE and coverage is not None and coverage < LOW_COVERAGE:
        advice.append(
            "most halves never meet: with several replicas of the collector both halves of a stream must reach the same"
            " one, so route beacons by stream id or run one replica"
        )
    return advice
