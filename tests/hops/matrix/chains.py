"""Chains of two and more, every hop of which is asked: who holds, and where it appears."""

from hops.configuration import LATE, NOTHING, Configuration, Cure, Origin, Route, Stand, Truth, guilty
from hops.families.apache import Apache
from hops.families.caddy import Caddy
from hops.families.envoy import Envoy, compressor
from hops.families.front import Front
from hops.families.haproxy import Haproxy
from hops.families.nginx import Nginx
from hops.families.servers import Node, Uvicorn, gunicorn
from hops.families.traefik import Traefik
from hops.families.varnish import Varnish
from hops.matrix.nginx import GZIP, OFF, UNBUFFERED, V11
from hops.matrix.proxies import GZIP_TYPE, KEEPING
from streamgap.core.mechanism import Mechanism

PLAIN = Uvicorn()
TLS_ON = Nginx(lines=V11, front=Front.TLS)
CLEAR_OFF = Nginx(lines=OFF)
GZIPPING = Nginx(lines=f"{V11} {GZIP}")
PASSING = Route(origin=Uvicorn(path="/hinting"), stands=(CLEAR_OFF.cured("pass-x-accel"), TLS_ON))
ZSTD = Envoy(filters=(compressor("zstd", "text/event-stream"),))


def chain(
    name: str,
    *stands: Stand,
    truth: Truth = NOTHING,
    cures: tuple[tuple[tuple[Stand, ...] | Route, str], ...] = (),
    origin: Origin = PLAIN,
) -> Configuration:
    """Return a chain from the inside out; `cures` are the same chain with the remedy of each id."""
    routes = [(one if isinstance(one, Route) else Route(origin=origin, stands=one), remedy) for one, remedy in cures]
    made = tuple(Cure(hop=truth.hops[0], remedy=remedy, route=one) for one, remedy in routes)
    route = Route(origin=origin, stands=stands)
    return Configuration(name=name, family="chain", route=route, truth=truth, cures=made, every_tap=True)


def blocks(tap: int, least: int, most: int) -> Truth:
    """Return the truth about an nginx that holds blocks."""
    return guilty(Mechanism.BLOCKS, hops=("nginx",), tap=tap, block_bytes=(least, most))


CONFIGURATIONS = (
    chain("chain-clean", CLEAR_OFF, Envoy()),
    chain("chain-clean-tls", Caddy(), Traefik(front=Front.TLS)),
    chain(
        "chain-nginx-nginx",
        CLEAR_OFF,
        TLS_ON,
        truth=blocks(2, 15_700, 16_500),
        cures=(((CLEAR_OFF, TLS_ON.cured(UNBUFFERED)), UNBUFFERED), (PASSING, "pass-x-accel")),
    ),
    chain(
        "chain-gzip-nginx",
        GZIPPING,
        CLEAR_OFF,
        truth=guilty(Mechanism.COMPRESSOR, hops=("nginx",), tap=1),
        cures=(((GZIPPING.cured(UNBUFFERED), CLEAR_OFF), UNBUFFERED),),
    ),
    chain(
        "chain-nginx-refetched",
        TLS_ON,
        CLEAR_OFF,
        truth=blocks(1, 15_700, 16_500),
        cures=(((TLS_ON.cured(UNBUFFERED), CLEAR_OFF), UNBUFFERED),),
    ),
    chain(
        "chain-haproxy-nginx",
        Haproxy(),
        CLEAR_OFF,
        truth=guilty(Mechanism.TIMER, hops=("haproxy",), tap=1, period_ms=(150.0, 260.0)),
        cures=(((Haproxy().cured("http-no-delay"), CLEAR_OFF), "http-no-delay"),),
    ),
    chain(
        "chain-nginx-haproxy",
        CLEAR_OFF,
        Haproxy(),
        truth=guilty(Mechanism.TIMER, hops=("haproxy",), tap=2, period_ms=(150.0, 260.0)),
        cures=(((CLEAR_OFF, Haproxy().cured("http-no-delay")), "http-no-delay"),),
    ),
    chain(
        "chain-gunicorn-nginx-caddy",
        Nginx(),
        Caddy(),
        origin=gunicorn("-k", "gthread", "--threads=24"),
        truth=blocks(1, 3_900, 4_300),
        cures=(((Nginx().cured(UNBUFFERED), Caddy()), UNBUFFERED),),
    ),
    chain(
        "chain-middleware-haproxy",
        Haproxy(front=Front.H2),
        origin=Uvicorn(path="/gzip-unflushed"),
        truth=guilty(Mechanism.COMPRESSOR, hops=("python-middleware",), tap=0),
    ),
    chain("chain-caddy-envoy", Caddy(), ZSTD, truth=guilty(Mechanism.COMPRESSOR, hops=("envoy",), tap=2)),
    chain(
        "chain-traefik-nginx",
        Traefik(middlewares=KEEPING),
        CLEAR_OFF,
        truth=guilty(Mechanism.WHOLE, hops=("traefik",), tap=1),
        cures=(((Traefik(middlewares=KEEPING, remedies=("no-buffering",)), CLEAR_OFF), "no-buffering"),),
    ),
    chain(
        "chain-varnish-haproxy",
        Varnish(response="set beresp.do_stream = false;"),
        Haproxy(lines="option http-no-delay"),
        truth=guilty(Mechanism.WHOLE, hops=("varnish",), tap=1),
    ),
    chain(
        "chain-node-apache",
        Node(kind="compression"),
        Apache(),
        truth=guilty(Mechanism.COMPRESSOR, hops=("node-compression",), tap=1),
        cures=(((Node(kind="compression-flush"), Apache()), "res-flush"),),
    ),
    chain(
        "chain-two-hold",
        Haproxy(),
        TLS_ON,
        truth=guilty(
            Mechanism.TIMER,
            hops=("haproxy",),
            tap=1,
            period_ms=(150.0, 260.0),
            also=(blocks(2, 15_700, 16_500),),
        ),
    ),
    chain(
        "chain-of-three",
        CLEAR_OFF,
        Caddy(),
        Haproxy(lines=GZIP_TYPE, front=Front.TLS),
        truth=guilty(Mechanism.ONE_BEHIND, hops=("haproxy",), tap=3),
    ),
    chain("chain-nginx-late", Nginx(lines=V11), Caddy(), truth=LATE),
)
