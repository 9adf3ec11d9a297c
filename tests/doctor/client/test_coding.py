"""Content codings: what a flush let out is decoded at once, whatever the cuts, and nothing is decoded past a bound."""

import contextlib
import itertools
import zlib
from collections.abc import Callable, Iterable

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgap.doctor.client.coding import CodingError, decoder_of
from streamgap.doctor.client.inflating import PIECE_BYTES, Inflate, Unbrotli, Unzstd

Flushing = Callable[[Iterable[bytes]], list[bytes]]


def _zlib(bits: int) -> Flushing:
    def parts(events: Iterable[bytes]) -> list[bytes]:
        coder = zlib.compressobj(wbits=bits)
        return [*(coder.compress(event) + coder.flush(zlib.Z_SYNC_FLUSH) for event in events), coder.flush()]

    return parts


def _brotli(events: Iterable[bytes]) -> list[bytes]:
    coder = brotli.Compressor(quality=4)
    return [*(coder.process(event) + coder.flush() for event in events), coder.finish()]


def _zstd(events: Iterable[bytes]) -> list[bytes]:
    coder = zstandard.ZstdCompressor().compressobj()
    flushed = [coder.compress(event) + coder.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for event in events]
    return [*flushed, coder.flush()]


CODERS: dict[str, tuple[str, Flushing]] = {
    "gzip": ("gzip", _zlib(31)),
    "x-gzip": ("x-gzip", _zlib(31)),
    "zlib": ("deflate", _zlib(15)),
    "raw": ("deflate", _zlib(-15)),
    "br": ("br", _brotli),
    "zstd": ("zstd", _zstd),
    "none": ("", lambda events: [*events, b""]),
    "identity": ("identity", lambda events: [*events, b""]),
}
EVENTS = [b"data: event %d %s\n\n" % (n, b"word " * n) for n in range(20)]


@pytest.mark.parametrize("name", CODERS)
def test_a_flushed_event_is_decoded_by_the_bytes_that_hold_it(name: str) -> None:
    """Otherwise the probe would accuse a path of its own decoder's hold."""
    encoding, parts_of = CODERS[name]
    decoder = decoder_of(encoding)
    for event, part in zip(EVENTS, parts_of(EVENTS), strict=False):
        assert b"".join(decoder.feed(part)) == event


@settings(deadline=None)
@given(data=st.data(), name=st.sampled_from(sorted(CODERS)))
def test_cuts_change_nothing(data: st.DataObject, name: str) -> None:
    """Bytes cut anywhere decode to the same, several streams behind one another too, and the end is recognised."""
    encoding, parts_of = CODERS[name]
    streams = 1 if name in {"br", "none", "identity"} else data.draw(st.integers(1, 3))
    coded = b"".join(parts_of(EVENTS)) if streams == 1 else b"".join(b"".join(parts_of(EVENTS)) for _ in range(streams))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(coded)), max_size=6)))
    decoder = decoder_of(encoding)
    parts = [coded[start:end] for start, end in itertools.pairwise([0, *cuts, len(coded)])]
    assert b"".join(piece for part in parts for piece in decoder.feed(part)) == b"".join(EVENTS) * streams
    assert decoder.is_whole
    assert decoder.gzip_members == (streams if "gzip" in name else 0)


def test_several_codings_are_undone_last_first() -> None:
    """`gzip, br` was compressed by gzip, then by br."""
    inner = _zlib(31)(EVENTS)
    decoder = decoder_of("gzip, BR")
    assert b"".join(b"".join(decoder.feed(part)) for part in _brotli(inner)) == b"".join(EVENTS)
    assert (decoder.is_whole, decoder.gzip_members) == (True, 1)


def test_a_stream_that_was_not_ended_is_not_whole() -> None:
    """And one that never began is."""
    for encoding, parts_of in CODERS.values():
        decoder = decoder_of(encoding)
        assert decoder.is_whole
        for part in parts_of(EVENTS)[:-1]:
            list(decoder.feed(part))
        assert decoder.is_whole == (encoding in {"", "identity"})


@pytest.mark.parametrize("encoding", ["compress", "gzip, sdch", "aes128gcm", "\x1b[2J"])
def test_an_unknown_coding_is_named(encoding: str) -> None:
    """Escaped."""
    with pytest.raises(CodingError, match="expected gzip, deflate, br, zstd or identity, got '") as caught:
        decoder_of(encoding)
    assert str(caught.value).isprintable()


@settings(deadline=None)
@given(junk=st.binary(min_size=1, max_size=300), encoding=st.sampled_from(["gzip", "deflate", "br", "zstd", "gzip,br"]))
def test_junk_is_decoded_or_refused_and_nothing_else(junk: bytes, encoding: str) -> None:
    """Whatever a server sends, no other error comes out."""
    decoder = decoder_of(encoding)
    with contextlib.suppress(CodingError):
        assert sum(map(len, decoder.feed(junk))) < 100_000_000


ZEROS = b"\0" * 30_000_000


@pytest.mark.parametrize(
    ("stream", "bomb", "most"),
    [
        (Inflate(31), zlib.compress(ZEROS, wbits=31), PIECE_BYTES),
        (Unbrotli(), brotli.compress(ZEROS, quality=1), 4 * PIECE_BYTES),
        (Unzstd(), zstandard.ZstdCompressor().compress(ZEROS), 10_000_000),
    ],
)
def test_a_bomb_comes_in_pieces(stream: Inflate | Unbrotli | Unzstd, bomb: bytes, most: int) -> None:
    """So that whoever counts can stop: no piece is larger than its bound."""
    sizes = [len(piece) for piece in stream.pieces(bomb)]
    assert sum(sizes) == len(ZEROS)
    assert max(sizes) <= most


def test_a_window_larger_than_the_web_allows_is_refused() -> None:
    """Without it zstd would take up to 2 GiB of memory for it (RFC 9659 sets 8 MiB)."""
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=27)
    coder = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(CodingError, match="body: expected zstd"):
        list(decoder_of("zstd").feed(coder.compress(ZEROS) + coder.flush()))
