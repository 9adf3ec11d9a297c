"""The registry says what was measured, in the catalogue's words and base units."""

import math
import shutil
import subprocess
from collections.abc import Callable

import pytest
from prometheus_client import generate_latest

from halves import server_half
from service.lab import PACE_MS, Clock, body, join_one, samples, value
from streamgap.core.catalog import CATALOG, Metric
from streamgap.service.joiner import Joiner

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_every_family_of_the_catalogue_is_exposed_and_no_other(joiner: Joiner) -> None:
    """Names, kinds, units and help are the catalogue's, in its order."""
    exposed = [(f.name, f.type, f.unit, f.documentation) for f in joiner.meters.registry.collect()]
    assert exposed == [(m.name.removesuffix("_total"), m.kind, m.unit, m.help) for m in CATALOG]


def test_counters_with_closed_labels_exist_from_the_start_at_zero(joiner: Joiner) -> None:
    """A rate sees the first increment: every child of closed sets is there before anything happened."""
    found = samples(joiner)
    for metric in (m for m in CATALOG if m.kind == "counter" and None not in m.labels.values()):
        expected = math.prod(len(values or ()) for values in metric.labels.values())
        ours = [s for (name, _), s in found.items() if name == metric.name]
        assert len(ours) == expected
        assert {s.value for s in ours} == {0.0}


@pytest.mark.parametrize(
    "metric",
    [m for m in CATALOG if m.kind == "counter" and "route" in m.labels and len(m.labels) == 2],
    ids=lambda metric: metric.name,
)
def test_a_new_route_gets_all_its_children(joiner: Joiner, metric: Metric) -> None:
    """With a route's first stream, every verdict and outcome of it exists, at 0."""
    joiner.offer_server(server_half(PACE_MS))
    (closed,) = (values for values in metric.labels.values() if values)
    ours = [s for (name, _), s in samples(joiner).items() if name == metric.name]
    assert {s.labels["route"] for s in ours} == {"/chat"}
    assert len(ours) == len(closed)


def test_a_joined_stream_fills_its_histograms_in_seconds(joiner: Joiner) -> None:
    """Gap, TTFC, TTFB, stages and hold are the join's numbers / 1000."""
    join_one(joiner, call_=10.0, answer_=470.0, byte=20.0, paint=640.0)
    rm = {"route": "/chat", "model": "gemini"}
    assert value(joiner, "streamgap_gap_seconds_sum", **rm) == pytest.approx(0.1)
    assert value(joiner, "streamgap_gap_seconds_bucket", le="0.05", **rm) == 0
    assert value(joiner, "streamgap_gap_seconds_bucket", le="0.1", **rm) == 1
    assert value(joiner, "streamgap_gap_seconds_bucket", le="+Inf", **rm) == 1
    assert value(joiner, "streamgap_server_time_to_first_chunk_seconds_sum", **rm) == pytest.approx(0.5)
    assert value(joiner, "streamgap_client_time_to_first_chunk_seconds_sum", **rm) == pytest.approx(0.6)
    assert value(joiner, "streamgap_client_time_to_first_byte_seconds_sum", route="/chat") == pytest.approx(0.02)
    stages = {"app": 0.04, "model": 0.46, "path": 0.1, "page": 0.04}
    for stage, seconds in stages.items():
        assert value(joiner, "streamgap_stage_seconds_sum", route="/chat", stage=stage) == pytest.approx(seconds)
    assert value(joiner, "streamgap_hold_seconds_sum", route="/chat") == pytest.approx(0.0)


def test_chunk_gaps_come_in_bulk(joiner: Joiner) -> None:
    """Every gap counts in its bin, and their sum is the spread of each side."""
    join_one(joiner, at=(600.0, 600.0, 700.0), gaps=(1, 0, 0, 0, 1), longest=100.0)
    side = {"route": "/chat", "side": "client"}
    assert value(joiner, "streamgap_chunk_gap_seconds_count", **side) == 2
    assert value(joiner, "streamgap_chunk_gap_seconds_bucket", le="0.005", **side) == 1
    assert value(joiner, "streamgap_chunk_gap_seconds_bucket", le="0.1", **side) == 2
    assert value(joiner, "streamgap_chunk_gap_seconds_sum", **side) == pytest.approx(0.1)
    assert value(joiner, "streamgap_chunk_gap_seconds_count", route="/chat", side="server") == 2
    assert value(joiner, "streamgap_longest_chunk_gap_seconds_sum", **side) == pytest.approx(0.1)


