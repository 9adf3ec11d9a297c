"""What a relay offers beside the app's own routes: reading an answer by its key, and stopping it."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from streamgap.instrument.asgi.kinds import Scope
from streamgap.relay.refusals import RefusedError
from streamgap.relay.store import StoreUnavailableError

Resume = Callable[[str], Response]
Stop = Callable[[Scope, str], Awaitable[bool]]


def endpoints(resume: Resume, stop: Stop) -> Router:
    """Return an ASGI app to mount, e.g. at ``/streams``.

    ``GET /{cid}`` reads an answer that is there, and never calls the model. ``DELETE /{cid}`` and ``POST /{cid}/stop``
    (which a page can send with `navigator.sendBeacon`) end it at once: 204, or 404 where there is none.
    """

    async def read(request: Request) -> Response:
        return resume(request.path_params["cid"])

    async def end(request: Request) -> Response:
        try:
            found = await stop(request.scope, request.path_params["cid"])
        except RefusedError as error:
            return JSONResponse({"error": str(error)}, error.status)
        except StoreUnavailableError as error:
            return JSONResponse({"error": f"relay: {error}"}, 503)
        return Response(status_code=204 if found else 404)

    return Router(
        [
            Route("/{cid}", read, methods=["GET"]),
            Route("/{cid}", end, methods=["DELETE"]),
            Route("/{cid}/stop", end, methods=["POST"]),
        ]
    )
