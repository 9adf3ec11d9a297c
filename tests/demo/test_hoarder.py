import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import pytest
from google import genai
from google.genai import types

from streamgap.demo.fake_gemini import FakeGemini, paced
from streamgap.demo.hoarder import Habits, Hoarder, Mode
from streamgap.demo.loopback import MAX_HEAD_BYTES, reset
from streamgap.demo.script import PIECES

PATIENCE_S = 10.0
QUIET_S = 0.1
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


class Exchange:
    """One request at the origin, which the test answers by hand."""

    def __init__(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = head
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def start(self) -> None:
        await self.send(HEAD + b"Connection: keep-alive\r\n\r\n")

    def end(self) -> None:
        self.writer.close()


class Origin:
    """A tiny upstream that hands each of its requests to the test."""

    def __init__(self, port: int, exchanges: asyncio.Queue[Exchange]) -> None:
        self.port = port
        self._exchanges = exchanges

    async def exchange(self) -> Exchange:
        return await within(self._exchanges.get())


class Client:
    """A client that reads what a proxy sends, as it comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> bytes:
        return await within(self.reader.readuntil(b"\r\n\r\n"))

    async def exactly(self, size: int) -> bytes:
        return await within(self.reader.readexactly(size))

    async def rest(self) -> bytes:
        return await within(self.reader.read())

    async def hears_nothing(self) -> bool:
        """Tell whether nothing arrives for a while; what does arrive is lost."""
        try:
            async with asyncio.timeout(QUIET_S):
                await self.reader.read(1)
        except TimeoutError:
            return True
        return False


T = TypeVar("T")
Ask = Callable[..., Awaitable[Client]]


async def within(waiting: Awaitable[T]) -> T:
    return await asyncio.wait_for(waiting, PATIENCE_S)


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    exchanges: asyncio.Queue[Exchange] = asyncio.Queue()
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError):
            exchanges.put_nowait(Exchange(await reader.readuntil(b"\r\n\r\n"), reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield Origin(server.sockets[0].getsockname()[1], exchanges)
    server.close()
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(0)


@pytest.fixture
async def ask() -> AsyncIterator[Ask]:
    writers: list[asyncio.StreamWriter] = []

    async def connect(proxy: Hoarder, path: str = "/", fields: bytes = b"", body: bytes = b"") -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writers.append(writer)
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\n".encode() + fields + b"\r\n" + body)
        return Client(reader, writer)

    yield connect
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(0)


async def test_pass_holds_nothing(origin: Origin, ask: Ask) -> None:
    """In PASS the head and each piece arrive before the origin has written the next one."""
    async with Hoarder("127.0.0.1", origin.port) as proxy:
        client = await ask(proxy)
        exchange = await origin.exchange()
        await exchange.start()
        await client.head()
        for piece in (b"one", b"two", b"three"):
            await exchange.send(piece)
            assert await client.exactly(len(piece)) == piece
        exchange.end()
        assert await client.rest() == b""


async def test_hold_all_waits_for_the_end(origin: Origin, ask: Ask) -> None:
    """In HOLD_ALL not even the head arrives before the origin has ended, and then everything does."""
    async with Hoarder("127.0.0.1", origin.port, mode=Mode.HOLD_ALL) as proxy:
        client = await ask(proxy)
        exchange = await origin.exchange()
        await exchange.start()
        await exchange.send(b"one")
        assert await client.hears_nothing()
        await exchange.send(b"two")
        exchange.end()
        assert (await client.head()).startswith(HEAD)
        assert await client.rest() == b"onetwo"


async def test_hold_first_holds_the_body_once(origin: Origin, ask: Ask) -> None:
    """In HOLD_FIRST the head passes, the body's beginning waits its time, and what comes later passes."""
    async with Hoarder("127.0.0.1", origin.port, mode=Mode.HOLD_FIRST, habits=Habits(hold_s=0.3)) as proxy:
        client = await ask(proxy)
        exchange = await origin.exchange()
        await exchange.start()
        await client.head()
        first_s = time.monotonic()
        await exchange.send(b"one")
        await exchange.send(b"two")
        assert await client.exactly(6) == b"onetwo"
        assert time.monotonic() - first_s >= 0.3
        for piece in (b"three", b"four"):
            await exchange.send(piece)
            assert await client.exactly(len(piece)) == piece


async def test_hold_first_lets_go_at_the_end(origin: Origin, ask: Ask) -> None:
    """In HOLD_FIRST an answer shorter than the hold arrives when the origin ends."""
    async with Hoarder("127.0.0.1", origin.port, mode=Mode.HOLD_FIRST, habits=Habits(hold_s=3600)) as proxy:
        client = await ask(proxy)
        exchange = await origin.exchange()
        await exchange.start()
        await client.head()
        await exchange.send(b"one")
        assert await client.hears_nothing()
        exchange.end()
        assert await client.rest() == b"one"


async def test_blocks_leave_whole(origin: Origin, ask: Ask) -> None:
    """In BLOCKS the body arrives in whole blocks, and the rest when the origin ends."""
    async with Hoarder("127.0.0.1", origin.port, mode=Mode.BLOCKS, habits=Habits(block_bytes=10)) as proxy:
        client = await ask(proxy)
        exchange = await origin.exchange()
        await exchange.start()
        await client.head()
        await exchange.send(b"123456789")
        assert await client.hears_nothing()
        await exchange.send(b"0abcdefghij!?")
        assert await client.exactly(20) == b"1234567890abcdefghij"
        assert await client.hears_nothing()
        exchange.end()
        assert await client.rest() == b"!?"


@pytest.mark.parametrize("cut_with_reset", [True, False], ids=["reset", "fin"])
async def test_cut_idle_cuts_both_sides(origin: Origin, ask: Ask, *, cut_with_reset: bool) -> None:
    """In CUT_IDLE a silent origin costs the client its connection, by RST or bare FIN, and is itself left."""
    habits = Habits(idle_s=0.7, cut_with_reset=cut_with_reset)
    async with Hoarder("127.0.0.1", origin.port, mode=Mode.CUT_IDLE, habits=habits) as proxy:
        client = await ask(proxy)
        exchange = await origin.exchange()
        await exchange.start()
        await exchange.send(b"one")
        await client.head()
        assert await client.exactly(3) == b"one"
        if cut_with_reset:
            with pytest.raises(ConnectionResetError):
                await client.rest()
        else:
            assert await client.rest() == b""
        assert await within(exchange.reader.read()) == b""


async def test_cut_often_cuts_the_first_responses_to_a_url(origin: Origin, ask: Ask) -> None:
    """In CUT_OFTEN each URL's first `cuts` responses are reset after their time, and every later one passes whole."""
    habits = Habits(cut_s=(0.05, 0.1), cuts=2)
    async with Hoarder("127.0.0.1", origin.port, mode=Mode.CUT_OFTEN, habits=habits) as proxy:
        for url in ("/one", "/one", "/other"):
            client = await ask(proxy, url)
            exchange = await origin.exchange()
            await exchange.start()
            with pytest.raises(ConnectionResetError):
                await client.rest()
            assert await within(exchange.reader.read()) == b""
        client = await ask(proxy, "/one")
        exchange = await origin.exchange()
        await exchange.start()
        await client.head()
        assert await client.hears_nothing()
        await exchange.send(b"whole")
        exchange.end()
        assert await client.rest() == b"whole"


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_client_that_leaves_is_passed_on(origin: Origin, ask: Ask, mode: Mode) -> None:
    """In every mode the origin sees the client leave, although it is not writing anything."""
    async with Hoarder("127.0.0.1", origin.port, mode=mode, habits=Habits(idle_s=3600, cuts=0)) as proxy:
        client = await ask(proxy)
        exchange = await origin.exchange()
        await exchange.start()
        await exchange.send(b"one")
        client.writer.close()
        with contextlib.suppress(ConnectionResetError):
            assert await within(exchange.reader.read()) == b""


@pytest.mark.parametrize("mode", list(Mode))
async def test_an_origin_that_resets_is_passed_on(origin: Origin, ask: Ask, mode: Mode) -> None:
    """In every mode an origin's reset reaches the client as a reset, so that a cut answer never looks whole."""
    async with Hoarder("127.0.0.1", origin.port, mode=mode) as proxy:
        client = await ask(proxy)
        exchange = await origin.exchange()
        await exchange.start()
        reset(exchange.writer)
        with pytest.raises(ConnectionResetError):
            await client.rest()


async def test_one_connection_is_one_request(origin: Origin, ask: Ask) -> None:
    """Both sides are told to close; every other header, the path and the body pass untouched."""
    async with Hoarder("127.0.0.1", origin.port) as proxy:
        client = await ask(proxy, "/a?b=c", b"Keep-Alive: 5\r\nX-Stream-Id: 7\r\nconnection: keep-alive\r\n", b"body")
        exchange = await origin.exchange()
        assert exchange.head == b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nX-Stream-Id: 7\r\nConnection: close\r\n\r\n"
        assert await within(exchange.reader.readexactly(4)) == b"body"
        await exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await exchange.start()
        assert await client.head() == HEAD + b"Connection: close\r\n\r\n"


async def test_a_mode_is_chosen_per_request(origin: Origin, ask: Ask) -> None:
    """The longest matching path prefix chooses the mode, and the live switch where none matches."""
    prefixes = {"/hold": Mode.HOLD_ALL, "/hold/not": Mode.PASS}
    async with Hoarder("127.0.0.1", origin.port, prefixes=prefixes) as proxy:

        async def started(path: str) -> Client:
            client = await ask(proxy, path)
            await (await origin.exchange()).start()
            return client

        assert await (await started("/hold?x=1")).hears_nothing()
        assert await (await started("/hold/not")).head()
        assert await (await started("/other")).head()
        proxy.mode = Mode.HOLD_ALL
        assert await (await started("/other")).hears_nothing()


@pytest.mark.parametrize("mode", [Mode.HOLD_ALL, Mode.HOLD_FIRST, Mode.BLOCKS])
async def test_past_its_bound_a_hoarder_gives_in(origin: Origin, ask: Ask, mode: Mode) -> None:
    """What one connection holds is bounded: past the bound everything so far passes, though the origin goes on."""
    habits = Habits(max_held_bytes=1000, hold_s=3600, block_bytes=5000)
    async with Hoarder("127.0.0.1", origin.port, mode=mode, habits=habits) as proxy:
        client = await ask(proxy)
        exchange = await origin.exchange()
        await exchange.start()
        await exchange.send(b"x" * 1000)
        await client.head()
        assert await client.exactly(1000) == b"x" * 1000


async def test_a_missing_origin_is_a_bad_gateway(ask: Ask) -> None:
    """Without an upstream the client is told 502, as by any gateway."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with Hoarder("127.0.0.1", port) as proxy:
        assert (await (await ask(proxy)).head()).startswith(b"HTTP/1.1 502 ")


async def test_a_head_past_the_bound_is_dropped(origin: Origin, ask: Ask) -> None:
    """A request head past 64 KiB costs the client its connection and never reaches the origin."""
    async with Hoarder("127.0.0.1", origin.port) as proxy:
        client = await ask(proxy, fields=b"X: " + b"x" * 2 * MAX_HEAD_BYTES + b"\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert await client.rest() == b""
        survivor = await ask(proxy, "/next")
        assert b"/next" in (await origin.exchange()).head
        survivor.writer.close()


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_real_stream_survives_every_mode(mode: Mode) -> None:
    """However a model's answer is held, the real client gets all of it through the proxy."""
    with FakeGemini(paced(PIECES, first_s=0.01, every_s=0.001)) as fake:
        port = int(fake.base_url.rpartition(":")[2])
        async with Hoarder("127.0.0.1", port, mode=mode, habits=Habits(hold_s=0.05, cuts=0)) as proxy:
            options = types.HttpOptions(base_url=f"http://127.0.0.1:{proxy.port}")
            async with genai.Client(api_key="example", http_options=options).aio as client:
                stream = await client.models.generate_content_stream(model="gemini-3.5-flash", contents="?")
                texts = [chunk.text async for chunk in stream]
    assert texts == list(PIECES)
