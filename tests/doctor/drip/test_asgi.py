"""`Drip` under a real uvicorn, and against a clock where time itself is the promise."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import pytest
from fastapi import FastAPI

from doctor.drip.lab import Clock, taken_apart
from instrument.lab import Visit, fetched, serving, until, visiting
from streamgap.core.errors import SettingsError
from streamgap.doctor import Drip
from streamgap.doctor.drip import Limits
from streamgap.instrument import StreamGapMiddleware
from streamgap.instrument.asgi.kinds import TAKEN

LONG = "/?segments=10x100@1,2x100@1%2B60000"


@contextlib.asynccontextmanager
async def dripping(**given: Any) -> AsyncIterator[tuple[int, Drip]]:
    """Serve a drip by uvicorn: its port, and itself."""
    drip = Drip(**given)
    async with serving(drip) as port:
        yield port, drip


def error_of(visit: Visit) -> str:
    assert visit.header("content-type") == ["application/json"]
    text: str = json.loads(visit.body)["error"]
    return text


async def test_it_streams_what_it_was_asked_for() -> None:
    """Headers, numbered events of exactly their sizes in order, one run, growing times, and the proof of the end."""
    async with dripping() as (port, drip):
        visit = await fetched(port, "/?segments=5x110@2,7x700@1%2B20&open=1")
    body = taken_apart(visit.body)
    assert visit.status == 200
    assert visit.header("content-type") == ["text/event-stream"]
    assert visit.header("cache-control") == ["no-cache"]
    assert not visit.header("content-length")
    assert visit.body.startswith(b":drip\n\nevent: drip-open\n")
    assert [event["i"] for event in body.numbered] == list(range(12))
    assert body.sizes == [110] * 5 + [700] * 7
    times = [event["t"] for event in body.numbered]
    assert times == sorted(times)
    assert times[5] >= times[4] >= 8
    assert {event["r"] for event in body.numbered} == {body.opening["run"]}
    assert body.opening["expected"] == 12
    assert body.done == {"r": body.opening["run"], "n": 12, "t": body.done and body.done["t"]}
    assert drip.in_flight == 0


async def test_a_post_is_the_same_and_its_body_is_ignored() -> None:
    """A POST streams what its query asks; the app says that it was one."""
    async with dripping() as (port, _):
        visit = await fetched(port, "/?count=2&gap_ms=1", method="POST", body=b'{"prompt": "hello"}')
        too_long = await fetched(port, "/?count=2&gap_ms=1", method="POST", body=b"x" * (64 * 1024 + 1))
    body = taken_apart(visit.body)
    assert (body.opening["method"], len(body.numbered)) == ("POST", 2)
    assert too_long.status == 413
    assert error_of(too_long) == "drip: expected a body of at most 65536 bytes, got more; try none"


async def test_the_request_is_told_back_without_its_credentials() -> None:
    """Headers come as the app saw them, in order; those that are credentials came, and that is all that is told."""
    sent = ["Via: 1.1 varnish", "Cookie: session=s3cret", "Authorization: Basic s3cret", 'X-Odd: <b>"\t\\']
    async with dripping() as (port, _):
        visit = await fetched(port, "/?count=1", headers=sent)
    opening = taken_apart(visit.body).opening
    assert opening["protocol"] == "HTTP/1.1"
    assert opening["headers"][2:] == [
        ["via", "1.1 varnish"],
        ["cookie", "***"],
        ["authorization", "***"],
        ["x-odd", '<b>"\t\\'],
    ]
    assert b"s3cret" not in visit.body


@pytest.mark.parametrize(
    ("hint", "name", "value"),
    [
        ("x-accel-buffering", "x-accel-buffering", "no"),
        ("no-transform", "cache-control", "no-cache, no-transform"),
        ("content-encoding-identity", "content-encoding", "identity"),
        ("incremental", "incremental", "?1"),
    ],
)
async def test_each_hint_is_a_header_that_is_sent_when_asked_for(hint: str, name: str, value: str) -> None:
    """One hint, one header, and none of the others."""
    async with dripping() as (port, _):
        with_it, without = await fetched(port, f"/?count=1&hints={hint}"), await fetched(port, "/?count=1")
    assert with_it.header(name) == [value]
    assert without.header(name) == (["no-cache"] if name == "cache-control" else [])
    assert len(with_it.head.splitlines()) - len(without.head.splitlines()) == (name != "cache-control")


async def test_our_own_middleware_leaves_it_alone() -> None:
    """A path is asked without hints too: the middleware adds no header, no comment, and measures nothing."""
    halves: list[Any] = []
    drip = Drip()
    async with (
        serving(drip) as bare,
        serving(StreamGapMiddleware(drip, heartbeat_s=0.01, sinks=[halves.append])) as port,
    ):
        query = "/?segments=2x100@1%2B50"
        visit, alone = await fetched(port, query), await fetched(bare, query)
    assert visit.head.lower().replace("\r", "").split("\n")[2:] == alone.head.lower().replace("\r", "").split("\n")[2:]
    assert not taken_apart(visit.body).comments
    assert not halves


async def test_it_works_mounted_beside_other_routes() -> None:
    """Whatever the path below the mount."""
    app = FastAPI()
    app.mount("/chat/drip", Drip())
    async with serving(app) as port:
        visit = await fetched(port, "/chat/drip/?count=2&gap_ms=1")
        assert len(taken_apart(visit.body).numbered) == 2
        assert (await fetched(port, "/chat/drip?count=2")).status == 307
        assert (await fetched(port, "/other")).status == 404


@pytest.mark.parametrize("method", ["HEAD", "PUT", "OPTIONS", "DELETE"])
async def test_other_methods_are_not_allowed(method: str) -> None:
    """405, and the methods that are."""
    async with dripping(token="s3cret") as (port, _):
        visit = await fetched(port, "/", method=method)
    assert (visit.status, visit.header("allow")) == (405, ["GET, POST"])


async def test_a_query_past_the_limits_is_refused() -> None:
    """400, with the reason as JSON that no cache may keep."""
    async with dripping(limits=Limits(max_events=10)) as (port, _):
        visit = await fetched(port, "/?count=11")
    assert (visit.status, visit.header("cache-control")) == (400, ["no-store"])
    assert error_of(visit) == "drip: expected at most 10 events, got 11; try fewer"


@pytest.mark.parametrize(
    ("query", "header"),
    [
        ("token=s3cret&", []),
        ("", ["Authorization: Bearer s3cret"]),
        ("", ["authorization: bearer  s3cret "]),
        ("", ["X-Drip-Token: s3cret"]),
        ("token=wrong&", ["X-Drip-Token: s3cret"]),
    ],
)
async def test_the_token_opens_it_in_each_of_its_places(query: str, header: list[str]) -> None:
    """A query parameter or one of two headers; one that is right is enough."""
    async with dripping(token="s3cret") as (port, _):
        visit = await fetched(port, f"/?{query}count=1", headers=header)
    assert visit.status == 200
    assert b"s3cret" not in visit.body


@pytest.mark.parametrize(
    ("query", "header"),
    [
        ("", []),
        ("token=", []),
        ("token=s3cre", []),
        ("token=s3cret1", []),
        ("", ["Authorization: Basic s3cret"]),
        ("", ["X-Drip-Token: \xff"]),
        ("token=%ff%00", []),
        ("&".join(["token=s3cret"] * 101), []),
    ],
)
async def test_without_the_token_nothing_is_told(query: str, header: list[str]) -> None:
    """403, also where the query is wrong besides, and not a word of what was sent."""
    async with dripping(token="s3cret") as (port, _):
        visit = await fetched(port, f"/?{query}&count=nonsense", headers=header)
    assert visit.status == 403
    assert "s3cre" not in error_of(visit)


@pytest.mark.parametrize("token", ["", " ", "a ", "\n", "clé"])
def test_a_token_that_no_request_could_carry_is_refused_at_once(token: str) -> None:
    """An environment variable that is not set must not open the endpoint."""
    with pytest.raises(SettingsError, match="drip token: expected printable ASCII"):
        Drip(token=token)


@pytest.mark.parametrize("limit", [{"max_events": 0}, {"max_s": float("nan")}, {"max_s": 1e9}, {"max_concurrent": -1}])
def test_limits_have_limits(limit: dict[str, Any]) -> None:
    """A limit that is none is refused where it is given."""
    (name,) = limit
    with pytest.raises(SettingsError, match=f"drip {name}: expected a number above 0"):
        Limits(**limit)


async def test_one_stream_too_many_is_asked_to_come_back() -> None:
    """429 with Retry-After; a stream that ends, or whose client leaves, makes room."""
    async with dripping(limits=Limits(max_concurrent=2)) as (port, drip):
        async with visiting(port, LONG) as first, visiting(port, LONG) as second:
            assert (first.status, second.status, drip.in_flight) == (200, 200, 2)
            third = await fetched(port, LONG)
            assert (third.status, third.header("retry-after")) == (429, ["5"])
            assert error_of(third).startswith("drip: expected at most 2 streams at once")
        await until(lambda: drip.in_flight == 0)
        assert (await fetched(port, "/?count=1")).status == 200
    assert drip.in_flight == 0


async def test_streams_say_how_many_run_at_once() -> None:
    """One where several were asked for would be a queue before the app."""
    async with dripping() as (port, _), visiting(port, LONG), visiting(port, LONG):
        visit = await fetched(port, "/?count=1")
    assert taken_apart(visit.body).opening["in_flight"] == 3


async def test_a_client_that_leaves_ends_the_stream_at_once() -> None:
    """In the middle of a minute of silence, and with nothing said about it in the server's log."""
    async with dripping() as (port, drip):
        async with visiting(port, LONG) as visit:
            await visit.read_until(b"id: 9\n")
            assert drip.in_flight == 1
        await until(lambda: drip.in_flight == 0)


