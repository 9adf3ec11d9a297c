"""The demo's app: what a user's own FastAPI app looks like with streamgap in it."""

from collections.abc import AsyncIterator, Mapping
from importlib.resources import files
from typing import Annotated, Any, Literal

from fastapi import Body, FastAPI, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from google import genai

from streamgap.core.sse import sse_event
from streamgap.core.wire import STREAM_ID_HEADER, STREAM_ID_PARAM
from streamgap.demo.desk import Desk
from streamgap.demo.paths import DRIPS, DemoPath
from streamgap.demo.storm import serve_storms
from streamgap.doctor import Drip
from streamgap.relay import Relay

QUESTION = "Why did my answer arrive all at once?"
_STATIC = files("streamgap.demo") / "static"


def demo_app(*, client: genai.Client, model: str, desk: Desk, links: Mapping[str, str], relay: Relay) -> FastAPI:
    """Return the app: the page, the streams of answers, a drip along each path, and the desk of the page and the pager.

    `links` are the addresses the page needs: `beacon` (the collector's public listener) and what it may point to.
    """
    app = FastAPI(title="streamgap demo")
    _answer_questions(app, client, model, desk)
    serve_storms(app, client=client, model=model, question=QUESTION, relay=relay)
    for mount in DRIPS.values():
        app.mount(mount, Drip())
    _serve_page(app, links)
    _serve_desk(app, desk, links)
    return app


def _answer_questions(app: FastAPI, client: genai.Client, model: str, desk: Desk) -> None:
    async def answer(prompt: str) -> AsyncIterator[bytes]:
        async for chunk in await client.aio.models.generate_content_stream(model=model, contents=prompt):
            if chunk.text:
                yield sse_event({"t": chunk.text})
        yield sse_event({}, event="done")

    def stream(request: Request, path: DemoPath, prompt: str) -> StreamingResponse:
        desk.started(request.headers.get(STREAM_ID_HEADER) or request.query_params.get(STREAM_ID_PARAM, ""), path)
        return StreamingResponse(answer(prompt), media_type="text/event-stream")

    @app.get("/chat/{path}")
    async def by_event_source(request: Request, path: DemoPath) -> StreamingResponse:
        return stream(request, path, QUESTION)

    @app.post("/chat/{path}")
    async def by_fetch(
        request: Request, path: DemoPath, prompt: Annotated[str, Body(embed=True)] = QUESTION
    ) -> StreamingResponse:
        return stream(request, path, prompt)


def _serve_page(app: FastAPI, links: Mapping[str, str]) -> None:
    @app.get("/", response_class=HTMLResponse)
    async def page() -> str:
        return (_STATIC / "demo.html").read_text().replace("{{beacon}}", links["beacon"])

    @app.get("/{name}.js")
    async def script(name: Literal["demo", "storm"]) -> Response:
        return Response((_STATIC / f"{name}.js").read_bytes(), media_type="text/javascript")


def _serve_desk(app: FastAPI, desk: Desk, links: Mapping[str, str]) -> None:
    @app.get("/demo/state")
    async def state() -> dict[str, Any]:
        return {**desk.state(), "links": links}

    @app.post("/demo/pager", status_code=204)
    async def pager(notification: Annotated[dict[str, Any], Body()]) -> None:
        desk.paged(notification)
