"""The drip as a Django view, for WSGI and for ASGI: behind the project's own middleware, where its answers are."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from streamgap.doctor.drip import asgi, wsgi
from streamgap.doctor.drip.answering import Answering
from streamgap.doctor.drip.limits import MAX_REQUEST_BODY_BYTES, Limits
from streamgap.doctor.drip.refusals import RefusedError, too_long
from streamgap.doctor.drip.streaming import Streaming


def drip_view(*, token: str | None = None, limits: Limits | None = None) -> Callable[[Any], Any]:
    """Return a view to put into `urlpatterns`; `token` and `limits` are those of `Drip`. Needs Django."""
    from django.http import HttpResponse, StreamingHttpResponse  # noqa: PLC0415, who has no Django needs none
    from django.views.decorators.csrf import csrf_exempt  # noqa: PLC0415

    answering = Answering(token=token, limits=limits, clock=time.monotonic)

    def view(request: Any) -> Any:
        try:
            streaming = _grant(answering, request)
        except RefusedError as refused:
            return HttpResponse(refused.body, status=refused.status, headers=dict(refused.headers))
        return StreamingHttpResponse(_body(streaming, request), headers=dict(streaming.headers))

    exempt: Callable[[Any], Any] = csrf_exempt(view)
    return exempt


def _grant(answering: Answering, request: Any) -> Streaming:
    began_s = answering.clock()
    if len(request.read(MAX_REQUEST_BODY_BYTES + 1)) > MAX_REQUEST_BODY_BYTES:
        raise too_long()
    if _is_asgi(request):
        return answering.grant(asgi.request_of(request.scope, began_s=began_s))
    return answering.grant(wsgi.request_of(request.environ, began_s=began_s))


def _body(streaming: Streaming, request: Any) -> asgi.PacedBody | wsgi.PacedBody:
    # Django gathers an iterator of the other kind whole before it sends the first byte.
    if _is_asgi(request):
        return asgi.PacedBody(streaming, sleep=asyncio.sleep)
    return wsgi.PacedBody(streaming, sleep=time.sleep)


def _is_asgi(request: Any) -> bool:
    return hasattr(request, "scope")
