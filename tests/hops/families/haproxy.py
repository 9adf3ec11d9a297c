"""HAProxy of Debian."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from hops.configuration import Site
from hops.families.front import Front
from hops.remedies import merged
from hops.zoo import Zoo, from_debian

CONFIG = """
global
  maxconn 512
  stats timeout 1s
defaults
  mode {mode}
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen zoo
  bind 127.0.0.1:{port}{bind}
  {lines}
  server app {inner}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Haproxy:
    """A HAProxy in front of a site: `lines` go into its one `listen` section."""

    lines: str = ""
    front: Front = Front.CLEAR
    mode: str = "http"
    remedies: tuple[str, ...] = ()

    @contextlib.asynccontextmanager
    async def __call__(self, zoo: Zoo, inner: Site) -> AsyncIterator[Site]:
        place, port = zoo.place("haproxy"), zoo.port()
        config = place / "haproxy.cfg"
        lines = merged(self.lines, hop="haproxy", remedies=self.remedies).replace("\n", "\n  ")
        bind = {Front.CLEAR: "", Front.TLS: " alpn http/1.1", Front.H2: " alpn h2,http/1.1"}[self.front]
        if bind:
            bind = f" ssl crt {zoo.certificate.both}{bind}"
        server = f"{inner.netloc} ssl verify none" if inner.scheme == "https" else inner.netloc
        config.write_text(CONFIG.format(mode=self.mode, port=port, bind=bind, lines=lines, inner=server))
        async with zoo.program([from_debian("haproxy"), "-db", "-f", str(config)], port=port, place=place):
            yield Site(port=port, path=inner.path, scheme=self.front.scheme)

    def cured(self, *remedies: str) -> "Haproxy":
        """Return the same HAProxy with the lines of remedies in it."""
        return replace(self, remedies=remedies)
