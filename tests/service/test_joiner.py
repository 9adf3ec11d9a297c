"""What becomes of halves: joined, measured, handed on, or counted."""

import math
import threading
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest

from halves import client_half, server_half
from service.lab import PACE_MS, Caught, Clock, body, join_one, value
from streamgap.core.join import JoinedStream, join
from streamgap.core.wire import to_attributes
from streamgap.core.words import HELD_BY, Outcome, Reason
from streamgap.service.joiner import Joiner, Sink
from streamgap.service.pending import MemoryPending, Offer, PendingStore
from streamgap.service.settings import Settings

MakeJoiner = Callable[..., Joiner]


def failing_joiner(clock: Clock, sinks: Iterable[tuple[str, Sink]], pending: PendingStore | None = None) -> Joiner:
    """Return a joiner whose errors are the point of the test."""
    return Joiner(Settings(), sinks=sinks, clock=clock, unix_clock=clock, pending=pending)


@pytest.mark.parametrize("server_first", [True, False])
def test_either_half_may_come_first(make_joiner: MakeJoiner, *, server_first: bool) -> None:
    """A pair is joined once both halves are there, and every sink gets what `core.join` says of them."""
    sinks = [Caught(), Caught()]
    joiner = make_joiner(sinks=sinks)
    server = server_half(PACE_MS, call=5.0, answer=480.0, trace_id="ab" * 16, span_id="cd" * 8, start_unix_ns=7)
    if server_first:
        joiner.offer_server(server)
    joiner.offer_client(body())
    if not server_first:
        joiner.offer_server(server)
    expected = join(server, client_half([600.0, 650.0, 700.0]))
    assert [sink.streams for sink in sinks] == [[expected], [expected]]


def test_a_stream_is_joined_once_ever(make_joiner: MakeJoiner) -> None:
    """A thousand replays of both halves add nothing to any histogram."""
    sink = Caught()
    joiner = make_joiner(sinks=[sink])
    for _ in range(1000):
        join_one(joiner)
    joiner.offer_client(body(n=2))
    assert len(sink.streams) == 1
    assert value(joiner, "streamgap_gap_seconds_count", route="/chat", model="gemini") == 1
    assert value(joiner, "streamgap_reports_duplicate_total", half="client") == 999
    assert value(joiner, "streamgap_reports_duplicate_total", half="server") == 999
    assert value(joiner, "streamgap_reports_late_total", half="client") == 1
    assert value(joiner, "streamgap_server_streams_total", route="/chat", outcome="complete") == 1


def test_a_better_report_supersedes(make_joiner: MakeJoiner) -> None:
    """A page that reports when hidden and again at the end counts once, with the last word."""
    sink = Caught()
    joiner = make_joiner(sinks=[sink])
    joiner.offer_client(body([600.0], n=1, final=False, end="left"))
    joiner.offer_server(server_half(PACE_MS))
    assert sink.streams == []
    joiner.offer_client(body(n=2))
    assert [stream.client.n for stream in sink.streams] == [2]
    assert value(joiner, "streamgap_reports_superseded_total", half="client") == 1


def test_an_unfinished_pair_is_joined_at_its_deadline(make_joiner: MakeJoiner, clock: Clock) -> None:
    """Where the better report never comes, the stream counts with the one there is; it waits as pending till then."""
    sink = Caught()
    joiner = make_joiner(sinks=[sink])
    joiner.offer_server(server_half(PACE_MS))
    joiner.offer_client(body([600.0], final=False, end="left"))
    assert value(joiner, "streamgap_pending", half="client") == 1
    clock.now_s += 60.0
    joiner.tick()
    assert [stream.client.end for stream in sink.streams] == ["left"]
    assert value(joiner, "streamgap_reports_joined_total", half="client") == 1
    joiner.offer_client(body(n=2))
    assert value(joiner, "streamgap_reports_late_total", half="client") == 1


def test_a_half_alone_expires(make_joiner: MakeJoiner, clock: Clock) -> None:
    """After the time to live it is unmatched, and its numbers are in no histogram of a browser's."""
    joiner = make_joiner()
    joiner.offer_client(body(sid="client-only"))
    joiner.offer_server(server_half(PACE_MS, sid="server-only"))
    clock.now_s += 60.0
    assert joiner.tick() is False
    for half in ("server", "client"):
        assert value(joiner, "streamgap_reports_unmatched_total", half=half, reason="expired") == 1
        assert value(joiner, "streamgap_pending", half=half) == 0
    assert not list(joiner.meters.measurements.gap.freeze()().samples)


