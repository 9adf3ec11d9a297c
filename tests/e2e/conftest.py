"""Starts the real programs once for all end-to-end tests, each a process of its own."""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from e2e.nginx import RELAY_SCHEMES, SCHEMES, write_config
from streamgap.alerting.profile import Profile
from streamgap.demo.fake_gemini import FakeGemini, GeminiRequest, Sleep, Step, Text
from streamgap.demo.processes import find_program, free_port, running

T = TypeVar("T")
HERE = Path(__file__).parent
PIECES = 40
FIRST_S = 0.3
EVERY_S = 0.05
PATIENCE_S = 30.0
TTL_S = 4.0
WINDOW_S = Profile.compressed(60).client_window_s
CHROMIUM = os.environ.get("STREAMGAP_CHROMIUM", "/usr/bin/chromium")
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


def answer(request: GeminiRequest) -> list[Step]:
    """Answer in `PIECES` pieces, one every `EVERY_S` seconds; a prompt `quick` is answered in a tenth of that."""
    every_s = EVERY_S / 10 if request.prompt == "quick" else EVERY_S
    steps: list[Step] = [Sleep(FIRST_S)]
    for i in range(PIECES):
        steps += [Text(f"piece {i}\n\nevent: done\n", finish="STOP" if i == PIECES - 1 else None), Sleep(every_s)]
    return steps[:-1]


async def until(check: Callable[[], Awaitable[T | None]], what: str, *, patience_s: float = PATIENCE_S) -> T:
    """Return the first truthy result of `check`; fail after `patience_s` seconds and say what was awaited."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx2.TransportError):
            if found := await check():
                return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"waited {patience_s} s for {what}")


@dataclass(slots=True)
class Stack:
    """Where the programs of one end-to-end run are, and what their logs say.

    `relay_ports` are where browsers find the relay's app: in front of the nginx servers of the same name.
    """

    fake: FakeGemini
    http: httpx2.AsyncClient
    directory: Path
    public_port: int
    admin_port: int
    app_port: int
    relay_app_port: int
    ports: dict[str, int]
    relay_ports: dict[str, int]
    browser: Browser
    collecting: contextlib.AsyncExitStack

    @property
    def admin(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def beacon(self) -> str:
        return f"http://127.0.0.1:{self.public_port}/v1/beacon"

    def page_url(self, path: str) -> str:
        return f"{SCHEMES[path]}://127.0.0.1:{self.ports[path]}/page?beacon={self.beacon}"

    @contextlib.asynccontextmanager
    async def page(self, path: str) -> AsyncIterator[Page]:
        """Open the test page through nginx, in a browser context (a person) of its own."""
        context = await self.browser.new_context(ignore_https_errors=True)
        page = await context.new_page()
        await page.goto(self.page_url(path))
        yield page
        await context.close()

    def writes(self) -> dict[str, list[float]]:
        """Return the app's own log: when it wrote each content event, in ms since the request came, by stream id."""
        log = self.directory / "writes.jsonl"
        entries = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return {entry["sid"]: entry["at"] for entry in entries}

    async def joined(self, sid: str) -> dict[str, Any]:
        """Wait until the collector has joined the stream, and return what its live page says of it."""

        async def check() -> dict[str, Any] | None:
            snapshot = (await self.http.get(f"{self.admin}/live/snapshot")).json()
            return next((stream for stream in snapshot["streams"] if stream["sid"] == sid), None)

        return await until(check, f"stream {sid} to be joined")

    async def metrics(self) -> dict[str, float]:
        """Return every sample of the collector's /metrics by its name and labels."""
        text = (await self.http.get(f"{self.admin}/metrics")).text
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {series: float(value) for series, value in pairs}

    def collector_command(self) -> list[str]:
        """Return the command line of the collector under test."""
        origins = [f"{scheme}://127.0.0.1:{self.ports[path]}" for path, scheme in SCHEMES.items()]
        origins += [f"{scheme}://127.0.0.1:{self.relay_ports[path]}" for path, scheme in RELAY_SCHEMES.items()]
        options = {
            "--bind": f"127.0.0.1:{self.public_port}",
            "--admin-bind": f"127.0.0.1:{self.admin_port}",
            "--allow-origin": ",".join(origins),
            "--ttl-s": str(TTL_S),
            "--window-s": str(WINDOW_S),
            "--client-rate": "1000",
            "--client-burst": "1000",
        }
        return [sys.executable, "-m", "streamgap", "serve", *(word for pair in options.items() for word in pair)]

    async def start_collector(self) -> None:
        """Run the collector until `closing` is left or it is restarted, and wait until it is ready."""
        log = self.directory / "collector.log"
        await self.collecting.enter_async_context(running(self.collector_command(), log=log))
        await until(lambda: self.answers(f"{self.admin}/readyz"), "the collector")

    @contextlib.asynccontextmanager
    async def without_collector(self) -> AsyncIterator[None]:
        """End the collector by SIGTERM, and start it anew after the block."""
        await self.collecting.aclose()
        try:
            yield
        finally:
            await self.start_collector()

    async def answers(self, url: str) -> bool:
        return (await self.http.get(url)).is_success


@contextlib.asynccontextmanager
async def running_app(stack: Stack) -> AsyncIterator[None]:
    """Run the origin under the real uvicorn."""
    env = {
        "ORIGIN_TRACES": f"{stack.admin}/v1/traces",
        "ORIGIN_GEMINI": stack.fake.base_url,
        "ORIGIN_LOG": str(stack.directory / "writes.jsonl"),
        "PYTHONPATH": str(HERE.parent),
    }
    server = [sys.executable, "-m", "uvicorn", "--factory", "e2e.origin:make_app", "--port", str(stack.app_port)]
    command = ["env", *(f"{name}={value}" for name, value in env.items()), *server]
    async with running(command, log=stack.directory / "app.log"):
        await until(lambda: stack.answers(f"http://127.0.0.1:{stack.app_port}/page"), "the app")
        yield


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(tmp_path_factory: Any) -> AsyncIterator[Stack]:
    """Fake Gemini, app, nginx, collector and Chromium, all running."""
    directory = tmp_path_factory.mktemp("e2e")
    async with contextlib.AsyncExitStack() as closing:
        fake = closing.enter_context(FakeGemini(answer))
        playwright = await closing.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        closing.push_async_callback(browser.close)
        stack = Stack(
            fake=fake,
            http=await closing.enter_async_context(httpx2.AsyncClient(timeout=5)),
            directory=directory,
            public_port=free_port(),
            admin_port=free_port(),
            app_port=free_port(),
            relay_app_port=free_port(),
            ports={path: free_port() for path in (*SCHEMES, *RELAY_SCHEMES)},
            relay_ports={path: free_port() for path in RELAY_SCHEMES},
            browser=browser,
            collecting=await closing.enter_async_context(contextlib.AsyncExitStack()),
        )
        await stack.start_collector()
        await closing.enter_async_context(running_app(stack))
        config = write_config(
            directory, upstream=stack.app_port, relay_upstream=stack.relay_app_port, ports=stack.ports
        )
        nginx = find_program("nginx", "/usr/sbin/nginx") or "/usr/sbin/nginx"
        await closing.enter_async_context(
            running([nginx, "-p", str(directory), "-c", str(config)], log=directory / "nginx.log")
        )
        yield stack
