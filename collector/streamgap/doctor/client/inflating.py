"""Decompressors with one face: all that can be decoded now, in pieces of bounded size.

zlib and brotli may have consumed all input while their window still holds output: only a short piece is the last.
"""

import zlib
from collections.abc import Iterator
from typing import Protocol

import brotli
import zstandard

PIECE_BYTES = 64 * 1024
GZIP_BITS = 31
ZLIB_BITS = 15
RAW_BITS = -15
# zstandard sets no bound on what it returns, and a block of 128 KiB may take 4 bytes of input: 8 MiB at a time at most.
_ZSTD_SLICE_BYTES = 256
_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024  # the most that `zstd` on the web may use: RFC 9659

WrongBytesError = (zlib.error, zstandard.ZstdError, brotli.error)


class Stream(Protocol):
    """One compressed stream. Once `eof` is true, `rest` is what came behind it."""

    rest: bytes
    eof: bool

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield all that `data` lets be decoded; raises one of `WrongBytesError`."""
        ...


class Inflate:
    """zlib's formats: gzip, zlib and raw deflate by `bits`."""

    def __init__(self, bits: int) -> None:
        self.rest = b""
        self.eof = False
        self._inflate = zlib.decompressobj(bits)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield all that `data` lets be decoded."""
        while True:
            piece = self._inflate.decompress(data, PIECE_BYTES)
            yield piece
            data = self._inflate.unconsumed_tail
            if self._inflate.eof:
                self.eof, self.rest = True, self._inflate.unused_data
                return
            if not data and len(piece) < PIECE_BYTES:
                return


class Unbrotli:
    """Brotli."""

    def __init__(self) -> None:
        self.rest = b""
        self.eof = False
        self._stream = brotli.Decompressor()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield all that `data` lets be decoded."""
        while True:
            piece = self._stream.process(data, output_buffer_limit=PIECE_BYTES)
            yield piece
            data = b""
            if len(piece) < PIECE_BYTES and self._stream.can_accept_more_data():
                break
        self.eof = self._stream.is_finished()


class Unzstd:
    """One zstd frame."""

    def __init__(self) -> None:
        self.rest = b""
        self.eof = False
        self._frame = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield all that `data` lets be decoded."""
        for start in range(0, len(data), _ZSTD_SLICE_BYTES):
            yield self._frame.decompress(data[start : start + _ZSTD_SLICE_BYTES])
            if self._frame.eof:
                self.eof, self.rest = True, self._frame.unused_data + data[start + _ZSTD_SLICE_BYTES :]
                return
