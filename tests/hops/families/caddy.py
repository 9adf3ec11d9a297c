"""Caddy, Debian's 2.6 and the current one."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from hops.configuration import Site
from hops.families.front import Front
from hops.zoo import VENV, Zoo, from_debian

CONFIG = """
{{
  admin off
  auto_https off
  storage file_system {place}/storage
  servers {{
    protocols {protocols}
  }}
}}
{scheme}://127.0.0.1:{port}, {scheme}://localhost:{port} {{
  {tls}
  {site}
  {proxy}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caddy:
    """A Caddy in front of a site: `site` goes into its block, `proxy` is its `reverse_proxy` to 127.0.0.1:8000."""

    site: str = ""
    proxy: str = "reverse_proxy 127.0.0.1:8000"
    front: Front = Front.CLEAR
    current: bool = True

    @contextlib.asynccontextmanager
    async def __call__(self, zoo: Zoo, inner: Site) -> AsyncIterator[Site]:
        place, port = zoo.place("caddy"), zoo.port()
        config = place / "Caddyfile"
        secure = self.front is not Front.CLEAR
        config.write_text(
            CONFIG.format(
                place=place,
                port=port,
                protocols="h1 h2" if self.front is Front.H2 else "h1",
                scheme=self.front.scheme,
                tls=f"tls {zoo.certificate.certificate} {zoo.certificate.key}" if secure else "",
                site=self.site,
                proxy=self.proxy.replace("127.0.0.1:8000", inner.netloc),
            )
        )
        program = str(VENV / "caddy") if self.current else from_debian("caddy")
        command = [program, "run", "--adapter", "caddyfile", "--config", str(config)]
        async with zoo.program(command, port=port, place=place, env={"HOME": str(place)}):
            yield Site(port=port, path=inner.path, scheme=self.front.scheme)
