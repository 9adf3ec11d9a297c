import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.lab import Ticks, chat_chunk
from streamgap.core.words import Outcome
from streamgap.instrument import StreamRecord, observe
from streamgap.instrument.generation import MAX_STAMPS

CHUNKS = st.lists(st.one_of(st.text(), st.binary(), st.none(), st.integers(), st.builds(object)))
ERRORS = st.one_of(st.none(), st.sampled_from([ValueError("v"), TimeoutError(), KeyError(1), RuntimeError("r")]))


def sync_source(chunks: list[Any], error: Exception | None = None) -> Iterator[Any]:
    yield from chunks
    if error is not None:
        raise error


async def async_source(chunks: list[Any], error: Exception | None = None) -> AsyncIterator[Any]:
    for chunk in chunks:
        yield chunk
    if error is not None:
        raise error


def drained(source: Any) -> tuple[list[Any], Exception | None]:
    seen: list[Any] = []
    try:
        seen.extend(source)
    except Exception as error:  # noqa: BLE001, whatever the source raises is what is compared
        return seen, error
    return seen, None


async def async_drained(source: Any) -> tuple[list[Any], Exception | None]:
    seen: list[Any] = []
    try:
        async for chunk in source:
            seen.append(chunk)  # noqa: PERF401, what came before an error counts
    except Exception as error:  # noqa: BLE001, whatever the source raises is what is compared
        return seen, error
    return seen, None


@given(CHUNKS, ERRORS)
def test_a_sync_stream_is_what_it_was(chunks: list[Any], error: Exception | None) -> None:
    """Values and exceptions of an observed iterator are the very objects of the bare one."""
    assert drained(observe(sync_source(chunks, error))) == drained(sync_source(chunks, error))


@given(CHUNKS, ERRORS)
def test_an_async_stream_is_what_it_was(chunks: list[Any], error: Exception | None) -> None:
    """Values and exceptions of an observed async iterator are the very objects of the bare one."""

    async def compare() -> None:
        observed = await async_drained(observe(async_source(chunks, error)))
        assert observed == await async_drained(async_source(chunks, error))

    asyncio.run(compare())


async def test_nothing_happens_before_the_first_step() -> None:
    """The clock starts right before the first thing that can send a request, not when the stream is made."""
    clock = Ticks(step_ms=1)
    stream = observe(async_source(["a"]), clock=clock)
    assert clock.now_ns == 0
    assert stream.generation.began_ns is None
    await anext(stream)
    assert stream.generation.began_ns == 1_000_000


async def test_the_models_time_and_the_apps_are_told_apart() -> None:
    """What the consumer does between two chunks is the app's time, the wait for a chunk the model's."""
    now_ns = 0

    async def source() -> AsyncIterator[str]:
        nonlocal now_ns
        for chunk in ("a", "b", "c"):
            now_ns += 700_000_000
            yield chunk

    stream = observe(source(), clock=lambda: now_ns)
    async for _ in stream:
        now_ns += 50_000_000
    generation = stream.generation
    assert generation.answered_ns == 700_000_000
    assert generation.model_s == pytest.approx(2.1)
    assert generation.app_s == pytest.approx(0.15)


async def test_an_awaitable_of_a_stream_is_on_the_clock_while_it_is_awaited() -> None:
    """An SDK that sends the request in its `await` is measured from before it."""
    clock = Ticks(step_ms=10)

    async def create() -> AsyncIterator[str]:
        clock()
        return async_source(["a"])

    stream = observe(create(), clock=clock)
    assert [chunk async for chunk in stream] == ["a"]
    assert stream.generation.began_ns == 10_000_000
    assert stream.generation.answered_ns == 30_000_000


async def test_a_failed_await_is_a_failed_call() -> None:
    """The error of an awaitable source is raised, and recorded."""

    async def create() -> AsyncIterator[str]:
        raise ConnectionRefusedError

    stream = observe(create())
    with pytest.raises(ConnectionRefusedError):
        await anext(stream)
    assert stream.generation.ending is not None
    assert stream.generation.ending.error == "ConnectionRefusedError"


def test_the_first_content_chunk_is_the_answer() -> None:
    """Chunks without content neither answer nor open a gap."""
    stream = observe(sync_source(["", "", "a", "", "b"]), clock=Ticks(step_ms=1))
    assert list(stream) == ["", "", "a", "", "b"]
    assert stream.generation.answered_ns == 6_000_000


def test_your_own_classifier_decides() -> None:
    """`classify` tells content from the rest for chunks of the app's own making."""
    stream = observe(
        sync_source([("meta", 1), ("text", "a")]), classify=lambda chunk: chunk[0] == "text", clock=Ticks(step_ms=1)
    )
    list(stream)
    assert stream.generation.answered_ns == 4_000_000


def test_a_classifier_that_fails_is_switched_off(faults: Callable[[], list[str]]) -> None:
    """A failure of ours is logged once and costs the stream nothing."""

    def broken(_chunk: object) -> bool:
        raise LookupError

    stream = observe(sync_source(["a", "b", "c"]), classify=broken)
    assert list(stream) == ["a", "b", "c"]
    assert stream.generation.outcome is Outcome.COMPLETE
    assert faults() == ["classify"]


