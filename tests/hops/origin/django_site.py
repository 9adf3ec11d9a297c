"""The drip in Django, under WSGI and ASGI: /sync and /async choose the generator.

`ZOO_MIDDLEWARE` names a middleware, and `ZOO_REMEDY` is a line that is added to the settings.
"""

import io
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import django
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path

from streamgap.doctor import DripWsgi

MIDDLEWARE = list(filter(None, [os.environ.get("ZOO_MIDDLEWARE")]))
exec(os.environ.get("ZOO_REMEDY", ""))  # noqa: S102, a line of the knowledge base, as a person would add it
settings.configure(
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="zoo",
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    MIDDLEWARE=MIDDLEWARE,
)
django.setup()
drip = DripWsgi()


def _answer(request: HttpRequest) -> tuple[Iterator[bytes], dict[str, Any]]:
    started: list[Any] = []
    environ = {"wsgi.input": io.BytesIO(), "SERVER_PROTOCOL": "", **request.META}
    body: Any = drip(environ, lambda *status: started.extend(status))
    return body, {"status": int(started[0].split()[0]), "headers": dict(started[1])}


def sync_view(request: HttpRequest) -> StreamingHttpResponse:
    """Stream from a sync generator."""
    body, rest = _answer(request)
    return StreamingHttpResponse(body, **rest)


async def async_view(request: HttpRequest) -> StreamingHttpResponse:
    """Stream from an async generator."""
    body, rest = _answer(request)

    async def events() -> AsyncIterator[bytes]:
        following = sync_to_async(lambda: next(body, b""), thread_sensitive=False)
        while event := await following():
            yield event

    return StreamingHttpResponse(events(), **rest)


urlpatterns = [path("sync", sync_view), path("async", async_view)]
asgi, wsgi = get_asgi_application(), get_wsgi_application()
