"""The real google-genai client against a fake that speaks the service's wire format."""

import asyncio
import gc
import inspect
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, models, types
from opentelemetry.instrumentation.google_genai import GoogleGenAiSdkInstrumentor

from instrument.lab import MODEL, PATIENCE_S, playing, until
from instrument.metering import Points
from streamgap.core.words import Outcome
from streamgap.demo.fake_gemini import (
    End,
    FakeGemini,
    Json,
    MidStreamError,
    Raw,
    Reset,
    Script,
    Sleep,
    Status,
    Step,
    Text,
    event,
)
from streamgap.instrument import Generation, StreamRecord, instrument_genai, observe, uninstrument_genai
from streamgap.instrument.gen_ai import MAX_RECORDED_GAPS
from streamgap.instrument.stream import CURRENT

FakeOf = Callable[[Script], FakeGemini]
USAGE = {"promptTokenCount": 7, "candidatesTokenCount": 5, "thoughtsTokenCount": 3}
BLOCKED_PROMPT = Json({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 7}})
ANSWER = (Text("one "), Text("two", finish="STOP", usage=USAGE))
FOREVER = Sleep(600)

OUTCOMES: dict[str, tuple[tuple[Step, ...], Outcome, str]] = {
    "complete": (ANSWER, Outcome.COMPLETE, ""),
    "cut short by the token limit": ((Text("one", finish="MAX_TOKENS"),), Outcome.COMPLETE, ""),
    "truncated": ((Text("one "), Text("two"), End()), Outcome.TRUNCATED, ""),
    "blocked prompt": ((BLOCKED_PROMPT,), Outcome.BLOCKED, ""),
    "blocked answer": ((Text("one "), Text("", finish="SAFETY")), Outcome.BLOCKED, ""),
    "too many requests": ((Status(429, "quota"),), Outcome.UPSTREAM_ERROR, "429"),
    "unavailable": ((Status(503, "overloaded"),), Outcome.UPSTREAM_ERROR, "503"),
    "error mid-stream": ((Text("one "), MidStreamError(503, "gone")), Outcome.UPSTREAM_ERROR, "503"),
    "reset": ((Text("one "), Sleep(0.05), Reset()), Outcome.UPSTREAM_ERROR, "httpx2.ReadError"),
    "silent": ((Text("one "), FOREVER), Outcome.TIMEOUT, "httpx2.ReadTimeout"),
}


def client_of(fake: FakeGemini, **options: Any) -> genai.Client:
    return genai.Client(api_key="fake", http_options=types.HttpOptions(base_url=fake.base_url, **options))


def asked(client: genai.Client) -> Any:
    return client.models.generate_content_stream(model=MODEL, contents="hi")


async def asked_async(client: genai.Client) -> Any:
    return await client.aio.models.generate_content_stream(model=MODEL, contents="hi")


def texts(chunks: list[types.GenerateContentResponse]) -> str:
    return "".join(chunk.text or "" for chunk in chunks)


@pytest.fixture
def record() -> Iterator[StreamRecord]:
    """Be inside a response, as code under the middleware is."""
    record = StreamRecord(clock=time.perf_counter_ns, started_unix_ns=time.time_ns())
    token = CURRENT.set(record)
    yield record
    CURRENT.reset(token)


def said(generation: Generation) -> tuple[Outcome, str]:
    assert generation.ending is not None
    return generation.ending.outcome, generation.ending.error


@pytest.mark.parametrize("case", OUTCOMES)
@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_outcomes(case: str, colour: str, fake_of: FakeOf) -> None:
    """Each way in which a call can end has its own outcome, and its error the name a pager needs."""
    steps, outcome, error = OUTCOMES[case]
    client = client_of(fake_of(playing(*steps)), timeout=300)
    stream: Any = observe(asked(client)) if colour == "sync" else observe(await asked_async(client))
    try:
        if colour == "sync":
            list(stream)
        else:
            [chunk async for chunk in stream]
    except Exception as raised:  # noqa: BLE001, the outcome is what is looked at
        del raised
    assert said(stream.generation) == (outcome, error)


