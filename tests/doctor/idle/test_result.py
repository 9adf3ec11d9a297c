"""What is said of a measurement: findings, advice, the report and the document."""

import json

import pytest
from msgspec.structs import replace

from doctor.idle.paths import HEADERS, Path, as_measured
from streamgap.core.mechanism import Mechanism
from streamgap.core.probe import AppView, Ending
from streamgap.doctor.idle.fate import Life
from streamgap.doctor.idle.measure import Measured
from streamgap.doctor.idle.plan import Plan, Role
from streamgap.doctor.idle.report import document, text
from streamgap.doctor.idle.result import Result, conclude
from streamgap.doctor.knowledge import load_hops

PLAN = Plan(longest_s=12.0)
MINUTE = Plan(longest_s=130.0)
NGINX = (*HEADERS, ("server", "nginx/1.22.1"))
URL = "http://app.example/drip"


def concluded(path: Path, plan: Plan = PLAN) -> Result:
    return conclude(as_measured(path, plan), hops=load_hops())


def said(result: Result) -> str:
    return text(result, url=URL, colours=False, width=10_000)


@pytest.mark.parametrize(
    ("path", "mechanism", "status"),
    [
        (Path(), Mechanism.FLOWING, 0),
        (Path(idle_s=4.0), Mechanism.IDLE_CUT, 1),
        (Path(first_byte_s=4.0), Mechanism.IDLE_CUT, 1),
        (Path(age_s=4.0), Mechanism.AGE_CUT, 1),
        (Path(idle_s=4.0, compresses=True), Mechanism.SWALLOWED_HEARTBEATS, 1),
        (Path(compresses=True), Mechanism.SWALLOWED_HEARTBEATS, 1),
        (Path(refused=frozenset(one.name for one in PLAN.first_rung)), Mechanism.UNKNOWN, 3),
    ],
)
def test_each_outcome_has_its_code_and_exit_status(path: Path, mechanism: Mechanism, status: int) -> None:
    """0 where nothing cuts, 1 where something does or heartbeats do not arrive, 3 where nothing is known."""
    result = concluded(path)
    assert (result.charges[0].finding.mechanism, result.exit_status) == (mechanism, status)


@pytest.mark.parametrize(("timer_s", "heartbeat_s"), [(4.0, 2.0), (60.0, 30.0), (125.0, 62.0)])
def test_the_heartbeat_is_half_the_timer_rounded_down(timer_s: float, heartbeat_s: float) -> None:
    """Half of what was measured, in whole seconds above ten."""
    result = concluded(Path(idle_s=timer_s, delay_s=0.0), MINUTE)
    assert result.heartbeat_s == heartbeat_s
    assert f"→ send a heartbeat every {heartbeat_s:g} s, half of the timer\n" in said(result)


def test_a_timer_at_its_default_names_the_program() -> None:
    """60.0 s behind nginx is proxy_read_timeout, with the line that raises it."""
    result = concluded(Path(idle_s=60.0, headers=NGINX), MINUTE)
    assert result.charges[0].suspects[0].hop == "nginx"
    assert "proxy_read_timeout" in said(result)


def test_against_an_age_no_heartbeat_is_recommended() -> None:
    """Only the timer itself, and a resume, help."""
    result = concluded(Path(age_s=4.0))
    assert result.heartbeat_s is None
    assert "no heartbeat helps" in said(result)
    assert "Last-Event-ID" in said(result)


def test_a_late_close_and_what_envoy_told_the_app_are_explained() -> None:
    """The second between timer and close is named, and the header in which Envoy gives its timer away."""
    seen = AppView(headers=(("x-envoy-expected-rq-timeout-ms", "4000"),))
    measured = as_measured(Path(age_s=4.0, closes_late_s=1.0), PLAN, seen=seen)
    evidence = " ".join(conclude(measured, hops=()).charges[0].finding.evidence)
    assert "delayed_close_timeout" in evidence
    assert "x-envoy-expected-rq-timeout-ms" in evidence