def test_pressure_evicts_and_counts(make_joiner: MakeJoiner) -> None:
    """Past the bound the oldest half is unmatched as evicted, and a pair that had both halves is joined."""
    sink = Caught()
    joiner = make_joiner(sinks=[sink], pending_entries=1)
    joiner.offer_client(body(sid="stream-a", final=False))
    joiner.offer_server(server_half(PACE_MS, sid="stream-a"))
    joiner.offer_server(server_half(PACE_MS, sid="stream-b"))
    joiner.offer_client(body(sid="stream-c"))
    assert [stream.server.sid for stream in sink.streams] == ["stream-a"]
    assert value(joiner, "streamgap_reports_unmatched_total", half="server", reason="evicted") == 1


def test_a_shutdown_counts_what_waits(make_joiner: MakeJoiner) -> None:
    """Lone halves are unmatched by shutdown, matched ones are joined, open windows are counted."""
    sink = Caught()
    joiner = make_joiner(sinks=[sink])
    joiner.offer_client(body(sid="client-only"))
    joiner.offer_server(server_half(PACE_MS))
    joiner.offer_client(body(final=False))
    joiner.drain()
    assert len(sink.streams) == 1
    assert value(joiner, "streamgap_reports_unmatched_total", half="client", reason="shutdown") == 1
    assert value(joiner, "streamgap_client_windows_total", route="/chat", verdict="flowing") == 1


def test_clients_are_counted_once_per_window(make_joiner: MakeJoiner, clock: Clock) -> None:
    """Ten held streams of one page load in five minutes are one held client."""
    joiner = make_joiner()
    for i in range(10):
        clock.now_s += 1.0
        join_one(joiner, sid=f"stream-{i}", at=(9000.0, 9050.0, 9100.0), last=9100.0)
    assert value(joiner, "streamgap_streams_total", route="/chat", verdict="held") == 10
    assert value(joiner, "streamgap_client_windows_total", route="/chat", verdict="held") == 1


def test_labels_come_from_the_server_and_are_bounded(make_joiner: MakeJoiner) -> None:
    """Ten thousand routes and models make no more children than configured; the rest folds and is counted."""
    joiner = make_joiner(max_routes=3, max_models=2)
    for i in range(100):
        join_one(joiner, sid=f"stream-{i:03d}", route_=f"/r{i}", model_=f"m{i}")
    join_one(joiner, sid="stream-empty", route_="", model_="")
    labels = {s.labels["route"] for s in joiner.meters.measurements.gap.freeze()().samples}
    assert labels == {"/r0", "/r1", "/r2", "other", "unknown"}
    assert value(joiner, "streamgap_label_overflow_total", label="model") == 98
    assert value(joiner, "streamgap_gap_seconds_count", route="unknown", model="unknown") == 1
    assert value(joiner, "streamgap_streams_total", route="other", verdict="flowing") == 97


def test_a_held_stream_counts_under_its_mechanism(make_joiner: MakeJoiner) -> None:
    """A new route has every mechanism at 0; a held stream counts under one of them, a flowing one under none."""
    joiner = make_joiner()
    join_one(joiner)
    held = joiner.meters.measurements.held
    assert {labels for labels in held.values if labels[0] == "/chat"} == {("/chat", word) for word in HELD_BY}
    assert held.total() == 0
    written_ms = [500.0 + 50.0 * k for k in range(60)]
    joiner.offer_server(server_half(written_ms, sid="stream-held"))
    joiner.offer_client(body([3480.0] * 60, sid="stream-held"))
    assert value(joiner, "streamgap_held_total", route="/chat", mechanism="whole_response") == 1.0 == held.total()