def test_a_chunk_that_only_looks_known_does_no_harm(faults: Callable[[], list[str]]) -> None:
    """An object that quacks like an SDK's chunk and is none passes through."""
    stranger = SimpleNamespace(choices=[object()])
    assert list(observe(sync_source([stranger, stranger]))) == [stranger, stranger]
    assert faults() == ["classify"]


def test_a_chunk_that_turns_strange_later_does_no_harm(faults: Callable[[], list[str]]) -> None:
    """What is read only at the end cannot hurt the stream either."""
    last = object()
    stream = observe(sync_source([chat_chunk("a"), last]))
    assert list(stream)[-1] is last
    assert stream.generation.outcome is Outcome.COMPLETE
    assert set(faults()) == {"read"}


@pytest.mark.parametrize(
    ("chunks", "outcome"),
    [
        ([chat_chunk("a"), chat_chunk(None, finish="stop")], Outcome.COMPLETE),
        ([chat_chunk("a"), chat_chunk("b")], Outcome.TRUNCATED),
        ([chat_chunk("a"), chat_chunk(None, finish="content_filter")], Outcome.BLOCKED),
        (["a", "b"], Outcome.COMPLETE),
        ([object()], Outcome.COMPLETE),
        ([], Outcome.COMPLETE),
    ],
)
def test_how_a_stream_ended(chunks: list[Any], outcome: Outcome) -> None:
    """A stream whose kind names a reason at the end, and did not, was cut off; others just end."""
    stream = observe(sync_source(chunks))
    list(stream)
    assert stream.generation.outcome is outcome


@pytest.mark.parametrize(
    ("error", "outcome", "name"),
    [
        (TimeoutError(), Outcome.TIMEOUT, "TimeoutError"),
        (ConnectionResetError(), Outcome.UPSTREAM_ERROR, "ConnectionResetError"),
        (ExceptionGroup("one", [TimeoutError()]), Outcome.TIMEOUT, "TimeoutError"),
    ],
)
def test_how_a_stream_failed(error: Exception, outcome: Outcome, name: str) -> None:
    """An exception is an outcome, named by its class."""
    stream = observe(sync_source(["a"], error))
    with pytest.raises(type(error)):
        list(stream)
    assert stream.generation.ending is not None
    assert (stream.generation.ending.outcome, stream.generation.ending.error) == (outcome, name)


async def test_leaving_the_loop_closes_the_source_at_once() -> None:
    """A loop left early over a stream that nothing else refers to closes the source by itself."""
    closed = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        try:
            yield "a"
            yield "b"
        finally:
            closed.set()

    async for _ in observe(source()):
        break
    async with asyncio.timeout(10):
        await closed.wait()


async def test_closing_counts_as_leaving() -> None:
    """A stream that is closed before its end was left by its client."""
    async with observe(async_source(["a", "b"])) as stream:
        assert await anext(stream) == "a"
    assert stream.generation.outcome is Outcome.CLIENT_GONE


def test_leaving_after_the_last_word_is_no_leaving() -> None:
    """Whoever stops reading once the model has said that it is done has the whole answer."""
    with observe(sync_source([chat_chunk("a", finish="stop"), chat_chunk(None)])) as stream:
        next(stream)
    assert stream.generation.outcome is Outcome.COMPLETE


def test_a_stream_never_read_is_closed_too() -> None:
    """Closing a stream before its first step closes its source, and records no call that never was."""
    closed: list[bool] = []

    class Source:
        def __iter__(self) -> Iterator[str]:
            raise AssertionError

        def close(self) -> None:
            closed.append(True)

    stream: Any = observe(Source())
    stream.close()
    assert closed == [True]
    assert stream.generation.outcome is None


async def test_cancelling_the_reader_is_leaving() -> None:
    """A task that is cancelled while it waits for the model was left by its client."""
    waiting = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        waiting.set()
        await asyncio.Event().wait()
        yield ""

    stream = observe(source())
    reading = asyncio.ensure_future(anext(stream))
    await waiting.wait()
    reading.cancel()
    await asyncio.wait((reading,))
    assert stream.generation.outcome is Outcome.CLIENT_GONE


def test_the_sources_own_attributes_are_reachable() -> None:
    """The wrapper stands in for the SDK's object, attributes and all."""

    class Source:
        response = "the response"

        def __iter__(self) -> Iterator[str]:
            yield "a"

    assert observe(Source()).response == "the response"


def test_observing_twice_measures_once() -> None:
    """An observed stream is its own observer."""
    stream = observe(sync_source(["a"]))
    assert observe(stream) is stream


def test_what_cannot_be_iterated_is_refused() -> None:
    """The error says what was expected and what came."""
    with pytest.raises(TypeError, match=r"observe: expected an async or sync iterable of chunks.*got int"):
        observe(3)  # type: ignore[call-overload]


def test_memory_is_bounded_whatever_the_length() -> None:
    """A stream of a hundred thousand chunks is kept in a few kilobytes."""
    stream = observe(iter(["x"] * 100_000), clock=Ticks(step_ms=1))
    tracemalloc.start()
    for _ in stream:
        assert len(stream.generation.stamps) <= MAX_STAMPS + 1
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 100_000


def test_a_call_belongs_to_the_stream_it_is_told() -> None:
    """`stream=` attaches a call from where no context reaches."""
    record = StreamRecord(clock=Ticks(step_ms=1), started_unix_ns=0)
    stream = observe(sync_source(["a"]), stream=record)
    assert record.generations == []
    list(stream)
    assert record.generations == [stream.generation]
