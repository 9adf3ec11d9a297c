"""Two replicas over one store, each served by the real uvicorn: whichever one asks, the answer is the same."""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from instrument.lab import HOST, Visit, until
from relay.flaky import Fault, Network, Way
from relay.stage import CID, Event, Stage, end_of, on_stage, parsed, text_of
from streamgap.core.wire import ServerHalf
from streamgap.core.words import Disconnect
from streamgap.instrument import StreamGapMiddleware
from streamgap.relay import Limits, MemoryStore

pytestmark = pytest.mark.slow


LEASE_S = 1.0
RACERS = 200
LINE = "x" * 65_000
LINES = 200


def shared_store(**settings: Any) -> MemoryStore:
    """Return a store for two replicas, whose copies leave at once."""
    epochs: Iterator[int] = iter(range(1, 1000, 100))
    store = MemoryStore(lease_s=LEASE_S, renew_s=0.05, draw_epoch=lambda: next(epochs), **settings)
    store.linger_s = 0.01
    return store


@asynccontextmanager
async def two_replicas(**settings: Any) -> AsyncIterator[tuple[Stage, Stage]]:
    """Serve two replicas over one store, each with a model of its own."""
    store = shared_store()
    async with on_stage(store, **settings) as one, on_stage(store, **settings) as other:
        yield one, other


@asynccontextmanager
async def with_way(**settings: Any) -> AsyncIterator[tuple[Stage, Stage, Network]]:
    """Serve two replicas, of which the first has a way of its own to their store, which can fail."""
    store, network = shared_store(), Network()
    async with on_stage(Way(store, network), **settings) as one, on_stage(store, **settings) as other:
        yield one, other, network


async def test_a_reader_of_another_replica_gets_the_same_events() -> None:
    """It attaches, gets what it missed and what follows, with the same ids, and no model is called for it."""
    async with two_replicas() as (here, there), here.ask() as owner:
        here.model.say("a", "b")
        await owner.read_until(b'"b"')
        async with there.ask() as foreign:
            await foreign.read_until(b'"b"')
            here.model.say("c")
            here.model.finish()
            await owner.read_all()
            await foreign.read_all()
        assert parsed(foreign.body)[2].data["result"] == "attached"
        assert parsed(foreign.body)[3:] == parsed(owner.body)[3:]
        assert (here.model.calls, there.model.calls) == (1, 0)


async def test_a_reader_resumes_at_the_other_replica() -> None:
    """With Last-Event-ID it goes on where it left off, while the answer grows and after its end."""
    async with two_replicas() as (here, there), here.ask() as owner:
        here.model.say("a", "b", "c")
        await owner.read_until(b'"c"')
        async with there.ask(last="1.2") as foreign:
            await foreign.read_until(b'"c"')
            here.model.say("d")
            here.model.finish()
            assert text_of((await foreign.read_all()).body) == "cd"
        await owner.read_all()
        assert text_of((await there.answer(last="1.3")).body) == "d"
        assert (await there.answer(last="1.end")).status == 204
        assert (here.model.calls, there.model.calls) == (1, 0)


async def test_a_stop_at_one_replica_cancels_the_model_call_of_the_other() -> None:
    """Its upstream is cancelled as soon as the owner hears of it, and readers at both are told."""
    async with two_replicas() as (here, there), here.ask() as owner, there.ask() as foreign:
        here.model.say("a")
        await owner.read_until(b'"a"')
        await foreign.read_until(b'"a"')
        assert await there.post(f"/streams/{CID}/stop") == 204
        ends = [end_of((await visit.read_all()).body) for visit in (owner, foreign)]
        assert ends == [{"status": "stopped", "reason": "asked", "retryable": True, "n": 1}] * 2
        await until(lambda: here.model.cancelled == 1)


async def test_a_listener_at_the_other_replica_keeps_the_answer_alive() -> None:
    """The owner's own readers may all leave; the grace begins when the last one elsewhere has left, too."""
    async with two_replicas(grace_s=0.3) as (here, there), contextlib.AsyncExitStack() as readers:
        async with here.ask() as owner:
            here.model.say("a")
            await owner.read_until(b'"a"')
            foreign = await readers.enter_async_context(there.ask())
            await foreign.read_until(b'"a"')
        async with here.ask("another-key"):
            pass
        await until(lambda: here.model.cancelled)  # the other answer: its grace began later, and is over
        assert [record.reason for record in here.records] == ["client_left"]
        here.model.say("b")
        await foreign.read_until(b'"b"')
        await readers.aclose()
        await until(lambda: here.model.cancelled == 2)


