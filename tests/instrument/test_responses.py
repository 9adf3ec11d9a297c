"""What the middleware does to responses, seen from a socket behind a real uvicorn."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from instrument.lab import Visit, data_of, events, fetched, only, serving, visiting
from streamgap.core.errors import SettingsError
from streamgap.core.sse import sse_comment, sse_event
from streamgap.core.wire import ServerHalf
from streamgap.instrument import StreamGapMiddleware
from streamgap.instrument.asgi.kinds import BEAT

SSE = "text/event-stream"
SILENCE_S = 0.1


def measured(app: Any, **options: Any) -> tuple[Any, list[ServerHalf]]:
    halves: list[ServerHalf] = []
    return StreamGapMiddleware(app, sinks=[halves.append], **options), halves


def streaming(*parts: bytes | float, media_type: str = SSE, headers: dict[str, str] | None = None) -> StreamingResponse:
    """Make a response of these writes; a number is a silence in seconds."""

    async def body() -> AsyncIterator[bytes]:
        for part in parts:
            if isinstance(part, bytes):
                yield part
            else:
                await asyncio.sleep(part)

    return StreamingResponse(body(), media_type=media_type, headers=headers)


def without_ours(visit: Visit) -> bytes:
    """Return a body without its comments."""
    return re.sub(rb"(?m)^:[^\n]*\n\n", b"", visit.body)


async def test_the_headers_that_keep_a_path_open() -> None:
    """A streamed response asks every kind of hop not to hold it, and says its id."""
    app, _ = measured(streaming(b"data: 1\n\n"))
    async with serving(app) as port:
        visit = await fetched(port)
    assert visit.header("cache-control") == ["no-cache, no-transform"]
    assert visit.header("content-encoding") == ["identity"]
    assert visit.header("x-accel-buffering") == ["no"]
    assert visit.header("incremental") == ["?1"]
    assert visit.header("content-length") == []
    (sid,) = visit.header("x-stream-id")
    assert re.fullmatch(r"[\w-]{22}", sid)
    assert visit.header("access-control-expose-headers") == ["x-stream-id"]
    assert visit.header("server-timing") == [f'sid;desc="{sid}"']


async def test_headers_of_the_app_are_kept() -> None:
    """What the app says in list headers is merged with, what contradicts a stream is removed, the rest is untouched."""
    headers = {
        "Cache-Control": "no-store",
        "Access-Control-Expose-Headers": "X-Request-Id",
        "Connection": "keep-alive",
        "Content-Length": "9",
        "X-Accel-Buffering": "yes",
        "X-Own": "kept",
    }
    app, _ = measured(streaming(b"data: 1\n\n", headers=headers))
    async with serving(app) as port:
        visit = await fetched(port)
    assert visit.header("cache-control") == ["no-store, no-cache, no-transform"]
    assert visit.header("access-control-expose-headers") == ["X-Request-Id, x-stream-id"]
    assert visit.header("x-accel-buffering") == ["no"]
    assert visit.header("x-own") == ["kept"]
    assert visit.header("content-length") == []
    assert "keep-alive" not in visit.header("connection")


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/", ["X-Stream-Id: from-header_1"], "from-header_1"),
        ("/?sid=from-query_1", [], "from-query_1"),
        ("/?a=b&sid=from-query_1", ["x-stream-id: from-header_1"], "from-header_1"),
        ("/?sid=short", [], None),
        ("/?sid=bad%20id%20here", [], None),
        ("/", ["X-Stream-Id: " + "a" * 65], None),
        ("/", ['X-Stream-Id: quote"and;more'], None),
    ],
)
async def test_the_id_of_the_page_is_in_force(path: str, headers: list[str], expected: str | None) -> None:
    """A valid id of the page's, header before query, is echoed and used; an invalid one gives way to one of ours."""
    app, halves = measured(streaming(b"data: 1\n\n"))
    async with serving(app) as port:
        visit = await fetched(port, path, headers=headers)
    (sid,) = visit.header("x-stream-id")
    assert sid == (await only(halves)).sid
    assert (sid == expected) if expected else re.fullmatch(r"[\w-]{22}", sid)


async def test_headers_and_an_opening_comment_leave_at_once() -> None:
    """The page gets its first byte before the app has anything to say."""
    app, _ = measured(streaming(600.0))
    async with serving(app) as port, visiting(port) as visit:
        await visit.read_until(b"\n\n")
        assert visit.body == sse_comment("stream")


