"""Servers under test, each a uvicorn process of its own with the same options, and the CPU time that they take."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from streamgap.demo.processes import free_port

HERE = Path(__file__).parent
COMMON = [
    "--log-level",
    "error",
    "--no-access-log",
    "--loop",
    "uvloop",
    "--http",
    "httptools",
    "--lifespan",
    "off",
    "--timeout-graceful-shutdown",
    "1",
]


class Server:
    """One server process."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self.pid = pid

    def get(self, path: str) -> str:
        """Ask the server for something beside the benchmark."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as response:
            return str(response.read().decode())

    def cpu_ns(self) -> int:
        """Return the CPU time of all of the server's threads so far, in ns."""
        return sum(int(stat.read_text().split()[0]) for stat in Path(f"/proc/{self.pid}/task").glob("*/schedstat"))


@contextmanager
def serving(options: Sequence[str]) -> Iterator[Server]:
    """Run one server while the block runs; it begins once the server answers."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "uvicorn", *COMMON, *options, "--port", str(port)], cwd=HERE)
    try:
        server = Server(port, process.pid)
        for _ in range(100):
            try:
                server.get("/joined")
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.1)
            else:
                break
        yield server
    finally:
        process.terminate()
        process.wait(10)
