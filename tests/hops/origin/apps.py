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
from streamgap.doctor.drip import Limits

# A dozen diagnoses of up to ten probes each ask the same origin at once; past the usual 64 streams a drip says 429.
CROWDED = Limits(max_concurrent=1000)


def _behind(**named: Any) -> list[Route]:
    return [Route(f"/{name.replace('_', '-')}", app) for name, app in named.items()]


app = Starlette(
    routes=[
        *_behind(
            drip=Drip(limits=CROWDED),
            stream=Drip(limits=CROWDED),
            hinting=Headed(Drip(limits=CROWDED), line=lines_of("nginx", "x-accel-from-app")),
            identity=Headed(Drip(limits=CROWDED), line=lines_of("nginx", "content-encoding-identity")),
            no_transform=Headed(Drip(limits=CROWDED), line=lines_of("haproxy", "no-transform")),
            gzip_forced=GZipMiddleware(Drip(limits=CROWDED), exclude_content_types=()),
            gzip_excluding=GZipMiddleware(Drip(limits=CROWDED)),
            gzip_unflushed=HandmadeGzip(Drip(limits=CROWDED), flush=False),
            gzip_flushed=HandmadeGzip(Drip(limits=CROWDED), flush=True),
            watched=Watched(Drip(limits=CROWDED)),
            brotli_asgi=BrotliMiddleware(Drip(limits=CROWDED)),
            starlette_compress=CompressMiddleware(Drip(limits=CROWDED)),
            passed_on=PassedOn(Drip(limits=CROWDED)),
            joined=BodyLog(Drip(limits=CROWDED)),
            writer_8k=Rechunked(Drip(limits=CROWDED), size_bytes=8192, whole=True),
            writer_1k=Rechunked(Drip(limits=CROWDED), size_bytes=1024, whole=True),
            relay_8k=Rechunked(Drip(limits=CROWDED), size_bytes=8192),
            relay_5000=Rechunked(Drip(limits=CROWDED), size_bytes=5000),
            timer_500=Timed(Drip(limits=CROWDED), period_s=0.5),
            late_model=Drip(sleep=late_sleep),
            bursty_model=Drip(sleep=bursty_sleep),
        ),
        Route("/model", answer),
        Route("/model-bursty", answer),
    ]
)
