"""Where the app itself runs: ASGI and WSGI servers with the drip in them."""

import contextlib
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from hops.configuration import Site
from hops.zoo import TESTS, Zoo, from_debian

FOREVER = "--timeout=600"
NO_ENV: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Uvicorn:
    """The one uvicorn that all configurations share: `path` is a middleware of `hops.origin.apps`."""

    path: str = "/drip"

    @contextlib.asynccontextmanager
    async def __call__(self, zoo: Zoo) -> AsyncIterator[Site]:
        command = ["uvicorn", "hops.origin.apps:app", "--timeout-graceful-shutdown=1", "--log-level=warning"]
        yield Site(port=await zoo.shared(command, option="--port", name="uvicorn"), path=self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Python:
    """A server of its own, a program of this environment; `PORT` in its arguments is where it shall listen."""

    command: tuple[str, ...]
    path: str = "/drip"
    env: Mapping[str, str] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def __call__(self, zoo: Zoo) -> AsyncIterator[Site]:
        port = zoo.port()
        command = [part.replace("PORT", str(port)) for part in self.command]
        async with zoo.python(command, port=port, env=self.env):
            yield Site(port=port, path=self.path)


def gunicorn(
    *options: str, app: str = "hops.origin.wsgi:app", path: str = "/drip", env: Mapping[str, str] = NO_ENV
) -> Python:
    """Return a gunicorn with the given workers."""
    command = ("gunicorn", "--bind=127.0.0.1:PORT", "--graceful-timeout=1", FOREVER, *options, app)
    return Python(command=command, path=path, env=env)


def uvicorn(app: str, *, path: str, env: Mapping[str, str] = NO_ENV) -> Python:
    """Return a uvicorn of its own."""
    command = ("uvicorn", app, "--port=PORT", "--timeout-graceful-shutdown=1", "--log-level=warning")
    return Python(command=command, path=path, env=env)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uwsgi:
    """uWSGI of Debian, by HTTP (`http-socket`, `http`) or for nginx (`socket`); `threads` is of its settings."""

    by: str = "http-socket"
    threads: str = "threads = 24"

    @contextlib.asynccontextmanager
    async def __call__(self, zoo: Zoo) -> AsyncIterator[Site]:
        place, port = zoo.place("uwsgi"), zoo.port()
        settings = place / "uwsgi.ini"
        settings.write_text(f"[uwsgi]\n{self.threads}\n")
        command = [from_debian("uwsgi"), "--plugins", "http,python3" if self.by == "http" else "python3"]
        command += [f"--{self.by}", f"127.0.0.1:{port}", "--module", "hops.origin.wsgi:app", "--ini", str(settings)]
        command += [
            "--master",
            "--die-on-term",
            "--home",
            sys.prefix,
            "--pythonpath",
            str(TESTS),
            "--buffer-size",
            "32768",
        ]
        command += ["--pythonpath", str(TESTS.parent / "collector")]
        async with zoo.program(command, port=port, place=place):
            yield Site(port=port, scheme="uwsgi" if self.by == "socket" else "http")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A Node program of `node/server.js` in front of a site."""

    kind: str

    @contextlib.asynccontextmanager
    async def __call__(self, zoo: Zoo, inner: Site) -> AsyncIterator[Site]:
        place, port = zoo.place("node"), zoo.port()
        script = Path(__file__).parent.parent / "node" / "server.js"
        command = [from_debian("node"), str(script), self.kind, str(port), f"http://{inner.netloc}"]
        async with zoo.program(command, port=port, place=place):
            yield Site(port=port, path=inner.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A bad link of `hops.origin.network` in front of a site."""

    kind: str

    @contextlib.asynccontextmanager
    async def __call__(self, zoo: Zoo, inner: Site) -> AsyncIterator[Site]:
        port = zoo.port()
        command = ("python", "-m", "hops.origin.network", self.kind, str(port), str(inner.port))
        async with zoo.python(command, port=port):
            yield Site(port=port, path=inner.path, scheme=inner.scheme)
