"""Apps that are slow themselves: the path must not be accused of what they do."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import StreamingResponse

THINK_S = 2.5
GRID_S = 0.7
TOKENS = 60
TOKEN_S = 0.03
BURST = 12


async def late_sleep(seconds: float) -> None:
    """Sleep, and think for `THINK_S` where there is a first silence; then all that is late comes at once."""
    await asyncio.sleep(seconds + (THINK_S if seconds > FIRST_S else 0))


FIRST_S = 0.2


async def bursty_sleep(seconds: float) -> None:
    """Sleep until the next multiple of `GRID_S` seconds: a model that thinks in batches."""
    due_s = time.monotonic() + seconds
    await asyncio.sleep(-(-due_s // GRID_S) * GRID_S - time.monotonic() if seconds else 0)


async def answer(request: Request) -> StreamingResponse:
    """Answer like a model: a long thought, then a token every `TOKEN_S`; with `bursty` in the path by the dozen."""
    bursty = "bursty" in request.url.path

    async def tokens() -> AsyncIterator[str]:
        await asyncio.sleep(THINK_S)
        for index in range(TOKENS):
            yield f"data: {json.dumps({'choices': [{'delta': {'content': f'word {index} '}}]})}\n\n"
            if not bursty:
                await asyncio.sleep(TOKEN_S)
            elif index % BURST == BURST - 1:
                await asyncio.sleep(GRID_S)
        yield "data: [DONE]\n\n"

    return StreamingResponse(tokens(), media_type="text/event-stream", headers={"cache-control": "no-cache"})