async def test_the_models_thinking_is_no_content(fake_of: FakeOf) -> None:
    """The answer begins with the first chunk that can be shown, after thoughts and empty chunks."""
    fake = fake_of(playing(Text("hm", thought=True), Text(""), Sleep(0.1), Text("one", finish="STOP")))
    stream = observe(await asked_async(client_of(fake)))
    chunks = [(time.perf_counter_ns(), chunk) async for chunk in stream]
    answered_ns = stream.generation.answered_ns
    assert answered_ns is not None
    assert chunks[1][0] < answered_ns < chunks[2][0]


async def test_tokens_are_the_last_running_total(fake_of: FakeOf) -> None:
    """Token counts are taken, not summed; thoughts are output."""
    early = {"promptTokenCount": 7, "candidatesTokenCount": 2}
    fake = fake_of(playing(Text("one ", usage=early), Text("two", finish="STOP", usage=USAGE)))
    stream = observe(await asked_async(client_of(fake)))
    [chunk async for chunk in stream]
    facts = stream.generation.facts
    assert (facts.input_tokens, facts.output_tokens, facts.model) == (7, 8, MODEL)


@pytest.mark.parametrize("how", ["break", "close"])
async def test_leaving_early_closes_the_socket(how: str, fake_of: FakeOf, record_property: Callable[..., None]) -> None:
    """The fake sees its socket closed as soon as the reader has left, garbage collector or not."""
    fake = fake_of(playing(Text("one "), FOREVER))
    client = client_of(fake)
    gc.disable()
    try:
        stream = observe(await asked_async(client))
        async for _ in stream:
            break
        left_s = time.monotonic()
        if how == "break":
            del stream
        else:
            await stream.aclose()
        await until(lambda: fake.calls[0].client_gone_s is not None)
    finally:
        gc.enable()
    gone_s = fake.calls[0].client_gone_s
    assert gone_s is not None
    record_property("upstream_closed_after_ms", round((gone_s - left_s) * 1000, 1))


async def test_leaving_with_chunks_in_the_buffer_closes_the_socket(fake_of: FakeOf) -> None:
    """Chunks that are there already do not keep the connection open."""
    burst = b"".join(event({"candidates": [{"content": {"parts": [{"text": "x"}]}}]}) for _ in range(50))
    fake = fake_of(playing(Raw(burst), FOREVER))
    stream = observe(await asked_async(client_of(fake)))
    async for _ in stream:
        break
    await stream.aclose()
    await until(lambda: fake.calls[0].client_gone_s is not None)
    assert stream.generation.outcome is Outcome.CLIENT_GONE


def test_leaving_a_sync_stream_closes_the_socket(fake_of: FakeOf) -> None:
    """The sync client's connection goes with the stream."""
    fake = fake_of(playing(Text("one "), FOREVER))
    client = client_of(fake)
    with observe(asked(client)) as stream:
        next(stream)
    assert fake.calls[0].ended.wait(PATIENCE_S)
    assert stream.generation.outcome is Outcome.CLIENT_GONE


@pytest.mark.usefixtures("instrumented")
def test_every_sync_call_is_measured(fake_of: FakeOf, record: StreamRecord) -> None:
    """An instrumented client's streams are as they were, and known to the response they are for."""
    client = client_of(fake_of(playing(*ANSWER)))
    assert texts(list(asked(client))) == "one two"
    (generation,) = record.generations
    assert (generation.model, generation.provider, generation.outcome) == (MODEL, "gcp.gemini", Outcome.COMPLETE)


@pytest.mark.usefixtures("instrumented")
async def test_every_async_call_is_measured(fake_of: FakeOf, record: StreamRecord) -> None:
    """An instrumented async client's streams are as they were, and known to the response they are for."""
    stream = await asked_async(client_of(fake_of(playing(*ANSWER))))
    assert texts([chunk async for chunk in stream]) == "one two"
    (generation,) = record.generations
    assert (generation.model, generation.provider, generation.outcome) == (MODEL, "gcp.gemini", Outcome.COMPLETE)


