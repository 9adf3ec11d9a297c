"""Servers that mean harm or speak something else: each becomes a probe that says so, within its bounds."""

import asyncio
import os
import socket
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest

from doctor.client.stage import (
    CHUNKED,
    HEAD,
    HOST,
    LAST_CHUNK,
    PATIENT,
    Serve,
    asked,
    chunk,
    probe_of,
    saying,
    server_tls,
    serving,
)
from streamgap.core.probe import Ending, Protocol
from streamgap.demo.loopback import reset
from streamgap.demo.processes import free_port
from streamgap.doctor.client import ClientLimits, Target, probe


def for_ever(first: bytes, again: bytes) -> Serve:
    """Read the request's head, say `first`, and `again` until the client has gone."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(first)
        while True:
            writer.write(again)
            await writer.drain()

    return serve


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        (b"", "the connection's end (FIN) before any byte"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "b'SSH-2.0-OpenSSH_9.2"),
        (b"\x15\x03\x03\x00\x02\x02\x16", "TLS (b'\\x15\\x03\\x03"),
        (b"<html>\x1b[2J</html>", "b'<html>\\x1b[2J</html>' and FIN"),
        (b"HTTP/1.1 200 OK\r\nx: a\x00b\r\n\r\n", "illegal header"),
        (b"HTTP/1.1 200 OK\r\n no: start\r\n\r\n", "b'HTTP/1.1 200 OK"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "conflicting Content-Length"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", "Transfer-Encoding"),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", "101"),
        (b"HTTP/1.1 99999 OK\r\n\r\n", "b'HTTP/1.1 99999"),
        (b"HTTP/1.1 200", "and FIN"),
    ],
)
async def test_what_is_no_http_is_refused_and_shown_escaped(said: bytes, failure: str) -> None:
    """The failure shows the bytes; not one of them reaches a terminal raw."""
    got = await probe_of(saying(said))
    assert (got.ending, got.status, got.events) == (Ending.REFUSED, None, ())
    assert failure in got.failure
    assert got.failure.startswith("expected a")
    assert got.failure.isprintable()


@pytest.mark.parametrize(
    ("first", "again", "ending", "failure"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x-a: " + b"b" * 1000 + b"\r\n", Ending.REFUSED, "too long"),
        (b"HTTP/1.1 200 OK\r\nx-a: ", b"b" * 1000, Ending.REFUSED, "too long"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50, Ending.STOPPED, "beside the body"),
        (CHUNKED, chunk(b"x" * 5000), Ending.STOPPED, "body: expected at most 200000 bytes and 50000 lines"),
        (CHUNKED, chunk(b"data: x\n\n" * 10), Ending.STOPPED, "fewer than 3000 events"),
        (CHUNKED, chunk(b":\n\n" * 10), Ending.STOPPED, "fewer than 3000 events"),
        (CHUNKED, chunk(b"\n" * 1000), Ending.STOPPED, "body: expected at most 200000 bytes and 50000 lines"),
        (CHUNKED, b"0" * 1000, Ending.TRUNCATED, "framing"),
        (CHUNKED + b"1" + b";ext" * 100, b"x" * 1000, Ending.TRUNCATED, "too long"),
        (CHUNKED + b"0\r\n", b"trailer: x\r\n" * 100, Ending.TRUNCATED, "too long"),
    ],
)
async def test_what_never_ends_is_let_go(first: bytes, again: bytes, ending: Ending, failure: str) -> None:
    """Each kind of flood has its bound, and none waits for the time to pass."""
    limits = ClientLimits(connect_s=20, total_s=20, body_bytes=200_000, lines=50_000, events=3000)
    got = await probe_of(for_ever(first, again), limits=limits)
    assert got.ending is ending
    assert failure in got.failure


async def test_a_byte_at_a_time_is_bounded_by_reads_too() -> None:
    """A slow drip of bytes cannot fill the memory with reads; time bounds it as well."""
    got = await probe_of(for_ever(CHUNKED, chunk(b"x")), limits=ClientLimits(total_s=20, reads=3, body_bytes=10_000))
    assert got.ending is Ending.STOPPED
    assert len(got.reads) <= 3

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in HEAD * 1000:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)

    got = await probe_of(slow, limits=ClientLimits(total_s=0.2))
    assert (got.ending, got.status) == (Ending.TIMED_OUT, None)
    assert got.failure == "expected a response within 0.2 s, got none"


def _gzip(pieces: Iterable[bytes]) -> bytes:
    coder = zlib.compressobj(wbits=31)
    return b"".join(coder.compress(piece) for piece in pieces) + coder.flush()


async def test_a_bomb_ends_at_the_bound() -> None:
    """64 MiB from 64 KiB: no more of it is decoded than is allowed."""
    bomb = _gzip(b"\0" * 1_048_576 for _ in range(64))
    head = HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb)
    got = await probe_of(saying(head, bomb), limits=ClientLimits(total_s=20, body_bytes=1_000_000))
    assert got.ending is Ending.STOPPED
    assert 1_000_000 < got.body_bytes <= 1_065_536


@pytest.mark.parametrize(
    ("coding", "body", "failure"),
    [
        (b"gzip", b"data: a\n\n", "body: expected gzip, got b'data: a"),
        (b"br", b"\xff" * 40, "body: expected br, got b'\\xff"),
        (b"zstd", b"data: a\n\n", "body: expected zstd, got"),
        (b"deflate", b"\xff" * 40, "body: expected deflate, got"),
        (b"gzip", _gzip([b"data: a\n\n"]) + b"tail", "body: expected gzip, got b'tail'"),
        (b"gzip", _gzip([b"data: a\n\n"])[:-4], "'gzip' to come to its own end"),
        (b"sn\x1bappy", b"xx", "content-encoding: expected gzip, deflate"),
        (b"gzip, gzip, gzip, gzip, gzip", b"xx", "at most 4 codings, got 5"),
    ],
)
async def test_a_body_that_is_not_what_it_says_is_still_timed(coding: bytes, body: bytes, failure: str) -> None:
    """Its reads and its ending are evidence, its content is not; the failure says why."""
    head = HEAD + b"content-encoding: " + coding.replace(b"\x1b", b"") + b"\r\ntransfer-encoding: chunked\r\n\r\n"
    got = await probe_of(saying(head, chunk(body), chunk(b"more"), LAST_CHUNK))
    assert failure in got.failure or "expected gzip, got b'more'" in got.failure
    assert (got.ending, got.wire_bytes) == (Ending.FRAMED, len(body) + 4)
    assert got.failure.isprintable()


async def test_markup_and_escapes_in_headers_are_kept_as_text() -> None:
    """The probe is evidence, escaping is the report's job: what h11 lets through is told as it came."""
    got = await probe_of(saying(b"HTTP/1.1 200 OK\r\nserver: \x1b[31m<b>&amp;\xff\r\ncontent-length: 0\r\n\r\n"))
    assert got.header("server") == "\x1b[31m<b>&amp;\xff"
    assert got.failure.isprintable()


