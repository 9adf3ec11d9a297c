"""Real programs with short timers, all measured at the same time: the timer, its kind, its end, and the program."""

import asyncio
import os

import pytest

from doctor.idle.places import PLACES, Place
from doctor.idle.touring import APART_S, tour
from streamgap.doctor.idle.cut import Cut, Kind
from streamgap.doctor.idle.plan import Plan
from streamgap.doctor.idle.report import document
from streamgap.doctor.idle.result import Result

pytestmark = pytest.mark.slow
WITHIN = 0.05
# The judge's own 1.5 is held by test_judge.py, on a clock that no other program slows down.
SOON, BUSY_S = 1.5, 4.0
TIMED = [place for place in PLACES if place.kind is not None]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """Measure every place once."""
    directory = tmp_path_factory.mktemp("idle")
    for each in (directory, *directory.parents[:2]):
        each.chmod(0o755)  # some servers give up root
    return asyncio.run(tour(PLACES, directory=directory))


def cut_of(results: dict[str, Result], place: Place) -> Cut:
    cut = results[place.name].measured.cut
    assert cut is not None, results[place.name].charges
    return cut


@pytest.mark.parametrize("place", TIMED, ids=lambda place: place.name)
def test_the_timer_is_found_within_5_percent(place: Place, results: dict[str, Result]) -> None:
    """What cuts, and after how long, is what the program was told."""
    cut = cut_of(results, place)
    assert (cut.kind, cut.swallower) == (place.kind, place.swallower)
    all_of_it = document(results[place.name], url=place.name)
    assert place.timer_s * (1 - WITHIN) <= cut.at_s <= (place.timer_s + place.late_s) * (1 + WITHIN), all_of_it
    assert results[place.name].exit_status == 1


@pytest.mark.parametrize("place", TIMED, ids=lambda place: place.name)
def test_how_it_ends_is_told(place: Place, results: dict[str, Result]) -> None:
    """FIN inside the body, a reset, a proper end, or nothing at all; at once or at the next write."""
    cut = cut_of(results, place)
    assert (cut.how.ending if cut.how is not None else None) is place.ending
    assert cut.at_next_write is place.at_next_write


@pytest.mark.parametrize("place", TIMED, ids=lambda place: place.name)
def test_half_of_an_idle_timer_is_recommended_and_nothing_for_an_age(place: Place, results: dict[str, Result]) -> None:
    """The heartbeat is half the timer where heartbeats help, or will once they arrive."""
    result = results[place.name]
    if place.kind is Kind.AGE:
        assert (result.heartbeat_s, cut_of(results, place).heartbeats_help) == (None, False)
    else:
        assert result.heartbeat_s == pytest.approx(place.timer_s / 2, abs=0.05 * place.timer_s + 0.1)


@pytest.mark.parametrize("place", [place for place in PLACES if place.hop], ids=lambda place: place.name)
def test_the_program_is_the_first_suspect(place: Place, results: dict[str, Result]) -> None:
    """The program with the timer leads the suspects."""
    suspects = results[place.name].charges[0].suspects
    assert suspects
    assert suspects[0].hop == place.hop


def test_a_clean_path_is_not_accused(results: dict[str, Result]) -> None:
    """Without a timer nothing is found up to the longest silence, and the heartbeats arrive."""
    result = results["clean"]
    assert (result.exit_status, result.measured.cut) == (0, None)
    assert result.charges[0].finding.evidence[0] == "no idle cut up to 10.0 s"


def test_it_is_found_soon(results: dict[str, Result], capsys: pytest.CaptureFixture[str]) -> None:
    """A timer that closes is certain soon after its end; the table shows how soon, next to all the others."""
    rows = [(place, cut_of(results, place), results[place.name].measured.decided_s) for place in TIMED]
    with capsys.disabled():
        print(f"\n{len(PLACES)} places, {APART_S:g} s apart, on {os.cpu_count()} cores")  # noqa: T201, the table is for people
        for place, cut, decided_s in rows:
            told = f"{place.name:15} {cut.kind:9} set {place.timer_s:4.1f} s, found {cut.at_s:5.2f} s"
            print(f"{told}, certain after {decided_s:5.2f} s: {decided_s / place.timer_s:4.2f}")  # noqa: T201
    for place, cut, decided_s in rows:
        if not cut.silently:
            assert decided_s <= SOON * (place.timer_s + place.late_s) + BUSY_S


def test_every_kind_of_timer_is_there() -> None:
    """The places cover what the judge tells apart but for a first byte's timer, which the judge's own tests do."""
    assert {place.kind for place in TIMED} == set(Kind) - {Kind.FIRST_BYTE}
    assert Plan().longest_s > 125
