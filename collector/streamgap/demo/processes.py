"""Programs the demo starts beside itself: each in a directory of its own, ended by its own pid."""

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

END_S = 5.0


def find_program(*names: str) -> str | None:
    """Return the first of `names` that is installed, or None."""
    return next((found for name in names if (found := shutil.which(name))), None)


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def running(command: Sequence[str], *, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `command` with its output in `log` while the block runs; then SIGTERM, and SIGKILL after `END_S` seconds."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), END_S)
            except TimeoutError:
                process.kill()
                await process.wait()
