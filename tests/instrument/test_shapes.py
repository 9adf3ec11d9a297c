"""The real SDKs of other providers, against what their services send."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import pytest
from anthropic import AsyncAnthropic
from google import genai
from google.genai import types
from openai import AsyncOpenAI
from openai.types.responses import ResponseAudioDeltaEvent

from instrument.lab import HOST, Ticks, serving
from streamgap.core.words import Outcome
from streamgap.instrument import Generation, StreamRecord, observe
from streamgap.instrument.shapes import recognise
from streamgap.instrument.stream import CURRENT

Document = Mapping[str, Any]
STEP_MS = 1000


def speaking(documents: Sequence[Document], *, named: bool = False, done: bool = False) -> Any:
    """Make an ASGI app that answers anything with these events; `named` ones carry their type, `done` ends them."""
    parts = [
        (f"event: {document['type']}\n" if named else "") + f"data: {json.dumps(document)}\n\n"
        for document in documents
    ]
    body = "".join(parts) + ("data: [DONE]\n\n" if done else "")

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})

    return app


async def measured(stream: AsyncIterator[Any]) -> tuple[Generation, int]:
    """Read a stream under observation; its record, and how many chunks came before the first with content."""
    observed = observe(stream, clock=Ticks(step_ms=STEP_MS))
    chunks = [chunk async for chunk in observed]
    assert chunks
    generation = observed.generation
    if generation.answered_ns is None or generation.began_ns is None:
        return generation, -1
    # Two readings of the clock a chunk: as it came, and as the next one was asked for.
    return generation, (generation.answered_ns - generation.began_ns) // (2 * STEP_MS * 1_000_000)


def chat(delta: Document | None, *, finish: str | None = None, usage: Document | None = None) -> Document:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    envelope = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x-2026"}
    return {**envelope, "choices": choices, "usage": usage}


async def openai_chat(documents: Sequence[Document]) -> tuple[Generation, int]:
    async with serving(speaking(documents, done=True)) as port:
        client = AsyncOpenAI(api_key="fake", base_url=f"http://{HOST}:{port}/v1")
        stream = await client.chat.completions.create(model="gpt-x", messages=[], stream=True)
        found = await measured(stream)
        await client.close()
        return found


CHAT_START = (chat({"role": "assistant", "content": ""}), chat({"content": "one "}), chat({"content": "two"}))
CHAT_USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


async def test_openai_chat() -> None:
    """The role's chunk is no content, the reason precedes the usage, and both are found at the end."""
    end = (chat({}, finish="stop"), chat(None, usage=CHAT_USAGE))
    generation, before = await openai_chat((*CHAT_START, *end))
    assert (before, generation.outcome, generation.provider) == (1, Outcome.COMPLETE, "openai")
    facts = generation.facts
    assert (facts.model, facts.input_tokens, facts.output_tokens) == ("gpt-x-2026", 7, 5)


@pytest.mark.parametrize(
    ("end", "outcome"), [((), Outcome.TRUNCATED), ((chat({}, finish="content_filter"),), Outcome.BLOCKED)]
)
async def test_openai_chat_that_went_wrong(end: Sequence[Document], outcome: Outcome) -> None:
    """An answer without a reason was cut off, one that was filtered is blocked."""
    assert (await openai_chat((*CHAT_START, *end)))[0].outcome is outcome


def response(status: str, **more: Any) -> Document:
    usage = {
        "input_tokens": 7,
        "output_tokens": 5,
        "total_tokens": 12,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    return {
        "type": f"response.{status}",
        "sequence_number": 9,
        "response": {"id": "r1", "object": "response", "model": "gpt-x", "status": status, "usage": usage, **more},
    }


@pytest.mark.parametrize(
    ("end", "outcome", "error"),
    [
        ((response("completed"),), Outcome.COMPLETE, ""),
        ((response("incomplete", incomplete_details={"reason": "max_output_tokens"}),), Outcome.COMPLETE, ""),
        ((response("incomplete", incomplete_details={"reason": "content_filter"}),), Outcome.BLOCKED, ""),
        ((response("failed", error={"code": "server_error", "message": "x"}),), Outcome.UPSTREAM_ERROR, "server_error"),
        ((), Outcome.TRUNCATED, ""),
    ],
)
async def test_openai_responses(end: Sequence[Document], outcome: Outcome, error: str) -> None:
    """Lifecycle events are no content; the last one says how it went and what it cost."""
    created = {"type": "response.created", "sequence_number": 0, "response": {"id": "r1", "model": "gpt-x"}}
    delta = {
        "type": "response.output_text.delta",
        "sequence_number": 1,
        "item_id": "i",
        "output_index": 0,
        "content_index": 0,
        "delta": "one",
        "logprobs": [],
    }
    async with serving(speaking((created, delta, *end), named=True)) as port:
        client = AsyncOpenAI(api_key="fake", base_url=f"http://{HOST}:{port}/v1")
        generation, before = await measured(await client.responses.create(model="gpt-x", input="hi", stream=True))
        await client.close()
    assert before == 1
    assert generation.ending is not None
    assert (generation.ending.outcome, generation.ending.error) == (outcome, error)
    assert generation.facts.output_tokens == (5 if end else None)


MESSAGE: Document = {
    "id": "m1",
    "type": "message",
    "role": "assistant",
    "content": [],
    "model": "claude-x",
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "cache_read_input_tokens": 100, "output_tokens": 1},
}


