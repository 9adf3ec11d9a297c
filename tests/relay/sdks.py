"""The real SDKs, each ready to call one address."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from anthropic import Anthropic, AsyncAnthropic
from google import genai
from google.genai import types
from openai import AsyncOpenAI, OpenAI

from relay.wires import ANTHROPIC, GEMINI, INTERACTIONS, OPENAI_CHAT, OPENAI_RESPONSES, Wire
from streamgap.relay.blocking import from_blocking

_CHAT: Any = {"model": "gpt-x", "messages": [], "stream": True, "stream_options": {"include_usage": True}}
_RESPONSES: Any = {"model": "gpt-x", "input": "hi", "stream": True}
_MESSAGES: Any = {"model": "claude-x", "max_tokens": 9, "messages": []}
_INTERACTION: Any = {"model": "gemini-x", "input": "hi", "stream": True}
_CONTENTS: Any = {"model": "gemini-x", "contents": "hi"}


@dataclass(frozen=True)
class Sdk:
    """One way to stream from one provider: `call` is what an app hands to the relay, `client` what it calls it with."""

    wire: Wire
    connect: Callable[[str], Any]
    call: Callable[[Any], Any]


async def close(client: Any) -> None:
    """Give a client's connections back."""
    for closing in (client.aio.aclose, client.close) if isinstance(client, genai.Client) else (client.close,):
        closed = closing()
        if inspect.isawaitable(closed):
            await closed


def _google(url: str) -> genai.Client:
    retry = types.HttpRetryOptions(attempts=1)
    return genai.Client(api_key="fake", http_options=types.HttpOptions(base_url=url, retry_options=retry))


def _openai(kind: Any) -> Callable[[str], Any]:
    return lambda url: kind(api_key="fake", base_url=f"{url}/v1", max_retries=0)


def _anthropic(kind: Any) -> Callable[[str], Any]:
    return lambda url: kind(api_key="fake", base_url=url, max_retries=0)


async def _messages(client: AsyncAnthropic) -> AsyncIterator[Any]:
    async with client.messages.stream(**_MESSAGES) as stream:
        async for event in stream:
            yield event


def _blocking_messages(client: Anthropic) -> Iterator[Any]:
    with client.messages.stream(**_MESSAGES) as stream:
        yield from stream


ASYNC: dict[str, Sdk] = {
    "openai chat": Sdk(OPENAI_CHAT, _openai(AsyncOpenAI), lambda client: client.chat.completions.create(**_CHAT)),
    "openai responses": Sdk(
        OPENAI_RESPONSES, _openai(AsyncOpenAI), lambda client: client.responses.create(**_RESPONSES)
    ),
    "anthropic create": Sdk(
        ANTHROPIC, _anthropic(AsyncAnthropic), lambda client: client.messages.create(**_MESSAGES, stream=True)
    ),
    "anthropic stream": Sdk(ANTHROPIC, _anthropic(AsyncAnthropic), _messages),
    "genai": Sdk(GEMINI, _google, lambda client: client.aio.models.generate_content_stream(**_CONTENTS)),
    "genai chat": Sdk(
        GEMINI, _google, lambda client: client.aio.chats.create(model="gemini-x").send_message_stream("hi")
    ),
    "genai interactions": Sdk(INTERACTIONS, _google, lambda client: client.aio.interactions.create(**_INTERACTION)),
}
SYNC: dict[str, Sdk] = {
    "openai chat": Sdk(
        OPENAI_CHAT, _openai(OpenAI), lambda client: from_blocking(lambda: client.chat.completions.create(**_CHAT))
    ),
    "openai responses": Sdk(
        OPENAI_RESPONSES, _openai(OpenAI), lambda client: from_blocking(lambda: client.responses.create(**_RESPONSES))
    ),
    "anthropic create": Sdk(
        ANTHROPIC,
        _anthropic(Anthropic),
        lambda client: from_blocking(lambda: client.messages.create(**_MESSAGES, stream=True)),
    ),
    "anthropic stream": Sdk(ANTHROPIC, _anthropic(Anthropic), _blocking_messages),
    "genai": Sdk(GEMINI, _google, lambda client: client.models.generate_content_stream(**_CONTENTS)),
    "genai chat": Sdk(GEMINI, _google, lambda client: client.chats.create(model="gemini-x").send_message_stream("hi")),
    "genai interactions": Sdk(
        INTERACTIONS, _google, lambda client: from_blocking(lambda: client.interactions.create(**_INTERACTION))
    ),
}
