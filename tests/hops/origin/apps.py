"""The drip under ASGI, plain and behind each middleware, by path; uvicorn runs `app`."""

from typing import Any

from brotli_asgi import BrotliMiddleware
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route
from starlette_compress import CompressMiddleware

from hops.origin.holding import BodyLog, HandmadeGzip, Headed, PassedOn, Rechunked, Timed, Watched
from hops.origin.models import answer, bursty_sleep, late_sleep
from hops.remedies import lines_of
from streamgap.doctor import Drip


def _behind(**named: Any) -> list[Route]:
    return [Route(f"/{name.replace('_', '-')}", app) for name, app in named.items()]


app = Starlette(
    routes=[
        *_behind(
            drip=Drip(),
            stream=Drip(),
            hinting=Headed(Drip(), line=lines_of("nginx", "x-accel-from-app")),
            identity=Headed(Drip(), line=lines_of("nginx", "content-encoding-identity")),
            no_transform=Headed(Drip(), line=lines_of("haproxy", "no-transform")),
            gzip_forced=GZipMiddleware(Drip(), exclude_content_types=()),
            gzip_excluding=GZipMiddleware(Drip()),
            gzip_unflushed=HandmadeGzip(Drip(), flush=False),
            gzip_flushed=HandmadeGzip(Drip(), flush=True),
            watched=Watched(Drip()),
            brotli_asgi=BrotliMiddleware(Drip()),
            starlette_compress=CompressMiddleware(Drip()),
            passed_on=PassedOn(Drip()),
            joined=BodyLog(Drip()),
            writer_8k=Rechunked(Drip(), size_bytes=8192, whole=True),
            writer_1k=Rechunked(Drip(), size_bytes=1024, whole=True),
            relay_8k=Rechunked(Drip(), size_bytes=8192),
            relay_5000=Rechunked(Drip(), size_bytes=5000),
            timer_500=Timed(Drip(), period_s=0.5),
            late_model=Drip(sleep=late_sleep),
            bursty_model=Drip(sleep=bursty_sleep),
        ),
        Route("/model", answer),
        Route("/model-bursty", answer),
    ]
)