async def test_nobody_listening_is_a_refusal() -> None:
    """And the words say what was tried."""
    port = free_port()
    got = await probe(Target.of(f"http://{HOST}:{port}/"), asked())
    assert got.ending is Ending.REFUSED
    assert got.failure == f"expected a listener at {HOST}:{port}, got connection refused"


async def test_a_name_that_does_not_exist_is_a_refusal() -> None:
    """`.invalid` never resolves (RFC 6761); a label of 64 characters is no name at all."""
    for host in ("no-such-name.invalid", "a" * 64):
        got = await probe(Target.of(f"http://{host}/"), asked())
        assert got.ending is Ending.REFUSED
        assert host in got.failure


async def test_a_listener_that_never_answers_tls_is_a_refusal() -> None:
    """The handshake has its time too."""
    with socket.create_server((HOST, 0)) as listener:
        target = Target.of(f"https://{HOST}:{listener.getsockname()[1]}/", verify=False)
        got = await probe(target, asked(Protocol.TLS), limits=ClientLimits(connect_s=0.3))
    assert got.ending is Ending.REFUSED
    assert "within 0.3 s, got none" in got.failure


async def test_tls_asked_of_a_plain_port_says_so() -> None:
    """The words name what to try."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async with serving(serve) as port:
        got = await probe(Target.of(f"https://{HOST}:{port}/", verify=False), asked(Protocol.TLS), limits=PATIENT)
    assert got.ending is Ending.REFUSED
    assert "try http://" in got.failure


async def test_plain_asked_of_a_tls_port_says_so(certificate: Path) -> None:
    """A TLS server answers a plain request with an alert, or with nothing."""
    async with serving(saying(b""), tls=server_tls(certificate, alpn=[])) as port:
        got = await probe(Target.of(f"http://{HOST}:{port}/"), asked(), limits=PATIENT)
    assert (got.ending, got.status) == (Ending.REFUSED, None)
    assert got.failure.startswith("expected a")


async def test_a_certificate_that_does_not_hold_is_refused_unless_told(certificate: Path) -> None:
    """Verification is the default, and the words name the switch."""
    async with serving(saying(HEAD + b"content-length: 0\r\n\r\n"), tls=server_tls(certificate, alpn=[])) as port:
        url = f"https://{HOST}:{port}/"
        refused = await probe(Target.of(url), asked(Protocol.TLS), limits=PATIENT)
        taken = await probe(Target.of(url, verify=False), asked(Protocol.TLS), limits=PATIENT)
    assert refused.ending is Ending.REFUSED
    assert "--insecure" in refused.failure
    assert (taken.ending, taken.status) == (Ending.FRAMED, 200)


async def test_a_verified_certificate_is_for_the_urls_host(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`connect_to` reaches an origin under its public name: SNI and the check are the URL's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    async with serving(saying(HEAD + b"content-length: 0\r\n\r\n"), tls=server_tls(certificate, alpn=[])) as port:
        named = await probe(
            Target.of("https://localhost/", connect_to=(HOST, port)), asked(Protocol.TLS), limits=PATIENT
        )
        other = await probe(
            Target.of("https://other.example/", connect_to=(HOST, port)), asked(Protocol.TLS), limits=PATIENT
        )
    assert (named.ending, named.status) == (Ending.FRAMED, 200)
    assert (other.ending, other.status) == (Ending.REFUSED, None)
    assert "other.example" in other.failure


@pytest.mark.parametrize(
    ("said", "break_off", "ending", "failure"),
    [
        (CHUNKED + chunk(b"data: a\n\n"), "fin", Ending.TRUNCATED, "got FIN"),
        (HEAD + b"\r\ndata: a\n\n", "fin", Ending.CLOSED, ""),
        (CHUNKED + chunk(b"data: a\n\n"), "rst", Ending.RESET, "got RST"),
        (CHUNKED + chunk(b"data: a\n\n"), "garbage", Ending.RESET, "got SSLError"),
    ],
)
async def test_tls_that_breaks_off_without_notice_is_told_as_what_it_was(
    certificate: Path, said: bytes, break_off: str, ending: Ending, failure: str
) -> None:
    """Many servers close TCP without TLS's close_notify; that is a FIN, and no reset."""
    came = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await came.wait()
        sock = writer.get_extra_info("socket")
        match break_off:
            case "fin":
                sock.shutdown(socket.SHUT_WR)
            case "rst":
                reset(writer)
            case _:
                os.write(sock.fileno(), b"no record at all")
        await reader.read()

    async with serving(serve, tls=server_tls(certificate, alpn=[])) as port:
        target = Target.of(f"https://{HOST}:{port}/", verify=False)
        got = await probe(target, asked(Protocol.TLS), limits=PATIENT, on_event=lambda _: came.set())
    assert (got.ending, got.status, len(got.events)) == (ending, 200, 1)
    assert failure in got.failure
    assert bool(failure) == bool(got.failure)
