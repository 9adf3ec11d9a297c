"""The server half: what it says of responses that ended in every way, and how it leaves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from google import genai
from google.genai import types
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, format_span_id, format_trace_id
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import StreamingResponse

from instrument.lab import MODEL, chat_chunk, fetched, only, playing, serving, until, visiting
from streamgap.core.offsets import MAX_OFFSETS
from streamgap.core.sse import sse_event
from streamgap.core.wire import SPAN_NAME, ServerHalf, parse_server, to_attributes
from streamgap.core.words import Outcome
from streamgap.demo.fake_gemini import FakeGemini, MidStreamError, Script, Sleep, Status, Step, Text
from streamgap.instrument import StreamGapMiddleware, current_stream, observe

FakeOf = Callable[[Script], FakeGemini]
SSE = "text/event-stream"
SSE_START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", SSE.encode())]}
USAGE = {"promptTokenCount": 7, "candidatesTokenCount": 5}
FOREVER = Sleep(600)


class AppError(Exception):
    """What an app may raise."""


def responding(body: Callable[[], AsyncIterator[bytes]], **options: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await StreamingResponse(body(), media_type=SSE, **options)(scope, receive, send)

    return app


async def half_of(app: Any, path: str = "/", **request: Any) -> ServerHalf:
    """Serve one request to its end; its server half, which the wire's own parser accepts."""
    halves: list[ServerHalf] = []
    async with serving(StreamGapMiddleware(app, sinks=[halves.append])) as port:
        await fetched(port, path, **request)
        half = await only(halves)
    read = parse_server(
        to_attributes(half), trace_id=half.trace_id, span_id=half.span_id, start_unix_ns=half.start_unix_ns
    )
    assert read == half
    return half


def chatting(fake: FakeGemini, **options: Any) -> Any:
    """Make an app that streams the fake model's answer."""
    client = genai.Client(api_key="fake", http_options=types.HttpOptions(base_url=fake.base_url, **options))

    async def body() -> AsyncIterator[bytes]:
        async for chunk in observe(await client.aio.models.generate_content_stream(model=MODEL, contents="hi")):
            yield sse_event(chunk.text)

    return responding(body)


async def test_one_half_tells_the_whole_story(fake_of: FakeOf) -> None:
    """Call, answer, writes, model, tokens and outcome of one response are in one half, in order of time."""
    answer = (Sleep(0.05), Text("one "), Sleep(0.05), Text("two", finish="STOP", usage=USAGE))
    half = await half_of(chatting(fake_of(playing(*answer))), "/?sid=abcdefgh")
    assert (half.sid, half.model, half.provider) == ("abcdefgh", MODEL, "gcp.gemini")
    assert (half.outcome, half.input_tokens, half.output_tokens) == (Outcome.COMPLETE, 7, 5)
    assert (half.count, half.unit, sum(half.gaps)) == (2, "events", 1)
    assert half.head is not None
    assert half.call is not None
    assert half.answer is not None
    assert half.last is not None
    assert half.head <= half.call < half.answer <= half.at[0] < half.at[1] == half.last <= half.dur
    assert half.longest == pytest.approx(half.last - half.at[0], abs=0.002)


UPSTREAM: dict[str, tuple[tuple[Step, ...], Outcome, str]] = {
    "truncated": ((Text("one"),), Outcome.TRUNCATED, ""),
    "blocked": ((Text("one"), Text("", finish="SAFETY")), Outcome.BLOCKED, ""),
    "refused": ((Status(429, "quota"),), Outcome.UPSTREAM_ERROR, "429"),
    "broken": ((Text("one"), MidStreamError(503, "gone")), Outcome.UPSTREAM_ERROR, "503"),
    "silent": ((Text("one"), FOREVER), Outcome.TIMEOUT, "httpx2.ReadTimeout"),
}


@pytest.mark.parametrize("case", UPSTREAM)
async def test_the_models_failure_is_the_responses_outcome(case: str, fake_of: FakeOf) -> None:
    """Where the model failed, and its error took the app down with it, the model is to blame."""
    steps, outcome, error = UPSTREAM[case]
    half = await half_of(chatting(fake_of(playing(*steps)), timeout=300))
    assert (half.outcome, half.error) == (outcome, error)


