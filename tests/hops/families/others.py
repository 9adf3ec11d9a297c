"""lighttpd and Squid of Debian as reverse proxies."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from hops.configuration import Site
from hops.remedies import merged
from hops.zoo import Zoo, from_debian

LIGHTTPD = """
server.modules = ("mod_proxy")
server.document-root = "{place}"
server.bind = "127.0.0.1"
server.port = {port}
proxy.server = ("" => (("host" => "127.0.0.1", "port" => {inner})))
{lines}
"""
SQUID = """
http_port 127.0.0.1:{port} accel defaultsite=localhost no-vhost
cache_peer 127.0.0.1 parent {inner} 0 no-query originserver name=app
acl all_of_it src 127.0.0.1
http_access allow all_of_it
cache_peer_access app allow all_of_it
pid_filename {place}/pid
cache_log {place}/cache.log
access_log none
cache_store_log none
cache_mem 8 MB
coredump_dir {place}
shutdown_lifetime 0 seconds
visible_hostname localhost
pinger_enable off
{lines}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lighttpd:
    """A lighttpd in front of a site, with `lines` in its configuration."""

    lines: str = ""
    remedies: tuple[str, ...] = ()

    @contextlib.asynccontextmanager
    async def __call__(self, zoo: Zoo, inner: Site) -> AsyncIterator[Site]:
        place, port = zoo.place("lighttpd"), zoo.port()
        lines = merged(self.lines, hop="lighttpd", remedies=self.remedies)
        config = place / "lighttpd.conf"
        config.write_text(LIGHTTPD.format(place=place, port=port, inner=inner.port, lines=lines))
        async with zoo.program([from_debian("lighttpd"), "-D", "-f", str(config)], port=port, place=place):
            yield Site(port=port, path=inner.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Squid:
    """A Squid in front of a site, with `lines` in its configuration."""

    lines: str = ""

    @contextlib.asynccontextmanager
    async def __call__(self, zoo: Zoo, inner: Site) -> AsyncIterator[Site]:
        place, port = zoo.place("squid"), zoo.port()
        config = place / "squid.conf"
        config.write_text(SQUID.format(place=place, port=port, inner=inner.port, lines=self.lines))
        place.chmod(0o777)  # Squid gives up root for `proxy`
        command = [from_debian("squid"), "-N", "-f", str(config), "-n", f"zoo{port}"]
        async with zoo.program(command, port=port, place=place):
            yield Site(port=port, path=inner.path)
