"""Starts real programs on loopback: each on free ports, in a directory of its own, and ended by its own pid."""

import asyncio
import contextlib
import itertools
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from certificate import Certificate, make_certificate
from hops.readiness import until_listening
from streamgap.demo.processes import find_program, free_port, running

TESTS = Path(__file__).parent.parent
VENV = Path(sys.executable).parent


class Zoo:
    """What all configurations share: a directory, a certificate, and the servers that were asked for once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._numbers = itertools.count()
        self._closing = contextlib.AsyncExitStack()
        self._shared: dict[str, asyncio.Task[int]] = {}

    async def __aenter__(self) -> Self:
        self.certificate: Certificate = make_certificate(self.directory)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._closing.aclose()

    def place(self, name: str) -> Path:
        """Make a directory for one program."""
        directory = self.directory / f"{next(self._numbers):03d}-{name}"
        directory.mkdir()
        return directory

    @contextlib.asynccontextmanager
    async def program(
        self, command: Sequence[str], *, port: int, place: Path, env: Mapping[str, str] | None = None
    ) -> AsyncIterator[None]:
        """Run `command` until the block ends; the block begins as soon as `port` is listened to."""
        log = place / "log"
        settings = [f"{name}={value}" for name, value in (env or {}).items()]
        async with running(["env", "-C", str(place), *settings, *command], log=log) as process:
            await until_listening(port, process, what=command, log=log)
            yield

    def python(
        self, command: Sequence[str], *, port: int, env: Mapping[str, str] | None = None
    ) -> contextlib.AbstractAsyncContextManager[None]:
        """Run a Python server that imports the zoo's apps; `command` begins with a program of this environment."""
        program = [str(VENV / command[0]), *command[1:]]
        return self.program(
            program, port=port, place=self.place(command[0]), env={"PYTHONPATH": str(TESTS), **(env or {})}
        )

    async def shared(self, command: Sequence[str], *, option: str, name: str) -> int:
        """Run a Python server once for all configurations, and return the port that `option` told it."""
        if name not in self._shared:
            self._shared[name] = asyncio.create_task(self._start_shared(command, option=option))
        return await asyncio.shield(self._shared[name])

    async def _start_shared(self, command: Sequence[str], *, option: str) -> int:
        port = self.port()
        await self._closing.enter_async_context(self.python([*command, f"{option}={port}"], port=port))
        return port

    @staticmethod
    def port() -> int:
        return free_port()


def installed(*names: str) -> str:
    """Return the first of `names` that is installed here or in this environment; a missing program is a failure."""
    beside = next((str(VENV / name) for name in names if (VENV / name).exists()), None)
    found = find_program(*names, *(f"/usr/sbin/{name}" for name in names)) or beside
    if found is None:
        raise AssertionError(f"the zoo: expected {' or '.join(names)} to be installed, found none; try `make test`")
    return found


def from_debian(name: str) -> str:
    """Return Debian's own program, whatever this environment has under the same name."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        raise AssertionError(f"the zoo: expected Debian's {name} to be installed, found none; try `make test`")
    return found