async def test_a_websocket_is_turned_away() -> None:
    """Where a framework mounts all kinds of connections, ours is for HTTP."""
    sent: list[Any] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await Drip()({"type": "websocket"}, waiting, send)
    assert sent == [{"type": "websocket.close"}]


async def test_a_lifespan_is_not_ours() -> None:
    """A server that serves the drip alone is told so in ASGI's way, by an exception, and goes on without."""
    with pytest.raises(RuntimeError, match="expected a connection of type 'http', got 'lifespan'"):
        await Drip()({"type": "lifespan"}, waiting, waiting)  # type: ignore[arg-type]


async def waiting() -> dict[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError


class Server:
    """An ASGI server of one request on a virtual clock: what was sent, and when."""

    def __init__(self, clock: Clock, *, fails_after: int = 1_000_000) -> None:
        self.clock = clock
        self.sent: list[MutableMapping[str, Any]] = []
        self.at_ms: list[float] = []
        self._began_s = clock()
        self._fails_after = fails_after
        self._bodies = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive(self) -> MutableMapping[str, Any]:
        return self._bodies.pop() if self._bodies else await waiting()

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if len(self.sent) >= self._fails_after:
            raise BrokenPipeError
        self.sent.append(message)
        self.at_ms.append((self.clock() - self._began_s) * 1000)

    async def serve(self, drip: Drip, query: bytes) -> "Server":
        scope = {"type": "http", "method": "GET", "http_version": "2", "query_string": query, "headers": []}
        await drip(scope, self.receive, self.send)
        return self


async def test_each_event_is_a_message_of_its_own() -> None:
    """The start, one message for each event (the first with the opening), one for `done`, and an empty last one."""
    clock = Clock()
    server = await Server(clock).serve(Drip(clock=clock, sleep=clock.sleep), b"segments=3x100@10%2B500&open=1")
    start, opening, first, second, third, done, last = server.sent
    assert start["status"] == 200
    assert start[TAKEN] is True
    assert opening["body"] == b":drip\n\n"
    assert [body["body"].count(b"\n\n") for body in (first, second, third, done)] == [2, 1, 1, 1]
    assert last == {"type": "http.response.body", "body": b""}
    assert server.at_ms == pytest.approx([0, 0, 500, 510, 520, 520, 520])
    assert taken_apart(first["body"]).opening["protocol"] == "HTTP/2"


async def test_the_pace_is_kept_against_the_start() -> None:
    """A sleep that is always 3 ms late delays each event by 3 ms, and not the hundredth by 300; `t` tells the truth."""
    clock = Clock(late_s=0.003)
    server = await Server(clock).serve(Drip(clock=clock, sleep=clock.sleep), b"segments=100x100@10")
    written = [event["t"] for event in taken_apart(b"".join(m.get("body", b"") for m in server.sent)).numbered]
    assert written == pytest.approx([0.0, *(10.0 * nth + 3 for nth in range(1, 100))])
    assert server.at_ms[1:101] == pytest.approx(written)
    # Also where nothing is to wait for, the loop is given its turn.
    assert len(clock.slept_s) == 101


async def test_a_server_that_breaks_under_a_write_ends_it_in_silence() -> None:
    """The client is gone; there is nobody to tell, and the seat is free."""
    clock = Clock()
    drip = Drip(clock=clock, sleep=clock.sleep)
    await Server(clock, fails_after=5).serve(drip, b"count=100")
    assert drip.in_flight == 0


async def test_a_client_that_takes_nothing_is_given_up() -> None:
    """A write that never ends does not hold its seat beyond `max_s` and the time of grace."""
    drip = Drip(limits=Limits(max_s=0.01, grace_s=0.01))
    stuck = asyncio.Event()

    async def send(_message: MutableMapping[str, Any]) -> None:
        await stuck.wait()

    server = Server(Clock())
    scope = {"type": "http", "method": "GET", "http_version": "2", "query_string": b"count=1", "headers": []}
    await drip(scope, server.receive, send)
    assert drip.in_flight == 0
