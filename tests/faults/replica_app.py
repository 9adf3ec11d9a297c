"""One replica, a process of its own: the real uvicorn, google-genai → Relay → Redis, and a ledger in a file."""

import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
import uvicorn
from fastapi import FastAPI
from google import genai
from google.genai import types

from streamgap.core.wire import GenerationRecord
from streamgap.relay import EventStream, Limits, Relay
from streamgap.relay.redis_store import RedisStore

MODEL = "gemini-3.5-flash"
GRACE_S = 2.0
PATIENCE_S = 3.0
DRAIN_S = 2
RETRY_MS = (50, 150)


def endpoint(relay: Relay, client: genai.Client) -> Callable[[str], Awaitable[EventStream]]:
    """Return the endpoint of a route whose answers `relay` keeps."""

    async def answer(prompt: str) -> EventStream:
        return relay.stream(
            lambda: client.aio.models.generate_content_stream(model=MODEL, contents=prompt),
            asked=[MODEL, prompt],
            model=MODEL,
        )

    return answer


def make_app(settings: dict[str, Any]) -> FastAPI:
    """Build an app with two routes: without a store `/chat` calls the model, and `/strict` has the client come back."""
    client = genai.Client(api_key="fake", http_options=types.HttpOptions(base_url=settings["gemini"]))
    ledger = Path(settings["ledger"])

    def enter(record: GenerationRecord) -> None:
        with ledger.open("ab") as entries:
            entries.write(msgspec.json.encode(record) + b"\n")

    def relay(when_store_fails: Literal["bypass", "refuse"]) -> Relay:
        return Relay(
            RedisStore(settings["redis"], prefix=f"{when_store_fails}:", **settings["store"]),
            grace_s=GRACE_S,
            retry_ms=RETRY_MS,
            limits=Limits(patience_s=PATIENCE_S),
            when_store_fails=when_store_fails,
            sinks=[enter],
        )

    lenient, strict = relay("bypass"), relay("refuse")

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with lenient, strict:
            yield

    app = FastAPI(lifespan=lifespan)
    for path, answering in {"/chat": lenient, "/strict": strict}.items():
        app.add_api_route(path, endpoint(answering, client), methods=["GET", "POST"], response_model=None)
    return app


def main() -> None:
    """Serve on the socket that this process was given, until it is told to end."""
    settings = json.loads(os.environ["REPLICA"])
    config = uvicorn.Config(make_app(settings), log_level="warning", timeout_graceful_shutdown=DRAIN_S)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=settings["fd"])])


if __name__ == "__main__":
    main()
