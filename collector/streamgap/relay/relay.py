"""`Relay`: one paid generation per key, however many connections read it and however often they come back."""

import random
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Literal, Self

from streamgap.core.errors import SettingsError
from streamgap.core.words import GenerationResult
from streamgap.instrument.asgi.kinds import App, Scope
from streamgap.instrument.export import GenerationSink
from streamgap.relay.asking import Principal, anyone, read_ask
from streamgap.relay.endpoints import endpoints
from streamgap.relay.events import Manners
from streamgap.relay.ledger import Ledger
from streamgap.relay.limits import Limits
from streamgap.relay.memory import MemoryStore
from streamgap.relay.owner import Generate
from streamgap.relay.refusals import BusyError, RefusedError
from streamgap.relay.rendering import Render, text_of_chunks
from streamgap.relay.response import Attached, EventStream
from streamgap.relay.sources import Plan, Sources
from streamgap.relay.stalls import Reader, StallWatch
from streamgap.relay.store import LogStore

END_EVENT = "sg-end"
_CALLED = (GenerationResult.STARTED, GenerationResult.BYPASSED)


class Relay:
    """Turns model calls into logs that any number of connections can read, from where they left off.

    `store` keeps the logs (default: in this process; replicas share one). `grace_s`: seconds after the last listener
    has left until the model call is cancelled (0: at once; `math.inf`: never). `heartbeat_s`: silence after which an
    `sg-ping` is sent, where no `StreamGapMiddleware` decides. `principal` names who asks, so that nobody reads
    another's answer. `secret` keys the digests that stand in the store: the same on all replicas. `when_store_fails`:
    ``bypass`` calls the model without the store's word, ``refuse`` asks the client to come back. `retry_ms`: from and
    to, the reconnection time that each connection draws; `busy_ms`: the same where there is no room now. `sinks` take
    the ledger's records, in the event loop.

    An async context manager; leaving it (or `close`) ends what runs.
    """

    def __init__(
        self,
        store: LogStore | None = None,
        *,
        grace_s: float = 10.0,
        heartbeat_s: float = 15.0,
        principal: Principal = anyone,
        secret: str = "",
        limits: Limits | None = None,
        when_store_fails: Literal["bypass", "refuse"] = "bypass",
        retry_ms: tuple[int, int] = (1_500, 4_500),
        busy_ms: tuple[int, int] = (5_000, 15_000),
        sinks: Iterable[GenerationSink] = (),
    ) -> None:
        if not grace_s >= 0:
            raise SettingsError(f"Relay grace_s: expected seconds ≥ 0 or math.inf, got {grace_s!r}")
        for name, (from_ms, to_ms) in (("retry_ms", retry_ms), ("busy_ms", busy_ms)):
            if not 0 < from_ms <= to_ms:
                raise SettingsError(f"Relay {name}: expected (from, to) with 0 < from ≤ to, got {(from_ms, to_ms)!r}")
        if when_store_fails not in ("bypass", "refuse"):
            raise SettingsError(f"Relay when_store_fails: expected 'bypass' or 'refuse', got {when_store_fails!r}")
        limits = limits or Limits()
        self._store = store or MemoryStore()
        self._sources = Sources(self._store, limits=limits, may_bypass=when_store_fails == "bypass")
        self._grace_s = grace_s
        self._principal = principal
        self._secret = secret.encode()
        self._sinks = tuple(sinks)
        jitter = random.Random()  # noqa: S311, it only spreads the load
        self._manners = Manners(
            heartbeat_s=heartbeat_s,
            retry_ms=lambda: jitter.randint(*retry_ms),
            busy_ms=lambda: jitter.randint(*busy_ms),
            stalls=StallWatch(limits.stall_s),
        )
        self.app: App = endpoints(self.resume, self.stop)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def stream(
        self,
        generate: Generate,
        *,
        asked: Any,
        model: str = "",
        render: Render | None = None,
        grace_s: float | None = None,
        end_event: str = END_EVENT,
    ) -> EventStream:
        """Return the response to a request for an answer, for the route to return.

        `generate` calls the model; it is called if this request is the one that has to, and only then. `asked` is what
        it asks (any JSON: model, prompt, settings): a key that comes again with something else is refused. `render`
        makes the data of one event from a chunk, or None for no event; by default the chunk's text, as ``{"t": …}``.
        Raises ValueError without `asked`: a request that does not say what it asks may only read.
        """
        if asked is None:
            raise ValueError("relay.stream asked: expected what is asked (any JSON, e.g. [model, prompt]), got None")
        plan = Plan(
            generate=generate,
            model=model,
            render=render or text_of_chunks(),
            grace_s=self._grace_s if grace_s is None else grace_s,
        )
        return self._response(plan, asked=asked, end_event=end_event)

    def resume(self, cid: str, *, end_event: str = END_EVENT) -> EventStream:
        """Return the response to a request that reads the answer with the key `cid`, and never calls the model."""
        plan = Plan(generate=None, model="", render=text_of_chunks(), grace_s=self._grace_s)
        return self._response(plan, cid=cid, end_event=end_event)

    async def stop(self, scope: Scope, cid: str) -> bool:
        """End the generation with the key `cid` of whoever sent this request, at once; false where there is none.

        Raises RefusedError for a key that cannot be, StoreUnavailableError where it may run elsewhere.
        """
        ask = read_ask(scope, principal=self._principal, secret=self._secret, cid=cid)
        return await self._sources.stop(ask.key, Ledger(scope, model="", sinks=self._sinks))

    async def close(self) -> None:
        """End every generation as failed (`shutdown`), let the store know, and give its connections back."""
        await self._sources.close()
        await self._store.close()

    def _response(self, plan: Plan, *, end_event: str, asked: Any = None, cid: str = "") -> EventStream:
        async def attach(scope: Scope, reader: Reader) -> Attached:
            ask = read_ask(scope, principal=self._principal, secret=self._secret, asked=asked, cid=cid)
            ledger = Ledger(scope, model=plan.model, sinks=self._sinks)
            try:
                source, result = await self._sources.attach(ask, plan, ledger, reader)
            except (BusyError, RefusedError) as error:
                ledger.refuse(ask.key, "busy" if isinstance(error, BusyError) else "mismatch")
                raise
            cause = None if result in _CALLED else ask.cause
            return Attached(ask=ask, source=source, result=result, cause=cause, model=plan.model)

        return EventStream(attach, self._sources.detach, manners=self._manners, end_event=end_event)
