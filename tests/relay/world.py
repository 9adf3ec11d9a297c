"""Replicas of a relay, their clients and their model, in one event loop of virtual time, without a socket."""

import asyncio
import functools
import math
from collections.abc import AsyncIterator
from contextvars import Context, ContextVar
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

from instrument.lab import chat_chunk
from relay.flaky import Fault, Network, Way
from relay.page import Page, Told
from relay.request import ANSWERED, PLAIN, Request, Wish, http_scope
from relay.virtual import PROCESS, Process, VirtualLoop
from streamgap.relay import Limits, MemoryStore, Relay

if TYPE_CHECKING:
    from streamgap.core.wire import GenerationRecord

LEASE_S, RENEW_S, LINGER_S, KEEP_S = 3.0, 0.5, 0.02, 20.0
BEAT_S = 2.0
LIMITS = Limits(log_events=12, age_s=25.0, stall_s=4.0, patience_s=5.0, generations=5, listeners=3)
REQUEST: ContextVar[Request] = ContextVar("request")


class Call:
    """One call of the model, which streams what it is told to.

    `epoch` is what the store granted for it, None where the store could not be asked. `said` counts the texts that have
    left it, `fate` says how it ended.
    """

    def __init__(self, number: int, request: Request, *, now_s: float) -> None:
        self.number = number
        self.request = request
        self.epoch = request.epoch
        self.is_granted = request.epoch is not None or request.was_refused
        self.cid = request.page.cid
        self.said = 0
        self.fate = "running"
        self.began_s = now_s
        self.ended_s = math.inf
        self._queue: asyncio.Queue[str] = asyncio.Queue()

    @property
    def is_lost(self) -> bool:
        """Whether its process died under it."""
        return self.fate == "running" and self.request.process.dead

    @property
    def is_running(self) -> bool:
        return self.fate == "running" and not self.is_lost

    def say(self, what: str) -> None:
        """Stream a `text` or a `thought`; `end`, be `cut` off without one, or fail with an `error`."""
        self._queue.put_nowait(what)

    async def stream(self) -> AsyncIterator[Any]:
        fate = "cancelled"
        try:
            while True:
                match await self._queue.get():
                    case "text":
                        self.said += 1
                        yield chat_chunk(f"{self.number}:{self.said}")
                    case "thought":
                        yield chat_chunk(None)
                    case "end":
                        fate = "done"
                        yield chat_chunk(None, finish="stop")
                        return
                    case "cut":
                        fate = "failed"
                        return
                    case _:
                        fate = "failed"
                        raise ConnectionError("model away")
        finally:
            self.fate = fate
            self.ended_s = asyncio.get_running_loop().time()


class Replica:
    """A process with a relay."""

    def __init__(self, world: "World", **settings: Any) -> None:
        self.process = Process()
        self.relay = Relay(
            Way(world.store, world.network),
            limits=LIMITS,
            heartbeat_s=BEAT_S,
            retry_ms=(3000, 3000),
            sinks=[world.records.append],
            **settings,
        )
        # No byte on the wire is left to chance, so that an example is cut off at the same place each time.
        self.relay._manners = replace(self.relay._manners, busy_ms=lambda: 9000)
        self.relay._sources._draw_epoch = world.draw_epoch


