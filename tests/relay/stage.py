"""A relay on stage: an app with one route, a model that says what the test lets it say, and clients that keep score."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI

from instrument.lab import Visit, events, send_request, serving, visiting
from streamgap.core.wire import GenerationRecord
from streamgap.relay import EventStream, MemoryStore, Relay

CID = "answer-0001"


class Model:
    """A model under remote control: `say` makes it stream, `finish` and `fail` end the answer; it counts its calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.cancelled = 0
        self._said: asyncio.Queue[str | BaseException | None] = asyncio.Queue()

    def say(self, *texts: str) -> None:
        for text in texts:
            self._said.put_nowait(text)

    def finish(self) -> None:
        self._said.put_nowait(None)

    def fail(self, error: BaseException) -> None:
        self._said.put_nowait(error)

    async def generate(self) -> AsyncIterator[str]:
        self.calls += 1
        try:
            while (said := await self._said.get()) is not None:
                if isinstance(said, BaseException):
                    raise said
                yield said
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise


@dataclass(frozen=True)
class Event:
    """One server-sent event as a client takes it."""

    type: str
    id: str | None
    data: Any


def parsed(body: bytes) -> list[Event]:
    """Return the events of a body, comments left out; an event without data has data None."""
    found = []
    for block in events(body):
        fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if ": " in line)
        if fields:
            data = json.loads(fields["data"]) if "data" in fields else None
            found.append(Event(fields.get("event", "message"), fields.get("id"), data))
    return found


def text_of(body: bytes) -> str:
    """Return the answer as a page shows it: what came since the last reset."""
    text = ""
    for event in parsed(body):
        if event.type == "sg-reset":
            text = ""
        elif event.type == "message" and event.data is not None:
            text += event.data["t"]
    return text


def end_of(body: bytes) -> dict[str, Any]:
    """Return what the last event says; it must be an end, and the only one."""
    ends = [event for event in parsed(body) if event.type == "sg-end"]
    assert len(ends) == 1
    assert parsed(body)[-1] == ends[0]
    data: dict[str, Any] = ends[0].data
    return data


@dataclass
class Stage:
    """One replica: its port, its model, its relay and the ledger's records."""

    port: int
    model: Model
    relay: Relay
    records: list[GenerationRecord] = field(default_factory=list)

    def ask(self, cid: str = CID, *, path: str = "/chat", last: str = "", method: str = "GET", **query: str) -> Any:
        """Open a connection; a context manager of a `Visit`."""
        headers = ["Accept: text/event-stream", *([f"Last-Event-ID: {last}"] if last else [])]
        pairs = "&".join(f"{name}={value}" for name, value in {"cid": cid, **query}.items() if value)
        return visiting(self.port, f"{path}?{pairs}", method=method, headers=headers)

    async def answer(self, cid: str = CID, **how: Any) -> Visit:
        """Ask, and read to the end."""
        async with self.ask(cid, **how) as visit:
            got: Visit = await visit.read_all()
            return got

    async def post(self, path: str, *, method: str = "POST") -> int:
        """Send a request without a body; the status."""
        visit = await send_request(self.port, path, method=method)
        status = (await visit.read_head()).status
        visit.writer.close()
        return status


@contextlib.asynccontextmanager
async def on_stage(
    store: Any = None, *, model: Model | None = None, middleware: Any = None, **settings: Any
) -> AsyncIterator[Stage]:
    """Serve a relay by the real uvicorn. Replicas share a `store` and a `model`."""
    records: list[GenerationRecord] = []
    model = model or Model()
    relay = Relay(store or MemoryStore(draw_epoch=lambda: 1), sinks=[records.append], **settings)
    app = FastAPI()

    @app.api_route("/chat", methods=["GET", "POST"])
    async def chat(prompt: str = "hi") -> EventStream:
        return relay.stream(model.generate, asked=["m", prompt], model="m")

    app.mount("/streams", relay.app)
    async with relay, serving(middleware(app) if middleware else app) as port:
        yield Stage(port, model, relay, records)
