"""Sync streams in an async world: one thread each, that nobody waits for."""

import asyncio
import contextlib
import gc
import threading
import weakref
from collections.abc import AsyncGenerator, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from instrument.lab import PATIENCE_S, until
from streamgap.core.words import Outcome
from streamgap.instrument import observe
from streamgap.relay.blocking import from_blocking

WHO: ContextVar[str] = ContextVar("who", default="nobody")


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "streamgap-blocking"]


@pytest.fixture(autouse=True)
async def no_thread_stays() -> AsyncGenerator[None, None]:
    """Fail any test that leaves a thread behind."""
    yield
    await until(lambda: not threads())


class Source:
    """A sync stream that says a chunk whenever it may, and notes in which threads it is used."""

    def __init__(self, *chunks: Any) -> None:
        self._chunks = iter(chunks)
        self._may = threading.Semaphore(0)
        self.asked = threading.Event()
        self.closed = threading.Event()
        self.read_in: set[threading.Thread] = set()
        self.closed_in: threading.Thread | None = None

    def let(self, *, say: int = 1) -> None:
        self._may.release(say)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self.read_in.add(threading.current_thread())
        self.asked.set()
        assert self._may.acquire(timeout=PATIENCE_S)
        chunk = next(self._chunks)
        if isinstance(chunk, BaseException):
            raise chunk
        return chunk

    def close(self) -> None:
        self.closed_in = threading.current_thread()
        self.closed.set()

    async def until_closed(self) -> None:
        assert await asyncio.to_thread(self.closed.wait, PATIENCE_S)


async def test_every_chunk_comes_once_and_in_order() -> None:
    """What comes out is what went in, however the two threads take turns."""
    assert [chunk async for chunk in from_blocking(range(20_000))] == list(range(20_000))


async def test_waiting_for_the_model_holds_up_nobody() -> None:
    """The event loop runs while the source waits, here for what the loop does next."""
    source = Source("one", "two")
    chunks = from_blocking(source)
    for expected in ("one", "two"):
        coming = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0)
        source.let()
        assert await coming == expected
    source.let()
    assert await anext(chunks, None) is None
    assert threading.current_thread() not in source.read_in
    assert len(source.read_in) == 1


async def test_nothing_happens_before_the_first_step() -> None:
    """A function is called when the reading begins, and in the thread: its call may be the request."""
    called_in: list[threading.Thread] = []

    def create() -> list[str]:
        called_in.append(threading.current_thread())
        return ["one"]

    chunks = from_blocking(create)
    await asyncio.sleep(0)
    assert called_in == []
    assert [chunk async for chunk in chunks] == ["one"]
    assert called_in != [threading.current_thread()]


@pytest.mark.parametrize("error", [ValueError("v"), TimeoutError(), RuntimeError("r"), asyncio.CancelledError()])
async def test_what_the_source_raises_is_raised(error: BaseException) -> None:
    """The very exception arrives, after the chunks that came before it."""
    source, seen = Source("one", error), list[Any]()
    source.let(say=2)
    try:
        async for chunk in from_blocking(source):
            seen.append(chunk)
    except BaseException as raised:  # noqa: BLE001, whatever the source raises is what is compared
        seen.append(raised)
    assert seen == ["one", error]


async def test_a_call_that_fails_is_raised_too() -> None:
    """Where the request is refused before there is a stream, the reader learns it the same way."""

    def create() -> list[str]:
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        await anext(from_blocking(create))


async def test_the_thread_has_the_readers_context() -> None:
    """Context variables, of which the current trace is one, are those of whoever reads."""
    WHO.set("reader")
    assert [chunk async for chunk in from_blocking(lambda: [WHO.get()])] == ["reader"]


@pytest.mark.parametrize("how", ["aclose", "cancel"])
async def test_leaving_is_at_once_and_the_thread_follows(how: str) -> None:
    """Whoever leaves waits for nobody; the thread closes the source itself, at its next chunk, and reads no further."""
    source = Source("one", "two", "three")
    chunks = from_blocking(source)
    source.let()
    assert await anext(chunks) == "one"
    if how == "cancel":
        coming = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0)
        coming.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await coming
    await chunks.aclose()
    assert not source.closed.is_set()
    source.let()
    await source.until_closed()
    assert {source.closed_in} == source.read_in
    assert next(source._chunks) == "three"


async def test_a_source_that_ended_is_left_alone() -> None:
    """Only leaving early closes: what has ended by itself has closed by itself."""
    source = Source("one")
    source.let(say=2)
    assert [chunk async for chunk in from_blocking(source)] == ["one"]
    await until(lambda: not threads())
    assert not source.closed.is_set()


async def test_a_source_that_takes_its_closing_badly_hurts_nobody() -> None:
    """Whoever left is not interested in how the source took it."""

    class Stubborn(Source):
        def close(self) -> None:
            super().close()
            raise ValueError

    source = Stubborn("one", "two")
    chunks = from_blocking(source)
    source.let()
    await anext(chunks)
    await chunks.aclose()
    source.let()
    await source.until_closed()


async def test_a_burst_wakes_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the loop has not come to look, further chunks cost it nothing."""
    loop, calls, said = asyncio.get_running_loop(), [], threading.Event()
    call = loop.call_soon_threadsafe

    def counting(*args: Any) -> Any:
        calls.append(args)
        return call(*args)

    def source() -> Iterator[int]:
        yield from range(1000)
        said.set()

    monkeypatch.setattr(loop, "call_soon_threadsafe", counting)
    chunks = from_blocking(source())
    coming = asyncio.ensure_future(anext(chunks))
    await asyncio.sleep(0)
    assert said.wait(PATIENCE_S)  # the loop stands still meanwhile
    assert await coming == 0
    assert len([chunk async for chunk in chunks]) == 999
    assert len(calls) <= 3, "one for the first chunk, one for the burst, one for the end"


def test_a_reader_whose_loop_is_gone_has_left() -> None:
    """A loop that was closed under its reader ends the thread, too."""
    source, loop = Source("one", "two", "three"), asyncio.new_event_loop()
    chunks = from_blocking(source)
    source.let()
    assert loop.run_until_complete(anext(chunks)) == "one"
    loop.close()
    source.let(say=2)
    assert source.closed.wait(PATIENCE_S)


async def test_a_failed_stream_leaves_nothing_to_the_garbage_collector() -> None:
    """Neither the source nor its exception becomes part of a cycle: what their frames hold is free at once."""
    held: list[weakref.ref[Source]] = []

    def source() -> Iterator[str]:
        connection = Source()
        held.append(weakref.ref(connection))
        yield "one"
        raise ValueError(connection)

    gc.disable()
    try:
        with pytest.raises(ValueError, match="Source"):
            [chunk async for chunk in from_blocking(source())]
        await until(lambda: not threads())
        assert held[0]() is None
    finally:
        gc.enable()


async def test_observing_the_async_side_knows_at_once_that_the_reader_left() -> None:
    """`observe(from_blocking(…))` has the outcome when the reader is gone, while the thread still waits."""
    source = Source("one", "two")
    stream = observe(from_blocking(source))
    source.let()
    assert await anext(stream) == "one"
    coming = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    coming.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await coming
    assert stream.generation.outcome is Outcome.CLIENT_GONE
    assert threads()
    source.let()


def test_what_cannot_be_iterated_says_so() -> None:
    """An SDK's context manager, which has to be entered first, gets a word of advice."""
    with pytest.raises(TypeError, match=r"expected an iterable .* got nullcontext; enter a context manager"):
        from_blocking(contextlib.nullcontext())  # type: ignore[arg-type]
