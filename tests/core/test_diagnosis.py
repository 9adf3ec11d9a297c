"""Simulated paths under a whole examination: the mechanism is named, with its numbers and conditions."""

import random
from collections.abc import Sequence
from itertools import accumulate

import pytest
from msgspec.structs import replace

from core.paths import (
    BROWSER,
    Path,
    Piece,
    Stage,
    Trip,
    blocks,
    by_count,
    compressed,
    cut,
    examined,
    first_bytes,
    grid,
    late_head,
    members,
    one_behind,
    only,
    rtt,
    slow_link,
    timer,
    tls,
    whole,
    writer,
)
from streamgap.core.diagnosis import diagnose
from streamgap.core.mechanism import Finding, Mechanism, Severity
from streamgap.core.probe import Asked, Ending, Hint, Probe, Protocol, Segment

M = Mechanism


def found(*stages: Stage, hints: bool = False, **options: object) -> tuple[Finding, ...]:
    return diagnose(examined(replace_path(stages, options), hints=hints))


def replace_path(stages: Sequence[Stage], options: dict[str, object]) -> Path:
    return Path(stages=tuple(stages), **options)  # type: ignore[arg-type]


def accepts_gzip(asked: Asked) -> bool:
    return "gzip" in asked.accept_encoding


def gzip_one_behind(trip: Trip) -> None:
    """Compress as HAProxy does: on time, but for the last bits of four events in five."""
    if accepts_gzip(trip.asked) and not trip.asked.hints & {Hint.IDENTITY, Hint.NO_TRANSFORM}:
        trip.coding, trip.ratio = "gzip", 0.9
        one_behind(share=0.8)(trip)


tls_record = only(tls, blocks(16_384, framing=True, head=True))

NAMED: dict[str, tuple[Path, tuple[Mechanism, ...]]] = {
    "nothing": (Path(), (M.FLOWING,)),
    "a long way": (Path(stages=(rtt(80),)), (M.FLOWING,)),
    "late headers": (Path(stages=(late_head,)), (M.FLOWING, M.LATE_HEADERS)),
    "the whole response": (Path(stages=(whole,)), (M.WHOLE,)),
    "blocks of 1024": (Path(stages=(blocks(1024),)), (M.BLOCKS,)),
    "blocks of 4096": (Path(stages=(blocks(4096, head=True),)), (M.BLOCKS,)),
    "blocks of 5000": (Path(stages=(blocks(5000),)), (M.BLOCKS,)),
    "blocks of 65536": (Path(stages=(blocks(65_536),)), (M.BLOCKS,)),
    "a TLS record's buffer": (Path(secure=True, stages=(tls_record,)), (M.BLOCKS,)),
    "whole writes below 8192": (Path(stages=(writer(8192),)), (M.BLOCKS,)),
    "whole writes above 18000": (Path(stages=(writer(18_000, above=True),)), (M.BLOCKS,)),
    "ten events at a time": (Path(stages=(by_count(10),)), (M.BLOCKS,)),
    "a cork": (Path(stages=(timer(200),)), (M.TIMER,)),
    "a cork over Ethernet": (Path(stages=(timer(200, cap=1448),)), (M.TIMER,)),
    "a clock of 500 ms": (Path(stages=(grid(500),)), (M.TIMER,)),
    "one behind": (Path(stages=(one_behind(),)), (M.ONE_BEHIND,)),
    "mostly one behind": (Path(stages=(one_behind(share=0.7),)), (M.ONE_BEHIND,)),
    "the first bytes": (Path(stages=(first_bytes(2000),)), (M.FIRST_BYTES,)),
    "gzip": (Path(stages=(compressed("gzip"),)), (M.COMPRESSOR,)),
    "gzip that fills at last": (Path(stages=(compressed("gzip", first_out=93_000),)), (M.COMPRESSOR,)),
    "brotli before gzip": (Path(stages=(compressed("br", "gzip"),)), (M.COMPRESSOR,)),
    "gzip whatever is asked": (Path(stages=(compressed("gzip", always=True),)), (M.COMPRESSOR,)),
    "gzip, then a cork": (Path(stages=(compressed("gzip"), timer(200))), (M.COMPRESSOR, M.TIMER)),
    "gzip, then blocks": (Path(stages=(compressed("gzip"), blocks(4096))), (M.COMPRESSOR, M.BLOCKS)),
    "gzip under TLS": (Path(secure=True, stages=(compressed("gzip"), tls_record)), (M.COMPRESSOR, M.BLOCKS)),
    "gzip one behind, corked": (Path(stages=(gzip_one_behind, timer(200))), (M.ONE_BEHIND, M.TIMER)),
    "blocks, then a cork": (Path(stages=(blocks(4096), timer(200))), (M.BLOCKS, M.TIMER)),
    "one worker": (Path(workers=1), (M.QUEUE,)),
    "two workers": (Path(workers=2), (M.QUEUE,)),
    "a cache": (Path(cached=True), (M.REPLAY,)),
    "a member for each event": (Path(stages=(members,)), (M.LOST_EVENTS,)),
    "cut at 3 s": (Path(stages=(cut(3000),)), (M.CUT,)),
    "reset at 2 s": (Path(stages=(cut(2000, Ending.RESET),)), (M.CUT,)),
    "ended cleanly at 2 s": (Path(stages=(cut(2000, Ending.FRAMED),)), (M.CUT,)),
    "a slow link": (Path(stages=(slow_link(40),)), (M.NETWORK,)),
    "a sleeping radio": (Path(stages=(grid(102.4),)), (M.NETWORK,)),
    "a slow model": (Path(app_lag=lambda at_ms: at_ms + 2500), (M.SLOW_APP,)),
}


