"""Each held stream gets the mechanism that held it, or none is named."""

from collections import Counter
from itertools import accumulate
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halves import client_half, client_halves, server_half, server_halves
from service.holding import (
    Path,
    answer,
    blocks,
    clean,
    first_bytes,
    one_behind,
    queue,
    stalls,
    timer,
    travelled,
    whole,
)
from streamgap.core import held
from streamgap.core.join import JoinedStream, join
from streamgap.core.mechanism import CODES, Mechanism
from streamgap.core.wire import ClientHalf, ServerHalf
from streamgap.core.words import HELD_BY, Verdict

STREAMS = 200
HEAD_MS = 5.0
PACE_MS = [500.0 + 50.0 * k for k in range(60)]


def streamed(path: Path, seed: int, *, enc: str = "", sizes: bool = True, jitter_ms: float = 3.0) -> JoinedStream:
    """Return one answer that went along `path`, as the halves of its two ends say; without `sizes`, as Firefox does."""
    chance = Random(seed)  # noqa: S311, repeatable on purpose
    written = answer(chance)
    came = travelled(path(written, chance), chance, jitter_ms=jitter_ms)
    late_ms = came[0] - written.at_ms[0] if path is queue else 40.0
    told = {"body": written.body_bytes, "wire": round(written.body_bytes * (0.3 if enc else 1.0))} if sizes else {}
    client = client_half(came, enc=enc, head=HEAD_MS + late_ms, **told)
    return join(server_half(written.at_ms, head=HEAD_MS), client)


def mechanisms(path: Path, *, enc: str = "", sizes: bool = True) -> Counter[Mechanism | None]:
    """Return how often each mechanism was named for the streams of many seeds that were held."""
    streams = [streamed(path, seed, enc=enc, sizes=sizes) for seed in range(STREAMS)]
    return Counter(stream.mechanism for stream in streams if stream.verdict is Verdict.HELD)


@pytest.mark.parametrize("sizes", [True, False], ids=["sizes", "no sizes"])
@pytest.mark.parametrize(
    ("path", "enc", "expected", "right"),
    [
        (whole, "", Mechanism.WHOLE, 0.98),
        (whole, "gzip", Mechanism.COMPRESSOR, 0.98),
        (blocks, "", Mechanism.BLOCKS, 0.9),
        (timer, "", Mechanism.TIMER, 0.9),
        (one_behind, "", Mechanism.ONE_BEHIND, 0.95),
        (first_bytes, "", Mechanism.FIRST_BYTES, 0.95),
        (queue, "", Mechanism.QUEUE, 0.98),
        (stalls, "", Mechanism.NETWORK, 0.9),
    ],
    ids=["whole", "compressor", "blocks", "timer", "one behind", "first bytes", "queue", "network"],
)
def test_what_held_the_stream_is_named(path: Path, enc: str, expected: Mechanism, right: float, *, sizes: bool) -> None:
    """Over many rates, sizes, pauses and jitters the mechanism is the right one, and a wrong one is the rare case."""
    named = mechanisms(path, enc=enc, sizes=sizes)
    total = named.total()
    assert total >= STREAMS / 5
    assert named[expected] >= right * total, named
    assert total - named[expected] - named[Mechanism.UNKNOWN] <= 0.06 * total, named


@pytest.mark.parametrize("jitter_ms", [1.0, 10.0, 40.0])
def test_what_was_not_held_has_no_mechanism(jitter_ms: float) -> None:
    """On a clean path, jittery or not, nobody is named."""
    streams = [streamed(clean, seed, jitter_ms=jitter_ms) for seed in range(STREAMS)]
    assert {stream.mechanism for stream in streams if stream.verdict is not Verdict.HELD} == {None}
    assert sum(stream.verdict is Verdict.HELD for stream in streams) == 0


def test_a_busy_page_has_no_mechanism() -> None:
    """Reads that came late because the main thread was blocked look like a block, and are the page's."""
    came = [max(ms, 2600.0) for ms in PACE_MS]
    stream = join(server_half(PACE_MS), client_half(came, busy=2000.0))
    assert (stream.verdict, stream.mechanism) == (Verdict.SLOW_PAGE, None)


@pytest.mark.parametrize(("ratio", "expected"), [(0.4, Mechanism.COMPRESSOR), (0.6, Mechanism.WHOLE)])
def test_a_compressor_that_flushed_is_not_the_one(ratio: float, expected: Mechanism) -> None:
    """Where the encoded body is as large as one that is flushed per event, something behind the compressor held it."""
    client = client_half([PACE_MS[-1] + 30.0] * 60, enc="gzip", body=60 * 120, wire=round(60 * 120 * ratio))
    assert join(server_half(PACE_MS), client).mechanism is expected


def test_two_sizes_tell_an_encoding_that_has_no_name() -> None:
    """Of an `EventSource` Chromium tells no encoding, but a body that was smaller on the wire had one."""
    client = client_half([PACE_MS[-1] + 30.0] * 60, via="eventsource", body=7200, wire=2000)
    assert join(server_half(PACE_MS), client).mechanism is Mechanism.COMPRESSOR


@pytest.mark.parametrize(
    ("wrote", "came", "fields"),
    [
        ([500.0], [4500.0], {}),
        (PACE_MS, [], {"end": "left", "dur": 9000.0}),
        (PACE_MS, [2600.0] * 40, {"end": "stopped"}),
        (PACE_MS, [4000.0] * 60, {"unit": "bytes"}),
    ],
    ids=["one chunk", "nothing came", "left at the first release", "another unit"],
)
def test_too_little_evidence_names_nothing(wrote: list[float], came: list[float], fields: dict[str, object]) -> None:
    """A held stream whose halves do not decide is counted as unknown, and is not guessed at."""
    stream = join(server_half(wrote), client_half(came, **fields))
    assert (stream.verdict, stream.mechanism) == (Verdict.HELD, Mechanism.UNKNOWN)


@given(server_halves, client_halves)
def test_any_two_halves_get_an_answer(server: ServerHalf, client: ClientHalf) -> None:
    """Whatever two valid halves say, one word of the closed set comes back."""
    assert held.held_by(server, client) in HELD_BY


@given(st.lists(st.sampled_from([0.0, 1.0, 4.0, 60.0, 900.0]), min_size=2, max_size=12), st.integers(0, 11))
def test_short_streams_of_any_shape_get_an_answer(gaps_ms: list[float], held_from: int) -> None:
    """A few chunks, together or apart, released at once or in two parts, are no reason to fail."""
    wrote = list(accumulate(gaps_ms))
    release_ms = wrote[min(held_from, len(wrote) - 1)]
    for last_ms in (wrote[-1], release_ms):
        came = [max(ms, release_ms) if ms <= release_ms else max(ms, last_ms) for ms in wrote]
        assert held.held_by(server_half(wrote), client_half(came)) in HELD_BY


def test_the_set_is_closed_and_each_has_its_page() -> None:
    """The counter's label has every value that the classifier returns, and each has a stable code."""
    assert held.HELD_BY == HELD_BY
    assert set(HELD_BY) <= set(CODES)
