"""Any bytes at all: the push cores end in words, and raise nothing."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctor.client.stage import CHUNKED, HEAD, LAST_CHUNK, asked, chunk
from streamgap.core.probe import Protocol
from streamgap.doctor.client import ClientLimits
from streamgap.doctor.client.events import Content
from streamgap.doctor.client.http1 import Http1
from streamgap.doctor.client.http2 import Http2
from streamgap.doctor.client.recording import Recording, silent

SETTINGS = bytes.fromhex("000000040000000000")
H1_WORDS = st.sampled_from(
    [HEAD, CHUNKED, LAST_CHUNK, chunk(b"data: a\n\n"), b"HTTP/1.1 103 x\r\n\r\n", b"HTTP/1.1 204 x\r\n\r\n", b"\r\n",
     b"content-length: 5\r\n\r\n", b"content-encoding: gzip\r\n\r\n", b"0", b"ffffffffff\r\n", b"HTTP/1.0 200 \r\n\r\n"]
)  # fmt: skip


@st.composite
def frames(draw: Any) -> bytes:
    kind, flags, stream = draw(st.integers(0, 12)), draw(st.integers(0, 255)), draw(st.sampled_from([0, 1, 1, 2, 3]))
    payload: bytes = draw(
        st.one_of(st.binary(max_size=40), st.sampled_from([b"\x88", b"\x88\x0f\x10\x03abc", b"\0" * 8]))
    )
    frame: bytes = len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload
    return frame


def recording(protocol: Protocol) -> Recording:
    return Recording(
        asked=asked(protocol),
        limits=ClientLimits(head_bytes=4096),
        began_ms=0.0,
        content=Content(is_drip=False),
        on_event=silent,
        head_only=False,
    )


@pytest.mark.parametrize("protocol", [Protocol.CLEAR, Protocol.H2])
@settings(deadline=None)
@given(data=st.data())
def test_whatever_comes_is_told(data: st.DataObject, protocol: Protocol) -> None:
    """A response, a refusal or a cut; always an ending, always printable words."""
    words = H1_WORDS if protocol is Protocol.CLEAR else frames()
    parts = data.draw(st.lists(st.one_of(words, st.binary(max_size=30)), max_size=10))
    record = recording(protocol)
    session = Http1(record) if protocol is Protocol.CLEAR else Http2(record)
    session.request("GET", "/", "h", [("accept", "*/*")], b"")
    for nth, part in enumerate([SETTINGS, *parts] if protocol is Protocol.H2 else parts):
        if record.ending is None:
            record.receive(float(nth), len(part))
            session.receive(part)
    record.receive(100.0, 0)
    session.eof()
    got = record.probe(lag_ms=0.0)
    assert got.failure.isprintable()
    assert sum(read.wire_bytes for read in got.reads) == got.wire_bytes
