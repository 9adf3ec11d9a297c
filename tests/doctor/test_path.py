"""Charging a hold to the hop behind which it appears."""

import pytest

from streamgap.core.mechanism import Finding, Mechanism
from streamgap.core.probe import Asked, Ending, Probe, Protocol
from streamgap.doctor.examine import Examination
from streamgap.doctor.path import Diagnosis, Examined, Tap, Verdict, charges

PROBE = Probe(
    asked=Asked(name="alone", protocol=Protocol.CLEAR, accept_encoding=""), ending=Ending.FRAMED, end_ms=1.0, status=200
)
FLOWING = Finding(mechanism=Mechanism.FLOWING, confidence=0.9)
WHOLE = Finding(mechanism=Mechanism.WHOLE, confidence=0.9)
COMPRESSOR = Finding(mechanism=Mechanism.COMPRESSOR, confidence=0.95)
REFUSED = Finding(mechanism=Mechanism.REFUSED, confidence=1.0)


async def never(_asked: Asked) -> Probe:
    raise AssertionError


def tap(name: str, *findings: Finding) -> Examined:
    return Examined(
        tap=Tap(name=name, url=f"http://{name}.test/drip", tls=False, ask=never),
        examination=Examination(probes=(PROBE,), findings=findings),
    )


def blocks(size_bytes: int, confidence: float = 0.95) -> Finding:
    return Finding(mechanism=Mechanism.BLOCKS, confidence=confidence, block_bytes=size_bytes)


def charged(*examined: Examined) -> list[tuple[Mechanism, str, str]]:
    return [(one.finding.mechanism, one.inner, one.tap) for one in charges(examined, hops=())]


def test_a_hold_is_charged_where_it_first_shows() -> None:
    """The app flows, the proxy holds, the edge inherits: the proxy is charged, and nobody else."""
    made = charged(tap("app", FLOWING), tap("proxy", WHOLE), tap("edge", WHOLE))
    assert made == [(Mechanism.WHOLE, "app", "proxy")]


def test_the_innermost_tap_is_charged_to_the_app() -> None:
    """What the app's own server holds has no tap inside it."""
    assert charged(tap("app", COMPRESSOR), tap("edge", COMPRESSOR)) == [(Mechanism.COMPRESSOR, "", "app")]


def test_a_hop_that_decodes_what_was_held_inside_is_not_charged() -> None:
    """Everything came at the end inside already; that the edge shows it without a content coding is no second hold."""
    assert charged(tap("app", COMPRESSOR), tap("edge", WHOLE)) == [(Mechanism.COMPRESSOR, "", "app")]


def test_two_hops_that_hold_differently_are_both_charged() -> None:
    """4 KiB blocks behind the first, 16 KiB blocks behind the second."""
    made = charged(tap("inner", blocks(4104)), tap("outer", blocks(16384)))
    assert made == [(Mechanism.BLOCKS, "", "inner"), (Mechanism.BLOCKS, "inner", "outer")]


def test_the_same_blocks_with_other_framing_are_the_same_hold() -> None:
    """One more layer of framing makes blocks look a few percent smaller (measured: 16,384 seen as 15,938)."""
    assert len(charged(tap("inner", blocks(16384)), tap("outer", blocks(15938)))) == 1


def test_a_guess_charges_nobody() -> None:
    """Below one half a finding is told, and nobody is accused."""
    assert charged(tap("app", FLOWING), tap("edge", blocks(4096, confidence=0.4))) == []


def test_an_inner_tap_that_does_not_answer_is_passed_over() -> None:
    """Without the proxy's own answer the hold lies somewhere between the app and the edge."""
    made = charged(tap("app", FLOWING), tap("proxy", REFUSED), tap("edge", WHOLE))
    assert made == [(Mechanism.WHOLE, "app", "edge")]


@pytest.mark.parametrize(
    ("outermost", "verdict", "status"),
    [
        (FLOWING, Verdict.FLOWING, 0),
        (WHOLE, Verdict.HELD, 1),
        (blocks(4096, confidence=0.4), Verdict.DOUBTFUL, 3),
        (Finding(mechanism=Mechanism.UNKNOWN, confidence=0.3), Verdict.DOUBTFUL, 3),
        (Finding(mechanism=Mechanism.SLOW_APP, confidence=0.9), Verdict.FLOWING, 0),
        (Finding(mechanism=Mechanism.NETWORK, confidence=0.6), Verdict.FLOWING, 0),
        (REFUSED, Verdict.UNREACHABLE, 3),
    ],
)
def test_the_verdict_is_that_of_the_outermost_tap(outermost: Finding, verdict: Verdict, status: int) -> None:
    """What people get decides, whatever was seen further in."""
    diagnosis = Diagnosis(taps=(tap("app", WHOLE), tap("edge", outermost)), charges=())
    assert (diagnosis.verdict, diagnosis.exit_status) == (verdict, status)
