"""A blocking source iterated inside an async generator: it streams alone, and stops the loop for everybody else."""

import io
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from streamgap.doctor import DripWsgi

drip = DripWsgi()


def environ_of(request: Request) -> dict[str, Any]:
    """Return the environ of WSGI for a request without a body that matters."""
    headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers.items()}
    return {
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.url.query,
        "SERVER_PROTOCOL": f"HTTP/{request.scope['http_version']}",
        "wsgi.input": io.BytesIO(),
        **{name: value for name, value in headers.items() if name != "HTTP_CONTENT_LENGTH"},
    }


def _streamed(request: Request, *, blocking: bool) -> StreamingResponse:
    started: list[Any] = []
    body: Any = drip(environ_of(request), lambda *status: started.extend(status))

    async def inside() -> AsyncIterator[bytes]:
        for event in body:
            yield event

    return StreamingResponse(
        inside() if blocking else body, status_code=int(started[0].split()[0]), headers=dict(started[1])
    )


async def blocking(request: Request) -> StreamingResponse:
    """Iterate in the event loop."""
    return _streamed(request, blocking=True)


async def threaded(request: Request) -> StreamingResponse:
    """Iterate in the thread pool."""
    return _streamed(request, blocking=False)


app = Starlette(
    routes=[
        Route("/blocking", blocking, methods=["GET", "POST"]),
        Route("/threaded", threaded, methods=["GET", "POST"]),
    ]
)