@pytest.mark.parametrize("name", NAMED)
def test_the_mechanism_is_named(name: str) -> None:
    """A whole examination of this path finds this and nothing else."""
    path, expected = NAMED[name]
    assert tuple(finding.mechanism for finding in diagnose(examined(path))) == expected


@pytest.mark.parametrize("size", [1024, 4096, 5000, 8192, 10_240, 16_384, 65_536])
def test_a_block_has_its_size(size: int) -> None:
    """The block that holds is measured to 2 %, whatever its size."""
    assert found(blocks(size))[0].block_bytes == pytest.approx(size, rel=0.02)


def test_a_tls_record_is_measured_with_its_framing() -> None:
    """16,384 bytes of TLS record are 16,384, though headers and chunk framing are among them; h2 is acquitted."""
    (finding,) = found(tls_record, secure=True)
    assert (finding.block_bytes, finding.protocols) == (16_384, (Protocol.TLS,))
    assert "over h2 the same URL flows" in finding.evidence


@pytest.mark.parametrize("period_ms", [80, 200, 350, 500])
def test_a_timer_has_its_period(period_ms: float) -> None:
    """The timer that holds is measured to 5 %."""
    assert found(timer(period_ms))[0].period_ms == pytest.approx(period_ms, rel=0.05)


def test_a_block_larger_than_the_stream_is_told_as_such() -> None:
    """Where the end alone released it, it is the whole response or a block of at least what there was."""
    (finding,) = found(blocks(1_000_000))
    assert finding.mechanism is M.WHOLE
    assert "or a block of at least 107540 bytes" in finding.evidence[0]


def test_only_the_coding_that_holds_is_accused() -> None:
    """A compressor that flushes gzip and not zstd is accused for zstd."""
    (finding,) = found(only(lambda asked: asked.accept_encoding == "zstd", compressed("zstd")))
    assert (finding.mechanism, finding.encodings) == (M.COMPRESSOR, ("zstd",))


def test_only_the_method_that_is_held_is_accused() -> None:
    """A tunnel that holds GET and streams POST is accused for GET."""
    (finding,) = found(only(lambda asked: asked.method == "GET", whole))
    assert (finding.mechanism, finding.methods) == (M.WHOLE, ("GET",))


def test_a_hint_that_frees_is_told_from_those_in_vain() -> None:
    """The hop heeds X-Accel-Buffering and nothing else."""
    heeds = only(lambda asked: Hint.X_ACCEL not in asked.hints, blocks(4096))
    (finding,) = found(heeds, hints=True)
    assert finding.freed_by == (Hint.X_ACCEL,)
    assert set(finding.not_freed_by) == set(Hint) - {Hint.X_ACCEL}


def test_a_hint_frees_of_one_thing_and_not_of_the_other() -> None:
    """Content-Encoding: identity stops the compressor; the cork behind it stays."""
    compressor, cork = found(compressed("gzip"), timer(200), hints=True)
    assert compressor.freed_by == (Hint.IDENTITY,)
    assert (cork.mechanism, cork.freed_by) == (M.TIMER, ())


def test_what_only_all_hints_together_free_is_said_so() -> None:
    """Two hops that need a hint each are freed by both together: all of them are named."""
    needs_both = only(lambda asked: not asked.hints >= {Hint.X_ACCEL, Hint.NO_TRANSFORM}, whole)
    (finding,) = found(needs_both, hints=True)
    assert (set(finding.freed_by), finding.not_freed_by) == (set(Hint), ())


def test_the_numbers_are_for_people() -> None:
    """Evidence says how many events came at once and how old the first of them was."""
    (finding,) = found(whole)
    assert "170 of 170 events came at one moment, 3.23 s after the app wrote the first of them" in finding.evidence[1]
    assert finding.hold_ms == pytest.approx(3230, abs=10)