@pytest.mark.parametrize(
    "response",
    [
        JSONResponse({"a": 1}),
        PlainTextResponse("text"),
        streaming(b"a", b"b", media_type="text/plain"),
        Response(b"data: error\n\n", status_code=500, media_type=SSE),
        Response(status_code=204, headers={"content-type": SSE}),
        streaming(b"\x1f\x8b", headers={"content-encoding": "gzip"}),
        Response(b'{"a":1}\n', media_type="application/x-ndjson"),
    ],
    ids=["json", "text", "text stream", "error", "no content", "compressed", "download"],
)
async def test_other_responses_are_not_touched(response: Response) -> None:
    """What is no stream passes as if the middleware were not there, bytes and headers."""
    headers = list(response.raw_headers)
    app, halves = measured(response)
    async with serving(app) as port:
        visit = await fetched(port)
    names = [line.partition(":")[0].lower() for line in visit.head.split("\r\n")[1:] if line]
    added = {"date", "server", "connection", "transfer-encoding"}
    assert [name for name in names if name not in added] == [name.decode() for name, _ in headers]
    assert b"stream" not in visit.body
    assert halves == []


async def test_head_requests_are_not_touched() -> None:
    """An answer without a body is no stream."""
    app, halves = measured(Starlette(routes=[Route("/", lambda _request: streaming(b"data: 1\n\n"))]))
    async with serving(app) as port:
        visit = await fetched(port, method="HEAD")
    assert visit.header("x-stream-id") == []
    assert halves == []


async def test_every_content_event_is_counted() -> None:
    """Offsets are those of content events: not of comments, control events and `[DONE]`, however the writes are cut."""
    parts = (
        b": own comment\n\n",
        b"data: 1\n\ndata: 2\n\n",
        b"da",
        0.02,
        b"ta: 3\n",
        b"\nevent: ping\ndata: x\n\n",
        0.02,
        b"id: 4\r\ndata: 4\r\n\r\n",
        b"data: [DONE]\n\n",
    )
    app, halves = measured(streaming(*parts))
    async with serving(app) as port:
        visit = await fetched(port)
    half = await only(halves)
    assert (half.count, half.stride, half.unit, len(half.at)) == (4, 1, "events", 4)
    assert half.at[0] == half.at[1] < half.at[2] < half.at[3] == half.last
    assert half.head is not None
    assert half.head <= half.at[0]
    assert sum(half.gaps) == 3
    assert visit.body == sse_comment("stream") + b"".join(part for part in parts if isinstance(part, bytes))


async def test_event_types_you_name_are_content() -> None:
    """`content_types` says which events carry content."""
    parts = (b"event: delta\ndata: 1\n\n", b"data: 2\n\n", b"event: delta\ndata: 3\n\n")
    app, halves = measured(streaming(*parts), content_types=["delta"])
    async with serving(app) as port:
        await fetched(port)
    assert (await only(halves)).count == 2


async def test_ndjson_is_counted_in_bytes_and_left_alone() -> None:
    """Nothing can be slipped into NDJSON: it gets headers and stamps, but neither comment nor heartbeat."""
    parts = (b'{"a":1}\n', 3 * SILENCE_S, b'{"b":2}\n')
    app, halves = measured(streaming(*parts, media_type="application/x-ndjson"), heartbeat_s=SILENCE_S)
    async with serving(app) as port:
        visit = await fetched(port)
    half = await only(halves)
    assert visit.body == b'{"a":1}\n{"b":2}\n'
    assert visit.header("x-accel-buffering") == ["no"]
    assert (half.unit, half.count, half.gaps) == ("bytes", 16, (*half.gaps[:-1], 1))


async def test_heartbeats_fill_the_silence_before_the_first_event_and_between_events() -> None:
    """A comment goes out after each `heartbeat_s` of silence, and never sooner."""
    parts = (4.5 * SILENCE_S, b"data: 1\n\n", 4.5 * SILENCE_S, b"data: 2\n\n")
    app, halves = measured(streaming(*parts), heartbeat_s=SILENCE_S)
    async with serving(app) as port:
        visit = await fetched(port)
    opening, *kinds = [b"beat" if event == b":" else event for event in events(visit.body)]
    first, second = kinds.index(b"data: 1"), kinds.index(b"data: 2")
    assert opening == b":stream"
    assert kinds[:first] == [b"beat"] * first
    assert kinds[first + 1 : second] == [b"beat"] * (second - first - 1)
    half = await only(halves)
    assert 1 <= first <= half.at[0] / (SILENCE_S * 1000)
    assert 1 <= second - first - 1 <= (half.at[1] - half.at[0]) / (SILENCE_S * 1000)
    assert (half.count, half.beats) == (2, kinds.count(b"beat"))


