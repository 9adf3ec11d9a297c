"""Apache httpd of Debian as a reverse proxy."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from hops.configuration import Site
from hops.families.front import Front
from hops.zoo import Zoo, from_debian

MODULES = ("mpm_event", "authz_core", "proxy", "proxy_http", "headers", "filter")
CONFIG = """
ServerRoot {place}
ServerName localhost
PidFile {place}/pid
ErrorLog {place}/error.log
{modules}
StartServers 1
ThreadsPerChild 64
MaxRequestWorkers 64
Listen 127.0.0.1:{port}
{tls}
ProxyPass "/" "http://{inner}/"
{lines}
"""
TLS = """
SSLEngine on
SSLCertificateFile {certificate}
SSLCertificateKeyFile {key}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Apache:
    """An Apache in front of a site, with `modules` beside those that a proxy needs."""

    lines: str = ""
    modules: tuple[str, ...] = ()
    front: Front = Front.CLEAR

    @contextlib.asynccontextmanager
    async def __call__(self, zoo: Zoo, inner: Site) -> AsyncIterator[Site]:
        place, port = zoo.place("apache"), zoo.port()
        config = place / "apache.conf"
        needed = (*MODULES, *self._front_modules(), *self.modules)
        load = "\n".join(f"LoadModule {one}_module /usr/lib/apache2/modules/mod_{one}.so" for one in needed)
        config.write_text(
            CONFIG.format(
                place=place, port=port, modules=load, tls=self._tls(zoo), inner=inner.netloc, lines=self.lines
            )
        )
        command = [from_debian("apache2"), "-f", str(config), "-DFOREGROUND"]
        async with zoo.program(command, port=port, place=place):
            yield Site(port=port, path=inner.path, scheme=self.front.scheme)

    def _front_modules(self) -> tuple[str, ...]:
        return {Front.CLEAR: (), Front.TLS: ("ssl",), Front.H2: ("ssl", "http2")}[self.front]

    def _tls(self, zoo: Zoo) -> str:
        if self.front is Front.CLEAR:
            return ""
        protocols = "Protocols h2 http/1.1" if self.front is Front.H2 else ""
        return protocols + TLS.format(certificate=zoo.certificate.certificate, key=zoo.certificate.key)