def test_one_probe_alone_accuses_of_what_is_plain() -> None:
    """A single probe that gets everything at the end is held, less surely than several are."""
    (probe, *_) = examined(Path(stages=(whole,)))
    (finding,) = diagnose([probe])
    assert finding.mechanism is M.WHOLE
    assert 0.5 <= finding.confidence < 0.7


def test_what_does_not_repeat_is_the_network() -> None:
    """The first probe stalls at its start as a prefix buffer would, no other one does: nobody is accused."""
    held, *_ = examined(Path(stages=(first_bytes(2000),)))
    _, *others = examined(Path())
    assert not accused(diagnose([held, *others]))


def accused(findings: Sequence[Finding]) -> list[Finding]:
    return [one for one in findings if one.code.severity is Severity.HELD and one.confidence >= 0.5]


def test_what_repeats_but_fits_nothing_is_irregular() -> None:
    """Stalls at the same events each time are held for sure, by nothing that has a name."""

    def odd(trip: Trip) -> None:
        chance = random.Random(7)  # noqa: S311, a seeded simulation
        late_ms = [chance.choice([0.0] * 25 + [900.0, 600.0]) for _ in trip.pieces]
        came = accumulate((piece.at_ms + late for piece, late in zip(trip.pieces, late_ms, strict=True)), max)
        trip.pieces = [Piece(at, piece.size) for at, piece in zip(came, trip.pieces, strict=True)]

    (finding,) = found(odd)
    assert finding.mechanism is M.IRREGULAR
    assert "at the same places" in finding.evidence[0]


def test_a_late_prober_accuses_nobody() -> None:
    """Where the prober's own clock was as late as the events, it says so."""
    (finding,) = found(timer(200), lag_ms=230.0, pace=(Segment(count=30, gap_ms=150.0, size_bytes=100),))[:1]
    assert finding.mechanism is M.CLIENT or finding.confidence <= 0.6


def test_headers_are_late_over_one_protocol_only() -> None:
    """Late headers over h2 alone are told for h2."""
    findings = found(only(lambda asked: asked.protocol is Protocol.H2, late_head), secure=True)
    assert [(one.mechanism, one.protocols) for one in findings] == [(M.FLOWING, ()), (M.LATE_HEADERS, (Protocol.H2,))]


def test_nothing_came() -> None:
    """Where no probe got a stream, the answers are told."""
    asked = Asked(name="alone", protocol=Protocol.CLEAR, accept_encoding=BROWSER)
    gone = Probe(asked=asked, ending=Ending.REFUSED, failure="connection refused", end_ms=1.0)
    error = Probe(
        asked=asked,
        status=504,
        headers=(("content-type", "text/html"),),
        ending=Ending.FRAMED,
        end_ms=2001,
        head_ms=2000,
    )
    (finding,) = diagnose([gone, error])
    assert finding.mechanism is M.REFUSED
    assert "1 of 2 probes: connection refused" in finding.evidence
    assert any("got 504 text/html after 2000 ms" in sentence for sentence in finding.evidence)


def test_no_probes_at_all() -> None:
    """Nothing asked is refused with no confidence, and no error."""
    (finding,) = diagnose([])
    assert (finding.mechanism, finding.confidence) == (M.REFUSED, 0.0)


def test_missing_numbers_with_a_clean_end_are_lost_events() -> None:
    """Every tenth event is gone and the terminator came."""
    probes = [
        replace(one, events=tuple(event for event in one.events if event.index % 10 != 3), done=True)
        for one in examined(Path())
    ]
    assert diagnose(probes)[0].mechanism is M.LOST_EVENTS


UNTIMED: dict[str, tuple[Path, Mechanism]] = {
    "clean": (Path(timed=False), M.FLOWING),
    "all at once, always": (Path(timed=False, stages=(whole,)), M.UNKNOWN),
    "all at once with gzip": (Path(timed=False, stages=(compressed("gzip"),)), M.COMPRESSOR),
    "all at once over TLS": (Path(timed=False, secure=True, stages=(only(tls, whole),)), M.WHOLE),
    "exact blocks": (Path(timed=False, stages=(blocks(4096),)), M.BLOCKS),
    "late, then one at a time": (Path(timed=False, app_lag=lambda at_ms: at_ms + 4000), M.SLOW_APP),
    "a model that writes in bursts": (Path(timed=False, stages=(by_count(9),)), M.UNKNOWN),
}


@pytest.mark.parametrize("name", UNTIMED)
def test_a_stream_without_write_times_is_judged_by_differences(name: str) -> None:
    """Only a difference between probes convicts, or bytes that no app writes."""
    path, expected = UNTIMED[name]
    finding = diagnose(examined(path, hints=False))[0]
    assert finding.mechanism is expected
    assert finding.confidence <= 0.85
