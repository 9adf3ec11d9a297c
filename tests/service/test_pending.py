"""What every pending store promises. A store on a server joins the list below and must pass the same suite."""

from collections.abc import Callable
from itertools import count

import pytest

from streamgap.service.pending import (
    MAX_DEPARTURES_PER_TICK,
    Departed,
    Fate,
    MemoryPending,
    Offer,
    PendingStore,
    Waiting,
)

Make = Callable[..., PendingStore]


def memory(*, ttl_s: float = 60.0, max_streams: int = 1000, max_bytes: int = 1 << 20) -> PendingStore:
    return MemoryPending(ttl_s=ttl_s, max_streams=max_streams, max_bytes=max_bytes)


@pytest.fixture(params=[memory])
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


def server(store: PendingStore, sid: str = "s", *, payload: bytes = b"server", now_s: float = 0.0) -> Offer:
    return store.offer(sid, half="server", n=1, final=True, payload=payload, now_s=now_s)


def client(
    store: PendingStore, n: int = 1, *, sid: str = "s", final: bool = True, payload: bytes = b"", now_s: float = 0.0
) -> Offer:
    return store.offer(sid, half="client", n=n, final=final, payload=payload or b"client %d" % n, now_s=now_s)


def test_server_half_first(make: Make) -> None:
    """The client half that completes a pair gets the server's payload."""
    store = make()
    assert server(store) == Offer(Fate.STORED)
    assert store.waiting() == Waiting(server=1, client=0, payload_bytes=6)
    assert client(store) == Offer(Fate.JOINED, b"server")
    assert store.waiting() == Waiting(server=0, client=0, payload_bytes=0)


def test_client_half_first(make: Make) -> None:
    """The server half that completes a pair gets the client's payload."""
    store = make()
    assert client(store) == Offer(Fate.STORED)
    assert store.waiting() == Waiting(server=0, client=1, payload_bytes=8)
    assert server(store) == Offer(Fate.JOINED, b"client 1")
    assert store.waiting() == Waiting(server=0, client=0, payload_bytes=0)


def test_a_report_that_is_not_final_waits_for_a_better_one(make: Make) -> None:
    """The highest number wins, the one it replaces is superseded, and the final one completes the pair."""
    store = make()
    server(store)
    assert client(store, 2, final=False) == Offer(Fate.STORED)
    assert client(store, 1, final=False).fate is Fate.DUPLICATE
    assert client(store, 2, final=False).fate is Fate.DUPLICATE
    assert client(store, 3, final=False) == Offer(Fate.STORED, superseded=True)
    assert store.waiting() == Waiting(server=1, client=1, payload_bytes=14)
    assert client(store, 4) == Offer(Fate.JOINED, b"server", superseded=True)


def test_a_report_that_is_not_final_waits_with_its_server_half_too(make: Make) -> None:
    """A server half does not complete a pair whose client half is not final."""
    store = make()
    client(store, final=False)
    assert server(store) == Offer(Fate.STORED)
    assert client(store, 2) == Offer(Fate.JOINED, b"server", superseded=True)


def test_a_server_half_is_never_replaced(make: Make) -> None:
    """A second server half of one stream is a duplicate, whatever it says."""
    store = make()
    server(store, payload=b"first")
    assert server(store, payload=b"second").fate is Fate.DUPLICATE
    assert client(store).other == b"first"


@pytest.mark.parametrize(
    ("n", "fate"), [(1, Fate.DUPLICATE), (2, Fate.DUPLICATE), (3, Fate.LATE)], ids=["lower", "same", "higher"]
)
def test_a_pair_is_emitted_once(make: Make, n: int, fate: Fate) -> None:
    """After its pair was emitted, a stream's better report is late and every other half a duplicate."""
    store = make()
    server(store)
    assert client(store, 2).fate is Fate.JOINED
    assert client(store, n).fate is fate
    assert server(store).fate is Fate.DUPLICATE
    assert store.waiting().payload_bytes == 0


def test_the_mark_of_an_emitted_pair_outlives_its_time_to_live(make: Make) -> None:
    """Whenever other pairs were emitted, a stream is still known for one time to live."""
    for step_s in range(1, 60, 7):
        store = make(ttl_s=60.0)
        others = count()
        for now_s in range(0, 300, step_s):
            other = f"other{next(others)}"
            server(store, other, now_s=now_s)
            client(store, sid=other, now_s=now_s)
            if now_s == 9 * step_s:
                server(store, now_s=now_s)
                client(store, now_s=now_s)
            if 9 * step_s < now_s <= 9 * step_s + 60:
                assert server(store, now_s=now_s).fate is Fate.DUPLICATE


