"""The owner of a generation: runs the model call in a task of its own, outside of every request, and writes its log."""

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import Any

import msgspec

from streamgap.core.words import Outcome
from streamgap.instrument.closing import close_async
from streamgap.instrument.endings import ending_of
from streamgap.instrument.faces import ObservedAsync
from streamgap.instrument.observe import observe
from streamgap.instrument.stream import CURRENT
from streamgap.relay.blocking import from_blocking
from streamgap.relay.farewell import farewell_of
from streamgap.relay.limits import Limits
from streamgap.relay.log import Log
from streamgap.relay.rendering import Render
from streamgap.relay.shipping import Shipping
from streamgap.relay.source import Source
from streamgap.relay.stalls import Reader
from streamgap.relay.states import CLIENT_LEFT, End, Status
from streamgap.relay.store import LogStore

Generate = Callable[[], AsyncIterable[Any] | Awaitable[AsyncIterable[Any]] | Iterable[Any]]
"""Calls the model: returns its stream of chunks, async or sync, or an awaitable of one."""

SHUTDOWN = End(Status.FAILED, "shutdown")
TOO_OLD = End(Status.FAILED, "age")
LEFT = End(Status.STOPPED, CLIENT_LEFT)

_encode = msgspec.json.Encoder().encode
_log = logging.getLogger("streamgap")


class Owner(Source):
    """One running generation and, once it has ended, its log.

    The pump awaits nothing but the SDK. When the last reader has left, here and (as far as the store knows) elsewhere,
    the call is cancelled after `grace_s` seconds; `math.inf` lets it finish. Cancelling the task while it waits inside
    the SDK closes the upstream socket at once, as google-genai's own `aclose()` does not (see instrument/closing.py).
    """

    def __init__(
        self,
        key: str,
        *,
        epoch: int,
        fingerprint: str,
        store: LogStore | None,
        limits: Limits,
        grace_s: float,
        model: str,
        render: Render,
        on_end: Callable[["Owner", End], None],
    ) -> None:
        super().__init__(Log(epoch, limits=limits), key=key, fingerprint=fingerprint)
        self.most_readers = 0
        self.unheard_from: int | None = None
        self._grace_s = grace_s
        self._limits = limits
        self._model = model
        self._render = render
        self._on_end = on_end
        self._end: End | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._pump: asyncio.Task[None] | None = None
        self._elsewhere = 0
        self._age: asyncio.TimerHandle | None = None
        self._shipping: Shipping | None = None
        if store is not None:
            self._shipping = Shipping(
                self.log, key=key, fingerprint=fingerprint, store=store, on_answer=self._heard_from_store
            )

    def start(self, generate: Generate) -> None:
        """Call the model. Runs in the context of the request that asked first, whose response then shows the call."""
        loop = asyncio.get_running_loop()
        self._pump = loop.create_task(self._run(generate))
        self._age = loop.call_later(self._limits.age_s, self.stop, TOO_OLD)
        if self._shipping:
            self._shipping.start()

    def join(self, reader: Reader) -> None:
        """Count a reader in: the generation has a listener."""
        super().join(reader)
        self.most_readers = max(self.most_readers, len(self.readers))
        self._mind_listeners()

    def leave(self, reader: Reader) -> None:
        """Count a reader out; after the last one the grace begins."""
        super().leave(reader)
        self._mind_listeners()

    def stop(self, end: End) -> None:
        """Cancel the model call, which then ends as `end`; the first end counts."""
        if self._end is None and self.log.farewell is None:
            self._end = end
            if self._pump is not None:
                # Not at once: a task that is cancelled before its first step never takes it, and would end no log.
                self._pump.get_loop().call_soon(self._pump.cancel)

    @property
    def is_done(self) -> bool:
        """Whether the call has ended and the store has its log (or is given up)."""
        return not self.work

    @property
    def work(self) -> list[asyncio.Task[None]]:
        """The model call, and the shipping of its log."""
        tasks = (self._pump, self._shipping.task if self._shipping else None)
        return [task for task in tasks if task is not None and not task.done()]

    async def _run(self, generate: Generate) -> None:
        source: ObservedAsync[Any] | None = None
        try:
            asked_by = CURRENT.get()
            CURRENT.set(None)  # what generate() measures by itself is this very call
            source = self._observed(generate(), asked_by)
            self.generation = source.generation
            append, render = self.log.append, self._render
            async for chunk in source:
                data = render(chunk)
                if data is not None:
                    append(_encode(data))
            end = self._end or self._said_end()
        except asyncio.CancelledError:
            end = self._end or SHUTDOWN
        except Exception as error:  # noqa: BLE001, whatever the SDK or the app raises ends this generation only
            end = self._failed(error)
        if source is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await close_async(source, lingers=False)
        self._finish(end)

    def _observed(self, made: Any, stream: Any) -> ObservedAsync[Any]:
        if not (hasattr(made, "__aiter__") or hasattr(made, "__await__")):
            made = from_blocking(made)
        observed = observe(made, model=self._model, stream=stream)
        if not isinstance(observed, ObservedAsync):
            raise TypeError(f"relay: expected generate() to return a stream of chunks, got {type(made).__name__}")
        return observed

    def _said_end(self) -> End:
        """Say how a call that ended by itself ended: without a reason of its own it was cut off."""
        ending = self.generation.ending if self.generation else None
        if ending is None or ending.outcome is Outcome.COMPLETE:
            return End(Status.DONE)
        if ending.outcome in (Outcome.TRUNCATED, Outcome.UPSTREAM_ERROR):
            return End(Status.FAILED, ending.error or ending.outcome)
        return End(Status.DONE, ending.outcome)

    def _failed(self, error: Exception) -> End:
        _log.warning("streamgap relay: the generation failed", exc_info=error)
        ending = ending_of(error)
        return End(Status.FAILED, ending.error or str(ending.outcome))

    def _finish(self, end: End) -> None:
        for timer in (self._grace, self._age):
            if timer is not None:
                timer.cancel()
        self._end = end
        self.log.close(farewell_of(end))
        if self._shipping:
            self._shipping.finish(end)
        self._on_end(self, end)

    def _mind_listeners(self) -> None:
        """Begin the grace when nobody listens any more, end it when somebody does again."""
        if self.log.farewell is not None:
            return
        if self.readers or self._elsewhere:
            self.unheard_from = None
            if self._grace is not None:
                self._grace.cancel()
                self._grace = None
        elif self._grace is None:
            self.unheard_from = self.log.total_bytes
            if self._grace_s < math.inf:
                self._grace = asyncio.get_running_loop().call_later(self._grace_s, self.stop, LEFT)

    def _heard_from_store(self, end: End | None, readers: int) -> None:
        """Take the store's word: `end` is how others ended this epoch, `readers` how many replicas read along."""
        if end is not None:
            self.stop(end)
        self._elsewhere = readers
        self._mind_listeners()
