"""Traefik, configured by files."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hops.configuration import Site
from hops.families.front import Front
from hops.readiness import until_routed
from hops.remedies import overlaid
from hops.zoo import VENV, Zoo


@dataclass(frozen=True, slots=True, kw_only=True)
class Traefik:
    """A Traefik in front of a site, with `middlewares` by name. Its HTTPS always offers HTTP/2."""

    middlewares: Mapping[str, Any] = field(default_factory=dict)
    front: Front = Front.CLEAR
    remedies: tuple[str, ...] = ()

    @contextlib.asynccontextmanager
    async def __call__(self, zoo: Zoo, inner: Site) -> AsyncIterator[Site]:
        place, port = zoo.place("traefik"), zoo.port()
        static, dynamic = place / "static.json", place / "dynamic.json"
        dynamic.write_text(json.dumps(self._dynamic(zoo, inner)))
        static.write_text(
            json.dumps(
                {
                    "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
                    "log": {"level": "ERROR"},
                    "entryPoints": {"zoo": {"address": f"127.0.0.1:{port}"}},
                    "providers": {"file": {"filename": str(dynamic), "watch": False}},
                }
            )
        )
        async with zoo.program([str(VENV / "traefik"), f"--configfile={static}"], port=port, place=place):
            site = Site(port=port, path=inner.path, scheme=self.front.scheme)
            await until_routed(site)
            yield site

    def _dynamic(self, zoo: Zoo, inner: Site) -> dict[str, Any]:
        router: dict[str, Any] = {"rule": "PathPrefix(`/`)", "service": "app", "entryPoints": ["zoo"]}
        if self.middlewares:
            router["middlewares"] = list(self.middlewares)
        if self.front is not Front.CLEAR:
            router["tls"] = {}
        http: dict[str, Any] = {
            "routers": {"app": router},
            "services": {"app": {"loadBalancer": {"servers": [{"url": f"http://{inner.netloc}"}]}}},
        }
        if self.middlewares:
            http["middlewares"] = dict(self.middlewares)
        files = zoo.certificate
        pair = {"certFile": str(files.certificate), "keyFile": str(files.key)}
        return overlaid({"http": http, "tls": {"certificates": [pair]}}, hop="traefik", remedies=self.remedies)
