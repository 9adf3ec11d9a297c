"""`streamgap demo`: fake model, app, hoarding proxy, collector, live page and pager together."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import uvicorn
from fastapi import FastAPI
from google import genai
from google.genai import types

from streamgap.alerting.profile import Profile
from streamgap.demo.app import demo_app
from streamgap.demo.desk import Desk
from streamgap.demo.fake_gemini import FakeGemini
from streamgap.demo.hoarder import Hoarder
from streamgap.demo.once import all_joined, browsing, find_chromium
from streamgap.demo.pager import pager_programs, run_pager
from streamgap.demo.paths import DRIPS, HABITS, PREFIXES, DemoPath
from streamgap.demo.script import answer
from streamgap.demo.storm import RETRY_MS
from streamgap.instrument import StreamGapMiddleware, instrument_genai, uninstrument_genai
from streamgap.relay import Relay
from streamgap.service import Collector, Settings
from streamgap.service.serve import serve

HOST = "127.0.0.1"
# A second stands for a minute, so that the pager's hour passes while somebody watches.
PROFILE = Profile.compressed(60)
TTL_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the demo was asked for: `port` of the page (0: any free one), `once` in streams per path (0: stay)."""

    port: int = 8787
    model: str = "gemini-3.5-flash"
    once: int = 0
    as_json: bool = False
    with_pager: bool = True