@pytest.mark.usefixtures("instrumented")
async def test_an_answer_without_a_single_chunk_is_truncated(fake_of: FakeOf, record: StreamRecord) -> None:
    """A call that is known to be Gemini's must end with a reason, even one that never began."""
    client = client_of(fake_of(playing(End())))
    assert [chunk async for chunk in await asked_async(client)] == []
    assert [generation.outcome for generation in record.generations] == [Outcome.TRUNCATED]


@pytest.mark.usefixtures("instrumented")
async def test_a_call_stays_lazy(fake_of: FakeOf, record: StreamRecord) -> None:
    """No request leaves before the first step, in either colour."""
    fake = fake_of(playing(*ANSWER))
    client = client_of(fake)
    stream = await asked_async(client)
    asked(client)
    await asyncio.sleep(0.05)
    assert not fake.calls
    assert record.generations == []
    await stream.aclose()


@pytest.mark.usefixtures("instrumented")
async def test_a_chat_counts_once(fake_of: FakeOf, record: StreamRecord) -> None:
    """A chat goes through the models, and is one call in each colour."""
    client = client_of(fake_of(playing(*ANSWER)))
    list(client.chats.create(model=MODEL).send_message_stream("hi"))
    async for _ in await client.aio.chats.create(model=MODEL).send_message_stream("hi"):
        pass
    assert [generation.outcome for generation in record.generations] == [Outcome.COMPLETE] * 2


@pytest.mark.usefixtures("instrumented")
async def test_observe_on_an_instrumented_call_counts_once(
    fake_of: FakeOf, record: StreamRecord, points: Points
) -> None:
    """`observe` around an instrumented call, awaited or not, is the same one measurement."""
    client = client_of(fake_of(playing(*ANSWER)))
    unawaited = client.aio.models.generate_content_stream(model=MODEL, contents="hi")
    async for _ in observe(unawaited):
        pass
    async for _ in observe(await asked_async(client)):
        pass
    assert len(record.generations) == 2
    assert points.one("gen_ai.client.operation.duration").count == 2


async def test_instrumenting_twice_measures_once(fake_of: FakeOf, record: StreamRecord) -> None:
    """`instrument_genai` is idempotent."""
    instrument_genai()
    instrument_genai()
    try:
        async for _ in await asked_async(client_of(fake_of(playing(*ANSWER)))):
            pass
    finally:
        uninstrument_genai()
    assert len(record.generations) == 1


def test_uninstrumenting_restores_the_sdk() -> None:
    """After `uninstrument_genai` the SDK's methods are the very ones they were, and again after a second round."""
    before = dict(vars(models.Models)), dict(vars(models.AsyncModels))
    for _ in range(2):
        instrument_genai()
        assert vars(models.Models)["generate_content_stream"] is not before[0]["generate_content_stream"]
        uninstrument_genai()
        assert (dict(vars(models.Models)), dict(vars(models.AsyncModels))) == before
    uninstrument_genai()


@pytest.mark.usefixtures("instrumented")
def test_the_sdk_keeps_its_face() -> None:
    """Inspection sees methods of the same colour and signature."""
    assert inspect.iscoroutinefunction(models.AsyncModels.generate_content_stream)
    assert not inspect.iscoroutinefunction(models.Models.generate_content_stream)
    assert "contents" in inspect.signature(models.Models.generate_content_stream).parameters


@pytest.fixture
def official() -> Iterator[GoogleGenAiSdkInstrumentor]:
    """OpenTelemetry's own instrumentation; undone afterwards, wherever ours is."""
    instrumentor = GoogleGenAiSdkInstrumentor()
    yield instrumentor
    uninstrument_genai()
    instrumentor.uninstrument()
    uninstrument_genai()


@pytest.mark.parametrize("order", ["theirs first", "ours first"])
def test_the_official_instrumentation_keeps_its_metrics(
    order: str, fake_of: FakeOf, record: StreamRecord, points: Points, official: GoogleGenAiSdkInstrumentor
) -> None:
    """Where OpenTelemetry's own instrumentation is active, no `gen_ai` metric is emitted twice; our record is fed."""
    if order == "ours first":
        instrument_genai()
    # Its version check refuses google-genai 3; what it patches is there all the same.
    official.instrument(skip_dep_check=True)
    instrument_genai()
    client = client_of(fake_of(playing(*ANSWER)))
    list(asked(client))
    assert points.one("gen_ai.client.operation.time_to_first_chunk").count == 1
    assert points.one("gen_ai.client.operation.duration").count == 1
    assert [generation.outcome for generation in record.generations] == [Outcome.COMPLETE]


