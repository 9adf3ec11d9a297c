"""The memory store: the contract of every store, its own bounds, and that an idle process keeps nothing for ever."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instrument.lab import until
from relay.store_contract import (
    ASKED,
    DONE,
    FAILED,
    KEY,
    MAX_EPOCHS,
    Harness,
    StoreContract,
    append,
    claim,
    contents,
    standing,
    start,
)
from service.lab import Clock
from streamgap.core.errors import SettingsError
from streamgap.relay.memory import MemoryStore
from streamgap.relay.states import Claim, Claimed, Kept, Standing


def harness_of(*, lease_s: float, keep_s: float) -> Harness:
    clock = Clock()
    store = MemoryStore(lease_s=lease_s, renew_s=lease_s / 5, keep_s=keep_s, max_epochs=MAX_EPOCHS, clock=clock)

    async def pass_time(seconds: float) -> None:
        clock.now_s += seconds

    return Harness(store=store, other=store, lease_s=lease_s, keep_s=keep_s, pass_time=pass_time)


@pytest.fixture
def harness() -> Harness:
    return harness_of(lease_s=60.0, keep_s=60.0)


@pytest.fixture
def hasty() -> Harness:
    return harness_of(lease_s=0.2, keep_s=0.2)


class TestMemoryStore(StoreContract):
    """One process's memory; its two replicas share the object."""


def payload_bytes(store: MemoryStore) -> int:
    """Add up what is really there."""
    logs = [*store._running.values(), *store._over.values()]
    return sum(len(entry) for log in logs for entry in log.entries)


async def test_the_oldest_finished_log_makes_room() -> None:
    """Past the bound on bytes, logs that are over leave in the order of their ends, and no more than have to."""
    store = MemoryStore(max_bytes=100)
    running = await start(store, bytes(30), key="running-1")
    await start(store, bytes(30), key="second-to-end")
    await start(store, bytes(30), key="first-to-end", end=DONE)
    await store.stop("second-to-end", reason="asked")
    await append(store, running, bytes(20), key="running-1", first=2)
    assert (await claim(store, "first-to-end", may_start=False)).result is Claimed.ABSENT
    assert (await claim(store, "second-to-end", may_start=False)).result is Claimed.REPLAYED
    await append(store, running, bytes(50), key="running-1", first=3)
    assert (await claim(store, "second-to-end", may_start=False)).result is Claimed.ABSENT
    assert (await claim(store, "running-1")).result is Claimed.ATTACHED


async def test_where_all_that_is_kept_runs_nothing_new_is_started() -> None:
    """Running logs are never dropped: past the bound on bytes a new key is refused, and known ones go on."""
    store = MemoryStore(max_bytes=100)
    epoch = await start(store, bytes(60))
    assert (await append(store, epoch, bytes(60), first=2)).kept is Kept.OK
    assert await claim(store, "key-00001") == Claim(Claimed.FULL, None)
    assert await claim(store, "key-00001", may_start=False) == Claim(Claimed.ABSENT, None)
    assert (await claim(store)).result is Claimed.ATTACHED
    assert await contents(store, epoch) == [bytes(60)] * 2


async def test_there_is_room_again_once_something_ends() -> None:
    """What kept a full store full makes room for the next key as soon as it is over."""
    store = MemoryStore(max_bytes=100)
    await start(store, bytes(120))
    await store.stop(KEY, reason="asked")
    assert (await claim(store, "key-00001")).result is Claimed.STARTED
    assert (await claim(store, may_start=False)).result is Claimed.ABSENT


@pytest.mark.parametrize("first", [2, 5], ids=["no hole", "a hole"])
async def test_a_log_that_slides_makes_room(first: int) -> None:
    """Entries that an owner lets go of count no more, whether or not it appended all that followed them."""
    store = MemoryStore(max_bytes=100)
    epoch = await start(store, bytes(60))
    await append(store, epoch, bytes(60), first=first, keep_from=first)
    assert (await claim(store, "key-00001")).result is Claimed.STARTED


async def test_a_restart_makes_room() -> None:
    """Entries of the epoch before count no more."""
    store = MemoryStore(max_bytes=100)
    epoch = await start(store, bytes(60), end=FAILED)
    assert (await claim(store, retry=True)).result is Claimed.RESTARTED
    await append(store, epoch + 1, bytes(60))
    assert (await claim(store, "key-00001")).result is Claimed.STARTED