def test_halves_depart_when_their_time_is_over(make: Make) -> None:
    """A half leaves alone at its deadline, a matched pair leaves together, and neither before."""
    store = make(ttl_s=60.0)
    server(store, "lonely", now_s=0.0)
    client(store, sid="unfinished", final=False, now_s=1.0)
    server(store, "unfinished", now_s=2.0)
    assert store.tick(59.9) == []
    assert store.tick(60.0) == [Departed(b"server", None)]
    assert store.tick(61.9) == []
    assert store.tick(62.0) == [Departed(b"server", b"client 1")]
    assert store.waiting() == Waiting(server=0, client=0, payload_bytes=0)
    assert client(store, 2, sid="unfinished", now_s=63.0).fate is Fate.LATE
    assert client(store, sid="lonely", now_s=63.0).fate is Fate.STORED


def test_a_better_report_gives_new_time_and_a_repeated_one_does_not(make: Make) -> None:
    """What is kept refreshes the deadline; a duplicate cannot keep a stream alive."""
    store = make(ttl_s=60.0)
    client(store, 1, final=False, now_s=0.0)
    client(store, 2, final=False, now_s=50.0)
    client(store, 2, final=False, now_s=100.0)
    assert store.tick(109.0) == []
    assert store.tick(110.0) == [Departed(None, b"client 2")]


def test_a_tick_does_bounded_work(make: Make) -> None:
    """However many are due, one tick lets a bounded number go, oldest first, and the next ones the rest."""
    store = make(max_streams=5000)
    for i in range(MAX_DEPARTURES_PER_TICK + 10):
        server(store, f"s{i}", payload=b"%d" % i)
    first = store.tick(60.0)
    assert [departed.server for departed in first] == [b"%d" % i for i in range(MAX_DEPARTURES_PER_TICK)]
    assert len(store.tick(60.0)) == 10


def test_the_oldest_stream_makes_room(make: Make) -> None:
    """Past the bound on streams, the one touched least recently is evicted."""
    store = make(max_streams=2)
    client(store, 1, sid="a", final=False)
    server(store, "b")
    client(store, 2, sid="a", final=False)
    assert server(store, "c").evicted == [Departed(b"server", None)]
    assert store.waiting() == Waiting(server=1, client=1, payload_bytes=14)


def test_payload_bytes_are_bounded(make: Make) -> None:
    """Past the bound on bytes, the oldest streams leave until it holds, even the one that was just offered."""
    store = make(max_bytes=100)
    server(store, "a", payload=bytes(60))
    assert server(store, "b", payload=bytes(60)).evicted == [Departed(bytes(60), None)]
    assert server(store, "c", payload=bytes(101)).evicted == [Departed(bytes(60), None), Departed(bytes(101), None)]
    assert store.waiting() == Waiting(server=0, client=0, payload_bytes=0)


def test_an_evicted_pair_is_emitted_and_marked(make: Make) -> None:
    """A stream that had both halves leaves with both, and never again."""
    store = make(max_streams=1)
    client(store, sid="a", final=False)
    server(store, "a")
    assert server(store, "b").evicted == [Departed(b"server", b"client 1")]
    assert server(store, "a").fate is Fate.DUPLICATE


def test_drain_lets_everything_go(make: Make) -> None:
    """After a drain nothing waits."""
    store = make()
    server(store, "a")
    client(store, sid="b")
    assert sorted(store.drain(), key=str) == sorted([Departed(b"server", None), Departed(None, b"client 1")], key=str)
    assert store.waiting() == Waiting(server=0, client=0, payload_bytes=0)


def test_marks_in_memory_are_bounded() -> None:
    """However many pairs are emitted, the marks of them are at most twice the bound on streams."""
    store = MemoryPending(ttl_s=60.0, max_streams=10, max_bytes=1 << 20)
    for i in range(1000):
        server(store, f"s{i}")
        client(store, sid=f"s{i}")
    assert len(store._emitted) + len(store._emitted_before) <= 20
