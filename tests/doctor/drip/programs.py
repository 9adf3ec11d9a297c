"""Servers that run as programs of their own, with a drip in them."""

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx2

from doctor.drip.lab import taken_apart
from e2e.conftest import until
from instrument.lab import HOST, PATIENCE_S
from streamgap.demo.processes import free_port, running

TESTS = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@contextlib.asynccontextmanager
async def program(
    *command: str, probe: str, directory: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[httpx2.AsyncClient]:
    """Run a program of this environment until the block ends; `PORT` in its arguments is where it shall listen.

    Yields a client of it, once it answers a request for `probe`.
    """
    port = free_port()
    path = os.pathsep.join([str(directory), str(TESTS)])
    settings = [f"{name}={value}" for name, value in {"PYTHONPATH": path, **(environment or {})}.items()]
    words = [word.replace("PORT", str(port)) for word in command[1:]]
    log = directory / "server.log"
    client = httpx2.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=PATIENCE_S)
    async with running(["env", *settings, str(BIN / command[0]), *words], log=log), client:

        async def answers() -> bool:
            return (await client.get(probe)).status_code > 0

        await until(answers, f"{command[0]} to answer; see {log}")
        yield client
    said = log.read_text()
    assert "Traceback" not in said, said


async def read_until(response: httpx2.Response, marker: bytes) -> None:
    """Read a streamed body until it holds `marker`; the rest is not read."""
    body = b""
    async for part in response.aiter_raw():
        body += part
        if marker in body:
            return
    raise AssertionError(f"the body ended without {marker!r}")


async def until_alone(client: httpx2.AsyncClient, path: str = "/") -> None:
    """Wait until the only stream that runs is the one that asks how many do."""

    async def alone() -> bool:
        response = await client.get(path, params={"count": 1})
        return bool(taken_apart(response.content).opening["in_flight"] == 1)

    await until(alone, "every other stream to end")