async def raising_body() -> AsyncIterator[bytes]:
    yield b"data: 1\n\n"
    raise AppError


async def test_an_error_of_the_app_is_its_own_and_is_raised() -> None:
    """A stream whose app failed says so, and the error goes on to whoever is outside."""
    outside: list[BaseException] = []
    halves: list[ServerHalf] = []
    stack = StreamGapMiddleware(responding(raising_body), sinks=[halves.append])

    async def around(scope: Any, receive: Any, send: Any) -> None:
        try:
            await stack(scope, receive, send)
        except AppError as error:
            outside.append(error)
            raise

    async with serving(around) as port:
        visit = await fetched(port)
    assert not visit.ended
    assert len(outside) == 1
    assert (halves[0].outcome, halves[0].error, halves[0].count) == (Outcome.APP_ERROR, "instrument.AppError", 1)


async def test_an_error_that_arrives_after_a_clean_end_still_counts() -> None:
    """BaseHTTPMiddleware ends a failed body cleanly and raises afterwards; the half tells the truth."""

    async def around(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    half = await half_of(BaseHTTPMiddleware(responding(raising_body), dispatch=around))
    assert (half.outcome, half.error) == (Outcome.APP_ERROR, "instrument.AppError")


async def test_an_apps_own_time_limit_is_a_timeout() -> None:
    """An app that gives its model up after a while has timed out."""

    async def body() -> AsyncIterator[bytes]:
        async with asyncio.timeout(0.05):
            await asyncio.Event().wait()
        yield b""

    half = await half_of(responding(body))
    assert (half.outcome, half.error) == (Outcome.TIMEOUT, "TimeoutError")


async def test_a_response_that_never_ends_is_the_apps_error() -> None:
    """An app that returns before its last message has failed."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(SSE_START)
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})

    half = await half_of(app)
    assert (half.outcome, half.error) == (Outcome.APP_ERROR, "incomplete_response")


async def test_an_app_that_has_enough_has_completed_its_answer() -> None:
    """Stopping to read the model early is the app's choice, no failure."""

    async def endless() -> AsyncIterator[Any]:
        while True:
            yield chat_chunk("x")

    async def body() -> AsyncIterator[bytes]:
        async with observe(endless(), model="gpt-x") as stream:
            async for chunk in stream:
                yield sse_event(chunk.choices[0].delta.content)
                break

    half = await half_of(responding(body))
    assert (half.outcome, half.model, half.provider) == (Outcome.COMPLETE, "gpt-x", "openai")


async def test_tokens_of_several_calls_add_up() -> None:
    """An answer made by several calls counts from the first, and costs what they cost together."""

    def call(tokens: int) -> list[types.GenerateContentResponse]:
        usage = types.GenerateContentResponseUsageMetadata(prompt_token_count=tokens, candidates_token_count=1)
        content = types.Content(parts=[types.Part(text="x")])
        candidate = types.Candidate(content=content, finish_reason=types.FinishReason.STOP)
        return [types.GenerateContentResponse(candidates=[candidate], usage_metadata=usage)]

    async def body() -> AsyncIterator[bytes]:
        for tokens in (10, 20):
            for chunk in observe(call(tokens), model="gemini-x"):
                yield sse_event(chunk.text)

    half = await half_of(responding(body))
    assert (half.input_tokens, half.output_tokens, half.model) == (30, 2, "gemini-x")


async def test_a_thread_without_context_names_its_stream() -> None:
    """`current_stream()` carries a response to where its context does not reach."""

    async def body() -> AsyncIterator[bytes]:
        stream = current_stream()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, lambda: list(observe(["a"], model="gpt-x", stream=stream)))
        yield b"data: 1\n\n"

    assert (await half_of(responding(body))).model == "gpt-x"
    assert current_stream() is None


async def test_a_half_fits_the_wire_whatever_the_length() -> None:
    """Thousands of events, and names longer than any name, make a half that the wire accepts."""

    async def body() -> AsyncIterator[bytes]:
        for chunk in observe(["x"] * 3000, model="m" * 300 + "\ud800", provider="\ud800"):
            yield sse_event(chunk)

    half = await half_of(responding(body))
    assert (half.count, half.stride, sum(half.gaps)) == (3000, 16, 2999)
    assert len(half.at) <= MAX_OFFSETS
    assert (half.model, half.provider) == ("m" * 256, "?")


