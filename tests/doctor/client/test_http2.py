"""What one probe over HTTP/2 brings back, by what the server's frames say."""

from pathlib import Path

import pytest
from h2.connection import H2Connection
from h2.errors import ErrorCodes

from doctor.client.h2_stage import HEADERS, Conversation, Script, answering, probe_h2
from doctor.client.stage import HEAD, HOST, PATIENT, asked, saying, server_tls, serving
from streamgap.core.probe import Ending, Protocol
from streamgap.doctor.client import ClientLimits, Target, probe

TWO = b"data: a\n\ndata: b\n\n"


def head(h2: H2Connection, stream: int) -> None:
    h2.send_headers(stream, HEADERS)


def data(body: bytes, *, end: bool = False, padding: int | None = None) -> Script:
    return lambda h2, stream: h2.send_data(stream, body, end_stream=end, pad_length=padding)


def goaway(code: ErrorCodes, last: int) -> Script:
    def script(h2: H2Connection, _: int) -> None:
        state = h2.state_machine.state
        h2.close_connection(code, last_stream_id=last)
        h2.state_machine.state = state  # a server may go on behind it, h2 will not

    return script


async def test_a_stream_is_framed_by_its_end(certificate: Path) -> None:
    """Wire bytes are the payload of DATA without padding; the request is HTTP/2's."""
    told = Conversation()
    serve = answering(head, data(TWO[:9], padding=100), data(TWO[9:], end=True), conversation=told)
    got = await probe_h2(serve, certificate)
    assert (got.ending, got.failure, got.status, got.wire_bytes, len(got.events)) == (Ending.FRAMED, "", 200, 18, 2)
    assert got.headers == (("content-type", "text/event-stream"),)
    assert (told.headers[":path"], told.headers["accept"]) == ("/x?y", "text/event-stream")
    assert "host" not in told.headers


@pytest.mark.parametrize(
    ("scripts", "ending", "failure"),
    [
        ([head, data(TWO)], Ending.TRUNCATED, "expected END_STREAM, got the connection's end (FIN)"),
        ([head, data(TWO), lambda h2, s: h2.reset_stream(s, 2)], Ending.RESET, "got RST_STREAM INTERNAL_ERROR"),
        ([head, data(TWO), lambda h2, s: h2.reset_stream(s, 99)], Ending.RESET, "got RST_STREAM 99"),
        ([head, data(TWO), goaway(ErrorCodes.ENHANCE_YOUR_CALM, 1)], Ending.RESET, "got GOAWAY ENHANCE_YOUR_CALM"),
        ([head, data(TWO), goaway(ErrorCodes.NO_ERROR, 0)], Ending.RESET, "got GOAWAY NO_ERROR"),
        ([head, goaway(ErrorCodes.NO_ERROR, 1), data(TWO, end=True)], Ending.FRAMED, ""),
        ([head, data(TWO), goaway(ErrorCodes.NO_ERROR, 2**31 - 1)], Ending.TRUNCATED, "after GOAWAY NO_ERROR"),
    ],
)
async def test_the_ending_is_told_by_the_frames(
    certificate: Path, scripts: list[Script], ending: Ending, failure: str
) -> None:
    """A GOAWAY without error announces an end and is none: what comes behind it still counts."""
    got = await probe_h2(answering(*scripts), certificate)
    assert (got.ending, got.status, len(got.events)) == (ending, 200, 2)
    assert failure in got.failure
    assert bool(failure) == bool(got.failure)


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        (lambda h2, s: h2.reset_stream(s, 7), "got RST_STREAM REFUSED_STREAM"),
        (goaway(ErrorCodes.INADEQUATE_SECURITY, 0), "got GOAWAY INADEQUATE_SECURITY"),
        (lambda *_: None, "got the connection's end (FIN)"),
    ],
)
async def test_without_a_response_it_is_a_refusal(certificate: Path, script: Script, failure: str) -> None:
    """There is nothing that could have been cut."""
    got = await probe_h2(answering(script), certificate)
    assert (got.ending, got.status) == (Ending.REFUSED, None)
    assert failure in got.failure


async def test_a_body_larger_than_a_window_passes_both_ways(certificate: Path) -> None:
    """Flow control is obeyed: what the server gives no room for waits, and what came is acknowledged."""
    told = Conversation()
    big = b":" + b"x" * 15_000 + b"\n\n"
    scripts = [head, *(data(big) for _ in range(40)), data(TWO, end=True)]
    got = await probe_h2(answering(*scripts, conversation=told), certificate, body=b"p" * 300_000)
    assert (got.ending, got.wire_bytes, len(got.comments_ms)) == (Ending.FRAMED, 40 * len(big) + 18, 40)
    assert told.body == b"p" * 300_000
    assert told.headers["content-length"] == "300000"


async def test_a_server_without_h2_is_refused(certificate: Path) -> None:
    """ALPN is asked, never assumed."""
    for alpn, got_words in ((["http/1.1"], "got http/1.1"), ([], "got none")):
        async with serving(saying(HEAD + b"\r\n"), tls=server_tls(certificate, alpn=alpn)) as port:
            got = await probe(Target.of(f"https://{HOST}:{port}/", verify=False), asked(Protocol.H2), limits=PATIENT)
        assert (got.ending, got.status) == (Ending.REFUSED, None)
        assert got.failure == f"expected h2 by ALPN, {got_words}"


async def test_garbage_behind_alpn_is_refused_and_shown_escaped(certificate: Path) -> None:
    """A server that agrees to h2 may speak HTTP/1.1 all the same."""
    got = await probe_h2(saying(b"HTTP/1.1 400 Bad\r\n\r\n\x1b[2J"), certificate)
    assert (got.ending, got.status) == (Ending.REFUSED, None)
    assert "expected HTTP/2, got b'HTTP/1.1 400" in got.failure
    assert got.failure.isprintable()


def ping(h2: H2Connection, _: int) -> None:
    for _ in range(1000):
        h2.ping(b"12345678")


def settings(h2: H2Connection, _: int) -> None:
    for _ in range(1000):
        h2.update_settings({4: 70_000})


def empty(h2: H2Connection, stream: int) -> None:
    for _ in range(1000):
        h2.send_data(stream, b"")


@pytest.mark.parametrize("flood", [ping, settings, empty])
async def test_a_flood_of_frames_is_let_go(certificate: Path, flood: Script) -> None:
    """Frames that carry no body have a bound of their own, whatever they are."""
    limits = ClientLimits(connect_s=20, total_s=20, overhead_bytes=40_000)
    got = await probe_h2(answering(head, *[flood] * 50), certificate, limits=limits)
    assert (got.ending, got.status, got.wire_bytes) == (Ending.STOPPED, 200, 0)
    assert "framing: expected at most 40000 bytes" in got.failure


async def test_headers_are_bounded(certificate: Path) -> None:
    """A small frame may decode to large headers (HPACK's table): the list has a bound."""

    def large(h2: H2Connection, stream: int) -> None:
        h2.send_headers(stream, [*HEADERS, *[("x-large", "v" * 3000)] * 10])

    got = await probe_h2(answering(large), certificate, limits=ClientLimits(total_s=20, head_bytes=20_000))
    assert (got.ending, got.status) == (Ending.REFUSED, None)
    assert got.failure.startswith("expected HTTP/2, got")
