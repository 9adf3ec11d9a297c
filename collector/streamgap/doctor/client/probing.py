"""One request on one new connection, and all that came."""

import asyncio
import contextlib
import time
from collections.abc import Callable

from streamgap.core.probe import Asked, Ending, Probe, Protocol
from streamgap.doctor.client.connecting import connect, not_connected
from streamgap.doctor.client.events import Content
from streamgap.doctor.client.http1 import Http1
from streamgap.doctor.client.http2 import Http2
from streamgap.doctor.client.lag import Lag
from streamgap.doctor.client.limits import ClientLimits
from streamgap.doctor.client.recording import OnEvent, Recording, silent
from streamgap.doctor.client.target import Target
from streamgap.doctor.client.wire import Wire
from streamgap.doctor.drip.plan import query_of

DEFAULTS = ClientLimits()


async def probe(
    target: Target,
    asked: Asked,
    *,
    clock: Callable[[], float] = time.monotonic,
    limits: ClientLimits = DEFAULTS,
    lag: Lag | None = None,
    on_event: OnEvent = silent,
    stop: asyncio.Event | None = None,
    head_only: bool = False,
) -> Probe:
    """Ask once, and return what came; whatever a server does is part of the answer and never raised.

    `clock` counts seconds. `lag` watches the event loop, `on_event` is told of each arrival. The probe ends as
    `stopped` when `stop` is set or, with `head_only`, the headers came. Raises ValueError for a protocol that the URL's
    scheme has not.
    """
    if asked.protocol not in target.protocols:
        raise ValueError(f"probe: expected one of {target.protocols} for {target.scheme}, got {asked.protocol}")
    content = Content(is_drip=target.is_drip or bool(asked.pace))
    recording = Recording(
        asked=asked, limits=limits, began_ms=clock() * 1000, content=content, on_event=on_event, head_only=head_only
    )
    with contextlib.ExitStack() as watching:
        watch = watching.enter_context(lag.watch()) if lag else None
        await _exchange(target, Wire(recording, clock), recording, stop=stop or asyncio.Event())
        return recording.probe(lag_ms=watch.worst_ms if watch else 0.0)


async def _exchange(target: Target, wire: Wire, recording: Recording, *, stop: asyncio.Event) -> None:
    limits = recording.limits
    try:
        async with asyncio.timeout(limits.connect_s):
            await connect(wire, target, recording.asked.protocol)
    except (OSError, UnicodeError) as error:  # TimeoutError, DNS and TLS errors are among them
        wire.end(Ending.REFUSED, not_connected(error, target, limits))
    else:
        _send(target, wire, recording)
        try:
            async with asyncio.timeout(limits.total_s):
                await _ended(wire, stop)
        except TimeoutError:
            came = "its end" if recording.status is not None else "a response"
            wire.end(Ending.TIMED_OUT, f"expected {came} within {limits.total_s:g} s, got none")
    finally:
        await wire.drop()


def _send(target: Target, wire: Wire, recording: Recording) -> None:
    asked = recording.asked
    if asked.protocol is Protocol.H2 and wire.agreed != "h2":
        wire.end(Ending.REFUSED, f"expected h2 by ALPN, got {wire.agreed or 'none'}")
        return
    session = Http2(recording) if asked.protocol is Protocol.H2 else Http1(recording)
    is_drip = target.is_drip or bool(asked.pace)
    body = (target.body or b"") if asked.method == "POST" else b""
    request = session.request(
        asked.method,
        target.path_for(query_of(asked)) if is_drip else target.path,
        target.authority,
        target.headers_for(asked),
        body,
    )
    wire.start(session, request)


async def _ended(wire: Wire, stop: asyncio.Event) -> None:
    waits = {asyncio.create_task(event.wait()) for event in (wire.ended, stop)}
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    wire.end(Ending.STOPPED)
