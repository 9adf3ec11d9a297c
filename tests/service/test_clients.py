"""One client is one address, whatever it writes into headers, and gets its share."""

from ipaddress import ip_network

import pytest

from service.lab import Clock
from streamgap.service.clients import ProxyChain, RateLimit, client_key


def limit(clock: Clock, *, rate_per_s: float = 5.0, burst: int = 30, max_clients: int = 10) -> RateLimit:
    return RateLimit(rate_per_s=rate_per_s, burst=burst, clock=clock, max_clients=max_clients)


def test_a_burst_passes_then_the_rate(clock: Clock) -> None:
    """A fresh client has `burst` tokens, then gets one per 1/rate s, and is told how long to wait."""
    table = limit(clock)
    assert [table.wait_s("a") for _ in range(30)] == [0.0] * 30
    assert table.wait_s("a") == pytest.approx(0.2)
    clock.now_s += 0.2
    assert table.wait_s("a") == 0.0
    assert table.wait_s("a") > 0.0
    clock.now_s += 1000.0
    assert [table.wait_s("a") for _ in range(30)] == [0.0] * 30
    assert table.wait_s("a") > 0.0


def test_a_flooder_does_not_starve_others(clock: Clock) -> None:
    """Each client has a bucket of its own, and what was refused costs no token."""
    table = limit(clock, burst=1)
    assert table.wait_s("flooder") == 0.0
    assert all(table.wait_s("flooder") == pytest.approx(0.2) for _ in range(100))
    assert table.wait_s("other") == 0.0


def test_the_table_is_bounded_and_keeps_who_was_seen_last(clock: Clock) -> None:
    """Past the bound the client seen longest ago is forgotten."""
    table = limit(clock, rate_per_s=0.01, burst=2, max_clients=2)
    for client in ("a", "b", "a", "c"):
        assert table.wait_s(client) == 0.0
    assert len(table) == 2
    assert table.wait_s("a") > 0.0
    assert [table.wait_s("b") for _ in range(2)] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("not:an:address", "not:an:address", True),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(one: str, other: str, same: bool) -> None:  # noqa: FBT001
    """IPv6 clients are told apart by /64, IPv4 ones by address also where they come mapped."""
    assert (client_key(one) == client_key(other)) is same


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.7", [b"203.0.113.9"], "198.51.100.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [b"203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", [b"203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", [b"1.1.1.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", [b"1.1.1.1", b"203.0.113.9", b"10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", [b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [b"203.0.113.9:4711"], "203.0.113.9"),
        ("10.0.0.1", [b"[2001:db8::1]:443"], "2001:db8::1"),
        ("10.0.0.1", [b"1.1.1.1, forged, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [b"unknown"], "10.0.0.1"),
        ("::ffff:10.0.0.1", [b"203.0.113.9"], "203.0.113.9"),
        ("unix", [b"203.0.113.9"], "unix"),
    ],
)
def test_forwarded_addresses_count_from_trusted_proxies_only(peer: str, forwarded: list[bytes], client: str) -> None:
    """The client is the rightmost address that is no trusted proxy; what stands left of it may be forged."""
    chain = ProxyChain([ip_network("10.0.0.0/8")])
    headers = [(b"x-forwarded-for", value) for value in forwarded]
    assert chain.client(peer, headers) == client


def test_without_trusted_proxies_no_header_is_read() -> None:
    """The default believes nobody."""
    assert ProxyChain([]).client("10.0.0.1", [(b"x-forwarded-for", b"203.0.113.9")]) == "10.0.0.1"