def test_undone_under_a_later_wrapper_ours_is_inert(
    fake_of: FakeOf, record: StreamRecord, official: GoogleGenAiSdkInstrumentor
) -> None:
    """A wrapper that came later is not torn off; below it, ours does nothing any more."""
    instrument_genai()
    official.instrument(skip_dep_check=True)
    uninstrument_genai()
    client = client_of(fake_of(playing(*ANSWER)))
    list(asked(client))
    assert record.generations == []


def test_of_a_long_stream_a_sample_of_its_gaps_is_recorded(fake_of: FakeOf, instrumented: None, points: Points) -> None:
    """However many chunks a stream has, the metrics SDK is called a bounded number of times at its end."""
    del instrumented
    pieces = [Text(f"{i} ") for i in range(200)]
    client = client_of(fake_of(playing(*pieces, Text("end", finish="STOP"))))
    list(asked(client))
    assert 0 < points.one("gen_ai.client.operation.time_per_output_chunk").count <= MAX_RECORDED_GAPS


@pytest.mark.usefixtures("instrumented")
async def test_an_address_that_we_cannot_read_is_the_sdks_affair(faults: Callable[[], list[str]]) -> None:
    """What is wrong with a client shows where the SDK shows it, not earlier and not as an error of ours."""
    options = types.HttpOptions(base_url="http://127.0.0.1:99999")
    client = genai.Client(api_key="fake", http_options=options)
    stream = await asked_async(client)
    assert faults() == ["patch"]
    await stream.aclose()


@pytest.mark.usefixtures("instrumented")
async def test_errors_of_the_sdk_are_its_own(fake_of: FakeOf) -> None:
    """The SDK's exceptions reach the app as they were."""
    client = client_of(fake_of(playing(Status(429, "quota"))))
    with pytest.raises(errors.ClientError, match="quota") as caught:
        await anext(await asked_async(client))
    assert caught.value.code == 429


@pytest.mark.usefixtures("instrumented")
async def test_the_conventions_metrics(fake_of: FakeOf, points: Points) -> None:
    """A call's metrics have the semantic conventions' names, units, buckets and attributes."""
    fake = fake_of(playing(Text("one "), Sleep(0.03), Text("two "), Sleep(0.03), ANSWER[1]))
    async for _ in await asked_async(client_of(fake)):
        pass
    port = int(fake.base_url.rpartition(":")[2])
    attributes = {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": MODEL,
        "gen_ai.response.model": MODEL,
        "server.address": "127.0.0.1",
        "server.port": port,
    }
    first = points.one("gen_ai.client.operation.time_to_first_chunk")
    assert dict(first.attributes) == attributes
    assert first.count == 1
    assert first.explicit_bounds[:3] == (0.01, 0.02, 0.04)
    assert points.one("gen_ai.client.operation.time_per_output_chunk").count == 2
    duration = points.one("gen_ai.client.operation.duration")
    assert first.sum + points.one("gen_ai.client.operation.time_per_output_chunk").sum <= duration.sum
    tokens = {point.attributes["gen_ai.token.type"]: point.sum for point in points.all()["gen_ai.client.token.usage"]}
    assert tokens == {"input": 7, "output": 8}


@pytest.mark.parametrize(
    ("steps", "error"), [((Status(503, "overloaded"),), "503"), ((Text("one "), FOREVER), None)], ids=["failed", "left"]
)
async def test_only_failures_have_an_error_type(
    steps: tuple[Step, ...], error: str | None, fake_of: FakeOf, points: Points
) -> None:
    """`error.type` is the failure's; a client that leaves is none."""
    stream = observe(await asked_async(client_of(fake_of(playing(*steps)))))
    try:
        async for _ in stream:
            break
        await stream.aclose()
    except errors.ServerError:
        pass
    assert points.one("gen_ai.client.operation.duration").attributes.get("error.type") == error