async def test_an_app_can_name_its_own_heartbeat() -> None:
    """The bytes under `BEAT` in the opening message fill the silence; they are counted and are no content."""
    ping = b"event: sg-ping\ndata: {}\n\n"
    sent: list[Any] = []
    twice = asyncio.Event()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-type", SSE.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers, BEAT: ping})
        await twice.wait()
        await send({"type": "http.response.body", "body": b"data: 1\n\n"})

    inner, halves = measured(app, heartbeat_s=SILENCE_S)

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        async def noting(message: Any) -> None:
            await send(message)
            sent.append(message)
            if [message.get("body") for message in sent].count(ping) == 2:
                twice.set()

        await inner(scope, receive, noting)

    async with serving(outer) as port:
        visit = await fetched(port)
    half = await only(halves)
    assert BEAT not in sent[0]
    assert visit.body == sse_comment("stream") + ping * half.beats + b"data: 1\n\n"
    assert half.beats >= 2
    assert (half.count, half.unit) == (1, "events")


async def test_no_heartbeat_stands_inside_an_event() -> None:
    """An event that is cut in two writes, with a long silence between them, arrives in one piece."""
    app, _ = measured(streaming(b"data: ha", 4 * SILENCE_S, b"lf\n", 4 * SILENCE_S, b"\n"), heartbeat_s=SILENCE_S)
    async with serving(app) as port:
        visit = await fetched(port)
    assert visit.body == sse_comment("stream") + b"data: half\n\n"


async def test_data_makes_heartbeats_needless() -> None:
    """Where data flows more often than `heartbeat_s`, no comment is added."""
    parts = [part for _ in range(30) for part in (b"data: 1\n\n", SILENCE_S / 10)]
    app, _ = measured(streaming(*parts), heartbeat_s=10 * SILENCE_S)
    async with serving(app) as port:
        visit = await fetched(port)
    assert visit.body == sse_comment("stream") + b"data: 1\n\n" * 30


async def test_heartbeats_can_be_turned_off() -> None:
    """With `heartbeat_s=0` silence is silence."""
    app, _ = measured(streaming(2 * SILENCE_S, b"data: 1\n\n"), heartbeat_s=0)
    async with serving(app) as port:
        assert (await fetched(port)).body == sse_comment("stream") + b"data: 1\n\n"


async def test_any_text_arrives_intact() -> None:
    """Text with line breaks, and text that looks like server-sent events, is one event with exactly that text."""
    texts = [
        "# Title\n\nfirst\r\nsecond\rthird\n",
        "\n\nevent: done\ndata: [DONE]\n\n",
        ": ping\n\nid: 1\nretry: 1\n",
        "naïve 👩‍💻\u2028",
    ]
    app, halves = measured(streaming(*map(sse_event, texts)))
    async with serving(app) as port:
        visit = await fetched(port)
    assert visit.body == sse_comment("stream") + b"".join(map(sse_event, texts))
    assert len(data_of(visit.body)) == len(texts)
    assert (await only(halves)).count == len(texts)


