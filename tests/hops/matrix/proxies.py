"""HAProxy, Caddy, Apache, Envoy, Traefik, Varnish, lighttpd and Squid, each alone in front of the app."""

from hops.configuration import LATE, NOTHING, Configuration, Cure, Route, Stand, Truth, guilty
from hops.families.apache import Apache
from hops.families.caddy import Caddy
from hops.families.envoy import Envoy, compressor, lua
from hops.families.front import Front
from hops.families.haproxy import Haproxy
from hops.families.others import Lighttpd, Squid
from hops.families.servers import Uvicorn
from hops.families.traefik import Traefik
from hops.families.varnish import Varnish
from hops.remedies import lines_of
from streamgap.core.mechanism import Mechanism

SSE = "text/event-stream"
EXTERNAL = 'ExtFilterDefine cat mode=output cmd="/bin/cat"\nSetOutputFilter cat'
SED = f'<Location "/">\nAddOutputFilterByType Sed {SSE}\nOutputSed "s/zzzz/yyyy/g"\n</Location>'
RATED = '<Location "/">\nSetOutputFilter RATE_LIMIT\nSetEnv rate-limit 60\n</Location>'
GZIP_TYPE = f"compression algo gzip\ncompression type {SSE}"
WAITING = "http-response wait-for-body time 9s at-least 1500"
CORK = guilty(Mechanism.TIMER, hops=("haproxy",), period_ms=(150.0, 260.0))
LUA = "function envoy_on_response(response_handle) {} end"
UNZIPPED = "compressor-content-type"
KEEPING = {"kept": {"buffering": {"maxResponseBodyBytes": 2_000_000}}}
BUFFERED = "reverse_proxy 127.0.0.1:8000 {{\n {} \n}}"
ENCODING = "encode gzip zstd {\n minimum_length 90\n match header Content-Type text/*\n }"
DEFLATE = f"""
server.modules += ("mod_deflate")
deflate.mimetypes = ("{SSE}")
deflate.allowed-encodings = ("gzip")
server.stream-response-body = 1
"""
GZIPPED = "set beresp.do_gzip = true;"
UNSTREAMED = "set beresp.do_stream = false;"
QUERY_IGNORED = 'set req.url = regsub(req.url, "[?].*", ""); return (hash);'
KEPT = "set beresp.ttl = 60s; return (deliver);"


def one(name: str, stand: Stand, truth: Truth = NOTHING, **cures: Stand | Route) -> Configuration:
    """Return one program in front of the app, and the same with each remedy in it, by the remedy's id."""
    made = [(remedy.replace("_", "-"), cure) for remedy, cure in cures.items()]
    return Configuration(
        name=name,
        family=name.partition("-")[0],
        route=alone(stand),
        truth=truth,
        cures=tuple(
            Cure(hop=truth.hops[0], remedy=remedy, route=cure if isinstance(cure, Route) else alone(cure))
            for remedy, cure in made
        ),
    )


def alone(stand: Stand, *, path: str = "/drip") -> Route:
    """Return one program in front of the app."""
    return Route(origin=Uvicorn(path=path), stands=(stand,))


def whole(hop: str) -> Truth:
    """Return the truth about a program that keeps the whole response."""
    return guilty(Mechanism.WHOLE, hops=(hop,))