@pytest.mark.parametrize("outcome", Outcome)
def test_finished_streams_count_by_outcome_before_any_join(make_joiner: MakeJoiner, outcome: Outcome) -> None:
    """What the servers finished is known without a browser."""
    joiner = make_joiner()
    joiner.offer_server(server_half(PACE_MS, outcome=outcome))
    assert value(joiner, "streamgap_server_streams_total", route="/chat", outcome=outcome.value) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"dur": math.nan},
        {"call": -1.0},
        {"count": 7},
        {"stride": 3},
        {"route": "\ud800"},
        {"sid": "short"},
        {"error": object()},
    ],
    ids=["nan", "negative", "count", "stride", "surrogate", "id", "object"],
)
def test_a_bad_half_from_this_process_is_refused(make_joiner: MakeJoiner, wrong: dict[str, Any]) -> None:
    """A struct made in code is checked like a message from the network, counted, and raises nothing."""
    joiner = make_joiner()
    refusal = joiner.offer_server(msgspec.structs.replace(server_half(PACE_MS), **wrong))
    assert refusal is not None
    assert refusal.reason == Reason.SCHEMA
    assert value(joiner, "streamgap_reports_rejected_total", half="server", reason="schema") == 1


def test_refusals_are_remembered(make_joiner: MakeJoiner, clock: Clock) -> None:
    """The last twenty say when, which half, why, and where in the report; each is cut to a bounded length."""
    joiner = make_joiner()
    for _ in range(30):
        joiner.offer_client(b'{"v":1,"' + b"x" * 3000 + b'":1}')
    joiner.offer_client(body().replace(b'"n":1', b'"n":0'))
    assert len(joiner.rejections) == 20
    assert all(len(rejection.message) <= 256 for rejection in joiner.rejections)
    last = joiner.rejections[-1]
    assert (last.at_unix_s, last.half, last.reason) == (clock.now_s, "client", Reason.SCHEMA)
    assert last.message == "beacon: Expected `int` >= 1 - at `$.n`"


class Broken:
    def emit(self, stream: JoinedStream) -> None:
        raise OSError(f"no room for {stream.server.sid}")


def test_a_sink_that_raises_is_counted_and_disturbs_nobody(clock: Clock) -> None:
    """Its error counts under its place; the other sinks get the stream and the report is taken."""
    sink = Caught()
    joiner = failing_joiner(clock, [("live", Broken()), ("join", sink)])
    join_one(joiner)
    assert len(sink.streams) == 1
    assert value(joiner, "streamgap_internal_errors_total", where="live") == 1


class Failing(MemoryPending):
    """A store whose server is down."""

    def offer(self, sid: str, **_: object) -> Offer:
        raise ConnectionError(f"no store for {sid}")


def test_a_store_that_raises_is_counted_and_loses_nothing_uncounted(clock: Clock) -> None:
    """Both halves are refused as internal, the errors are counted, and the law still holds."""
    joiner = failing_joiner(clock, [], Failing(ttl_s=60.0, max_streams=1, max_bytes=1))
    assert joiner.offer_client(body()).reason == Reason.INTERNAL  # type: ignore[union-attr]
    assert joiner.offer_server(server_half(PACE_MS)).reason == Reason.INTERNAL  # type: ignore[union-attr]
    assert value(joiner, "streamgap_internal_errors_total", where="ingest") == 2
    for half in ("server", "client"):
        assert value(joiner, "streamgap_reports_rejected_total", half=half, reason="internal") == 1
        assert value(joiner, "streamgap_residual", half=half) == 0


def test_offers_from_many_threads_lose_nothing(make_joiner: MakeJoiner) -> None:
    """Halves offered, ticked and snapshotted in parallel are all joined once."""
    joiner = make_joiner(pending_entries=10_000)
    sids = [f"stream-{i:04d}" for i in range(500)]
    attributes = [to_attributes(server_half(PACE_MS, sid=sid)) for sid in sids]

    def servers() -> None:
        for each in attributes:
            joiner.offer_span(each, trace_id="", span_id="", start_unix_ns=0)
            joiner.snapshot()

    def clients() -> None:
        for sid in reversed(sids):
            joiner.offer_client(body(sid=sid))
            joiner.tick()

    threads = [threading.Thread(target=work) for work in (servers, clients, servers, clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value(joiner, "streamgap_reports_joined_total", half="server") == 500
    assert value(joiner, "streamgap_reports_duplicate_total", half="client") == 500
