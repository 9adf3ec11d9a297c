"""The client leaves: the app's work ends, and the fake model sees its socket closed, garbage collector or not."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent
from google import genai
from google.genai import types
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import StreamingResponse

from instrument.lab import MODEL, only, playing, send_request, serving, until, visiting
from streamgap.core.sse import sse_event
from streamgap.core.wire import ServerHalf
from streamgap.core.words import Outcome
from streamgap.demo.fake_gemini import FakeGemini, Script, Sleep, Step, Text
from streamgap.instrument import ObservedAsync, StreamGapMiddleware, observe

FakeOf = Callable[[Script], FakeGemini]
SSE = "text/event-stream"
SSE_START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", SSE.encode())]}
FOREVER = Sleep(600)
FLOWING: tuple[Step, ...] = tuple(step for _ in range(2000) for step in (Text("x"), Sleep(0.02)))


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """Close nothing by garbage collection."""
    gc.disable()
    yield
    gc.enable()


class Chat:
    """One client of the fake model; keeps every stream it opened, as a careless app might."""

    def __init__(self, fake: FakeGemini) -> None:
        self._client = genai.Client(api_key="fake", http_options=types.HttpOptions(base_url=fake.base_url))
        self.streams: list[ObservedAsync[Any]] = []

    async def open(self) -> ObservedAsync[Any]:
        stream = observe(await self._client.aio.models.generate_content_stream(model=MODEL, contents="hi"))
        self.streams.append(stream)
        return stream

    async def events(self) -> AsyncIterator[bytes]:
        async for chunk in await self.open():
            yield sse_event(chunk.text)


def starlette_app(chat: Chat) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await StreamingResponse(chat.events(), media_type=SSE)(scope, receive, send)

    return app


def deaf_app(chat: Chat) -> Any:
    """Make an app that never asks whether its client is there."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(SSE_START)
        async for event in chat.events():
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


def fastapi_app(chat: Chat) -> Any:
    api = FastAPI()

    @api.get("/", response_class=EventSourceResponse)
    async def native() -> AsyncIterator[ServerSentEvent]:
        async for chunk in await chat.open():
            yield ServerSentEvent(data=chunk.text)

    return api


