"""The reconnect storm: readers of one answer on a path that cuts them again and again, with the relay and without."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import FastAPI, Query
from fastapi.responses import StreamingResponse
from google import genai

from streamgap.core.sse import sse_event, sse_retry
from streamgap.relay import EventStream, Relay

MAX_RUNS = 50
RETRY_MS = (250, 750)
"""Reconnection times of the demo: a person watches, and waits for nothing else."""

Run = Annotated[str, Query(alias="cid", pattern=r"^[\w-]{8,64}$")]


@dataclass(slots=True)
class Tally:
    """What one storm has come to: connections that asked for the answer, and calls of the model."""

    connections: int = 0
    calls: int = 0


class Storms:
    """The tallies of the last `MAX_RUNS` storms by id, oldest forgotten first."""

    def __init__(self) -> None:
        self._tallies: OrderedDict[str, Tally] = OrderedDict()

    def tally(self, run: str) -> Tally:
        """Return the tally of a storm, a new one where it is unknown."""
        tally = self._tallies.setdefault(run, Tally())
        while len(self._tallies) > MAX_RUNS:
            self._tallies.popitem(last=False)
        return tally


def serve_storms(app: FastAPI, *, client: genai.Client, model: str, question: str, relay: Relay) -> None:
    """Add the two ways to stream the answer of a storm, and its tally. One function calls the model for both."""
    storms = Storms()

    def call_model(run: str) -> Awaitable[AsyncIterator[Any]]:
        storms.tally(run).calls += 1
        return client.aio.models.generate_content_stream(model=model, contents=question)

    async def plain_answer(run: str) -> AsyncIterator[bytes]:
        yield sse_retry(sum(RETRY_MS) // 2)
        async for chunk in await call_model(run):
            if chunk.text:
                yield sse_event({"t": chunk.text})
        yield sse_event({}, event="done")

    @app.get("/storm/relay")
    async def relayed(run: Run) -> EventStream:
        storms.tally(run).connections += 1
        return relay.stream(lambda: call_model(run), asked=[model, question], model=model, end_event="done")

    @app.get("/storm/plain")
    async def plain(run: Run) -> StreamingResponse:
        storms.tally(run).connections += 1
        return StreamingResponse(plain_answer(run), media_type="text/event-stream")

    @app.get("/demo/storm")
    async def tally(run: Run) -> Tally:
        return storms.tally(run)