class _AppServer(uvicorn.Server):
    """The user's uvicorn; signals are the demo's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _serving(app: FastAPI, sock: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    server = _AppServer(config)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        yield
    finally:
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def _collecting(collector: Collector, public: socket.socket, admin: socket.socket) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(serve(collector, stop=stop, public=public, admin=admin))
    try:
        yield
    finally:
        stop.set()
        await task


@contextlib.contextmanager
def _model_client() -> Iterator[genai.Client]:
    """Return the real client: talking to Gemini where `GEMINI_API_KEY` is set, else to the fake."""
    instrument_genai()
    try:
        if os.environ.get("GEMINI_API_KEY"):
            yield genai.Client()
        else:
            with FakeGemini(answer) as fake:
                yield genai.Client(api_key="fake", http_options=types.HttpOptions(base_url=fake.base_url))
    finally:
        uninstrument_genai()


def _listener(port: int = 0) -> socket.socket:
    return socket.create_server((HOST, port))


def _url(sock: socket.socket) -> str:
    return f"http://{HOST}:{sock.getsockname()[1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    desk: Desk
    page_url: str
    app_url: str
    links: dict[str, str]
    directory: Path


@contextlib.asynccontextmanager
async def _everything(options: DemoOptions) -> AsyncIterator[_Running]:
    async with contextlib.AsyncExitStack() as closing:
        directory = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="streamgap-demo-")))
        client = closing.enter_context(_model_client())
        desk, origin, public, admin = Desk(), _listener(), _listener(), _listener()
        links = {"beacon": _url(public), "Live page": f"{_url(admin)}/", "Metrics": f"{_url(admin)}/metrics"}
        proxy = Hoarder(*origin.getsockname(), prefixes=PREFIXES, habits=HABITS, port=options.port)
        await closing.enter_async_context(proxy)
        page_url = f"http://{HOST}:{proxy.port}"
        settings = Settings(
            allow_origin=(page_url,), client_rate=100, client_burst=200, window_s=PROFILE.client_window_s, ttl_s=TTL_S
        )
        collector = Collector(settings, sinks=[desk])
        relay = Relay(retry_ms=RETRY_MS, sinks=[collector.offer_generation])
        app = demo_app(client=client, model=options.model, desk=desk, links=links, relay=relay)
        app.add_middleware(StreamGapMiddleware, sinks=[collector.offer_server])
        await closing.enter_async_context(_collecting(collector, public, admin))
        await closing.enter_async_context(_serving(app, origin))
        await closing.enter_async_context(relay)  # left first: its readers are told, and uvicorn need not wait for them
        if options.with_pager and (programs := pager_programs()):
            target, webhook_url = f"{HOST}:{admin.getsockname()[1]}", f"{page_url}/demo/pager"
            pager = await closing.enter_async_context(
                run_pager(programs, target=target, webhook_url=webhook_url, profile=PROFILE, directory=directory)
            )
            links |= {"Prometheus": f"{pager.prometheus_url}/alerts", "Alertmanager": pager.alertmanager_url}
        yield _Running(desk=desk, page_url=page_url, app_url=_url(origin), links=links, directory=directory)


async def run_demo(options: DemoOptions, *, out: TextIO = sys.stdout) -> int:
    """Run the demo until it is interrupted, or once through every path; returns the exit status.

    0: done, and (with `once`) every broken path was told from the healthy one; 1: not told; 3: no Chromium.
    """
    chromium = find_chromium() if options.once else None
    if options.once and chromium is None:
        sys.stderr.write("streamgap demo --once: expected Chromium, found none; try `apt-get install chromium`\n")
        return 3
    # Before anything starts, so that Ctrl-C at any time ends what has been started.
    stop = _interrupts()
    async with _everything(options) as running:
        if chromium is not None:
            return await _once(running, options, chromium=chromium, stop=stop, out=out)
        _announce(running, options, out)
        await stop.wait()
        out.write("\nstreamgap demo: stopping\n")
        return 0


async def _once(running: _Running, options: DemoOptions, *, chromium: str, stop: asyncio.Event, out: TextIO) -> int:
    url = f"{running.page_url}/?once={options.once}"
    async with browsing(chromium, url, directory=running.directory):
        joining = asyncio.create_task(all_joined(running.desk, per_path=options.once))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({joining, stopping}, return_when=asyncio.FIRST_COMPLETED)
        complete = joining.done() and joining.result()
        joining.cancel()
        stopping.cancel()
    report = running.desk.report()
    out.write(json.dumps(report) + "\n" if options.as_json else _table(report))
    return 0 if complete and running.desk.told_apart() else 1


def _table(report: dict[str, dict[str, dict[str, object]]]) -> str:
    rows = [f"{'path':<12}{'streams':>8}{'joined':>8}{'gap p50':>10}{'hold p50':>10}  verdicts, mechanisms of the held"]
    rows += [
        f"{path:<12}{row['streams']:>8}{row['joined']:>8}{row['gap_p50_s']!s:>8} s{row['hold_p50_s']!s:>8} s  "
        f"{row['verdicts']} {row['mechanisms'] or ''}".rstrip()
        for path, row in report["paths"].items()
    ]
    return "\n".join(rows) + "\n"


def _announce(running: _Running, options: DemoOptions, out: TextIO) -> None:
    paid = f"Gemini ({options.model}), paid by call: a storm without the relay makes 25"
    model = paid if os.environ.get("GEMINI_API_KEY") else "a fake Gemini; set GEMINI_API_KEY"
    lines = [
        "streamgap demo: everything runs on loopback. Ctrl-C ends it.",
        f"  Demo page    {running.page_url}/",
        *(f"  {name:<12} {url}" for name, url in running.links.items() if name != "beacon"),
        f"  Model        {model}",
        f"  Paths        {', '.join(DemoPath)}",
        *(f"  {name:<12} {line}" for name, line in _doctor_lines(running)),
    ]
    if options.with_pager and "Prometheus" not in running.links:
        lines.append("  Pager        none: prometheus or prometheus-alertmanager is not installed")
    out.write("\n".join(lines) + "\n")
    out.flush()


def _doctor_lines(running: _Running) -> list[tuple[str, str]]:
    """Return what to type in another terminal: the path that holds blocks, and the app itself behind it."""
    drip = DRIPS[DemoPath.BLOCKS]
    asked = f"streamgap doctor --via app={running.app_url}{drip} {running.page_url}{drip}"
    return [("Doctor", asked), ("", f"and {DRIPS[DemoPath.HEALTHY]}, or any other path, in place of {drip}")]


def _interrupts() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set from now on."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
