"""Closing what a stream holds, for real: the upstream socket, not only the Python object."""

import asyncio
import contextlib
import inspect
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Any

from streamgap.instrument.generation import Generation

CLOSE_TIMEOUT_S = 5.0
"""Longest time an SDK may take to unwind after it was interrupted."""
MAX_BUFFERED_CHUNKS = 1024
"""Chunks that may lie ready in the SDK's buffer before a read really waits for the socket."""

_END = object()
_log = logging.getLogger("streamgap")


async def close_async(source: Any, *, lingers: bool) -> None:
    """Close an async source after its consumer left early. Never raises; an error of the source is logged at DEBUG."""
    try:
        if lingers:
            await _interrupt(source)
        close = getattr(source, "aclose", None) or getattr(source, "close", None)
        closing = close() if close else None
        if inspect.isawaitable(closing):
            await closing
    except Exception:  # noqa: BLE001, whoever left is not interested in how the source took it
        _log.debug("streamgap: closing %r raised", type(source), exc_info=True)


def close_sync(source: Any) -> None:
    """Close a sync source after its consumer left early. Never raises; an error of the source is logged at DEBUG."""
    try:
        close = getattr(source, "close", None)
        if close:
            close()
    except Exception:  # noqa: BLE001, whoever left is not interested in how the source took it
        _log.debug("streamgap: closing %r raised", type(source), exc_info=True)


async def close_orphans(generations: Iterable[Generation]) -> None:
    """Close the streams whose reader is dead but which something still refers to, a traceback for one.

    A stream that another task goes on reading (a relay) is left alone.
    """
    for generation in generations:
        if (orphan := generation.orphan) is not None:
            with contextlib.suppress(RuntimeError):  # it is being closed already
                await orphan.aclose()


async def _interrupt(source: AsyncIterator[Any]) -> None:
    """Cancel a read of `source` while it waits for the socket.

    In google-genai only this closes the connection at once: `aclose()` ends the outermost of its generators and leaves
    the rest, and the socket, to the cyclic garbage collector (github.com/googleapis/python-genai/issues/2425).
    """
    for _ in range(MAX_BUFFERED_CHUNKS):
        step = asyncio.create_task(_step(source))
        await asyncio.sleep(0)
        step.cancel()
        await asyncio.wait((step,), timeout=CLOSE_TIMEOUT_S)
        if not step.done() or step.cancelled() or step.exception() or step.result() is _END:
            return


async def _step(source: AsyncIterator[Any]) -> Any:
    return await anext(source, _END)
