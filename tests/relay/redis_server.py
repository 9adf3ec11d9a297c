"""Real Redis servers of Debian's, each in a directory of its own: started, frozen, killed and started again."""

import contextlib
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import redis

HOST = "127.0.0.1"
SLOTS = 16384
PATIENCE_S = 30.0
AOF = ("--appendonly", "yes", "--appendfsync", "always")


class RedisServer:
    """One server; without options it keeps nothing on disk."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.port = _port()
        self._directory = directory
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}"

    def start(self) -> None:
        """Start it, again with what it has on disk, and wait until it answers."""
        program = shutil.which("redis-server")
        assert program, "expected redis-server of Debian's redis-server package, found none; `make test` installs it"
        self._directory.mkdir(exist_ok=True)
        options = ("--port", str(self.port), "--bind", HOST, "--dir", str(self._directory), "--save", "")
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen([program, *options, *self._options], stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_S
        while not self._answers():
            assert self._process.poll() is None, (self._directory / "log").read_text()
            assert time.monotonic() < deadline, f"waited {PATIENCE_S} s for redis-server on port {self.port}"
            time.sleep(0.01)

    def kill(self) -> None:
        """End it at once, frozen or not, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Stop it: connections stay open, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on with what has come meanwhile."""
        self._signal(signal.SIGCONT)

    def ask(self, *command: str | int) -> Any:
        """Run a command of the test's own."""
        with redis.Redis(host=HOST, port=self.port, socket_timeout=PATIENCE_S, decode_responses=True) as client:
            return client.execute_command(*command)

    def waiting(self) -> list[int]:
        """Return the ids of the connections that wait in XREAD."""
        with redis.Redis(host=HOST, port=self.port, socket_timeout=PATIENCE_S) as client:
            listed: list[dict[str, str]] = client.client_list()
        return [int(one["id"]) for one in listed if one["cmd"] == "xread" and "b" in one["flags"]]

    def _answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=PATIENCE_S) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


@contextlib.contextmanager
def redis_server(directory: Path, *options: str) -> Iterator[RedisServer]:
    """Run a server on a free port of loopback while the block runs."""
    server = RedisServer(directory, *options)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextlib.contextmanager
def redis_cluster(directory: Path, *, masters: int = 3) -> Iterator[Sequence[RedisServer]]:
    """Run a cluster of masters without replicas, each with its share of the slots."""
    with contextlib.ExitStack() as running:
        servers, bus_ports = [], [_port() for _ in range(masters)]
        for i, bus_port in enumerate(bus_ports):
            cluster = ("--cluster-enabled", "yes", "--cluster-port", str(bus_port), "--cluster-node-timeout", "60000")
            own = ("--cluster-allow-replica-migration", "no")  # a master without slots stays one
            servers.append(running.enter_context(redis_server(directory / f"master-{i}", *cluster, *own)))
        bounds = [i * SLOTS // masters for i in range(masters + 1)]
        for i, server in enumerate(servers):
            server.ask("CLUSTER", "ADDSLOTSRANGE", bounds[i], bounds[i + 1] - 1)
            server.ask("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        for server in servers[1:]:
            server.ask("CLUSTER", "MEET", HOST, servers[0].port, bus_ports[0])
        deadline = time.monotonic() + PATIENCE_S
        while not all(_knows_all(server, masters) for server in servers):
            assert time.monotonic() < deadline, f"waited {PATIENCE_S} s for the cluster"
            time.sleep(0.02)
        yield servers


def _knows_all(server: RedisServer, masters: int) -> bool:
    known = server.ask("CLUSTER INFO")
    return (known["cluster_state"], known["cluster_size"]) == ("ok", str(masters))


def _port() -> int:
    """Return a free port below those that the system gives to clients: a killed server will want it again."""
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311, no secret
        with contextlib.suppress(OSError), socket.create_server((HOST, port)):
            return port
