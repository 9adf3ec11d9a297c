"""What one probe over HTTP/1.1 brings back, by how the server frames and ends its answer."""

import asyncio
import zlib

import pytest

from doctor.client.stage import CHUNKED, HEAD, HOST, LAST_CHUNK, PATIENT, asked, chunk, probe_of, saying, serving
from streamgap.core.probe import Arrival, Ending, Protocol
from streamgap.demo.loopback import reset
from streamgap.doctor.client import ClientLimits, Target, probe

TWO = b"data: a\n\ndata: b\n\n"


async def test_a_chunked_stream_is_framed_and_each_event_is_placed() -> None:
    """Events carry their number, their read and their end in the body; wire bytes are the body without framing."""
    got = await probe_of(saying(CHUNKED, chunk(b"data: a\n"), chunk(b"\ndata: b\n\n"), LAST_CHUNK))
    assert (got.ending, got.failure, got.status, got.wire_bytes, got.body_bytes) == (Ending.FRAMED, "", 200, 18, 18)
    assert [(event.index, event.end_byte, event.wrote_ms) for event in got.events] == [(0, 9, None), (1, 18, None)]
    assert sum(read.wire_bytes for read in got.reads) == 18
    assert all(got.reads[event.read].at_ms == event.came_ms for event in got.events)
    assert got.head_ms is not None
    assert 0 <= got.head_ms <= got.events[0].came_ms <= got.events[1].came_ms <= got.end_ms


@pytest.mark.parametrize(
    ("said", "ending", "failure"),
    [
        (HEAD + b"content-length: 18\r\n\r\n" + TWO, Ending.FRAMED, ""),
        (HEAD + b"content-length: 19\r\n\r\n" + TWO, Ending.TRUNCATED, "received 18 bytes, expected 19"),
        (CHUNKED + chunk(TWO), Ending.TRUNCATED, "got FIN"),
        (CHUNKED + chunk(TWO) + b"0\r\n", Ending.TRUNCATED, "got FIN"),
        (HEAD + b"\r\n" + TWO, Ending.CLOSED, ""),
        (b"HTTP/1.0 200\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\n" + TWO, Ending.CLOSED, ""),
        (CHUNKED + chunk(TWO) + b"zz\r\n", Ending.TRUNCATED, "expected HTTP/1.1 framing in the body"),
        (CHUNKED + chunk(TWO) + b"f" * 21 + b"\r\n", Ending.TRUNCATED, "expected HTTP/1.1 framing"),
        (CHUNKED + b"4\r\ndata: a\r\n", Ending.TRUNCATED, "expected HTTP/1.1 framing"),
        (CHUNKED + chunk(TWO) + b"0\r\nserver-timing: x\r\n\r\n", Ending.FRAMED, ""),
    ],
)
async def test_the_ending_is_told_by_the_framing(said: bytes, ending: Ending, failure: str) -> None:
    """A FIN within a framed body is a cut; where only the close delimits, nobody can tell."""
    got = await probe_of(saying(said))
    assert (got.ending, got.status) == (ending, 200)
    assert failure in got.failure
    assert bool(failure) == bool(got.failure)


async def test_a_reset_within_the_body_is_told() -> None:
    """RST is not FIN."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + chunk(TWO))
        await came.wait()
        reset(writer)

    came = asyncio.Event()
    async with serving(serve) as port:
        target = Target.of(f"http://{HOST}:{port}/")
        got = await probe(target, asked(), limits=PATIENT, on_event=lambda _: came.set())
    assert (got.ending, len(got.events), got.status) == (Ending.RESET, 2, 200)
    assert "got RST" in got.failure


async def test_a_reset_before_the_response_is_a_refusal() -> None:
    """Nothing came: there is no response that could be cut."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        reset(writer)

    got = await probe_of(serve)
    assert (got.ending, got.status, got.head_ms) == (Ending.REFUSED, None, None)
    assert got.failure == "expected a response, got RST"


async def test_comments_are_stamped_and_are_no_events() -> None:
    """Heartbeats have times of their own."""
    got = await probe_of(saying(CHUNKED, chunk(b":hb\n\ndata: a\n\n:hb\n\n"), LAST_CHUNK))
    assert (len(got.events), len(got.comments_ms)) == (1, 2)
    assert got.events[0].end_byte == 14


