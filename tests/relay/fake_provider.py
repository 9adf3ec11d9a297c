"""A model provider as an ASGI app, for real SDKs to call: it plays bytes, and notes when its client's socket closes.

The bytes are of the providers' own wire formats, see `relay.wires`.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

Step = bytes | asyncio.Event
"""Bytes to write, or an event to wait for before what follows."""
_STREAM = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
_REFUSAL = {"type": "http.response.start", "status": 429, "headers": [(b"content-type", b"application/json")]}
_QUOTA = b'{"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}'


def never() -> asyncio.Event:
    """Return a step that keeps silent for good."""
    return asyncio.Event()


@dataclass
class Call:
    """One request. `gone` is set when the client's socket closes while the answer goes on."""

    path: str
    body: Mapping[str, Any]
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class FakeProvider:
    """Answers every request with `steps` and then, if there is one, `for_ever` again and again; or refuses with 429.

    The headers leave with the first bytes.
    """

    def __init__(self, *steps: Step, for_ever: bytes = b"", refuses: bool = False) -> None:
        self.calls: list[Call] = []
        self._start = _REFUSAL if refuses else _STREAM
        self._steps = (_QUOTA,) if refuses else steps
        self._for_ever = for_ever

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request (ASGI)."""
        self.calls.append(call := Call(scope["path"], json.loads(await _body(receive))))
        playing, leaving = asyncio.create_task(self._play(send)), asyncio.create_task(_left(receive))
        await asyncio.wait({playing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not playing.done():
            call.gone.set()
        for task in (playing, leaving):
            task.cancel()
        await asyncio.gather(playing, leaving, return_exceptions=True)

    async def _play(self, send: Callable[..., Any]) -> None:
        started = False
        for step in chain(self._steps, repeat(self._for_ever) if self._for_ever else ()):
            if isinstance(step, asyncio.Event):
                await step.wait()
                continue
            if not started:
                await send(self._start)
                started = True
            await send({"type": "http.response.body", "body": step, "more_body": True})
            await asyncio.sleep(0)  # a send need not wait, and the client is to have its turn
        await send({"type": "http.response.body", "body": b""})


async def _body(receive: Callable[..., Any]) -> bytes:
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def _left(receive: Callable[..., Any]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