@pytest.mark.parametrize(("first_ms", "negative"), [(499.0, 0), (450.0, 0), (449.9, 1)])
def test_a_negative_gap_clamps_to_zero(joiner: Joiner, first_ms: float, negative: int) -> None:
    """No negative number enters a histogram, and one below −50 ms is counted as suspicious."""
    join_one(joiner, at=(first_ms, 650.0, 700.0))
    assert value(joiner, "streamgap_gap_seconds_sum", route="/chat", model="gemini") == 0.0
    assert value(joiner, "streamgap_gap_seconds_count", route="/chat", model="gemini") == 1
    assert value(joiner, "streamgap_stage_seconds_sum", route="/chat", stage="path") == 0.0
    assert value(joiner, "streamgap_negative_gaps_total", route="/chat") == negative


def test_a_client_without_content_has_no_gap(joiner: Joiner) -> None:
    """A stream abandoned before its first chunk counts as a stream, but no time is made up for it."""
    join_one(joiner, at=(), count=0, last=None, gaps=(), end="left", dur=100.0)
    rm = {"route": "/chat", "model": "gemini"}
    assert value(joiner, "streamgap_gap_seconds_count", **rm) == 0
    assert value(joiner, "streamgap_client_time_to_first_chunk_seconds_count", **rm) == 0
    assert value(joiner, "streamgap_hold_seconds_count", route="/chat") == 0
    assert value(joiner, "streamgap_server_time_to_first_chunk_seconds_count", **rm) == 1
    assert value(joiner, "streamgap_streams_total", route="/chat", verdict="abandoned") == 1
    assert value(joiner, "streamgap_longest_chunk_gap_seconds_count", route="/chat", side="server") == 1


def test_exemplars_carry_the_trace(joiner: Joiner, clock: Clock) -> None:
    """The buckets of gap, hold and both TTFCs name the last traced stream, its value in s and when it was joined."""
    join_one(joiner, sid="stream-old", trace_id_="ab" * 16)
    clock.now_s += 5.0
    join_one(joiner, sid="stream-new", trace_id_=TRACE)
    join_one(joiner, sid="untraced")
    carriers = {name: s.exemplar for (name, _), s in samples(joiner).items() if s.exemplar}
    assert set(carriers) == {
        "streamgap_gap_seconds_bucket",
        "streamgap_hold_seconds_bucket",
        "streamgap_server_time_to_first_chunk_seconds_bucket",
        "streamgap_client_time_to_first_chunk_seconds_bucket",
    }
    exemplar = carriers["streamgap_gap_seconds_bucket"]
    assert exemplar is not None
    assert (exemplar.labels, exemplar.value) == ({"trace_id": TRACE}, 0.1)
    assert float(exemplar.timestamp or 0) == clock.now_s


def test_promtool_finds_nothing_to_say(make_joiner: Callable[..., Joiner]) -> None:
    """The exposition of a collector that met hostile names is clean for Prometheus' own linter."""
    joiner = make_joiner()
    for i, route in enumerate(["/chat", '" } 1\nevil 1', "/é", ""]):
        join_one(joiner, sid=f"stream-{i}", route_=route, trace_id_=TRACE)
    joiner.offer_client(b"{")
    promtool = shutil.which("promtool")
    assert promtool is not None, "promtool is needed: it comes with Debian's prometheus"
    run = subprocess.run(
        [promtool, "check", "metrics"], input=generate_latest(joiner.meters.registry), capture_output=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")


def test_a_snapshot_stands_still(joiner: Joiner) -> None:
    """What is rendered from a snapshot is the moment it was taken, whatever has happened since."""
    join_one(joiner)
    taken = joiner.snapshot()
    before = [family.samples for family in taken.collect()]
    join_one(joiner, sid="stream-2")
    assert [family.samples for family in taken.collect()] == before


def test_offers_do_not_fail_while_a_label_is_new(joiner: Joiner) -> None:
    """A half whose stream is never joined opens its route's counters too."""
    joiner.offer_client(body(sid="stream-1"))
    joiner.offer_server(server_half(PACE_MS, sid="stream-1", route="/new"))
    assert value(joiner, "streamgap_streams_total", route="/new", verdict="flowing") == 1
