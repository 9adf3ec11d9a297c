"""The app's own side: servers, frameworks, middlewares, Node, models that are slow, and networks that are bad."""

from collections.abc import Mapping

from hops.configuration import LATE, NOTHING, Configuration, Cure, Origin, Route, Stand, Truth, guilty
from hops.families.servers import Network, Node, Python, Uvicorn, Uwsgi, gunicorn, uvicorn
from hops.matrix.proxies import alone
from hops.remedies import lines_of
from streamgap.core.mechanism import Mechanism

# Nothing on the wire tells these from each other: the same server, the same headers, all at the end.
ZIPPING, JOINING = ("django", "starlette"), ("django", "python-middleware")
THREADED = ("-k", "gthread", "--threads=24")
ZIPPED = {"ZOO_MIDDLEWARE": "django.middleware.gzip.GZipMiddleware"}
UNZIPPED = {**ZIPPED, "ZOO_REMEDY": lines_of("django", "exclude-from-gzip")}
DJANGO = "hops.origin.django_site"
SLOW = Truth(notes=frozenset({Mechanism.SLOW_APP}))
# Bursts of a stream that does not say when it was written may be anybody's.
UNSURE = Truth(notes=frozenset({Mechanism.SLOW_APP, Mechanism.UNKNOWN}))
NETWORK = Truth(notes=frozenset({Mechanism.NETWORK}))
MIDDLEWARE = ("python-middleware",)
WAITRESS = ("waitress-serve", "--listen=127.0.0.1:PORT", "--threads=24")


def app(name: str, origin: Origin, truth: Truth = NOTHING, **cures: Origin) -> Configuration:
    """Return an app's server asked directly, and the same with each remedy, by the remedy's id."""
    return _configured(name, Route(origin=origin), truth, {one: Route(origin=cure) for one, cure in cures.items()})


def before(name: str, stand: Stand, truth: Truth = NOTHING, **cures: Stand) -> Configuration:
    """Return a program in front of the plain app, and the same with each remedy, by the remedy's id."""
    return _configured(name, alone(stand), truth, {one: alone(cure) for one, cure in cures.items()})


def _configured(name: str, route: Route, truth: Truth, cures: Mapping[str, Route]) -> Configuration:
    made = [Cure(hop=truth.hops[0], remedy=one.replace("_", "-"), route=cure) for one, cure in cures.items()]
    return Configuration(name=name, family=name.partition("-")[0], route=route, truth=truth, cures=tuple(made))


