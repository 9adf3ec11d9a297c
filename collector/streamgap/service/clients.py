"""One client: its address behind trusted proxies, and how often it may report."""

import socket
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from streamgap.service.settings import Network

MAX_CLIENTS = 65_536
MAX_PROXIES = 1024
DRIFT_S = 1e-6

_MAPPED_V4 = bytes(10) + b"\xff\xff"


def client_key(address: str) -> str | bytes:
    """Return what stands for one client: an IPv4 address, or the /64 an IPv6 address lies in.

    A household or an attacker owns a whole /64, so counting single IPv6 addresses would count nobody.
    """
    if ":" not in address:
        return address
    try:
        packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except OSError:
        return address
    return socket.inet_ntoa(packed[12:]) if packed.startswith(_MAPPED_V4) else packed[:8]


class ProxyChain:
    """Finds the client's address where trusted proxies stand in front of us."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._networks = tuple(trusted)
        self._is_trusted = lru_cache(maxsize=MAX_PROXIES)(self._lies_in_trusted)

    def client(self, peer: str, headers: Sequence[tuple[bytes, bytes]]) -> str:
        """Return the rightmost address that is no trusted proxy: what stands left of it anyone can have written."""
        if not self._networks or not self._is_trusted(peer):
            return peer
        forwarded = b",".join(value for name, value in headers if name == b"x-forwarded-for").decode("latin-1")
        client = peer
        for hop in reversed(forwarded.split(",")):
            address = _address(hop)
            if address is None:
                break
            client = str(address)
            if not self._is_trusted(client):
                break
        return client

    def _lies_in_trusted(self, peer: str) -> bool:
        address = _address(peer)
        return address is not None and any(address in network for network in self._networks)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Read `1.2.3.4`, `::1`, and both with a port, as proxies write them."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


class RateLimit:
    """A token bucket per client in one number each (GCRA), for the `MAX_CLIENTS` seen last.

    The number is the time at which the bucket would be full again. A client pushed out of the table by newer ones
    starts afresh with a full bucket.
    """

    __slots__ = ("_burst_s", "_clock", "_full_at_s", "_max_clients", "_per_report_s")

    def __init__(
        self, *, rate_per_s: float, burst: int, clock: Callable[[], float], max_clients: int = MAX_CLIENTS
    ) -> None:
        self._per_report_s = 1.0 / rate_per_s
        self._burst_s = burst * self._per_report_s
        self._clock = clock
        self._max_clients = max_clients
        self._full_at_s: OrderedDict[str | bytes, float] = OrderedDict()

    def wait_s(self, client: str | bytes) -> float:
        """Take one token of `client`. Returns 0.0, or how long to wait where there was none."""
        now_s = self._clock()
        table = self._full_at_s
        full_at_s = max(table.get(client, 0.0), now_s) + self._per_report_s
        # Adding reciprocals drifts by a few ulp; that must not cost the last token of the burst.
        over_s = full_at_s - now_s - self._burst_s
        if over_s > DRIFT_S:
            return over_s
        table[client] = full_at_s
        table.move_to_end(client)
        if len(table) > self._max_clients:
            table.popitem(last=False)
        return 0.0

    def __len__(self) -> int:
        return len(self._full_at_s)