async def test_an_owner_lost_before_its_first_word_is_replaced_by_a_reader_elsewhere() -> None:
    """The reader who waits at the other replica starts the answer again by itself: a reset, and one more call."""
    async with with_way() as (here, there, network), here.ask(), there.ask() as foreign:
        await foreign.read_until(b"attached")
        network.fault = Fault.REQUESTS
        there.model.say("anew")
        there.model.finish()
        await foreign.read_all()
        assert parsed(foreign.body)[3] == Event("sg-reset", "2.0", {"epoch": 2})
        assert parsed(foreign.body)[5].data["result"] == "restarted"
        assert text_of(foreign.body) == "anew"
        assert (here.model.calls, there.model.calls) == (1, 1)
        entered = Counter((record.result, record.reason) for record in there.records)
        assert entered == {("started", "owner_lost"): 1, ("restarted", ""): 1}
        network.fault = None
        await until(lambda: here.model.cancelled == 1)


async def test_an_owner_lost_midway_is_told_and_retried() -> None:
    """Readers elsewhere get the partial text and a retryable end; an explicit retry gets a whole answer."""
    async with with_way() as (here, there, network), here.ask() as owner, there.ask() as foreign:
        here.model.say("half")
        await foreign.read_until(b'"half"')
        network.fault = Fault.REQUESTS
        end = end_of((await foreign.read_all()).body)
        assert end == {"status": "failed", "reason": "owner_lost", "retryable": True, "n": 1}
        assert there.model.calls == 0
        there.model.say("whole")
        there.model.finish()
        assert text_of((await there.answer(retry="1")).body) == "whole"
        network.fault = None
        assert end_of((await owner.read_all()).body)["reason"] == "owner_lost"
        assert (here.model.calls, there.model.calls, here.model.cancelled) == (1, 1, 1)


async def test_racing_first_requests_call_the_model_once() -> None:
    """Two hundred at once, over both replicas: one call, and everybody has the whole answer."""
    async with two_replicas() as stages:
        for stage in stages:
            stage.model.say("a", "b")
            stage.model.finish()
        answers = await asyncio.gather(*(stages[n % 2].answer() for n in range(RACERS)))
        assert [text_of(visit.body) for visit in answers] == ["ab"] * RACERS
        assert sum(stage.model.calls for stage in stages) == 1


async def test_a_reader_that_takes_nothing_is_dropped_and_resumes() -> None:
    """It loses its connection and not its place: the rest of the text comes over the next one, at any replica."""
    halves: list[ServerHalf] = []
    store = shared_store()
    limits = Limits(stall_s=0.4, log_bytes=2 * LINES * len(LINE))
    settings: dict[str, Any] = {"limits": limits, "middleware": lambda app: measured(app, halves)}
    async with on_stage(store, **settings) as here, on_stage(store, **settings) as there:
        here.model.say(*[LINE] * LINES)
        here.model.finish()
        stalled = await take_nothing(here.port)
        await until(lambda: halves)
        assert halves[0].how is Disconnect.SLOW
        await stalled.read_all()
        stalled.writer.close()
        last = next(event.id for event in reversed(parsed(whole_events(stalled.body))) if event.id)
        rest = await there.answer(last=last)
        assert len(text_of(whole_events(stalled.body)) + text_of(rest.body)) == LINES * len(LINE)
        assert end_of(rest.body)["status"] == "done"
        assert here.model.calls + there.model.calls == 1


def measured(app: Any, halves: list[ServerHalf]) -> StreamGapMiddleware:
    return StreamGapMiddleware(app, sinks=[halves.append])


def whole_events(body: bytes) -> bytes:
    """Leave out what was cut before its blank line, as a browser does."""
    return body[: body.rindex(b"\n\n") + 2]


async def take_nothing(port: int) -> Visit:
    """Send a request, read the head of its response and then no more, with little room for what comes."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, (HOST, port))
    reader, writer = await asyncio.open_connection(sock=client, limit=8192)
    writer.write(f"GET /chat?cid={CID} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return await Visit(reader, writer).read_head()
