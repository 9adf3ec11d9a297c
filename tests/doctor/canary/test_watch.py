"""A run glances while all is well, and looks closely before it accuses."""

import pytest

from doctor.canary.lab import Path, brought, flowing, held, judge, refused
from streamgap.core.mechanism import Mechanism
from streamgap.core.probe import ORDINARY, Asked, Probe, Protocol
from streamgap.core.words import ProbeResult
from streamgap.doctor.canary.watch import Watch
from streamgap.doctor.canary.ways import GLANCE


def watch(path: Path, *, tls: bool = True) -> Watch:
    return Watch(path, tls=tls, judge=judge)


async def test_a_flowing_route_costs_one_glance_a_run() -> None:
    """The ways take turns, so that three runs have asked in each of them."""
    path = Path()
    watched = watch(path)
    runs = [await watched.run() for _ in range(4)]
    assert [run.result for run in runs] == [ProbeResult.FLOWING] * 4
    assert path.names == ["ordinary", "h2", "identity", "ordinary"]
    assert {asked.pace for asked in path.asked} == {GLANCE}


async def test_without_tls_there_is_no_h2() -> None:
    """Over clear text two ways take turns, both HTTP/1.1."""
    path = Path()
    watched = watch(path, tls=False)
    for _ in range(3):
        await watched.run()
    assert path.names == ["ordinary", "identity", "ordinary"]
    assert {asked.protocol for asked in path.asked} == {Protocol.CLEAR}


async def test_a_hold_counts_when_it_is_seen_again() -> None:
    """The same way is asked again at once, for longer, and then every other way: that is the evidence."""
    path = Path(held)
    run = await watch(path).run()
    assert run.result is ProbeResult.HELD
    assert run.finding.mechanism is Mechanism.WHOLE
    assert path.names == ["ordinary", "confirm", "h2", "identity"]
    assert [asked.pace for asked in path.asked] == [GLANCE, ORDINARY, ORDINARY, ORDINARY]
    assert path.asked[1].accept_encoding == path.asked[0].accept_encoding


@pytest.mark.parametrize("mechanism", [Mechanism.WHOLE, Mechanism.CUT, Mechanism.NETWORK, Mechanism.CLIENT])
async def test_what_does_not_repeat_convicts_nobody(mechanism: Mechanism) -> None:
    """One bad probe, and the repetition flows: the run flows, and it took two requests."""
    path = Path()
    path.brings = lambda _: mechanism if len(path.asked) == 1 else Mechanism.FLOWING
    run = await watch(path).run()
    assert run.result is ProbeResult.FLOWING
    assert len(path.asked) == 2


async def test_a_held_route_is_asked_first_in_the_way_that_was_held() -> None:
    """Only HTTP/1.1 is held: every run finds it so, though h2 would have had its turn."""
    path = Path(lambda asked: Mechanism.FLOWING if asked.protocol is Protocol.H2 else Mechanism.WHOLE)
    watched = watch(path)
    results = [(await watched.run()).result for _ in range(3)]
    assert results == [ProbeResult.HELD] * 3


async def test_a_healed_route_is_glanced_at_again() -> None:
    """A full probe that flows ends the hold, for a glance could miss it; then the turns go on."""
    path = Path(held)
    watched = watch(path)
    await watched.run()
    path.brings = flowing
    path.asked.clear()
    assert [(await watched.run()).result for _ in range(3)] == [ProbeResult.FLOWING] * 3
    assert path.names == ["ordinary", "h2", "identity"]
    assert [asked.pace for asked in path.asked] == [ORDINARY, GLANCE, GLANCE]


async def test_no_stream_is_a_failure_and_not_asked_for_again() -> None:
    """A server that is down is not asked four times a minute."""
    path = Path(refused)
    run = await watch(path).run()
    assert run.result is ProbeResult.FAILED
    assert run.probes[0].failure == "expected a connection, got none"
    assert path.names == ["ordinary"]


async def test_evidence_that_decides_nothing_is_doubtful() -> None:
    """A run that is neither clean nor proven accuses nobody and acquits nobody."""
    path = Path(lambda _: Mechanism.UNKNOWN)
    assert (await watch(path).run()).result is ProbeResult.DOUBTFUL


@pytest.mark.parametrize("mechanism", [Mechanism.LATE_HEADERS, Mechanism.SLOW_APP])
async def test_a_note_is_no_reason_to_look_again(mechanism: Mechanism) -> None:
    """Late headers and a slow app are not the path holding: the run flows."""
    path = Path(lambda _: mechanism)
    assert (await watch(path).run()).result is ProbeResult.FLOWING
    assert len(path.asked) == 1


async def test_a_network_that_stays_uneven_holds_nothing() -> None:
    """Jitter that repeats is the network's, which is a note and no hold."""
    assert (await watch(Path(lambda _: Mechanism.NETWORK)).run()).result is ProbeResult.FLOWING


async def test_a_server_without_h2_is_asked_without_it() -> None:
    """Where TLS does not agree to h2 the next way is asked in the same run, and h2 never again."""
    asked: list[Asked] = []

    async def ask(one: Asked) -> Probe:
        asked.append(one)
        if one.protocol is Protocol.H2:
            return brought(one, Mechanism.REFUSED, failure="expected h2 by ALPN, got http/1.1")
        return brought(one, Mechanism.FLOWING)

    watched = Watch(ask, tls=True, judge=judge)
    results = [(await watched.run()).result for _ in range(4)]
    assert results == [ProbeResult.FLOWING] * 4
    assert [one.name for one in asked] == ["ordinary", "h2", "identity", "ordinary", "identity"]


async def test_every_way_is_asked_once() -> None:
    """All ways flow: each has been asked, and the last run is the answer. One is held: that run is."""
    path = Path()
    assert (await watch(path).every_way()).result is ProbeResult.FLOWING
    assert path.names == ["ordinary", "h2", "identity"]
    path = Path(lambda asked: Mechanism.WHOLE if asked.protocol is Protocol.H2 else Mechanism.FLOWING)
    assert (await watch(path).every_way()).finding.mechanism is Mechanism.WHOLE
