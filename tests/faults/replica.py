"""A replica as the tests hold it: a process to be started, frozen, killed, told to end and started again."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from instrument.lab import HOST
from streamgap.core.wire import GenerationRecord

TESTS = Path(__file__).parents[1]
END_S = 20.0


class Replica:
    """One process of `replica_app.py`. Its port is another after each start."""

    def __init__(self, directory: Path, settings: Mapping[str, Any]) -> None:
        directory.mkdir(parents=True)
        self.port = 0
        self._ledger = directory / "ledger.jsonl"
        self._log = directory / "log"
        self._settings = {**settings, "ledger": str(self._ledger)}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_up(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it. Who connects before it is ready waits for it."""
        with socket.create_server((HOST, 0), backlog=1024) as listener, self._log.open("ab") as log:
            self.port = listener.getsockname()[1]
            settings = json.dumps({**self._settings, "fd": listener.fileno()})
            self._process = subprocess.Popen(
                [sys.executable, "-m", "faults.replica_app"],
                env={**os.environ, "PYTHONPATH": str(TESTS), "REPLICA": settings},
                pass_fds=[listener.fileno()],
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """End it at once, frozen or not, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Stop it: connections stay open, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on as if nothing had been."""
        self._signal(signal.SIGCONT)

    def end(self) -> int:
        """Tell it to end, as an orchestrator does, and return its exit status."""
        self._signal(signal.SIGTERM)
        assert self._process is not None
        return self._process.wait(END_S)

    def records(self) -> list[GenerationRecord]:
        """Return what it has entered into the ledger, over all of its starts."""
        if not self._ledger.exists():
            return []
        lines = self._ledger.read_bytes().splitlines(keepends=True)
        return [msgspec.json.decode(line, type=GenerationRecord) for line in lines if line.endswith(b"\n")]

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