async def test_the_half_does_not_wait_for_background_tasks() -> None:
    """A stream is over with its last byte; work that the app does afterwards neither delays nor lengthens it."""
    released = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"

    halves: list[ServerHalf] = []
    app = responding(body, background=BackgroundTask(released.wait))
    async with serving(StreamGapMiddleware(app, sinks=[halves.append])) as port, visiting(port) as visit:
        await visit.read_until(b"data: 1")
        half = await only(halves)
        assert not released.is_set()
        released.set()
    assert half.outcome is Outcome.COMPLETE
    assert len(halves) == 1
    assert half.last is not None
    assert half.dur < 1000.0 + half.last


async def test_the_span_is_the_half(spans: InMemorySpanExporter) -> None:
    """The half leaves as one span that reads back as the same half, a child of the app's own span."""

    async def body() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"

    inner = responding(body)

    async def traced(scope: Any, receive: Any, send: Any) -> None:
        with trace.get_tracer("app").start_as_current_span("GET /"):
            await inner(scope, receive, send)

    half = await half_of(traced, "/?sid=abcdefgh")
    by_name = {span.name: span for span in spans.get_finished_spans()}
    span, request = by_name[SPAN_NAME], by_name["GET /"]
    assert span.kind is SpanKind.INTERNAL
    assert span.parent is not None
    assert span.parent.span_id == request.context.span_id
    ids = format_trace_id(span.context.trace_id), format_span_id(span.context.span_id)
    assert (half.trace_id, half.span_id) == ids
    assert span.start_time is not None
    assert span.end_time == span.start_time + round(half.dur * 1e6)
    start_unix_ns = span.start_time
    read = parse_server(dict(span.attributes or {}), trace_id=ids[0], span_id=ids[1], start_unix_ns=start_unix_ns)
    assert read == half


async def test_without_a_tracing_sdk_the_half_has_no_trace() -> None:
    """An app without OpenTelemetry still hands its halves to its sinks."""

    async def body() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"

    half = await half_of(responding(body))
    assert (half.trace_id, half.span_id) == ("", "")
    assert half.start_unix_ns > 0


async def test_a_sink_that_fails_hurts_nobody(faults: Callable[[], list[str]]) -> None:
    """An error in a sink is logged and counted; the response and the other sinks do not notice."""

    def broken(_half: ServerHalf) -> None:
        raise AppError

    async def body() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"

    halves: list[ServerHalf] = []
    async with serving(StreamGapMiddleware(responding(body), sinks=[broken, halves.append])) as port:
        visit = await fetched(port)
    assert visit.ended
    assert len(halves) == 1
    assert faults() == ["sink"]


async def test_a_route_that_fails_costs_the_half_not_the_response(faults: Callable[[], list[str]]) -> None:
    """An error in the app's own `route` is logged and counted; the response does not notice."""

    def broken(_scope: Any) -> str:
        raise AppError

    async def body() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"

    async with serving(StreamGapMiddleware(responding(body), route=broken)) as port:
        visit = await fetched(port)
    assert visit.ended
    assert faults() == ["half"]


async def test_responses_do_not_share_anything() -> None:
    """Streams that run at the same time have each their own half."""
    api = FastAPI()
    together = asyncio.Barrier(3)

    @api.get("/{count}")
    async def chat(count: int) -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            await together.wait()
            for chunk in observe(["x"] * count, model=f"model-{count}"):
                yield sse_event(chunk)

        return StreamingResponse(body(), media_type=SSE)

    halves: list[ServerHalf] = []
    async with serving(StreamGapMiddleware(api, sinks=[halves.append])) as port:
        await asyncio.gather(*(fetched(port, f"/{count}") for count in (1, 2, 3)))
        await until(lambda: len(halves) == 3)
    assert {(half.model, half.count) for half in halves} == {("model-1", 1), ("model-2", 2), ("model-3", 3)}
