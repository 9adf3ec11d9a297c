"""Two hosts on one machine: network namespaces without a name, which end with the process whatever becomes of it."""

import ctypes
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
SERVER = "10.0.0.1"
CLIENT = "10.0.0.2"
_CLONE_NEWNET = 0x40000000


class Host:
    """A network namespace, and the one thread that lives in it: a socket made there belongs there for good."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._thread = ThreadPoolExecutor(max_workers=1)
        self.namespace = self.do(_enter_new_namespace)

    def do(self, act: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Have something done on this host."""
        return self._thread.submit(act, *args, **kwargs).result()

    def ip(self, command: str) -> None:
        """Run iproute2's `ip` on this host."""
        done = self.do(subprocess.run, ["ip", *command.split()], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"ip {command}: {done.stderr}"

    def unplug(self) -> None:
        """Take the host's link down: it neither hears nor says anything any more, not even goodbye."""
        self.ip("link set wire down")

    def close(self) -> None:
        """Leave the namespace; it ends once its sockets are closed."""
        os.close(self.namespace)
        self._thread.shutdown()


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Make a server's host and a client's, with a cable between them. Needs Linux, root and iproute2."""
    server, client = Host(SERVER), Host(CLIENT)
    try:
        server.ip(f"link add wire type veth peer name wire netns /proc/{os.getpid()}/fd/{client.namespace}")
        for host in (server, client):
            host.ip(f"address add {host.address}/24 dev wire")
            host.ip("link set wire up")
        yield server, client
    finally:
        client.close()
        server.close()


def _enter_new_namespace() -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise OSError(
            f"network namespace: expected the right to make one (root, or CAP_SYS_ADMIN), got {reason!r}; "
            "a vanished client cannot be shown without: run the tests as root, outside of a sandbox that forbids it"
        )
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)
