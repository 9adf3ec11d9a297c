import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import httpx2
import msgspec
import pytest

from service.live_lab import PATIENCE_S, flowing, gathered, held, served
from streamgap.service.live import LiveFeed
from streamgap.service.live_view import Coverage, Snapshot, view


class Reader:
    """Reads the feed's events over a real connection."""

    def __init__(self, response: httpx2.Response) -> None:
        self.headers = response.headers
        self._lines = response.aiter_lines()

    async def event(self) -> dict[str, str]:
        """Return the fields of the next event; comments are skipped."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            if not line and "data" in fields:
                return fields
            name, _, value = line.partition(": ")
            fields[name] = value
        raise EOFError("the feed ended")


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[Reader]:
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx2.AsyncClient(timeout=PATIENCE_S))
        yield Reader(await stack.enter_async_context(client.stream("GET", url + "live/events")))


async def test_a_new_reader_gets_the_state_and_then_every_stream() -> None:
    """The snapshot comes first, then one event per joined stream with its number as id, then the new summary."""
    feed = LiveFeed()
    feed.emit(flowing())
    async with served(feed) as url, reading(url) as reader:
        snapshot = await reader.event()
        feed.emit(held())
        stream, summary = await reader.event(), await reader.event()
    assert (snapshot["event"], snapshot["id"]) == ("snapshot", "1")
    assert [shown.seq for shown in msgspec.json.decode(snapshot["data"], type=Snapshot).streams] == [1]
    assert (stream["event"], stream["id"]) == ("stream", "2")
    assert msgspec.json.decode(stream["data"])["verdict"] == "held"
    assert summary["event"] == "summary"
    assert msgspec.json.decode(summary["data"])["verdicts"]["held"] == 1


async def test_the_feed_goes_through_our_own_middleware() -> None:
    """The live page's stream carries the same anti-buffering headers that we ask of everybody."""
    feed = LiveFeed()
    async with served(feed) as url, reading(url) as reader:
        await reader.event()
    assert reader.headers["content-encoding"] == "identity"
    assert reader.headers["x-accel-buffering"] == "no"
    assert "no-transform" in reader.headers["cache-control"]


async def test_the_snapshot_is_there_as_json_too() -> None:
    """Scripts read what the page shows: gap and hold by route with stated quantiles, verdicts, coverage."""
    feed = LiveFeed(coverage=lambda: Coverage(finished=4, joined=3))
    for stream in (flowing("/a"), held("/a"), flowing("/b")):
        feed.emit(stream)
    async with served(feed) as url, httpx2.AsyncClient() as client:
        response = await client.get(url + "live/snapshot")
    snapshot = msgspec.json.decode(response.content, type=Snapshot)
    assert response.headers["content-type"] == "application/json"
    assert snapshot.summary.coverage == Coverage(finished=4, joined=3)
    assert {route.route: route.streams for route in snapshot.summary.routes} == {"/a": 2, "/b": 1}
    first = snapshot.summary.routes[0]
    assert (first.gap_p50_ms, first.gap_p95_ms) == (1120.0, 2092.0)
    assert (first.hold_p50_ms, first.hold_p95_ms) == (1080.0, 2052.0)


async def test_the_hold_is_marked_where_the_path_kept_a_chunk_longest() -> None:
    """The marked length is exactly the hold, at the chunk with the largest delay."""
    shown = view(held(), seq=1, age_ms=0.0)
    assert shown.hold_span is not None
    assert shown.hold_span.index == 0
    assert (shown.hold_span.from_ms, shown.hold_span.to_ms) == (240.0, 2400.0)
    assert shown.hold_ms == 2160.0


async def test_a_held_stream_comes_with_its_mechanism_in_words() -> None:
    """The stream has the likely mechanism's code, words and page; the summary counts mechanisms, most first."""
    feed = LiveFeed()
    for stream in (flowing(), held(), gathered(), gathered()):
        feed.emit(stream)
    snapshot = feed.snapshot()
    likely = [shown.mechanism for shown in snapshot.streams]
    assert [known and known.code for known in likely] == [None, "SG106", "SG101", "SG101"]
    assert likely[3] is not None
    assert likely[3].title == "the whole response is held until its end"
    assert likely[3].url.endswith("/docs/codes/SG101.md")
    assert [(by.mechanism.name, by.streams) for by in snapshot.summary.held_by] == [
        ("whole_response", 2),
        ("first_bytes", 1),
    ]