async def test_informational_responses_are_passed_over() -> None:
    """103 comes before the response and is none."""
    got = await probe_of(saying(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", CHUNKED, chunk(TWO), LAST_CHUNK))
    assert (got.status, got.ending, len(got.events)) == (200, Ending.FRAMED, 2)


async def test_an_error_answer_is_shown_in_the_failure() -> None:
    """Its first bytes say more than its status; and they are shown escaped, never raw."""
    body = b'{"error": "\x1b[31mdrip: expected fewer"}'
    head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    got = await probe_of(saying(head + body))
    assert (got.status, got.ending, got.events, got.is_stream) == (400, Ending.FRAMED, (), False)
    assert got.failure.startswith(
        "expected 200 text/event-stream, got 400 'application/json': b'{\"error\": \"\\x1b[31mdrip"
    )
    assert "\x1b" not in got.failure


async def test_response_headers_are_kept_as_they_came() -> None:
    """Order, case and repetition are evidence."""
    got = await probe_of(saying(b"HTTP/1.1 200 OK\r\nServer: a<b>\r\nVIA: 1\r\nVia: 2\r\ncontent-length: 0\r\n\r\n"))
    assert got.headers == (("Server", "a<b>"), ("VIA", "1"), ("Via", "2"), ("content-length", "0"))
    assert got.header("via") == "1, 2"


async def test_behind_the_terminator_the_end_is_not_waited_for_for_ever() -> None:
    """A stream that says it is done and stays open has been seen."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + chunk(TWO + b"data: [DONE]\n\n"))
        await reader.read()

    got = await probe_of(serve, limits=ClientLimits(total_s=60, after_done_s=0.05))
    assert (got.ending, got.done, len(got.events)) == (Ending.STOPPED, True, 2)
    assert "soon after its terminator" in got.failure


async def test_a_silent_server_is_timed_out() -> None:
    """What came until then is kept."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + chunk(TWO))
        await reader.read()

    got = await probe_of(serve, limits=ClientLimits(total_s=0.5))
    assert (got.ending, len(got.events)) == (Ending.TIMED_OUT, 2)
    assert got.failure == "expected its end within 0.5 s, got none"


async def test_a_probe_can_be_stopped_from_outside() -> None:
    """Whoever has seen enough sets an event."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + chunk(TWO))
        await reader.read()

    stop = asyncio.Event()
    seen: list[Arrival] = []

    def on_event(arrival: Arrival) -> None:
        seen.append(arrival)
        stop.set()

    async with serving(serve) as port:
        target = Target.of(f"http://{HOST}:{port}/")
        got = await probe(target, asked(), limits=PATIENT, stop=stop, on_event=on_event)
    assert (got.ending, got.failure, tuple(seen)) == (Ending.STOPPED, "", got.events)


async def test_the_request_is_a_browsers_and_says_who_asks() -> None:
    """The user's headers stand in place of ours; Host is the URL's wherever the connection goes."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heads.append(head + await reader.readexactly(4))
        writer.write(HEAD + b"content-length: 0\r\n\r\n")
        await reader.read()

    async with serving(serve) as port:
        target = Target.of(
            "http://public.example/stream?q=1",
            headers=[("Accept", "*/*"), ("Authorization", "Bearer x")],
            body=b"{  }",
            connect_to=(HOST, port),
        )
        got = await probe(target, asked(accept_encoding="gzip, br", method="POST"), limits=PATIENT)
    assert got.ending is Ending.FRAMED
    lines = heads[0].decode().split("\r\n")
    assert lines[0] == "POST /stream?q=1 HTTP/1.1"
    assert lines[-1] == "{  }"
    assert sorted(lines[1:-2]) == [
        "accept-encoding: gzip, br",
        "accept: */*",
        "authorization: Bearer x",
        "cache-control: no-cache",
        "content-length: 4",
        "content-type: application/json",
        "host: public.example",
        "user-agent: streamgap-doctor",
    ]


async def test_every_gzip_member_is_decoded_and_counted() -> None:
    """Django's GZipMiddleware makes one of each chunk; a browser shows the first only."""

    def member(data: bytes) -> bytes:
        coder = zlib.compressobj(wbits=31)
        return coder.compress(data) + coder.flush()

    head = HEAD + b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
    got = await probe_of(saying(head, chunk(member(b"data: a\n\n")), chunk(member(b"data: b\n\n")), LAST_CHUNK))
    assert (got.members, len(got.events), got.body_bytes, got.encoding) == (2, 2, 18, "gzip")
    assert got.wire_bytes > got.body_bytes


async def test_the_scheme_must_allow_the_protocol() -> None:
    """That is the caller's mistake and no server's: it is raised."""
    with pytest.raises(ValueError, match="for http, got h2"):
        await probe(Target.of(f"http://{HOST}/"), asked(Protocol.H2))
