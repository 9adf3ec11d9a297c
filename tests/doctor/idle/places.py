"""Real programs with short timers, and what is true of each."""

import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from doctor.idle.dropping import dropping
from hops.configuration import Site, Stand
from hops.families.apache import Apache
from hops.families.caddy import Caddy
from hops.families.envoy import Envoy
from hops.families.front import Front
from hops.families.haproxy import Haproxy
from hops.families.nginx import Nginx
from hops.families.servers import Python
from hops.readiness import until_routed
from hops.zoo import VENV, Zoo
from streamgap.core.probe import Ending
from streamgap.doctor.idle.cut import Kind, Swallower
from streamgap.doctor.idle.plan import MIN_STREAMS, STREAMS

LONGEST_S = 10.0
UVICORN = Python(
    command=("uvicorn", "doctor.idle.origin:app", "--port=PORT", "--timeout-graceful-shutdown=1", "--log-level=warning")
)
WORKERS = MIN_STREAMS + 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A path: `stand` in front of uvicorn (None: nothing), or `origin` instead of both, and what is to be found."""

    name: str
    kind: Kind | None
    timer_s: float = 0.0
    stand: Stand | None = None
    origin: Python | None = None
    path: str = "/drip"
    ending: Ending | None = Ending.TRUNCATED
    swallower: Swallower | None = None
    at_next_write: bool = False
    hop: str = ""
    late_s: float = 0.0
    """A timer that is looked at now and then only strikes up to so much later."""
    h2: bool = False
    streams: int = STREAMS


@dataclass(frozen=True, slots=True, kw_only=True)
class Traefik:
    """A Traefik that gives each response `write_s` seconds."""

    write_s: float

    @contextlib.asynccontextmanager
    async def __call__(self, zoo: Zoo, inner: Site) -> AsyncIterator[Site]:
        place, port = zoo.place("traefik"), zoo.port()
        static, dynamic = place / "static.json", place / "dynamic.json"
        router = {"rule": "PathPrefix(`/`)", "service": "app", "entryPoints": ["zoo"]}
        services = {"app": {"loadBalancer": {"servers": [{"url": f"http://{inner.netloc}"}]}}}
        dynamic.write_text(json.dumps({"http": {"routers": {"zoo": router}, "services": services}}))
        entry = {
            "address": f"127.0.0.1:{port}",
            "transport": {"respondingTimeouts": {"writeTimeout": f"{self.write_s:g}s"}},
        }
        static.write_text(
            json.dumps(
                {
                    "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
                    "log": {"level": "ERROR"},
                    "entryPoints": {"zoo": entry},
                    "providers": {"file": {"filename": str(dynamic), "watch": False}},
                }
            )
        )
        async with zoo.program([str(VENV / "traefik"), f"--configfile={static}"], port=port, place=place):
            site = Site(port=port, path=inner.path)
            await until_routed(site)
            yield site


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropping:
    """A firewall that forgets connections."""

    idle_s: float

    def __call__(self, _zoo: Zoo, inner: Site) -> AbstractAsyncContextManager[Site]:
        return dropping(inner, idle_s=self.idle_s)


def _caddy(timeout_s: float, *, current: bool) -> Caddy:
    transport = f"transport http {{\n  read_timeout {timeout_s:g}s\n}}"
    return Caddy(proxy=f"reverse_proxy 127.0.0.1:8000 {{\nflush_interval -1\n{transport}\n}}", current=current)


def _gunicorn(timeout_s: int) -> Python:
    options = ("--worker-class=sync", f"--workers={WORKERS}", "--graceful-timeout=1", f"--timeout={timeout_s}")
    return Python(command=("gunicorn", "--bind=127.0.0.1:PORT", *options, "doctor.idle.origin:wsgi"))


IDLE, AGE, SWALLOWED = Kind.IDLE, Kind.AGE, Kind.SWALLOWED
PLACES = (
    Place(name="clean", kind=None),
    Place(name="nginx", kind=IDLE, timer_s=4, stand=Nginx(lines="proxy_read_timeout 4s;"), hop="nginx"),
    Place(
        name="nginx-h2",
        kind=IDLE,
        timer_s=3,
        stand=Nginx(lines="proxy_read_timeout 3s; proxy_buffering off;", front=Front.H2),
        ending=Ending.RESET,
        hop="nginx",
        h2=True,
    ),
    Place(name="haproxy", kind=IDLE, timer_s=3.5, stand=Haproxy(lines="timeout server 3500ms"), hop="haproxy"),
    Place(
        name="caddy-2.6",
        kind=IDLE,
        timer_s=4.5,
        stand=_caddy(4.5, current=False),
        ending=Ending.FRAMED,
        hop="caddy",
    ),
    Place(name="caddy-2.11", kind=IDLE, timer_s=3, stand=_caddy(3, current=True), hop="caddy"),
    Place(name="apache", kind=IDLE, timer_s=4, stand=Apache(lines="ProxyTimeout 4"), hop="apache"),
    Place(
        name="envoy-idle",
        kind=IDLE,
        timer_s=4,
        stand=Envoy(route={"timeout": "0s", "idle_timeout": "4s"}),
        hop="envoy",
    ),
    Place(name="envoy-route", kind=AGE, timer_s=3, stand=Envoy(route={"timeout": "3s"}), hop="envoy"),
    Place(
        name="envoy-duration",
        kind=AGE,
        timer_s=6,
        stand=Envoy(route={"timeout": "0s", "max_stream_duration": {"max_stream_duration": "6s"}}),
        hop="envoy",
    ),
    Place(name="traefik", kind=AGE, timer_s=4, stand=Traefik(write_s=4), at_next_write=True),
    Place(
        name="gunicorn",
        kind=AGE,
        timer_s=6,
        origin=_gunicorn(6),
        late_s=1.5,
        hop="gunicorn",
        streams=MIN_STREAMS,
    ),
    Place(
        name="haproxy-gzip",
        kind=SWALLOWED,
        timer_s=3,
        stand=Haproxy(lines="timeout server 3s"),
        path="/gzip",
        swallower=Swallower.COMPRESSOR,
    ),
    Place(name="firewall", kind=IDLE, timer_s=3, stand=Dropping(idle_s=3), ending=None),
)