def stacked_app(chat: Chat) -> Any:
    async def around(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    return BaseHTTPMiddleware(starlette_app(chat), dispatch=around)


APPS = {"starlette": starlette_app, "raw ASGI": deaf_app, "FastAPI": fastapi_app, "BaseHTTPMiddleware": stacked_app}
SCRIPTS: dict[str, tuple[Step, ...]] = {
    "before the first chunk": (FOREVER,),
    "in silence": (Text("one"), FOREVER),
    "while it flows": FLOWING,
}


@pytest.mark.parametrize("when", SCRIPTS)
@pytest.mark.parametrize("kind", APPS)
async def test_the_model_stops(kind: str, when: str, fake_of: FakeOf, record_property: Callable[..., None]) -> None:
    """Whatever the app is made of, and whenever its client leaves, the model's socket closes; the half says why."""
    fake = fake_of(playing(*SCRIPTS[when]))
    chat, halves = Chat(fake), list[ServerHalf]()
    app = StreamGapMiddleware(APPS[kind](chat), sinks=[halves.append])
    async with serving(app) as port, visiting(port) as visit:
        await visit.read_until(b":stream" if when == "before the first chunk" else b"data:")
        await until(lambda: fake.calls)
        left_s = await visit.leave()
        half = await only(halves)
        await until(lambda: fake.calls[0].client_gone_s is not None)
    gone_s = fake.calls[0].client_gone_s
    assert gone_s is not None
    record_property("upstream_closed_after_ms", round((gone_s - left_s) * 1000, 1))
    assert half.outcome is Outcome.CLIENT_GONE
    assert half.error == ""
    assert (half.count == 0) == (when == "before the first chunk")
    assert half.call is not None
    assert [stream.generation.outcome for stream in chat.streams] == [Outcome.CLIENT_GONE]


async def test_a_client_that_left_before_the_response_began_is_counted() -> None:
    """A stream that nobody waits for any more when it begins is the most important sample, and is not lost."""
    left, stopped = asyncio.Event(), asyncio.Event()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await left.wait()
        try:
            await send(SSE_START)
            await asyncio.Event().wait()
        finally:
            stopped.set()

    halves: list[ServerHalf] = []
    async with serving(StreamGapMiddleware(app, sinks=[halves.append])) as port:
        visit = await send_request(port)
        await visit.leave()
        left.set()
        half = await only(halves)
        assert stopped.is_set()
    assert (half.outcome, half.count) == (Outcome.CLIENT_GONE, 0)


async def test_an_app_that_returns_as_soon_as_it_hears_of_the_leaving_is_no_error() -> None:
    """It has ended before we got to run, and yet its client has left."""

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(SSE_START)
        await receive()

    halves: list[ServerHalf] = []
    async with serving(StreamGapMiddleware(app, sinks=[halves.append])) as port, visiting(port) as visit:
        await visit.leave()
        half = await only(halves)
    assert half.outcome is Outcome.CLIENT_GONE


async def test_an_app_that_listens_finishes_in_its_own_way() -> None:
    """Starlette stops its stream by itself, and its background task, which saves the half answer, is not cancelled."""
    saved = asyncio.Event()

    async def save() -> None:
        await asyncio.sleep(0.05)
        saved.set()

    async def body() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        await asyncio.Event().wait()

    halves: list[ServerHalf] = []
    app = StreamingResponse(body(), media_type=SSE, background=BackgroundTask(save))
    async with serving(StreamGapMiddleware(app, sinks=[halves.append])) as port:
        async with visiting(port) as visit:
            await visit.read_until(b"data: 1")
            await visit.leave()
            async with asyncio.timeout(10):
                await saved.wait()
        assert (await only(halves)).outcome is Outcome.CLIENT_GONE


async def test_an_app_that_listens_but_goes_on_sending_is_stopped() -> None:
    """Being told is not enough: whoever goes on writing to nobody is cancelled."""
    cancelled = asyncio.Event()

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await send(SSE_START)
        listening = asyncio.create_task(receive())
        try:
            while True:
                await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
                await asyncio.sleep(0.01)
                if listening.done():
                    listening = asyncio.create_task(receive())
        except asyncio.CancelledError:
            cancelled.set()
            raise
        finally:
            listening.cancel()

    async with serving(StreamGapMiddleware(app)) as port, visiting(port) as visit:
        await visit.read_until(b"data: 1")
        await visit.leave()
        async with asyncio.timeout(10):
            await cancelled.wait()


async def test_a_generation_that_others_read_goes_on(fake_of: FakeOf) -> None:
    """A call that is pumped by a task of its own, as a relay does, outlives the client that began it."""
    fake = fake_of(playing(Text("one"), Sleep(0.3), Text("two", finish="STOP")))
    chat, halves, pumps, texts = Chat(fake), list[ServerHalf](), list[asyncio.Task[None]](), list[str]()

    async def pump() -> None:
        async for chunk in await chat.open():
            texts.append(chunk.text)
            await asyncio.sleep(0.01)

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        pumps.append(asyncio.create_task(pump()))
        await send(SSE_START)
        await asyncio.Event().wait()

    async with serving(StreamGapMiddleware(app, sinks=[halves.append])) as port, visiting(port) as visit:
        await until(lambda: texts)
        await visit.leave()
        assert (await only(halves)).outcome is Outcome.CLIENT_GONE
        await asyncio.wait_for(pumps[0], 10)
    assert texts == ["one", "two"]
    assert chat.streams[0].generation.outcome is Outcome.COMPLETE


@pytest.mark.usefixtures("instrumented")
async def test_a_sync_generator_stops_at_its_next_chunk(fake_of: FakeOf) -> None:
    """A thread that waits for the model cannot be interrupted: it reads one chunk more.

    Starlette leaves a cancelled one in a reference cycle, with or without the middleware, for the collector to close.
    """
    fake = fake_of(playing(*FLOWING))
    client = genai.Client(api_key="fake", http_options=types.HttpOptions(base_url=fake.base_url))

    def body() -> Iterator[bytes]:
        for chunk in client.models.generate_content_stream(model=MODEL, contents="hi"):
            yield sse_event(chunk.text)

    halves: list[ServerHalf] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await StreamingResponse(body(), media_type=SSE)(scope, receive, send)

    async with serving(StreamGapMiddleware(app, sinks=[halves.append])) as port, visiting(port) as visit:
        await visit.read_until(b"data:")
        await visit.leave()
        half = await only(halves)
        gc.collect()
        await until(lambda: fake.calls[0].client_gone_s is not None)
    assert (half.outcome, half.model) == (Outcome.CLIENT_GONE, MODEL)


async def test_a_server_that_cancels_is_not_ours_to_swallow() -> None:
    """A cancellation that came from outside goes on to where it came from."""
    opened = asyncio.Event()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(SSE_START)
        opened.set()
        await asyncio.Event().wait()

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(_message: Any) -> None:
        """Take everything."""

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    halves: list[ServerHalf] = []
    serving_it = asyncio.create_task(StreamGapMiddleware(app, sinks=[halves.append])(scope, receive, send))
    await opened.wait()
    serving_it.cancel()
    await asyncio.wait((serving_it,))
    assert serving_it.cancelled()
    assert len(halves) == 1


async def test_a_send_that_raises_tells_of_the_leaving() -> None:
    """A server that says so by raising from `send` is believed."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(SSE_START)
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if message.get("body", b"").startswith(b"data"):
            raise OSError

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    halves: list[ServerHalf] = []
    with pytest.raises(OSError, match=r"^$"):
        await StreamGapMiddleware(app, sinks=[halves.append])(scope, receive, send)
    assert [half.outcome for half in halves] == [Outcome.CLIENT_GONE]
