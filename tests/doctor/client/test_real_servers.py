"""The probe against real programs: uvicorn, and nginx in clear, over TLS and over h2, with gzip and brotli."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from doctor.client.stage import HOST, PATIENT
from instrument.lab import serving
from streamgap.core.probe import Asked, Ending, Hint, Probe, Protocol, Segment
from streamgap.demo.processes import find_program, free_port, running
from streamgap.doctor import Drip
from streamgap.doctor.client import Lag, Target, probe, settle

pytestmark = pytest.mark.slow

PACE = (Segment(count=20, gap_ms=30, size_bytes=130, silence_ms=60),)
CONFIG = """
load_module modules/ngx_http_brotli_filter_module.so;
daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  ssl_certificate {certificate}/cert.pem; ssl_certificate_key {certificate}/key.pem;
  proxy_http_version 1.1; proxy_read_timeout 1s;
  gzip on; gzip_types text/event-stream; gzip_proxied any; gzip_min_length 0;
  brotli on; brotli_types text/event-stream; brotli_min_length 0;
  server {{
    listen {host}:{clear};
    listen {host}:{tls} ssl http2;
    server_name public.example;
    location /flows/ {{ proxy_pass http://{host}:{app}/; proxy_buffering off; }}
    location /holds/ {{ proxy_pass http://{host}:{app}/; proxy_buffering on; }}
    location = /moved {{ return 307 https://$host:{tls}/flows/?token=t; }}
  }}
}}
"""
MODULES = "/usr/lib/nginx/modules"


@dataclass(frozen=True, kw_only=True)
class Place:
    app: int
    clear: int
    tls: int

    def target(self, protocol: Protocol, path: str) -> Target:
        if protocol is Protocol.CLEAR:
            return Target.of(f"http://{HOST}:{self.clear}{path}")
        return Target.of(f"https://public.example{path}", verify=False, connect_to=(HOST, self.tls))


async def _listening(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                await writer.wait_closed()
                return


@pytest_asyncio.fixture
async def place(tmp_path: Path, certificate: Path) -> AsyncIterator[Place]:
    """Run a drip under uvicorn, and nginx before it."""
    async with serving(Drip()) as app:
        place = Place(app=app, clear=free_port(), tls=free_port())
        (tmp_path / "modules").symlink_to(MODULES)
        config = tmp_path / "nginx.conf"
        config.write_text(
            CONFIG.format(
                directory=tmp_path, certificate=certificate, host=HOST, app=app, clear=place.clear, tls=place.tls
            )
        )
        nginx = find_program("nginx", "/usr/sbin/nginx") or "/usr/sbin/nginx"
        async with running([nginx, "-p", str(tmp_path), "-c", str(config)], log=tmp_path / "nginx.log"):
            await _listening(place.tls)
            yield place


def asking(protocol: Protocol, accept_encoding: str = "", *, method: str = "GET") -> Asked:
    return Asked(name="real", protocol=protocol, accept_encoding=accept_encoding, method=method, pace=PACE)


def flowed(got: Probe) -> bool:
    """Whether the events came in more than a few reads: 20 of them are written over 0.6 s."""
    return len({event.read for event in got.events}) > 4


def assert_whole(got: Probe) -> None:
    assert (got.status, got.failure, got.ending, got.done) == (200, "", Ending.FRAMED, True)
    assert [event.index for event in got.events] == list(range(20))
    assert (got.expected, got.timed, got.is_stream) == (20, True, True)
    assert got.runs == (got.run,)
    assert sum(read.wire_bytes for read in got.reads) == got.wire_bytes
    ends = [event.end_byte for event in got.events]
    assert [end - start for start, end in itertools.pairwise(ends)] == [130] * 19
    assert ends[-1] < got.body_bytes
    times = [got.head_ms, *(event.came_ms for event in got.events), got.end_ms]
    assert times == sorted(time for time in times if time is not None)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_drip_under_uvicorn_flows(place: Place, method: str) -> None:
    """Straight from the app: what it saw is what was sent, and the loop's own lag is told."""
    async with Lag(asyncio.get_running_loop().time) as lag:
        asked = asking(Protocol.CLEAR, "gzip", method=method)
        got = await probe(Target.of(f"http://{HOST}:{place.app}/"), asked, limits=PATIENT, lag=lag)
    assert_whole(got)
    assert flowed(got)
    assert got.seen is not None
    assert (got.seen.protocol, got.seen.method) == ("HTTP/1.1", method)
    assert ("accept-encoding", "gzip") in got.seen.headers
    assert got.lag_ms > 0


@pytest.mark.parametrize("protocol", list(Protocol))
@pytest.mark.parametrize("coding", ["", "gzip", "br"])
async def test_an_nginx_that_does_not_buffer_flows(place: Place, protocol: Protocol, coding: str) -> None:
    """In clear, over TLS and over h2, compressed (it flushes each event) or not."""
    got = await probe(place.target(protocol, "/flows/"), asking(protocol, coding), limits=PATIENT)
    assert_whole(got)
    assert flowed(got)
    assert (got.encoding, got.members) == (coding, 1 if coding == "gzip" else 0)
    assert got.header("server").startswith("nginx")
    assert (got.wire_bytes < got.body_bytes) == bool(coding)


@pytest.mark.parametrize(
    ("protocol", "coding", "flows"),
    [
        (Protocol.CLEAR, "", True),
        (Protocol.TLS, "", False),
        (Protocol.H2, "", True),
        (Protocol.CLEAR, "gzip", False),
        (Protocol.H2, "br", False),
    ],
)
async def test_an_nginx_that_buffers_is_seen_to(place: Place, protocol: Protocol, coding: str, *, flows: bool) -> None:
    """TLS collects a record, a compressor its buffer; in clear and over h2 the very same server passes events on."""
    got = await probe(place.target(protocol, "/holds/"), asking(protocol, coding), limits=PATIENT)
    assert_whole(got)
    assert flowed(got) == flows


async def test_a_hint_reaches_the_app_and_frees_the_stream(place: Place) -> None:
    """What is asked for travels in the query."""
    held = asking(Protocol.TLS)
    freed = Asked(name="x", protocol=Protocol.TLS, accept_encoding="", pace=PACE, hints=frozenset({Hint.X_ACCEL}))
    target = place.target(Protocol.TLS, "/holds/")
    both = await asyncio.gather(*(probe(target, asked, limits=PATIENT) for asked in (held, freed)))
    assert [flowed(got) for got in both] == [False, True]


@pytest.mark.parametrize(
    ("protocol", "ending"),
    [(Protocol.CLEAR, Ending.TRUNCATED), (Protocol.TLS, Ending.TRUNCATED), (Protocol.H2, Ending.RESET)],
)
async def test_an_idle_cut_is_told_by_its_framing(place: Place, protocol: Protocol, ending: Ending) -> None:
    """nginx's proxy_read_timeout ends a chunked body with FIN, and an h2 stream with RST_STREAM."""  # noqa: D403
    pace = (
        Segment(count=1, gap_ms=0, size_bytes=130),
        Segment(count=1, gap_ms=0, size_bytes=130, silence_ms=10_000),
    )
    asked = Asked(name="idle", protocol=protocol, accept_encoding="", pace=pace, hints=frozenset({Hint.OPENING}))
    got = await probe(place.target(protocol, "/flows/"), asked, limits=PATIENT)
    assert (got.ending, len(got.events), len(got.comments_ms), got.done) == (ending, 1, 1, False)
    assert got.failure.startswith("expected")


async def test_a_redirect_to_tls_is_settled(place: Place) -> None:
    """The token that the redirect adds stays in the URL; the drip's query joins it."""
    settled = await settle(Target.of(f"http://{HOST}:{place.clear}/moved", verify=False), limits=PATIENT)
    assert settled.url == f"https://{HOST}:{place.tls}/flows/?token=t"
    got = await probe(settled, asking(Protocol.H2), limits=PATIENT)
    assert_whole(got)
