"""The real parts: a drip under uvicorn, a real nginx in front of it that can be told to hold, and a real canary."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from certificate import make_certificate
from instrument.lab import HOST, serving
from streamgap.demo.processes import find_program, free_port, running
from streamgap.doctor import Drip

T = TypeVar("T")
PATIENCE_S = 60.0
COMMAND = (sys.executable, "-m", "streamgap.doctor.canary.command")
CONFIG = """
daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  ssl_certificate {directory}/cert.pem; ssl_certificate_key {directory}/key.pem;
  server {{
    listen {host}:{port} ssl{h2};
    location / {{ proxy_pass http://{host}:{upstream}; proxy_http_version 1.1; proxy_buffering {buffering}; }}
  }}
}}
"""


async def until(check: Callable[[], Awaitable[T | None]], what: str) -> T:
    """Return the first truthy result of `check`; fail after a minute and say what was awaited."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx2.TransportError):
            if found := await check():
                return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"waited {PATIENCE_S} s for {what}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A running nginx behind which the drip is."""

    url: str
    upstream: int
    port: int
    h2: bool
    directory: Path
    process: asyncio.subprocess.Process

    def reload(self, *, buffering: str) -> None:
        """Change the configuration and let the running nginx take it."""
        write_config(self.directory, port=self.port, upstream=self.upstream, buffering=buffering, h2=self.h2)
        self.process.send_signal(1)  # SIGHUP


def write_config(directory: Path, *, port: int, upstream: int, buffering: str, h2: bool) -> Path:
    path = directory / "nginx.conf"
    places = {"host": HOST, "port": port, "upstream": upstream}
    text = CONFIG.format(directory=directory, buffering=buffering, h2=" http2" if h2 else "", **places)
    path.write_text(text, encoding="utf-8")
    return path


async def listens(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError):
        _, writer = await asyncio.open_connection(HOST, port)
        writer.close()
        return True
    return False


@contextlib.asynccontextmanager
async def edge(directory: Path, *, buffering: str = "off", h2: bool = True) -> AsyncIterator[Edge]:
    """Run the drip and nginx."""
    make_certificate(directory)
    port = free_port()
    nginx = find_program("nginx", "/usr/sbin/nginx")
    assert nginx, "expected nginx; install the Debian package"
    async with serving(Drip()) as upstream:
        config = write_config(directory, port=port, upstream=upstream, buffering=buffering, h2=h2)
        command = [nginx, "-p", str(directory), "-c", str(config)]
        async with running(command, log=directory / "nginx.log") as process:
            await until(lambda: listens(port), "nginx")
            url = f"https://{HOST}:{port}/"
            yield Edge(url=url, upstream=upstream, port=port, h2=h2, directory=directory, process=process)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A running canary: where its metrics are, its process, and its log."""

    port: int
    process: asyncio.subprocess.Process
    log: Path
    http: httpx2.AsyncClient

    async def metric(self, series: str) -> float | None:
        """Return the value of one series as it is written, None where there is none."""
        text = (await self.http.get(f"http://{HOST}:{self.port}/metrics")).text
        values = (line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"{series} "))
        found = next(values, None)
        return None if found is None else float(found)

    def lines(self) -> list[dict[str, Any]]:
        """Return what it has logged; a line that is being written is left out."""
        return [json.loads(line) for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]


@contextlib.asynccontextmanager
async def canary(directory: Path, *words: str) -> AsyncIterator[Canary]:
    """Run the command with a port of its own, and wait until it answers."""
    port, log = free_port(), directory / "canary.log"
    async with (
        httpx2.AsyncClient(timeout=5) as http,
        running([*COMMAND, "--bind", f"{HOST}:{port}", *words], log=log) as process,
    ):

        async def answers() -> bool:
            return (await http.get(f"http://{HOST}:{port}/healthz")).is_success

        await until(answers, "the canary")
        yield Canary(port=port, process=process, log=log, http=http)