SERVERS = (
    app("uvicorn", Uvicorn()),
    app("hypercorn", Python(command=("hypercorn", "hops.origin.apps:app", "--bind=127.0.0.1:PORT"))),
    app(
        "granian",
        Python(command=("granian", "--interface=asgi", "--port=PORT", "--no-ws", "hops.origin.apps:app")),
    ),
    app("daphne", Python(command=("daphne", "--port=PORT", "hops.origin.apps:app")), LATE),
    app(
        "gunicorn-sync",
        gunicorn("--workers=1"),
        guilty(Mechanism.QUEUE, hops=("gunicorn",)),
        gthread=gunicorn(*lines_of("gunicorn", "gthread").split()[1:-1]),
    ),
    app("gunicorn-gthread", gunicorn(*THREADED), LATE),
    app("gunicorn-gevent", gunicorn("-k", "gevent"), LATE),
    app("gunicorn-flask", gunicorn(*THREADED, app="hops.origin.wsgi:flask"), LATE),
    app("waitress", Python(command=(*WAITRESS, "hops.origin.wsgi:app")), LATE),
    app(
        "waitress-18000",
        Python(command=(*WAITRESS, "--send-bytes=18000", "hops.origin.wsgi:app")),
        guilty(Mechanism.BLOCKS, hops=("waitress",), block_bytes=(17_000, 19_200)),
        send_bytes=Python(command=(*WAITRESS, "--send-bytes=1", "hops.origin.wsgi:app")),
    ),
    app(
        "waitress-one-thread",
        Python(command=("waitress-serve", "--listen=127.0.0.1:PORT", "--threads=1", "hops.origin.wsgi:app")),
        guilty(Mechanism.QUEUE, hops=("waitress",)),
        threads=Python(command=(*WAITRESS, "hops.origin.wsgi:app")),
    ),
    app(
        "uwsgi-one-thread",
        Uwsgi(threads=""),
        guilty(Mechanism.QUEUE, hops=("uwsgi",)),
        threads=Uwsgi(threads=lines_of("uwsgi", "threads")),
    ),
    app("uwsgi-http-socket", Uwsgi(), LATE),
    app("uwsgi-router", Uwsgi(by="http"), LATE),
    app(
        "http-server-unflushed",
        Python(command=("python", "-m", "hops.origin.http_server", "PORT")),
        guilty(Mechanism.BLOCKS, hops=MIDDLEWARE, block_bytes=(7_000, 8_300)),
        flush=Python(command=("python", "-m", "hops.origin.http_server", "PORT", "flush")),
    ),
    app(
        "loop-blocked",
        uvicorn("hops.origin.blocked:app", path="/blocking"),
        guilty(Mechanism.QUEUE, hops=("uvicorn", "python-middleware")),
        thread_pool=uvicorn("hops.origin.blocked:app", path="/threaded"),
    ),
    app("loop-free", uvicorn("hops.origin.blocked:app", path="/threaded")),
)
DJANGOS = (
    app("django-wsgi", gunicorn(*THREADED, app=f"{DJANGO}:wsgi", path="/sync"), LATE),
    app(
        "django-wsgi-gzip",
        gunicorn(*THREADED, app=f"{DJANGO}:wsgi", path="/sync", env=ZIPPED),
        guilty(Mechanism.COMPRESSOR, hops=ZIPPING),
        exclude_from_gzip=gunicorn(*THREADED, app=f"{DJANGO}:wsgi", path="/sync", env=UNZIPPED),
    ),
    app(
        "django-asgi-sync",
        uvicorn(f"{DJANGO}:asgi", path="/sync"),
        guilty(Mechanism.WHOLE, hops=JOINING),
        async_generator=uvicorn(f"{DJANGO}:asgi", path="/async"),
    ),
    app("django-asgi-async", uvicorn(f"{DJANGO}:asgi", path="/async")),
    app(
        "django-asgi-gzip",
        uvicorn(f"{DJANGO}:asgi", path="/async", env=ZIPPED),
        guilty(Mechanism.LOST_EVENTS, hops=("django",)),
        exclude_from_gzip=uvicorn(f"{DJANGO}:asgi", path="/async", env=UNZIPPED),
    ),
)
MIDDLEWARES = (
    app("starlette-gzip-excluding", Uvicorn(path="/gzip-excluding")),
    app("starlette-gzip-forced", Uvicorn(path="/gzip-forced"), LATE),
    app("starlette-compress", Uvicorn(path="/starlette-compress")),
    app("starlette-base", Uvicorn(path="/passed-on")),
    app("brotli-asgi", Uvicorn(path="/brotli-asgi"), LATE),
    app(
        "middleware-gzip-unflushed",
        Uvicorn(path="/gzip-unflushed"),
        guilty(Mechanism.COMPRESSOR, hops=MIDDLEWARE),
        sync_flush=Uvicorn(path="/gzip-flushed"),
        no_compression=Uvicorn(path="/gzip-excluding"),
    ),
    app(
        "middleware-joined",
        Uvicorn(path="/joined"),
        guilty(Mechanism.WHOLE, hops=MIDDLEWARE),
        pass_through=Uvicorn(path="/watched"),
    ),
    app(
        "writer-8k",
        Uvicorn(path="/writer-8k"),
        guilty(Mechanism.BLOCKS, hops=MIDDLEWARE, block_bytes=(7_000, 8_300)),
        flush=Uvicorn(),
    ),
    app("writer-1k", Uvicorn(path="/writer-1k"), guilty(Mechanism.BLOCKS, hops=MIDDLEWARE, block_bytes=(600, 1_100))),
    app("relay-8k", Uvicorn(path="/relay-8k"), guilty(Mechanism.BLOCKS, hops=MIDDLEWARE, block_bytes=(8_000, 8_300))),
    app(
        "relay-5000",
        Uvicorn(path="/relay-5000"),
        guilty(Mechanism.BLOCKS, hops=MIDDLEWARE, unlisted=True, block_bytes=(4_900, 5_100)),
    ),
    app(
        "timer-500",
        Uvicorn(path="/timer-500"),
        guilty(Mechanism.TIMER, hops=MIDDLEWARE, period_ms=(430.0, 560.0)),
        flush=Uvicorn(),
    ),
)
NODES = (
    before("node-pipe", Node(kind="pipe"), LATE),
    before(
        "node-compression",
        Node(kind="compression"),
        guilty(Mechanism.COMPRESSOR, hops=("node-compression",)),
        res_flush=Node(kind="compression-flush"),
    ),
    before(
        "node-compression-unfiltered",
        Node(kind="compression"),
        guilty(Mechanism.COMPRESSOR, hops=("node-compression",)),
        filter=Node(kind="compression-filter"),
    ),
    before("node-proxy", Node(kind="proxy"), LATE),
    before(
        "node-proxy-compression",
        Node(kind="proxy-compression"),
        guilty(Mechanism.COMPRESSOR, hops=("node-compression",)),
    ),
    before(
        "node-proxy-interceptor",
        Node(kind="proxy-interceptor"),
        guilty(Mechanism.WHOLE, hops=("node-http-proxy",)),
        no_interceptor=Node(kind="proxy"),
    ),
    before(
        "node-text",
        Node(kind="text"),
        guilty(Mechanism.WHOLE, hops=("node-http-proxy",)),
        pipe=Node(kind="pipe"),
    ),
)
SLOW_ONES = (
    app("model-late", Uvicorn(path="/late-model"), SLOW),
    app("model-bursty", Uvicorn(path="/bursty-model"), SLOW),
    app("model-plain", Uvicorn(path="/model"), SLOW),
    app("model-plain-bursty", Uvicorn(path="/model-bursty"), UNSURE),
)
NETWORKS = tuple(
    before(f"network-{kind}", Network(kind=kind), NETWORK) for kind in ("delay", "jitter", "loss", "doze", "slow")
)
CONFIGURATIONS = (*SERVERS, *DJANGOS, *MIDDLEWARES, *NODES, *SLOW_ONES, *NETWORKS)