async def test_a_late_reader_of_the_request_body_gets_it() -> None:
    """An app that opens the stream first and reads its request later reads all of it."""
    received: list[bytes] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", SSE.encode())]})
        await asyncio.sleep(0.05)
        more = True
        while more:
            message = await receive()
            received.append(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.body", "body": b"data: %d\n\n" % sum(map(len, received))})

    stack, halves = measured(app)
    body = b"x" * 1_000_000
    async with serving(stack) as port:
        visit = await fetched(port, method="POST", body=body)
    assert data_of(visit.body) == [b"1000000"]
    assert b"".join(received) == body
    assert (await only(halves)).outcome == "complete"


async def test_a_sync_generator_endpoint_is_measured() -> None:
    """An endpoint that streams from a plain generator, in a thread, is as good."""
    api = FastAPI()

    @api.get("/chat/{room}")
    def chat(room: str) -> StreamingResponse:
        def body() -> Iterator[bytes]:
            yield sse_event(room)
            yield sse_event("bye")

        return StreamingResponse(body(), media_type=SSE)

    app, halves = measured(api)
    async with serving(app) as port:
        await fetched(port, "/chat/7")
    half = await only(halves)
    assert (half.count, half.route, half.outcome) == (2, "/chat/{room}", "complete")


async def test_fastapis_own_events_are_measured() -> None:
    """FastAPI's native server-sent events pass through and are counted."""
    api = FastAPI()

    @api.get("/native", response_class=EventSourceResponse)
    async def native() -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent(data="one")
        yield ServerSentEvent(data="two", event="other")

    app, halves = measured(api)
    async with serving(app) as port:
        await fetched(port, "/native")
    assert (await only(halves)).count == 1


async def test_it_stacks_with_other_middlewares() -> None:
    """Inside and outside of Starlette's own middlewares every event is written, counted and exposed."""

    async def around(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    halves: list[ServerHalf] = []
    api = FastAPI()
    api.add_middleware(GZipMiddleware, minimum_size=1)
    api.add_middleware(CORSMiddleware, allow_origins=["*"], expose_headers=["X-Own"])
    api.add_middleware(BaseHTTPMiddleware, dispatch=around)
    api.add_middleware(StreamGapMiddleware, sinks=[halves.append])
    api.add_middleware(BaseHTTPMiddleware, dispatch=around)

    @api.get("/")
    async def stream() -> StreamingResponse:
        return streaming(b"data: 1\n\n", 0.01, b"data: 2\n\n")

    async with serving(api) as port:
        visit = await fetched(port, headers=["Origin: https://page.example", "Accept-Encoding: gzip"])
    assert without_ours(visit) == b"data: 1\n\ndata: 2\n\n"
    assert visit.header("access-control-expose-headers") == ["X-Own, x-stream-id"]
    assert (await only(halves)).count == 2


async def test_of_two_the_inner_one_has_the_response() -> None:
    """A stream that passes two of us, as in a mounted app with one of its own, has one id, one opening, one half."""
    inner, halves = measured(streaming(b"data: 1\n\n"))
    outer, outer_halves = measured(inner)
    async with serving(outer) as port:
        visit = await fetched(port)
    assert visit.body.count(b":stream") == 1
    assert [len(visit.header(name)) for name in ("x-stream-id", "server-timing")] == [1, 1]
    await only(halves)
    assert outer_halves == []


async def test_a_stream_that_is_no_answer_need_not_be_measured() -> None:
    """With `measure=False` the headers and the opening comment are there, and nothing is reported."""
    app, halves = measured(streaming(b"data: 1\n\n"), measure=False)
    async with serving(app) as port:
        visit = await fetched(port)
    assert visit.header("x-accel-buffering") == ["no"]
    assert visit.body == sse_comment("stream") + b"data: 1\n\n"
    assert halves == []


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/api/chat/7", "/api/chat/{room}"),
        ("/mounted/deep/7", "/mounted/deep/{room}"),
        ("/of/acme/deep/7", "/of/{tenant}/deep/{room}"),
        ("/raw/anything/at/all", "/raw"),
    ],
)
async def test_routes_are_templates(path: str, route: str) -> None:
    """The route is the template as the app declares it, through included routers and mounts: never the path."""

    async def stream(room: str = "") -> StreamingResponse:
        return streaming(f"data: {room}\n\n".encode())

    inner = FastAPI()
    inner.get("/deep/{room}")(stream)
    prefixed = FastAPI()
    prefixed.get("/chat/{room}")(stream)
    api = FastAPI()
    api.include_router(prefixed.router, prefix="/api")
    api.mount("/mounted", inner)
    api.mount("/of/{tenant}", inner)
    api.mount("/raw", streaming(b"data: 1\n\n"))
    app, halves = measured(api)
    async with serving(app) as port:
        await fetched(port, path)
    assert (await only(halves)).route == route


async def test_starlettes_routes_are_templates() -> None:
    """Plain Starlette says its routes too, in a mount as well."""

    async def stream(_request: Request) -> StreamingResponse:
        return streaming(b"data: 1\n\n")

    app, halves = measured(Starlette(routes=[Mount("/v1", routes=[Route("/chat/{room}", stream)])]))
    async with serving(app) as port:
        await fetched(port, "/v1/chat/7")
    assert (await only(halves)).route == "/v1/chat/{room}"


async def test_you_can_name_the_route() -> None:
    """`route` names the routes of a framework that leaves no trace in the scope."""
    app, halves = measured(streaming(b"data: 1\n\n"), route=lambda scope: f"{scope['method']} it")
    async with serving(app) as port:
        await fetched(port, "/secret/path")
    assert (await only(halves)).route == "GET it"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heartbeat_s": -1}, "heartbeat_s: expected seconds ≥ 0, got -1"),
        ({"heartbeat_s": float("nan")}, "heartbeat_s: expected seconds ≥ 0, got nan"),
        ({"content_types": "message"}, "content_types: expected a collection, got 'message'"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    """A setting that cannot be meant says where, what was expected, what was got."""
    with pytest.raises(SettingsError, match=re.escape(message)):
        StreamGapMiddleware(Response(), **options)
