"""Virtual time and virtual processes: an event loop that jumps from timer to timer, and decides whose turn it is.

What runs in a context with a `PROCESS` belongs to it. While that is frozen (SIGSTOP), whatever is due waits, timers
and answers of others alike, and happens in the same order afterwards; once it is dead (kill -9), it never happens: no
`except`, no `finally`, no goodbye.
"""

import asyncio
import selectors
from collections import deque
from collections.abc import Coroutine, Generator
from contextvars import Context, ContextVar
from typing import Any, TypeVar

T = TypeVar("T")


class Process:
    """Whose tasks, timers and callbacks something is; `held` are those that are due."""

    def __init__(self) -> None:
        self.frozen = False
        self.dead = False
        self.held: list[asyncio.Handle] = []
        self.tasks: set[asyncio.Task[Any]] = set()

    @property
    def stands_still(self) -> bool:
        return self.frozen or self.dead


PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still while there is work, and jumps to the next timer when there is none."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self._idle: asyncio.Future[None] | None = None
        super().__init__(_Jumps(self))
        # asyncio gives no say in whose turn it is; BaseEventLoop takes every callback, timers too, from here.
        self._ready = _Turns()
        self.set_task_factory(_task)

    def time(self) -> float:
        return self.now_s

    def turn(self) -> None:
        """Let everything that is due now have one turn."""
        self.call_soon(self.stop)
        self.run_forever()

    def settle(self) -> None:
        """Let everything happen that takes no time."""
        self._idle = self.create_future()
        self.run_until_complete(self._idle)
        self._idle = None

    def pass_time(self, time_s: float) -> None:
        """Let time pass, and everything happen that is due."""
        self.run_until_complete(asyncio.sleep(time_s))

    def thaw(self, process: Process) -> None:
        """Let a process go on, with what it has missed."""
        process.frozen = False
        self._ready.extend(process.held)
        process.held.clear()

    def bury(self, process: Process) -> None:
        """Unwind what a dead process has left, so that nothing of it happens once Python collects it."""
        process.dead = False
        self.thaw(process)
        for task in tuple(process.tasks):
            task.cancel()

    def idle(self, wait_s: float | None) -> None:
        """Take note that there is no work for so many seconds."""
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        elif wait_s is None:
            raise RuntimeError("nothing will ever happen again")
        else:
            self.now_s += wait_s


class _Jumps(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and (timeout is None or timeout > 0):
            self._loop.idle(timeout)
        return ready


class _Turns(deque[asyncio.Handle]):
    """Callbacks that are due. Those of a process that stands still are put aside when it is their turn."""

    def popleft(self) -> asyncio.Handle:
        handle = super().popleft()
        process = handle._context.get(PROCESS)  # type: ignore[attr-defined] # asyncio's own
        if process is None or not process.stands_still or handle.cancelled():
            return handle
        process.held.append(handle)
        return _NOTHING


class _Nothing(asyncio.Handle):
    """A callback that was cancelled, which the event loop passes over."""

    def __init__(self) -> None:
        self._cancelled = True


_NOTHING = _Nothing()


def _task(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, T] | Generator[Any, None, T],
    *,
    context: Context | None = None,
) -> asyncio.Task[T]:
    process = context.get(PROCESS) if context is not None else PROCESS.get()
    task = asyncio.Task(work, loop=loop, context=context)
    if process is not None:
        process.tasks.add(task)
        task.add_done_callback(process.tasks.discard)
    return task