class World:
    """Everything there is. `wrongs` says what was not as promised, `faults` what has been broken on purpose."""

    def __init__(self, *, replicas: int, latency_s: float = 0.0, **settings: Any) -> None:
        self.loop = VirtualLoop()
        self.draw_epoch = functools.partial(next, count(1000, 1000))
        self.store = MemoryStore(
            lease_s=LEASE_S,
            renew_s=RENEW_S,
            keep_s=KEEP_S,
            clock=self.loop.time,
            draw_epoch=self.draw_epoch,
        )
        self.store.linger_s = LINGER_S
        self.network = Network(latency_s, granted=_granted, refused=_refused)
        self.records: list[GenerationRecord] = []
        self.wrongs: list[str] = []
        self.faults: set[str] = set()
        self.told = Told()
        self.pages: list[Page] = []
        self.requests: list[Request] = []
        self.calls: list[Call] = []
        self.stops: list[tuple[str, float]] = []
        self._settings = settings
        self._dead: list[Replica] = []
        self.replicas = [Replica(self, **settings) for _ in range(replicas)]

    @property
    def open_requests(self) -> list[Request]:
        """The requests whose client is there."""
        return [request for request in self.requests if request.is_open]

    @property
    def running(self) -> list[Call]:
        """The model calls that can still say something."""
        return [call for call in self.calls if call.is_running]

    def open(self, cid: str, wish: Wish = PLAIN, *, at: int = 0) -> Page:
        """Open a new page, which asks."""
        page = Page(cid, told=self.told, wrong=self.wrongs.append)
        self.pages.append(page)
        self.ask(page, wish, at=at)
        return page

    def ask(self, page: Page, wish: Wish = PLAIN, *, at: int = 0) -> None:
        """Let a page send a request from where it is, and leave its former one. A dead replica refuses connections."""
        for former in self.open_requests:
            if former.page is page:
                former.leave()
        replica = self._at(at)
        if replica.process.dead:
            return
        page.connect()
        request = Request(page, wish, process=replica.process, clock=self.loop.time)
        self.requests.append(request)
        context = Context()
        context.run(REQUEST.set, request)
        self._start(replica, self._serve(replica, request), context=context)

    def stop(self, cid: str, *, at: int = 0) -> None:
        """Press the stop button."""
        replica = self._at(at)
        if not replica.process.dead:
            self.stops.append((cid, self.loop.time()))
            self._start(replica, self._stop(replica, cid))

    def freeze(self, at: int) -> None:
        """Stop a process as SIGSTOP does."""
        self.faults.add("freeze")
        self._at(at).process.frozen = True

    def kill(self, at: int) -> None:
        """End a process as `kill -9` does."""
        self.faults.add("kill")
        self._end(self._at(at))

    def shut_down(self, at: int) -> None:
        """End a process as a deployment does."""
        replica = self._at(at)
        if replica.process.stands_still:
            return
        self.faults.add("shutdown")
        self.loop.run_until_complete(self._start(replica, replica.relay.close()))
        self.loop.settle()
        for request in self.open_requests:
            if request.process is replica.process and request.status and not request.has_stalled:
                self.wrongs.append(f"closing the relay left a client of {request.page.cid} without a word")
        self._end(replica)

    def go_on(self) -> None:
        """Let what is frozen go on, and start new processes where others have died."""
        for at, replica in enumerate(self.replicas):
            if replica.process.dead:
                self.replicas[at] = Replica(self, **self._settings)
            else:
                self.loop.thaw(replica.process)

    def break_store(self, fault: Fault) -> None:
        """Let nobody reach the store."""
        self.faults.add("store")
        self.network.fault = fault

    def mend_store(self) -> None:
        """Let everybody reach it again."""
        self.network.fault = None

    def close(self) -> None:
        """Unwind everything; what happens now does not count."""
        for replica in (*self._dead, *self.replicas):
            self.loop.bury(replica.process)
        while tasks := asyncio.all_tasks(self.loop):
            for task in tasks:
                task.cancel()
            self.loop.turn()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def _end(self, replica: Replica) -> None:
        if replica.process.dead:
            return
        replica.process.dead = True
        self._dead.append(replica)
        for request in self.open_requests:
            if request.process is replica.process:
                request.leave()  # the system closes its sockets

    def _at(self, at: int) -> Replica:
        return self.replicas[at % len(self.replicas)]

    def _start(self, replica: Replica, work: Any, *, context: Context | None = None) -> "asyncio.Task[None]":
        context = context or Context()
        context.run(PROCESS.set, replica.process)
        return self.loop.create_task(work, context=context)

    async def _serve(self, replica: Replica, request: Request) -> None:
        wish, relay = request.wish, replica.relay
        if wish.reads_only:
            response = relay.resume(request.page.cid)
        else:
            response = relay.stream(lambda: self._call(request), asked=["m", wish.prompt], model="m")
        try:
            await response(request.scope, request.receive, request.send)
        except Exception as error:  # noqa: BLE001, whatever it is, a server would only log it
            self.wrongs.append(f"a request for {request.page.cid} raised {error!r}")
        finally:
            request.hang_up()

    async def _stop(self, replica: Replica, cid: str) -> None:
        page = Page(cid, told=self.told, wrong=self.wrongs.append)
        request = Request(page, PLAIN, process=replica.process, clock=self.loop.time)
        await replica.relay.app(http_scope("POST", f"/{cid}/stop"), request.receive, request.send)
        if request.status not in ANSWERED:
            self.wrongs.append(f"stopping {cid} was answered {request.status}")

    def _call(self, request: Request) -> AsyncIterator[Any]:
        call = Call(len(self.calls), request, now_s=self.loop.time())
        self.calls.append(call)
        request.epoch, request.was_refused = None, False  # good for one call
        return call.stream()


def _granted(epoch: int) -> None:
    REQUEST.get().epoch = epoch


def _refused() -> None:
    request = REQUEST.get(None)
    if request is not None:
        request.was_refused = True
