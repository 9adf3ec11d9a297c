"""nginx: in clear, behind TLS, with HTTP/2, with compression, and twice."""

from hops.configuration import LATE, NOTHING, Configuration, Cure, Origin, Route, Truth, guilty
from hops.families.front import Front
from hops.families.nginx import BROTLI, Nginx
from hops.families.servers import Uvicorn, Uwsgi, gunicorn
from streamgap.core.mechanism import Mechanism

V11 = 'proxy_http_version 1.1; proxy_set_header Connection "";'
OFF = f"{V11} proxy_buffering off;"
GZIP = "gzip on; gzip_types text/event-stream; gzip_proxied any; gzip_min_length 0;"
BR = "brotli on; brotli_types text/event-stream; brotli_min_length 0;"
SENT_BY_APP = {"x-accel-from-app": "/hinting", "content-encoding-identity": "/identity"}
CACHE = "proxy_cache_path PLACE/cache keys_zone=zoo:1m;"
REPLAYING = "proxy_cache zoo; proxy_cache_valid 1m; proxy_ignore_headers Cache-Control; proxy_cache_key $uri;"
UNBUFFERED = "proxy-buffering-off"
THREADS = gunicorn("-k", "gthread", "--threads=24")
RECORD = guilty(Mechanism.BLOCKS, hops=("nginx",), block_bytes=(15_700, 16_500))
PAGE = guilty(Mechanism.BLOCKS, hops=("nginx",), block_bytes=(3_900, 4_300))
# Over TLS the records hold what the compressor lets go: either is true, and one line frees both.
TWICE = guilty(Mechanism.COMPRESSOR, Mechanism.BLOCKS, hops=("nginx",))
COMPRESSED = guilty(Mechanism.COMPRESSOR, hops=("nginx",))


def held(
    name: str, nginx: Nginx, truth: Truth, *, origin: Origin | None = None, remedies: tuple[str, ...] = (UNBUFFERED,)
) -> Configuration:
    """Return an nginx that holds streams, and the same with each of the remedies; some are headers of the app."""
    app = origin or Uvicorn()
    route = Route(origin=app, stands=(nginx,))
    cures = tuple(Cure(hop="nginx", remedy=one, route=_cured(app, nginx, one)) for one in remedies)
    return Configuration(name=f"nginx-{name}", family="nginx", route=route, truth=truth, cures=cures)


def _cured(app: Origin, nginx: Nginx, remedy: str) -> Route:
    if remedy in SENT_BY_APP:
        return Route(origin=Uvicorn(path=SENT_BY_APP[remedy]), stands=(nginx,))
    return Route(origin=app, stands=(nginx.cured(remedy),))


def clean(name: str, nginx: Nginx, truth: Truth = NOTHING, *, origin: Origin | None = None) -> Configuration:
    """Return an nginx that lets streams flow."""
    route = Route(origin=origin or Uvicorn(), stands=(nginx,))
    return Configuration(name=f"nginx-{name}", family="nginx", route=route, truth=truth)


TLS = Nginx(front=Front.TLS)

CONFIGURATIONS = (
    clean("clear", Nginx(), LATE),
    clean("clear-11-large-buffers", Nginx(lines=f"{V11} proxy_buffers 8 16k; proxy_buffer_size 16k;"), LATE),
    clean("clear-off", Nginx(lines=OFF)),
    clean("tls-off", Nginx(lines=OFF, front=Front.TLS)),
    clean("h2-off", Nginx(lines=OFF, front=Front.H2), LATE),
    clean("gzip-off", Nginx(lines=f"{OFF} {GZIP}")),
    clean("gunicorn-off", Nginx(lines=OFF), LATE, origin=THREADS),
    held("tls", TLS, RECORD),
    held("tls-11", Nginx(lines=f"{V11} proxy_buffering on;", front=Front.TLS), RECORD, remedies=("x-accel-from-app",)),
    held("h2", Nginx(front=Front.H2), RECORD),
    held("tls-4k-records", Nginx(lines=V11, http="ssl_buffer_size 4k;", front=Front.TLS), PAGE),
    held("tls-add-header", Nginx(lines="add_header X-Accel-Buffering no;", front=Front.TLS), RECORD),
    held("tls-hint-ignored", Nginx(lines="proxy_ignore_headers X-Accel-Buffering;", front=Front.TLS), RECORD),
    held(
        "gzip",
        Nginx(lines=f"{V11} {GZIP}"),
        COMPRESSED,
        remedies=(UNBUFFERED, "gzip-types", "content-encoding-identity", "x-accel-from-app"),
    ),
    held("gzip-h2", Nginx(lines=f"{V11} {GZIP}", front=Front.H2), TWICE),
    held("gzip-tls", Nginx(lines=f"{V11} {GZIP}", front=Front.TLS), TWICE),
    held("brotli", Nginx(lines=f"{V11} {BR}", main=BROTLI), COMPRESSED),
    held("gunicorn", Nginx(), PAGE, origin=THREADS, remedies=(UNBUFFERED, "http-1-1-upstream")),
    held("uwsgi-pass", Nginx(), PAGE, origin=Uwsgi(by="socket"), remedies=("uwsgi-buffering-off",)),
    held(
        "cache-replays",
        Nginx(lines=REPLAYING, http=CACHE),
        guilty(Mechanism.REPLAY, hops=("nginx",)),
        remedies=(UNBUFFERED, "no-cache"),
    ),
    clean("current-clear", Nginx(current=True), LATE),
    clean("current-h2-off", Nginx(lines="proxy_buffering off;", front=Front.H2, current=True)),
    held("current-tls", Nginx(front=Front.TLS, current=True), RECORD),
    held("current-gzip", Nginx(lines=GZIP, current=True), COMPRESSED),
    held("current-10-gunicorn", Nginx(lines="proxy_http_version 1.0;", current=True), PAGE, origin=THREADS),
)