async def test_a_busy_log_does_not_hide_a_silent_one() -> None:
    """A silent owner's log is forgotten in its time, also where one that began before it goes on."""
    clock = Clock()
    store = MemoryStore(lease_s=5.0, renew_s=1.0, keep_s=10.0, clock=clock)
    busy = await start(store, key="busy-key")
    await start(store)
    for _ in range(4):
        clock.now_s += 4.0
        await append(store, busy, key="busy-key")
    assert (await claim(store, may_start=False)).result is Claimed.ABSENT


_CALLS = st.one_of(
    st.tuples(
        st.just("append"),
        st.sampled_from([-1, 0, 0, 0, 2]),
        st.lists(st.binary(max_size=40), max_size=3),
        st.sampled_from([-9, -9, -1, 0, 2]),
        st.sampled_from([None, None, DONE, FAILED]),
    ),
    st.tuples(st.just("claim"), st.booleans()),
    st.tuples(st.just("stop")),
    st.tuples(st.just("restore"), st.integers(1, 3)),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 3.0, 20.0])),
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["key-00001", "key-00002", "key-00003"]), _CALLS), max_size=60))
async def test_every_byte_is_accounted_for(calls: list[tuple[str, Any]]) -> None:
    """After any calls at all, the count of bytes is that of what is there, and what is over fits the bound."""
    clock = Clock()
    store = MemoryStore(lease_s=5.0, renew_s=1.0, keep_s=10.0, max_bytes=100, clock=clock, draw_epoch=lambda: 1)
    for key, (name, *details) in calls:
        if name == "append":
            skip, entries, keep, end = details
            at = (await claim(store, key)).standing or Standing(epoch=1, fingerprint=ASKED)
            first, keep_from = max(1, at.seq + 1 + skip), at.seq + 1 + keep
            await store.append(key, epoch=at.epoch, first=first, entries=entries, keep_from=keep_from, end=end)
        elif name == "claim":
            await claim(store, key, retry=details[0])
        elif name == "stop":
            await store.stop(key, reason="asked")
        elif name == "restore":
            await store.restore(key, epoch=details[0], fingerprint=ASKED)
        else:
            clock.now_s += details[0]
        assert store._payload_bytes == payload_bytes(store)
        for logs in (store._running, store._over):
            assert [log.since_s for log in logs.values()] == sorted(log.since_s for log in logs.values())
    await claim(store, "key-00004")
    assert store._payload_bytes <= 100 or not store._over


async def timer_fires(store: MemoryStore) -> None:
    """Let the timer that is set come to its time once."""
    timer = store._timer
    assert timer is not None
    await until(lambda: store._timer is not timer)


async def test_an_idle_process_forgets_too() -> None:
    """Without a single call, finished logs and those of silent owners leave in their time, and the timer with them."""
    clock = Clock()
    store = MemoryStore(lease_s=0.02, renew_s=0.01, keep_s=0.02, clock=clock)
    for round_ in range(2):
        await start(store, b"a", end=DONE, key=f"finished-{round_}")
        await start(store, b"b", key=f"silent-{round_}")
        await timer_fires(store)
        assert store._timer is not None
        clock.now_s += 1.0
        await until(lambda: store._timer is None)
        assert not store._over
        assert not store._running
        assert store._payload_bytes == 0


async def test_epochs_can_be_drawn_by_hand() -> None:
    """A test that wants to know its event ids beforehand says where epochs begin."""
    store = MemoryStore(draw_epoch=lambda: 1)
    await start(store)
    assert await standing(store) == Standing(epoch=1, fingerprint=ASKED)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            {"renew_s": 5.0, "lease_s": 5.0},
            r"renew_s: expected seconds > 0 and < lease_s \(5.0\), got 5.0; try a fifth",
        ),
        ({"renew_s": 0.0}, r"renew_s: .* got 0.0"),
        ({"lease_s": float("nan")}, r"renew_s: expected seconds > 0 and < lease_s \(nan\)"),
        ({"keep_s": 0.0}, r"keep_s: expected a number > 0, got 0.0"),
        ({"max_epochs": 0}, r"max_epochs: expected a number > 0, got 0"),
        ({"max_bytes": -1}, r"max_bytes: expected a number > 0, got -1"),
    ],
)
def test_settings_that_cannot_work_are_refused(options: dict[str, Any], complaint: str) -> None:
    """The message names the setting, what it got and what to try."""
    with pytest.raises(SettingsError, match=f"MemoryStore {complaint}"):
        MemoryStore(**options)