def test_a_clean_end_is_called_what_it_looks_like() -> None:
    """A proper end of the body before `done` is a cut that looks complete."""
    assert "to the client it looks complete" in said(concluded(Path(idle_s=4.0, ending=Ending.FRAMED)))


def test_a_silent_drop_accuses_no_proxy() -> None:
    """Proxies close; what drops silently is a NAT or a firewall, and none is known by name."""
    result = concluded(Path(idle_s=4.0, drops=True, headers=NGINX))
    assert "nobody is told" in said(result)
    assert result.charges[0].suspects == ()


def test_heartbeats_that_keep_a_stream_alive_but_do_not_arrive_are_a_finding_of_their_own() -> None:
    """Where a hop outside of the timer holds them, the cut and the missing heartbeats are both told."""
    measured = as_measured(Path(idle_s=4.0), PLAN)
    deaf = tuple(_without_comments(life) for life in measured.lives)
    cut = Measured(plan=PLAN, hello=measured.hello, lives=deaf, cut=measured.cut, decided_s=measured.decided_s)
    mechanisms = [charge.finding.mechanism for charge in conclude(cut, hops=()).charges]
    assert mechanisms == [Mechanism.IDLE_CUT, Mechanism.SWALLOWED_HEARTBEATS]


def test_a_stream_that_waits_for_a_worker_is_not_said_to_lose_its_heartbeats() -> None:
    """Without headers, and without a sign that the path holds anything, a stream may just not have begun."""
    measured = as_measured(Path(age_s=6.0), PLAN)
    waiting = tuple(_not_begun(life) if life.stream.role is Role.HEARTBEAT else life for life in measured.lives)
    made = Measured(plan=PLAN, hello=measured.hello, lives=waiting, cut=measured.cut, decided_s=measured.decided_s)
    assert [charge.finding.mechanism for charge in conclude(made, hops=()).charges] == [Mechanism.AGE_CUT]


def test_a_compressor_without_a_timer_behind_it_is_named_too() -> None:
    """Heartbeats that a compressor keeps back lead to those who compress, cut or not."""
    result = concluded(Path(compresses=True, headers=(*NGINX, ("content-encoding", "gzip"))))
    assert result.measured.cut is None
    assert result.charges[0].suspects[0].hop == "nginx"
    assert "streamgap doctor" in said(result)


def _without_comments(life: Life) -> Life:
    assert life.probe is not None
    return replace(life, probe=replace(life.probe, comments_ms=()))


def _not_begun(life: Life) -> Life:
    assert life.probe is not None
    probe = replace(
        life.probe, head_ms=None, status=None, headers=(), events=(), comments_ms=(), ending=Ending.STOPPED, done=False
    )
    return replace(life, probe=probe)


def test_the_stream_before_its_first_byte_is_reported() -> None:
    """Its own timer, or that it had none so far."""
    assert "before the first byte: cut after 4.02 s" in said(concluded(Path(first_byte_s=4.0)))
    assert "before the first byte: not cut within 12.0 s" in said(concluded(Path()))


def test_what_a_server_says_cannot_move_the_cursor() -> None:
    """Control characters in what was refused are shown, not obeyed."""
    hello = replace(as_measured(Path(), PLAN).hello, status=500, failure="got 500 \x1b[2J", expected=None)
    result = conclude(Measured(plan=PLAN, hello=hello), hops=())
    assert (result.exit_status, "\x1b" in said(result)) == (3, False)
    assert "\\x1b[2J" in said(result)


def test_the_document_has_every_stream() -> None:
    """--json: the cut, the findings, the advice, and what became of each stream."""
    told = json.loads(document(concluded(Path(idle_s=4.0)), url=URL))
    assert (told["schema"], told["url"], told["exit_status"]) == (1, URL, 1)
    assert told["cut"]["kind"] == "idle"
    assert told["cut"]["at_s"] == pytest.approx(4.0, rel=0.05)
    assert told["findings"][0]["code"] == "SG120"
    assert len(told["streams"]) == PLAN.streams
    assert {"cut", "whole"} <= {stream["fate"] for stream in told["streams"]}
    assert json.loads(document(concluded(Path()), url=URL))["cut"] is None