async def test_ages_come_from_the_services_clock() -> None:
    """A page whose clock is wrong still says how long ago a stream was joined."""
    now_s = 100.0
    feed = LiveFeed(clock=lambda: now_s)
    feed.emit(flowing())
    now_s = 112.5
    assert [stream.age_ms for stream in feed.snapshot().streams] == [12_500.0]


async def test_the_ring_bounds_what_is_kept() -> None:
    """Only the last streams are kept; verdicts are counted since the start."""
    feed = LiveFeed(capacity=3)
    for _ in range(10):
        feed.emit(flowing())
    snapshot = feed.snapshot()
    assert [stream.seq for stream in snapshot.streams] == [8, 9, 10]
    assert snapshot.summary.joined == 10
    assert sum(snapshot.summary.verdicts.values()) == 10


async def test_a_reader_that_lags_skips_what_has_left_the_ring() -> None:
    """A burst larger than the ring costs a reader nothing but the streams that its page would not show any more."""
    feed = LiveFeed(capacity=3)
    async with aclosing(feed._events()) as events:
        await anext(events)
        await anext(events)
        for _ in range(100):
            feed.emit(flowing())
        lagging = [await anext(events) for _ in range(4)]
    assert [re.findall(rb"^event: (\w+)\ndata: .*\nid: (\d+)", event) for event in lagging] == [
        [(b"stream", b"98")],
        [(b"stream", b"99")],
        [(b"stream", b"100")],
        [],
    ]


async def test_a_reader_that_never_reads_holds_nobody_up() -> None:
    """While one connection is stuck, another one gets every new stream."""
    feed = LiveFeed(capacity=200, pace_s=0.0)
    for _ in range(200):
        feed.emit(flowing())
    async with served(feed) as url:
        stuck = socket.create_connection(("127.0.0.1", httpx2.URL(url).port or 0))
        stuck.sendall(b"GET /live/events HTTP/1.1\r\nHost: streamgap\r\n\r\n")
        async with reading(url) as reader:
            await reader.event()
            for seq in range(201, 601):
                feed.emit(flowing())
                while (event := await reader.event())["event"] != "stream":
                    pass
                assert event["id"] == str(seq)
        stuck.close()


async def test_falling_coverage_is_told_without_any_stream() -> None:
    """When beacons stop, no stream is joined any more, and just then the page must still hear of it."""
    finished = 1
    feed = LiveFeed(coverage=lambda: Coverage(finished=finished, joined=1), refresh_s=0.01)
    async with served(feed) as url, reading(url) as reader:
        await reader.event()
        finished = 9
        summary = await reader.event()
    assert msgspec.json.decode(summary["data"])["coverage"] == {"finished": 9, "joined": 1}


async def test_closing_ends_every_readers_response() -> None:
    """A server that drains does not wait for the live page."""
    feed = LiveFeed()
    async with served(feed) as url, reading(url) as reader:
        await reader.event()
        feed.close()
        with pytest.raises(EOFError):
            await reader.event()


async def test_a_head_request_ends() -> None:
    """Asking for the feed's headers alone does not open a stream."""
    feed = LiveFeed()
    async with served(feed) as url, httpx2.AsyncClient(timeout=PATIENCE_S) as client:
        response = await client.head(url + "live/events")
    assert response.status_code == 200


async def test_the_page_allows_nothing_but_its_own_files() -> None:
    """The policy forbids inline script and style, other origins, framing and forms, on every file."""
    feed = LiveFeed()
    async with served(feed) as url, httpx2.AsyncClient(base_url=url) as client:
        page = await client.get("")
        own = re.findall(r'(?:src|href)="(live/[^"]+\.\w+)"', page.text)
        answers = [page, *[await client.get(path) for path in own]]
    assert len(own) == 2
    for answer in answers:
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
    assert "http:" not in page.text.replace("http://www.w3.org/2000/svg", "")
