"""What Prometheus reads: all of the catalogue, from the first scrape on, and nothing that a server could name."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from doctor.canary.lab import brought
from streamgap.core import catalog
from streamgap.core.catalog import PROBE_CATALOG
from streamgap.core.mechanism import Finding, Mechanism
from streamgap.core.probe import Asked, Probe, Protocol
from streamgap.core.words import PROBE_HELD_BY, ProbeResult
from streamgap.doctor.canary.board import Board
from streamgap.doctor.canary.watch import Run

ROUTES = {"/chat": (Protocol.TLS, Protocol.H2), "/search": (Protocol.CLEAR,)}
LABELS = {metric.name: metric.labels for metric in PROBE_CATALOG}
NAN = "nan"
Samples = dict[tuple[str, ...], str]


def samples(board: Board) -> Samples:
    """Return each sample's value as text by its name and label values, labels in the catalogue's order."""
    _, text = board.render("")
    return {
        (sample.name, *(sample.labels[label] for label in LABELS[sample.name])): f"{sample.value:g}"
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def asked(protocol: Protocol = Protocol.TLS) -> Asked:
    return Asked(name="ordinary", protocol=protocol, accept_encoding="gzip")


def run(result: ProbeResult, mechanism: Mechanism, *probes: Probe) -> Run:
    return Run(result=result, finding=Finding(mechanism=mechanism, confidence=0.9), probes=probes)


HELD = run(ProbeResult.HELD, Mechanism.WHOLE, brought(asked(), Mechanism.WHOLE, hold_ms=1500.0))
FLOWING = run(ProbeResult.FLOWING, Mechanism.FLOWING, brought(asked(), Mechanism.FLOWING))
FAILED = run(ProbeResult.FAILED, Mechanism.REFUSED, brought(asked(), Mechanism.REFUSED))


def test_every_child_is_there_before_the_first_run() -> None:
    """A counter that appears with 1 is invisible to `increase`; counts and states start at 0, measurements at NaN."""
    found = samples(Board(ROUTES))
    results = {("streamgap_probe_runs_total", route, result): "0" for route in ROUTES for result in ProbeResult}
    states = {("streamgap_probe_held", route, mechanism): "0" for route in ROUTES for mechanism in PROBE_HELD_BY}
    assert found.items() >= (results | states).items()
    holds = {key: value for key, value in found.items() if key[0] == "streamgap_probe_hold_seconds"}
    assert holds == {
        ("streamgap_probe_hold_seconds", route, protocol): NAN for route, asked in ROUTES.items() for protocol in asked
    }


def test_it_exposes_the_catalogue_and_nothing_else() -> None:
    """Names, kinds, labels and help are the catalogue's, and no `_created` series doubles their number."""
    _, text = Board(ROUTES).render("")
    families = {family.name: family for family in text_string_to_metric_families(text.decode())}
    assert families.keys() == {metric.name.removesuffix("_total") for metric in PROBE_CATALOG}
    for metric in PROBE_CATALOG:
        family = families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        assert {frozenset(sample.labels) for sample in family.samples} == {frozenset(metric.labels)}
        assert {sample.name for sample in family.samples} == {metric.name}


def test_openmetrics_is_spoken_to_who_asks_for_it() -> None:
    """Prometheus asks for OpenMetrics, and gets it."""
    content_type, text = Board(ROUTES).render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


def test_a_held_run_sets_one_mechanism() -> None:
    """The state names the mechanism, and a run that flows clears it."""
    board = Board(ROUTES)
    board.record("/chat", HELD, at_unix_s=1.0)
    states = {key[2]: value for key, value in samples(board).items() if key[:2] == ("streamgap_probe_held", "/chat")}
    assert {name for name, value in states.items() if value == "1"} == {Mechanism.WHOLE}
    board.record("/chat", FLOWING, at_unix_s=2.0)
    found = samples(board)
    assert found["streamgap_probe_held", "/chat", Mechanism.WHOLE] == "0"
    assert found["streamgap_probe_runs_total", "/chat", "held"] == "1"
    assert found["streamgap_probe_runs_total", "/chat", "flowing"] == "1"
    assert found["streamgap_probe_last_run_timestamp_seconds", "/chat"] == "2"


@pytest.mark.parametrize(
    ("results", "recent"), [("hhh", 3), ("hhhh", 4), ("hhhhh", 4), ("hhhf", 3), ("hhhff", 2), ("hxhh", 3), ("", 0)]
)
def test_the_last_four_runs_are_remembered(results: str, recent: int) -> None:
    """Held runs are counted over the last four, whatever the others came to."""
    board = Board(ROUTES)
    for one in results:
        board.record("/chat", {"h": HELD, "f": FLOWING, "x": FAILED}[one], at_unix_s=1.0)
    found = samples(board)
    assert found["streamgap_probe_recent_held_runs", "/chat"] == str(recent)
    assert found["streamgap_probe_recent_held_runs", "/search"] == "0"


def test_the_longest_time_of_each_protocol_is_kept() -> None:
    """A run that held HTTP/1.1 and passed h2 shows both; a run without a stream leaves what was measured before."""
    board = Board(ROUTES)
    both = (*HELD.probes, *FLOWING.probes, brought(asked(Protocol.H2), Mechanism.FLOWING))
    board.record("/chat", run(ProbeResult.HELD, Mechanism.WHOLE, *both), at_unix_s=1.0)
    board.record("/chat", FAILED, at_unix_s=2.0)
    found = samples(board)
    assert found["streamgap_probe_hold_seconds", "/chat", Protocol.TLS] == "1.5"
    assert found["streamgap_probe_hold_seconds", "/chat", Protocol.H2] == "0"
    assert found["streamgap_probe_head_seconds", "/chat", Protocol.TLS] == "0.012"
    assert found["streamgap_probe_time_to_first_chunk_seconds", "/chat", Protocol.TLS] == "1.71"


def test_runs_left_out_are_counted() -> None:
    """An interval without a run does not go unnoticed."""
    board = Board(ROUTES)
    board.overran("/chat", 2)
    assert samples(board)["streamgap_probe_overruns_total", "/chat"] == "2"


def test_a_strange_route_name_breaks_no_line() -> None:
    """An operator's quote or backslash is escaped."""
    _, text = Board({'a"b\\c': (Protocol.CLEAR,)}).render("")
    assert re.search(r'route="a\\"b\\\\c"', text.decode())
    assert catalog.PROBE_RUNS.name in text.decode()
