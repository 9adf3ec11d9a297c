"""The relay under the real SDKs, against what their services send."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from instrument.lab import HOST, PATIENCE_S, serving, until
from relay import sdks, wires
from relay.fake_provider import FakeProvider, never
from relay.sdks import Sdk
from relay.stage import Model, Stage, end_of, on_stage, text_of
from relay.wires import OUTPUT_TOKENS
from streamgap.core.wire import ServerHalf
from streamgap.instrument import StreamGapMiddleware, instrument_genai, uninstrument_genai

pytestmark = pytest.mark.slow


TORTURE = ("CR\r", " LF\n CRLF\r\n", "\n\nevent: done\ndata: x\n\n", " \u2028\u2029 \0 ", "\U0001f600", " \ufeff ")
FIRST = b'{"t":"CR'
ASYNC = [pytest.param(sdk, id=f"async {name}") for name, sdk in sdks.ASYNC.items()]
SYNC = [pytest.param(sdk, id=f"sync {name}") for name, sdk in sdks.SYNC.items()]


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Close nothing by garbage collection."""
    gc.disable()
    yield
    gc.enable()


class Calling(Model):
    """A real SDK in the place of the model under remote control."""

    def __init__(self, sdk: Sdk, client: Any) -> None:
        super().__init__()
        self._sdk = sdk
        self._client = client

    def generate(self) -> Any:
        return self._sdk.call(self._client)


@contextlib.asynccontextmanager
async def relaying(sdk: Sdk, provider: FakeProvider, **settings: Any) -> AsyncIterator[Stage]:
    """Serve a relay whose model is `provider`, called through `sdk`."""
    async with serving(provider) as port:
        client = sdk.connect(f"http://{HOST}:{port}")
        async with on_stage(model=Calling(sdk, client), **settings) as stage:
            yield stage
        await sdks.close(client)


@pytest.mark.parametrize("sdk", [*ASYNC, *SYNC])
async def test_every_reader_has_the_whole_text_of_one_call(sdk: Sdk) -> None:
    """Text that looks like SSE, in the provider's own SSE, comes out as the model said it; the record has its cost."""
    more = asyncio.Event()
    wire = sdk.wire
    provider = FakeProvider(wire.head, wire.text(TORTURE[0]), more, *map(wire.text, TORTURE[1:]), wire.tail)
    async with relaying(sdk, provider) as stage, stage.ask() as one, stage.ask() as other:
        for visit in (one, other):
            await visit.read_until(FIRST)
        more.set()
        for visit in (one, other, await stage.answer()):
            assert text_of((await visit.read_all()).body) == "".join(TORTURE)
            assert end_of(visit.body) == {"status": "done", "reason": "", "retryable": False, "n": len(TORTURE)}
    assert len(provider.calls) == 1
    (record,) = stage.records
    assert (record.status, record.delivered, record.unheard, record.estimated) == ("done", OUTPUT_TOKENS, 0, False)
    assert record.provider in ("openai", "anthropic", "gcp.gemini")


REASONS = {
    wires.OPENAI_CHAT: "openai.APIError",
    wires.OPENAI_RESPONSES: "server_error",
    wires.ANTHROPIC: "anthropic.APIStatusError",
    wires.GEMINI: "503",
    wires.INTERACTIONS: "unavailable",
}


@pytest.mark.parametrize("sdk", [*ASYNC, *SYNC])
async def test_a_provider_that_fails_half_way(sdk: Sdk) -> None:
    """What it said until then is kept, and the end says that it failed, why, and that a retry may help."""
    provider = FakeProvider(sdk.wire.head, sdk.wire.text("one"), sdk.wire.error)
    async with relaying(sdk, provider) as stage:
        visit = await stage.answer()
        assert text_of(visit.body) == "one"
        assert end_of(visit.body) == {"status": "failed", "reason": REASONS[sdk.wire], "retryable": True, "n": 1}


@pytest.mark.parametrize("sdk", [*ASYNC, *SYNC])
async def test_a_provider_that_refuses(sdk: Sdk) -> None:
    """The HTTP status of a refusal is the reason of the end."""
    async with relaying(sdk, FakeProvider(refuses=True)) as stage:
        assert end_of((await stage.answer()).body) == {"status": "failed", "reason": "429", "retryable": True, "n": 0}


def provider_saying(what: str, sdk: Sdk) -> FakeProvider:
    """Make a provider that never ends its answer: `what` it has said until its client leaves."""
    wire = sdk.wire
    match what:
        case "nothing":
            return FakeProvider(never())
        case "hello":
            return FakeProvider(wire.head, never())
        case "text":
            return FakeProvider(wire.head, wire.text("one"), never())
    return FakeProvider(wire.head, for_ever=wire.text("one"))


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("what", ["nothing", "hello", "text", "ever more text"])
@pytest.mark.parametrize("sdk", ASYNC)
async def test_leaving_closes_the_providers_socket(sdk: Sdk, what: str) -> None:
    """With no grace, the last reader's leaving ends the call and its connection, whatever the provider is about."""
    provider = provider_saying(what, sdk)
    async with relaying(sdk, provider, grace_s=0) as stage:
        async with stage.ask() as visit:
            await visit.read_until(b'"one"' if "text" in what else b"sg-open")
            await until(lambda: provider.calls)
        async with asyncio.timeout(PATIENCE_S):
            await provider.calls[0].gone.wait()
        await until(lambda: stage.records)
    assert [(record.status, record.reason) for record in stage.records] == [("stopped", "client_left")]


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("sdk", SYNC)
async def test_a_sync_client_lets_go_at_its_next_chunk(sdk: Sdk) -> None:
    """The generation ends at once, though its thread still waits; the socket closes with the next chunk."""
    wire, more = sdk.wire, asyncio.Event()
    provider = FakeProvider(wire.head, wire.text("one"), more, wire.text("two"), never())
    async with relaying(sdk, provider, grace_s=0) as stage:
        async with stage.ask() as visit:
            await visit.read_until(b'"one"')
        await until(lambda: stage.records)
        more.set()
        async with asyncio.timeout(PATIENCE_S):
            await provider.calls[0].gone.wait()
    assert [(record.status, record.reason) for record in stage.records] == [("stopped", "client_left")]


@pytest.mark.parametrize("sdk", [param for param in (*ASYNC, *SYNC) if "genai" in str(param.id)])
async def test_an_instrumented_call_is_measured_once(sdk: Sdk) -> None:
    """Where `instrument_genai` measures every call, the relay's own measuring does not double it."""
    halves = list[ServerHalf]()
    provider = FakeProvider(sdk.wire.head, sdk.wire.text("one"), sdk.wire.tail)
    instrument_genai()
    try:
        async with relaying(
            sdk, provider, middleware=lambda app: StreamGapMiddleware(app, sinks=[halves.append])
        ) as stage:
            await stage.answer()
            await until(lambda: halves)
    finally:
        uninstrument_genai()
    assert [half.output_tokens for half in halves] == [OUTPUT_TOKENS]
