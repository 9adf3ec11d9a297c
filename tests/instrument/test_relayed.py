"""What the half says of a relay's response: whose generation it reads, why it came, and how its client was lost."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.responses import StreamingResponse

from instrument.lab import chat_chunk, fetched, only, serving, until, visiting
from streamgap.core.sse import sse_event
from streamgap.core.wire import ServerHalf, parse_server, to_attributes
from streamgap.core.words import Disconnect, GenerationResult, Outcome, ReconnectCause
from streamgap.instrument import StreamGapMiddleware, current_stream, observe
from streamgap.instrument.asgi.connection import Connection
from streamgap.instrument.asgi.kinds import CONNECTION
from streamgap.instrument.stream import Relayed, StreamRecord

SSE = "text/event-stream"


def stream() -> StreamRecord:
    """Return the response that this code works for."""
    record = current_stream()
    assert record is not None
    return record


def relaying(relayed: Relayed) -> Any:
    """Make an app whose every response came by a relay like this."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        stream().relayed = relayed

        async def body() -> AsyncIterator[bytes]:
            for chunk in observe([chat_chunk("x"), chat_chunk("", finish="stop")], model="gpt-x", classify=bool):
                yield sse_event(chunk.choices[0].delta.content or "-")

        await StreamingResponse(body(), media_type=SSE)(scope, receive, send)

    return app


async def half_of(app: Any) -> ServerHalf:
    halves: list[ServerHalf] = []
    async with serving(StreamGapMiddleware(app, sinks=[halves.append])) as port:
        await fetched(port)
        half = await only(halves)
    assert parse_server(to_attributes(half), start_unix_ns=half.start_unix_ns) == half
    return half


async def test_a_half_says_how_the_relay_came_by_the_answer() -> None:
    """Result, generation and cause are the relay's; an id longer than the wire takes is cut."""
    relayed = Relayed(GenerationResult.ATTACHED, "g" * 97, cause=ReconnectCause.RESUME, model="gemini-x")
    half = await half_of(relaying(relayed))
    assert (half.result, half.generation, half.cause) == (relayed.result, "g" * 96, relayed.cause)
    assert half.model == "gpt-x"


async def test_a_model_that_nobody_here_called_is_the_relays_word() -> None:
    """A response whose generation runs in another process has no call, and still a model."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        stream().relayed = Relayed(GenerationResult.REPLAYED, "g-1", model="gemini-x")
        await StreamingResponse(iter([b"data: 1\n\n"]), media_type=SSE)(scope, receive, send)

    half = await half_of(app)
    assert (half.model, half.call, half.answer) == ("gemini-x", None, None)


async def test_a_response_without_a_relay_says_nothing_of_one() -> None:
    """What no relay answered has no result, no generation and no cause."""
    half = await half_of(StreamingResponse(iter([b"data: 1\n\n"]), media_type=SSE))
    assert (half.result, half.generation, half.cause, half.beats, half.how) == (None, "", None, 0, None)


async def test_a_reader_of_a_running_generation_waits_for_what_is_left_of_it() -> None:
    """A call that began before the request is no wait of this reader, and its tokens are another response's."""
    chunks: asyncio.Queue[Any] = asyncio.Queue()
    seen = asyncio.Event()

    async def upstream() -> AsyncIterator[Any]:
        while (chunk := await chunks.get()) is not None:
            yield chunk

    source = observe(upstream(), model="gpt-x")
    log: list[str] = []

    async def pump() -> None:
        async for chunk in source:
            log.append(chunk.choices[0].delta.content)
            seen.set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        stream().attach(source.generation)
        stream().relayed = Relayed(GenerationResult.ATTACHED, "g-1", cause=ReconnectCause.REPEAT)

        async def body() -> AsyncIterator[bytes]:
            yield sse_event(log[0])
            chunks.put_nowait(None)
            await pumping
            yield sse_event("end")

        await StreamingResponse(body(), media_type=SSE)(scope, receive, send)

    pumping = asyncio.create_task(pump())
    chunks.put_nowait(with_usage(chat_chunk("x", finish="stop"), completion_tokens=7))
    await seen.wait()
    half = await half_of(app)
    assert source.generation.facts.output_tokens == 7
    assert (half.call, half.answer, half.model) == (0.0, 0.0, "gpt-x")
    assert (half.input_tokens, half.output_tokens) == (None, None)
    assert (half.outcome, half.count) == (Outcome.COMPLETE, 2)


def with_usage(chunk: Any, *, completion_tokens: int) -> Any:
    chunk.usage = type(chunk)(prompt_tokens=3, completion_tokens=completion_tokens)
    return chunk


@pytest.mark.parametrize("result", [GenerationResult.STARTED, GenerationResult.RESTARTED, GenerationResult.BYPASSED])
async def test_tokens_belong_to_the_response_that_called_the_model(result: GenerationResult) -> None:
    """Whoever called the model says what it cost."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        stream().relayed = Relayed(result, "g-1")
        chunk = with_usage(chat_chunk("x", finish="stop"), completion_tokens=7)
        body = (sse_event("x") for _ in observe([chunk]))
        await StreamingResponse(body, media_type=SSE)(scope, receive, send)

    assert (await half_of(app)).output_tokens == 7


def silent_app(record: list[StreamRecord], connection: Connection | None) -> Any:
    """Make an app that says one word and then waits for its client to leave."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        record.append(stream())
        if connection is not None:
            scope[CONNECTION] = connection

        async def body() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"
            await asyncio.Event().wait()

        await StreamingResponse(body(), media_type=SSE)(scope, receive, send)

    return app


@pytest.mark.parametrize("how", [None, Disconnect.FIN, Disconnect.RST, Disconnect.TIMEOUT])
async def test_a_half_says_how_the_connection_was_lost(how: Disconnect | None) -> None:
    """Where the server keeps note of the connection, the half of a client that left says how; elsewhere it does not."""
    halves: list[ServerHalf] = []
    connection = Connection(lost_by=how) if how else None
    stack = StreamGapMiddleware(silent_app([], connection), sinks=[halves.append])
    async with serving(stack) as port:
        async with visiting(port) as visit:
            await visit.read_until(b"data: 1")
        half = await only(halves)
    assert (half.outcome, half.how) == (Outcome.CLIENT_GONE, how)


async def test_a_client_that_was_closed_upon_is_gone_for_that_reason() -> None:
    """Who closes a slow reader's connection says so, and that wins over what the connection looked like."""
    halves: list[ServerHalf] = []
    records: list[StreamRecord] = []
    connection = Connection(lost_by=Disconnect.FIN)
    app = silent_app(records, connection)

    async def closing(scope: Any, receive: Any, send: Any) -> None:
        running = asyncio.create_task(app(scope, receive, send))
        await until(lambda: records)
        records[0].disconnect = Disconnect.SLOW
        running.cancel()
        await asyncio.wait((running,))

    async with serving(StreamGapMiddleware(closing, sinks=[halves.append])) as port:
        await fetched(port)
        half = await only(halves)
    assert (half.outcome, half.how) == (Outcome.CLIENT_GONE, Disconnect.SLOW)


async def test_a_whole_response_was_lost_by_nobody() -> None:
    """What a connection did after the end is no disconnect of this response."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope[CONNECTION] = Connection(lost_by=Disconnect.RST)
        await StreamingResponse(iter([b"data: 1\n\n"]), media_type=SSE)(scope, receive, send)

    half = await half_of(app)
    assert (half.outcome, half.how) == (Outcome.COMPLETE, None)
