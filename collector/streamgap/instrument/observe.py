"""`observe`: one recorder with two faces, async and sync, that pass a stream of chunks through and measure it."""

import inspect
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import Any, TypeVar, overload

from streamgap.instrument.faces import ObservedAsync, ObservedSync
from streamgap.instrument.generation import Call, Clock, Generation
from streamgap.instrument.stream import CURRENT, StreamRecord

T = TypeVar("T")


@overload
def observe(
    source: AsyncIterable[T] | Awaitable[AsyncIterable[T]],
    *,
    model: str = ...,
    provider: str = ...,
    operation: str = ...,
    classify: Callable[[T], bool] | None = ...,
    stream: StreamRecord | None = ...,
    clock: Clock | None = ...,
) -> ObservedAsync[T]: ...


@overload
def observe(
    source: Iterable[T],
    *,
    model: str = ...,
    provider: str = ...,
    operation: str = ...,
    classify: Callable[[T], bool] | None = ...,
    stream: StreamRecord | None = ...,
    clock: Clock | None = ...,
) -> ObservedSync[T]: ...


def observe(
    source: Any,
    *,
    model: str = "",
    provider: str = "",
    operation: str = "",
    classify: Callable[[Any], bool] | None = None,
    stream: StreamRecord | None = None,
    clock: Clock | None = None,
) -> Any:
    """Measure one model call by wrapping its stream of chunks, which comes out as it went in.

    `source` is an async or sync iterable, or an awaitable of an async one. Hand the awaitable over un-awaited where the
    SDK sends the request in it, as OpenAI's and Anthropic's do: the clock starts right before the first thing that
    can. `model`, `provider` and `operation` are the semantic conventions' names; what is left out is taken from the
    chunks. `classify` tells content chunks from others where the chunks are of your own making. The call belongs to
    `stream`, by default to the response that `StreamGapMiddleware` is measuring here. `clock` is monotonic, in ns.

    Raises TypeError for a source that cannot be iterated; after that, only what the source itself raises.
    """
    if isinstance(source, ObservedAsync | ObservedSync):
        return source
    stream = stream or CURRENT.get()
    clock = clock or (stream.clock if stream else time.perf_counter_ns)
    call = Call(model=model, provider=provider, operation=operation, content=classify)
    return face(source, Generation(call, clock=clock), stream=stream)


def face(source: Any, generation: Generation, *, stream: StreamRecord | None) -> ObservedAsync[Any] | ObservedSync[Any]:
    """Give `source` the face of its kind."""
    if hasattr(source, "__aiter__") or inspect.isawaitable(source):
        return ObservedAsync(source, generation, stream=stream)
    if hasattr(source, "__iter__"):
        return ObservedSync(source, generation, stream=stream)
    raise TypeError(
        f"observe: expected an async or sync iterable of chunks, or an awaitable of one, got {type(source).__name__}"
    )
