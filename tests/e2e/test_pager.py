"""A path starts to hold: the real Prometheus sees it, the real Alertmanager rings, and it resolves when healed."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import Stack, until
from streamgap.alerting.profile import Profile
from streamgap.demo.pager import pager_programs, run_pager

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

# One second stands for a minute of production: windows, recency, evaluation and grouping shrink alike; shares and
# minimum counts do not.
PROFILE = Profile.compressed(60)
PEOPLE = 6


@contextlib.asynccontextmanager
async def webhook() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """Listen for Alertmanager's notifications; yields the URL and the alerts received so far."""
    alerts: list[dict[str, Any]] = []

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.split("content-length:")[1].split("\r\n")[0])
            alerts.extend(json.loads(await reader.readexactly(length))["alerts"])
            writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", alerts


async def crowd(stack: Stack, path: str, stop: asyncio.Event) -> None:
    """Let one person after another ask along `path`, `PEOPLE` at a time, until `stop`."""

    async def person(nth: int) -> None:
        asked = 0
        while not stop.is_set():
            async with stack.page(path) as page:
                await page.evaluate("sid => run('fetch', sid)", f"pager-{path}-{nth}-{asked}")
            asked += 1

    await asyncio.gather(*(person(nth) for nth in range(PEOPLE)))


async def test_a_held_path_pages_and_healing_resolves(stack: Stack, tmp_path: Path) -> None:
    """The holding alert fires through to a webhook while the path holds, and resolves after it has been healed."""
    programs = pager_programs()
    assert programs, "expected prometheus and prometheus-alertmanager; install the Debian packages of these names"
    async with (
        webhook() as (url, alerts),
        run_pager(
            programs, target=f"127.0.0.1:{stack.admin_port}", webhook_url=url, profile=PROFILE, directory=tmp_path
        ),
    ):

        def said(status: str) -> Any:
            async def check() -> bool:
                return any(
                    alert["status"] == status and alert["labels"]["alertname"] == "StreamgapPathHolding"
                    for alert in alerts
                )

            return check

        for path, status in (("tls", "firing"), ("passing", "resolved")):
            stop = asyncio.Event()
            asking = asyncio.create_task(crowd(stack, path, stop))
            await until(said(status), f"the pager to say {status}", patience_s=120)
            stop.set()
            await asking
        routes = {a["labels"].get("route") for a in alerts if a["labels"]["alertname"] == "StreamgapPathHolding"}
        assert routes == {"/stream"}