HAPROXY = (
    one("haproxy-clear", Haproxy(), CORK, http_no_delay=Haproxy().cured("http-no-delay")),
    one("haproxy-clear-close", Haproxy(lines="option httpclose"), CORK),
    one("haproxy-no-delay", Haproxy(lines="option http-no-delay")),
    one("haproxy-tls", Haproxy(front=Front.TLS)),
    one("haproxy-h2", Haproxy(front=Front.H2)),
    one("haproxy-tcp", Haproxy(mode="tcp")),
    one(
        "haproxy-gzip-tls",
        Haproxy(lines=GZIP_TYPE, front=Front.TLS),
        guilty(Mechanism.ONE_BEHIND, hops=("haproxy",)),
        compression_type=Haproxy(lines=GZIP_TYPE, front=Front.TLS).cured("compression-type"),
        no_transform=alone(Haproxy(lines=GZIP_TYPE, front=Front.TLS), path="/no-transform"),
    ),
    one(
        "haproxy-gzip-h2",
        Haproxy(lines="compression algo gzip", front=Front.H2),
        guilty(Mechanism.ONE_BEHIND, hops=("haproxy",)),
    ),
    one(
        "haproxy-gzip-clear",
        Haproxy(lines=GZIP_TYPE),
        guilty(Mechanism.TIMER, Mechanism.ONE_BEHIND, hops=("haproxy",)),
        compression_type=Haproxy(lines=GZIP_TYPE).cured("http-no-delay", "compression-type"),
    ),
    one(
        "haproxy-wait-for-body",
        Haproxy(lines=WAITING, front=Front.TLS),
        guilty(Mechanism.FIRST_BYTES, hops=("haproxy",)),
        no_wait_for_body=Haproxy(lines=WAITING, front=Front.TLS).cured("no-wait-for-body"),
    ),
)
CADDY = (
    one("caddy-clear", Caddy()),
    one("caddy-h2", Caddy(front=Front.H2)),
    one("caddy-encode", Caddy(site="encode gzip zstd")),
    one("caddy-flush-interval", Caddy(proxy=BUFFERED.format("flush_interval 500ms"))),
    one(
        "caddy-buffers",
        Caddy(proxy=BUFFERED.format("response_buffers unlimited")),
        whole("caddy"),
        no_response_buffers=Caddy(proxy=lines_of("caddy", "no-response-buffers")),
    ),
    one("caddy26-clear", Caddy(current=False)),
    one("caddy26-h2", Caddy(front=Front.H2, current=False)),
    one("caddy26-buffers", Caddy(proxy=BUFFERED.format("buffer_responses"), current=False), whole("caddy")),
    one(
        "caddy26-encode",
        Caddy(site=ENCODING, current=False),
        guilty(Mechanism.COMPRESSOR, hops=("caddy",)),
        upgrade=Caddy(site=ENCODING),
        no_encode=alone(Caddy(site=lines_of("caddy", "no-encode"), current=False), path="/stream"),
    ),
)
APACHE = (
    one("apache-clear", Apache()),
    one("apache-h2", Apache(front=Front.H2)),
    one("apache-deflate", Apache(modules=("deflate",), lines=f"AddOutputFilterByType DEFLATE {SSE}")),
    one("apache-brotli-tls", Apache(modules=("brotli",), lines="SetOutputFilter BROTLI_COMPRESS", front=Front.TLS)),
    one("apache-buffer", Apache(modules=("buffer",), lines="SetOutputFilter BUFFER")),
    one(
        "apache-ext-filter",
        Apache(modules=("ext_filter",), lines=EXTERNAL),
        guilty(Mechanism.BLOCKS, hops=("apache",), unlisted=True, block_bytes=(4_000, 4_900)),
    ),
    one(
        "apache-sed",
        Apache(modules=("sed",), lines=SED),
        guilty(Mechanism.ONE_BEHIND, hops=("apache",), unlisted=True),
    ),
    one(
        "apache-ratelimit",
        Apache(modules=("ratelimit", "env"), lines=RATED),
        guilty(Mechanism.TIMER, hops=("apache",), unlisted=True, period_ms=(190.0, 215.0)),
    ),
    one("apache-flushpackets", Apache(lines="ProxyIOBufferSize 65536")),
)
ENVOY = (
    one("envoy-clear", Envoy()),
    one("envoy-h2", Envoy(front=Front.H2)),
    one("envoy-gzip", Envoy(filters=(compressor("gzip", SSE),))),
    one("envoy-brotli", Envoy(filters=(compressor("brotli", SSE),))),
    one(
        "envoy-zstd",
        Envoy(filters=(compressor("zstd", SSE),)),
        guilty(Mechanism.COMPRESSOR, hops=("envoy",)),
        compressor_content_type=Envoy(filters=(compressor("zstd", SSE, remedies=(UNZIPPED,)),)),
        no_transform=alone(Envoy(filters=(compressor("zstd", SSE),)), path="/no-transform"),
    ),
    one(
        "envoy-zstd-h2",
        Envoy(filters=(compressor("zstd", SSE),), front=Front.H2),
        guilty(Mechanism.COMPRESSOR, hops=("envoy",)),
    ),
    one(
        "envoy-lua-body",
        Envoy(filters=(lua(LUA.format("response_handle:body()")),)),
        whole("envoy"),
        no_lua_body=Envoy(filters=(lua(LUA.format(lines_of("envoy", "no-lua-body"))),)),
    ),
    one(
        "envoy-route-timeout",
        Envoy(route={"timeout": "3s"}),
        guilty(Mechanism.CUT, Mechanism.AGE_CUT, hops=("envoy",)),
        route_timeout=Envoy(route={"timeout": "3s"}, remedies=("route-timeout",)),
    ),
)
TRAEFIK = (
    one("traefik-clear", Traefik()),
    one("traefik-tls", Traefik(front=Front.TLS)),
    one("traefik-compress", Traefik(middlewares={"small": {"compress": {}}}), LATE),
    one(
        "traefik-buffering",
        Traefik(middlewares=KEEPING),
        whole("traefik"),
        no_buffering=Traefik(middlewares=KEEPING, remedies=("no-buffering",)),
    ),
)
VARNISH = (
    one("varnish-default", Varnish()),
    # It keeps the compressed form and unpacks that for who did not ask for gzip: both are held.
    one(
        "varnish-do-gzip",
        Varnish(response=GZIPPED),
        guilty(Mechanism.COMPRESSOR, Mechanism.WHOLE, hops=("varnish",)),
        no_do_gzip=Varnish(response=GZIPPED, last=lines_of("varnish", "no-do-gzip")),
        content_encoding_identity=alone(Varnish(response=GZIPPED), path="/identity"),
    ),
    one(
        "varnish-no-stream",
        Varnish(response=UNSTREAMED),
        whole("varnish"),
        do_stream=Varnish(response=UNSTREAMED, last=lines_of("varnish", "do-stream")),
    ),
    one(
        "varnish-replays",
        Varnish(receive=QUERY_IGNORED, response=KEPT),
        guilty(Mechanism.REPLAY, hops=("varnish",)),
        **{"pass": Varnish(receive=QUERY_IGNORED, response=KEPT, first=lines_of("varnish", "pass"))},
    ),
)
OTHERS = (
    one(
        "lighttpd-default",
        Lighttpd(),
        whole("lighttpd"),
        stream_response_body=Lighttpd(remedies=("stream-response-body",)),
    ),
    one("lighttpd-streaming", Lighttpd(lines="server.stream-response-body = 2")),
    one("lighttpd-deflate", Lighttpd(lines=DEFLATE)),
    one("squid-accelerator", Squid()),
)
CONFIGURATIONS = (*HAPROXY, *CADDY, *APACHE, *ENVOY, *TRAEFIK, *VARNISH, *OTHERS)
