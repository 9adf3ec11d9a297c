"""Varnish of Debian."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from hops.configuration import Site
from hops.zoo import Zoo, from_debian

CONFIG = """
vcl 4.1;
backend app {{ .host = "127.0.0.1"; .port = "{inner}"; }}
{first}
sub vcl_recv {{ {receive} }}
sub vcl_backend_response {{ {response} }}
{last}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Varnish:
    """A Varnish in front of a site: `receive` goes into `vcl_recv`, `response` into `vcl_backend_response`.

    `first` and `last` are subroutines before and behind these.
    """

    receive: str = ""
    response: str = ""
    first: str = ""
    last: str = ""

    @contextlib.asynccontextmanager
    async def __call__(self, zoo: Zoo, inner: Site) -> AsyncIterator[Site]:
        place, port = zoo.place("varnish"), zoo.port()
        config = place / "zoo.vcl"
        vcl = CONFIG.format(
            inner=inner.port, receive=self.receive, response=self.response, first=self.first, last=self.last
        )
        config.write_text(vcl)
        command = [from_debian("varnishd"), "-F", "-j", "none", "-n", str(place / "work"), "-a", f"127.0.0.1:{port}"]
        options = ["-f", str(config), "-s", "malloc,32m", "-p", "thread_pools=1", "-p", "thread_pool_min=20"]
        async with zoo.program([*command, *options], port=port, place=place):
            yield Site(port=port, path=inner.path)
