"""A headless Chromium that drives the demo page through every path."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from streamgap.demo.desk import Desk
from streamgap.demo.paths import DemoPath
from streamgap.demo.processes import find_program, running

PATIENCE_S = 120.0
# Chromium asks its maker's hosts at every start; the demo has no network.
_FLAGS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str | None:
    """Return the Chromium that `STREAMGAP_CHROMIUM` names, or the one that is installed."""
    return os.environ.get("STREAMGAP_CHROMIUM") or find_program("chromium", "chromium-browser", "google-chrome")


@contextlib.asynccontextmanager
async def browsing(program: str, url: str, *, directory: Path) -> AsyncIterator[None]:
    """Show `url` in a headless Chromium with a profile of its own while the block runs."""
    # Chromium's sandbox refuses to start as root; the page is our own.
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    command = [program, *_FLAGS, *root, f"--user-data-dir={directory / 'chromium'}", url]
    async with running(command, log=directory / "chromium.log"):
        yield


async def all_joined(desk: Desk, *, per_path: int) -> bool:
    """Wait until every path has had `per_path` streams and all have been joined; False after `PATIENCE_S` seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while desk.started_count < per_path * len(DemoPath) or desk.waiting:
                desk.changed.clear()
                await desk.changed.wait()
            return True
    return False