def anthropic_events(reason: str | None) -> list[Document]:
    def delta(index: int, inner: Document) -> Document:
        return {"type": "content_block_delta", "index": index, "delta": inner}

    end: list[Document] = [
        {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]
    return [
        {"type": "message_start", "message": MESSAGE},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""},
        },
        delta(0, {"type": "thinking_delta", "thinking": "hm"}),
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        delta(1, {"type": "text_delta", "text": "one"}),
        {"type": "content_block_stop", "index": 1},
        *(end if reason else []),
    ]


@pytest.mark.parametrize(
    ("reason", "outcome", "output_tokens"),
    [("end_turn", Outcome.COMPLETE, 5), ("refusal", Outcome.BLOCKED, 5), (None, Outcome.TRUNCATED, None)],
)
async def test_anthropic(reason: str | None, outcome: Outcome, output_tokens: int | None) -> None:
    """Thinking is no content; the first event has the input's tokens, the last but one the output's and the reason."""
    async with serving(speaking(anthropic_events(reason), named=True)) as port:
        client = AsyncAnthropic(api_key="fake", base_url=f"http://{HOST}:{port}")
        stream = await client.messages.create(model="claude-x", max_tokens=9, messages=[], stream=True)
        generation, before = await measured(stream)
        await client.close()
    assert before == 5
    assert (generation.outcome, generation.provider, generation.model) == (outcome, "anthropic", "claude-x")
    assert (generation.facts.input_tokens, generation.facts.output_tokens) == (107, output_tokens)


def interaction_events(status: str) -> list[Document]:
    usage = {"total_input_tokens": 7, "total_output_tokens": 5, "total_thought_tokens": 3}
    return [
        {
            "event_type": "interaction.created",
            "interaction": {"id": "i1", "status": "in_progress", "model": "gemini-x"},
        },
        {"event_type": "step.start", "index": 0, "step": {"type": "model_output"}},
        {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "one"}},
        {"event_type": "step.stop", "index": 0},
        {
            "event_type": "interaction.completed",
            "interaction": {"id": "i1", "status": status, "model": "gemini-x", "usage": usage},
        },
    ]


@pytest.mark.usefixtures("instrumented")
@pytest.mark.parametrize("status", ["completed", "failed"])
async def test_interactions(status: str) -> None:
    """A streamed interaction is measured in both colours, from before its request; creation is no content."""
    record = StreamRecord(clock=Ticks(step_ms=1), started_unix_ns=0)
    token = CURRENT.set(record)
    async with serving(speaking(interaction_events(status))) as port:
        client = genai.Client(api_key="fake", http_options=types.HttpOptions(base_url=f"http://{HOST}:{port}"))
        stream: Any = await client.aio.interactions.create(model="gemini-x", input="hi", stream=True)
        [event async for event in stream]
        await asyncio.to_thread(read_interaction, client)
        await client.aio.aclose()
    CURRENT.reset(token)
    expected = Outcome.COMPLETE if status == "completed" else Outcome.UPSTREAM_ERROR
    assert [generation.outcome for generation in record.generations] == [expected] * 2
    for generation in record.generations:
        assert (generation.model, generation.facts.input_tokens, generation.facts.output_tokens) == ("gemini-x", 7, 8)
        assert generation.answered_ns is not None


def read_interaction(client: genai.Client) -> None:
    list(client.interactions.create(model="gemini-x", input="hi", stream=True))


@pytest.mark.usefixtures("instrumented")
async def test_an_interaction_that_is_refused_is_a_failed_call() -> None:
    """The request is made by the call itself; its refusal is the call's, and measured."""

    async def refusing(_scope: Any, _receive: Any, send: Callable[..., Any]) -> None:
        await send({"type": "http.response.start", "status": 429, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": b'{"error": {"code": 429, "message": "quota"}}'})

    record = StreamRecord(clock=Ticks(step_ms=1), started_unix_ns=0)
    token = CURRENT.set(record)
    async with serving(refusing) as port:
        options = types.HttpOptions(base_url=f"http://{HOST}:{port}", retry_options=types.HttpRetryOptions(attempts=1))
        client = genai.Client(api_key="fake", http_options=options)
        with pytest.raises(Exception, match="quota"):
            await client.aio.interactions.create(model="gemini-x", input="hi", stream=True)
        await client.aio.aclose()
    CURRENT.reset(token)
    (generation,) = record.generations
    assert generation.ending is not None
    assert generation.ending.error == "429"


PICTURE = types.Part(inline_data=types.Blob(data=b"x", mime_type="image/png"))
MEDIA = {
    "gemini": types.GenerateContentResponse(
        candidates=[types.Candidate(content=types.Content(role="model", parts=[PICTURE]))]
    ),
    "openai responses": ResponseAudioDeltaEvent(type="response.audio.delta", delta="eA==", sequence_number=1),
    "bytes": b"x",
}


@pytest.mark.parametrize("kind", MEDIA)
def test_media_are_content_that_cannot_be_read(kind: str) -> None:
    """A picture or a sound is shown, and ends the wait for the first chunk, but has no text."""
    shape = recognise(MEDIA[kind])
    assert shape.content(MEDIA[kind])
    assert shape.text(MEDIA[kind]) == ""


def test_the_text_is_the_first_answers() -> None:
    """Of several answers in one stream only the first is read, so that they do not mix."""
    parts = [types.Content(role="model", parts=[types.Part(text=text)]) for text in ("first", "other")]
    both = [types.Candidate(content=content, index=index) for index, content in enumerate(parts)]
    shape = recognise(types.GenerateContentResponse(candidates=both))
    assert shape.text(types.GenerateContentResponse(candidates=both)) == "first"
    assert shape.text(types.GenerateContentResponse(candidates=both[1:])) == ""
