"""What every log store promises (streamgap/relay/store.py), as tests that any store can be put through.

A store's test module provides two fixtures, `harness` and `hasty`, and a class `TestItsName(StoreContract)`.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from streamgap.relay.states import OWNER_LOST, STOP_ASKED, Appended, Claim, Claimed, End, Kept, Page, Standing, Status
from streamgap.relay.store import LogStore

KEY = "0123456789abcdef"
ASKED = "digest-of-what-was-asked"
MAX_EPOCHS = 3
PATIENCE_S = 30.0
"""Far beyond what any call takes: reached, it is a failure and not a slow machine."""

DONE = End(Status.DONE)
FAILED = End(Status.FAILED, "unavailable")
STOPPED = End(Status.STOPPED, "client_left")


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """Two handles on one storage, empty when a test begins, as two replicas have them.

    Stores are made with `MAX_EPOCHS`. `pass_time` lets seconds pass on the storage's own clock. The fixture `harness`
    has a lease and a keep that no test outlives on the slowest machine; `hasty` short ones, whose half is still long
    enough for a few calls.
    """

    store: LogStore
    other: LogStore
    lease_s: float
    keep_s: float
    pass_time: Callable[[float], Awaitable[None]]


async def claim(
    store: LogStore, key: str = KEY, *, asked: str = ASKED, may_start: bool = True, retry: bool = False
) -> Claim:
    return await store.claim(key, fingerprint=asked, may_start=may_start, retry=retry)


async def start(store: LogStore, *entries: bytes, key: str = KEY, end: End | None = None) -> int:
    """Start an epoch with these entries and this end, and return it."""
    claimed = await claim(store, key)
    assert claimed.result is Claimed.STARTED
    assert claimed.standing is not None
    epoch = claimed.standing.epoch
    assert (await append(store, epoch, *entries, key=key, end=end)).kept is Kept.OK
    return epoch


async def append(
    store: LogStore,
    epoch: int,
    *entries: bytes,
    key: str = KEY,
    first: int = 1,
    keep_from: int = 1,
    end: End | None = None,
) -> Appended:
    return await store.append(key, epoch=epoch, first=first, entries=entries, keep_from=keep_from, end=end)


async def read(store: LogStore, epoch: int, *, after: int = 0, wait_s: float = 0.0) -> Page:
    """Read one page of a key that is known; its entries as a tuple, whatever sequence the store makes."""
    async with asyncio.timeout(PATIENCE_S):
        page = await store.read(KEY, epoch=epoch, after=after, wait_s=wait_s)
    assert page is not None
    assert page.first == (after + 1 if page.standing.epoch != epoch else max(after + 1, page.standing.first))
    return replace(page, entries=tuple(page.entries))


async def contents(store: LogStore, epoch: int, *, after: int = 0) -> list[bytes]:
    """Read everything there is after a number, in as many pages as it takes."""
    entries: list[bytes] = []
    while True:
        page = await read(store, epoch, after=after + len(entries))
        entries += page.entries
        if after + len(entries) == page.standing.seq:
            return entries
        assert page.entries, page


async def standing(store: LogStore) -> Standing:
    """Ask where the key stands without changing it."""
    known = (await claim(store, asked="", may_start=False)).standing
    assert known is not None
    return known


async def still_waits(*tasks: "asyncio.Task[Page]") -> None:
    """Give the reads time to begin to wait, and see that they do."""
    done, _ = await asyncio.wait(tasks, timeout=0.05)
    assert not done


class ClaimContract:
    async def test_an_unknown_key_is_started(self, harness: Harness) -> None:
        """Whoever claims first owns an empty running epoch, whose number fits an event id."""
        claimed = await claim(harness.store)
        assert claimed.result is Claimed.STARTED
        assert claimed.standing is not None
        assert claimed.standing == Standing(epoch=claimed.standing.epoch, fingerprint=ASKED)
        assert 1 <= claimed.standing.epoch < 10**9 - MAX_EPOCHS

    async def test_first_epochs_differ(self, harness: Harness) -> None:
        """No two keys begin alike, so that a forgotten key's event ids are never taken for those of its next life."""
        epochs = [await start(harness.store, key=f"key-{i:05}") for i in range(50)]
        assert len(set(epochs)) == len(epochs)

    async def test_whoever_may_not_start_starts_nothing(self, harness: Harness) -> None:
        """An unknown key stays unknown to a client that resumes, and free for the next one that may start."""
        assert await claim(harness.store, may_start=False) == Claim(Claimed.ABSENT, None)
        assert (await claim(harness.other)).result is Claimed.STARTED

    @pytest.mark.parametrize("end", [None, DONE, FAILED], ids=["running", "done", "failed"])
    async def test_another_question_under_the_same_key_is_a_mismatch(self, harness: Harness, end: End | None) -> None:
        """A key belongs to what was asked first; another question changes nothing, not even by a retry."""
        epoch = await start(harness.store, end=end)
        claimed = await claim(harness.other, asked="another", retry=True)
        assert claimed == Claim(Claimed.MISMATCH, await standing(harness.store))
        assert (await standing(harness.store)).epoch == epoch

    async def test_no_question_matches_any(self, harness: Harness) -> None:
        """An empty fingerprint fits every key, and a key without one fits every question."""
        await start(harness.store)
        assert (await claim(harness.other, asked="", may_start=False)).result is Claimed.ATTACHED
        await harness.store.claim("key-00001", fingerprint="", may_start=True)
        assert (await claim(harness.other, "key-00001")).result is Claimed.ATTACHED

    @pytest.mark.parametrize("may_start", [True, False])
    @pytest.mark.parametrize("retry", [True, False])
    async def test_a_running_key_is_attached_to(self, harness: Harness, *, may_start: bool, retry: bool) -> None:
        """Whatever a later request wants, it gets the epoch that runs."""
        epoch = await start(harness.store, b"a", b"b")
        attached = await claim(harness.other, may_start=may_start, retry=retry)
        assert attached == Claim(Claimed.ATTACHED, Standing(epoch=epoch, fingerprint=ASKED, seq=2))

    @pytest.mark.parametrize("retry", [True, False])
    async def test_what_is_done_is_replayed(self, harness: Harness, *, retry: bool) -> None:
        """An answer that is complete is never generated again."""
        epoch = await start(harness.store, b"a", end=DONE)
        replayed = await claim(harness.other, retry=retry)
        done = Standing(epoch=epoch, fingerprint=ASKED, status=Status.DONE, seq=1)
        assert replayed == Claim(Claimed.REPLAYED, done)

    async def test_what_failed_before_any_entry_is_restarted(self, harness: Harness) -> None:
        """Where nobody has read anything, the next request that may start is the owner of the next epoch."""
        epoch = await start(harness.store, end=FAILED)
        assert (await claim(harness.other, may_start=False)).result is Claimed.REPLAYED
        restarted = await claim(harness.other)
        assert restarted == Claim(Claimed.RESTARTED, Standing(epoch=epoch + 1, fingerprint=ASKED))

    @pytest.mark.parametrize(
        ("entries", "end"),
        [((b"a",), FAILED), ((b"a",), STOPPED), ((), STOPPED)],
        ids=["failed midway", "stopped", "stopped before any entry"],
    )
    async def test_what_was_cut_short_is_restarted_by_a_retry_only(
        self, harness: Harness, entries: tuple[bytes, ...], end: End
    ) -> None:
        """A partial answer is replayed as it is, unless the client asks for another and may start one."""
        epoch = await start(harness.store, *entries, end=end)
        was = Standing(epoch=epoch, fingerprint=ASKED, status=end.status, reason=end.reason, seq=len(entries))
        assert await claim(harness.other) == Claim(Claimed.REPLAYED, was)
        assert await claim(harness.other, retry=True, may_start=False) == Claim(Claimed.REPLAYED, was)
        restarted = await claim(harness.other, retry=True)
        assert restarted == Claim(Claimed.RESTARTED, Standing(epoch=epoch + 1, fingerprint=ASKED))
        assert await contents(harness.store, epoch + 1) == []

    async def test_attempts_are_limited(self, harness: Harness) -> None:
        """After the last epoch a key is replayed for good, also where nothing was ever appended."""
        epoch = await start(harness.store, end=FAILED)
        for attempt in range(1, MAX_EPOCHS):
            assert (await claim(harness.store)).result is Claimed.RESTARTED
            await append(harness.store, epoch + attempt, end=FAILED)
        assert (await claim(harness.store)).result is Claimed.REPLAYED
        assert (await claim(harness.store, retry=True)).result is Claimed.REPLAYED

    @pytest.mark.parametrize("before", [None, FAILED], ids=["unknown", "failed"])
    async def test_racing_claims_have_one_winner(self, harness: Harness, before: End | None) -> None:
        """Of 200 claims at once over two replicas one is the owner, and 199 are attached to its epoch."""
        if before is not None:
            await start(harness.store, end=before)
        claims = await asyncio.gather(*(claim((harness.store, harness.other)[i % 2]) for i in range(200)))
        won = Claimed.STARTED if before is None else Claimed.RESTARTED
        assert Counter(one.result for one in claims) == {won: 1, Claimed.ATTACHED: 199}
        assert len({one.standing for one in claims}) == 1


class AppendContract:
    async def test_entries_are_kept_in_order(self, harness: Harness) -> None:
        """What one replica appends another reads, in order, and the answer says where the key stands."""
        epoch = await start(harness.store)
        assert await append(harness.store, epoch, b"a", b"b") == Appended(
            Kept.OK, Standing(epoch=epoch, fingerprint=ASKED, seq=2)
        )
        await append(harness.store, epoch, b"c", first=3)
        assert await contents(harness.other, epoch) == [b"a", b"b", b"c"]

    @pytest.mark.parametrize(
        "entry",
        [b"", b"\0", b"a\0b", bytes(range(256)), b"\xff\xfe", b"\r\n\r\n", "🌊\u2028".encode(), b"x" * 300_000],
        ids=["empty", "NUL", "NUL inside", "every byte", "no UTF-8", "line ends", "UTF-8", "300 kB"],
    )
    async def test_entries_are_any_bytes(self, harness: Harness, entry: bytes) -> None:
        """Every entry comes back byte for byte."""
        epoch = await start(harness.store, entry, b"between", entry)
        assert await contents(harness.other, epoch) == [entry, b"between", entry]

    async def test_a_repeated_append_is_taken_once(self, harness: Harness) -> None:
        """An append whose answer was lost can be repeated, also after a later one."""
        epoch = await start(harness.store, b"a", b"b")
        assert (await append(harness.store, epoch, b"a", b"b")).kept is Kept.OK
        await append(harness.store, epoch, b"c", first=3)
        assert (await append(harness.store, epoch, b"a", b"b")).kept is Kept.OK
        assert await contents(harness.other, epoch) == [b"a", b"b", b"c"]

    async def test_of_an_overlapping_append_the_new_part_is_taken(self, harness: Harness) -> None:
        """Entries that are there are skipped by their number, and stay what they were."""
        epoch = await start(harness.store, b"a", b"b")
        answer = await append(harness.store, epoch, b"not a", b"not b", b"c", b"d")
        assert answer == Appended(Kept.OK, Standing(epoch=epoch, fingerprint=ASKED, seq=4))
        assert await contents(harness.other, epoch) == [b"a", b"b", b"c", b"d"]

    async def test_racing_repetitions_are_taken_once(self, harness: Harness) -> None:
        """Twenty equal appends at once leave each entry there once."""
        epoch = await start(harness.store)
        stores = (harness.store, harness.other)
        answers = await asyncio.gather(*(append(stores[i % 2], epoch, b"a", b"b") for i in range(20)))
        assert {answer.kept for answer in answers} == {Kept.OK}
        assert await contents(harness.store, epoch) == [b"a", b"b"]

    async def test_an_append_of_nothing_is_fine(self, harness: Harness) -> None:
        """An owner that has nothing to say appends nothing, and is told where it stands."""
        epoch = await start(harness.store, b"a")
        answer = await append(harness.store, epoch, first=2)
        assert answer == Appended(Kept.OK, Standing(epoch=epoch, fingerprint=ASKED, seq=1))

    async def test_a_gap_is_refused(self, harness: Harness) -> None:
        """A store that has lost the last entries takes none after them, and says from where it wants them again."""
        epoch = await start(harness.store, b"a")
        missing = await append(harness.store, epoch, b"c", first=3, end=DONE)
        assert missing == Appended(Kept.GAP, Standing(epoch=epoch, fingerprint=ASKED, seq=1))
        assert (await append(harness.store, epoch, first=3)).kept is Kept.GAP
        assert (await append(harness.store, epoch, b"b", b"c", first=2, end=DONE)).kept is Kept.OK
        assert await contents(harness.other, epoch) == [b"a", b"b", b"c"]

    async def test_entries_below_keep_from_are_dropped(self, harness: Harness) -> None:
        """The log slides with its owner's: dropped entries are no longer to be had, and do not come back."""
        epoch = await start(harness.store, b"a", b"b", b"c")
        answer = await append(harness.store, epoch, b"d", first=4, keep_from=3)
        slid = Standing(epoch=epoch, fingerprint=ASKED, seq=4, first=3)
        assert answer == Appended(Kept.OK, slid)
        assert await contents(harness.other, epoch, after=2) == [b"c", b"d"]
        assert (await append(harness.store, epoch, b"a", b"b", keep_from=1)).standing == slid

    async def test_keep_from_reaches_into_what_is_appended(self, harness: Harness) -> None:
        """Entries that are below it already when they come are dropped at once."""
        epoch = await start(harness.store)
        answer = await append(harness.store, epoch, b"a", b"b", b"c", keep_from=3)
        assert answer.standing == Standing(epoch=epoch, fingerprint=ASKED, seq=3, first=3)
        assert await contents(harness.other, epoch, after=2) == [b"c"]

    async def test_keep_from_past_the_last_entry_keeps_none(self, harness: Harness) -> None:
        """A log of which nothing is kept goes on at its next number."""
        epoch = await start(harness.store, b"a")
        answer = await append(harness.store, epoch, first=2, keep_from=9)
        assert answer.standing == Standing(epoch=epoch, fingerprint=ASKED, seq=1, first=2)
        await append(harness.store, epoch, b"b", first=2, keep_from=2)
        assert await contents(harness.other, epoch, after=1) == [b"b"]

    async def test_what_is_not_kept_need_not_be_appended(self, harness: Harness) -> None:
        """An owner whose log slid while the store was away leaves out what it dropped itself."""
        epoch = await start(harness.store, b"a", b"b")
        answer = await append(harness.store, epoch, b"f", first=6, keep_from=6)
        assert answer == Appended(Kept.OK, Standing(epoch=epoch, fingerprint=ASKED, seq=6, first=6))
        assert await contents(harness.other, epoch, after=5) == [b"f"]

    @pytest.mark.parametrize("end", [DONE, FAILED, STOPPED], ids=str)
    async def test_the_end_comes_with_the_last_entries(self, harness: Harness, end: End) -> None:
        """An epoch ends in the same step as its last entries come, and stays readable."""
        epoch = await start(harness.store, b"a")
        answer = await append(harness.store, epoch, b"b", first=2, end=end)
        over = Standing(epoch=epoch, fingerprint=ASKED, status=end.status, reason=end.reason, seq=2)
        assert answer == Appended(Kept.OK, over)
        assert await read(harness.other, epoch) == Page(over, 1, (b"a", b"b"))

    async def test_a_repeated_end_is_fine(self, harness: Harness) -> None:
        """The last append can be repeated like any other."""
        epoch = await start(harness.store, b"a", end=FAILED)
        assert (await append(harness.store, epoch, b"a", end=FAILED)).kept is Kept.OK
        assert (await append(harness.store, epoch, first=2, end=FAILED)).kept is Kept.OK
        assert await contents(harness.other, epoch) == [b"a"]

    @pytest.mark.parametrize("end", [None, DONE, End(Status.FAILED, "another")], ids=["none", "status", "reason"])
    async def test_nothing_comes_after_the_end(self, harness: Harness, end: End | None) -> None:
        """An epoch that is over takes neither entries nor another end, and drops nothing more."""
        epoch = await start(harness.store, b"a", b"b", end=FAILED)
        over = Standing(epoch=epoch, fingerprint=ASKED, status=Status.FAILED, reason=FAILED.reason, seq=2)
        assert await append(harness.store, epoch, b"c", first=3, keep_from=3, end=end) == Appended(Kept.FENCED, over)
        assert await append(harness.store, epoch, first=3, end=end) == Appended(Kept.FENCED, over)
        assert await append(harness.store, epoch, b"c", first=3, end=FAILED) == Appended(Kept.FENCED, over)
        assert await contents(harness.other, epoch) == [b"a", b"b"]

    async def test_an_older_epoch_is_fenced(self, harness: Harness) -> None:
        """An owner that was replaced adds nothing to its successor's log, whatever the numbers."""
        old = await start(harness.store, end=FAILED)
        await claim(harness.other)
        await append(harness.other, old + 1, b"a")
        for first in (1, 2, 5):
            fenced = await append(harness.store, old, b"zombie", b"zombie", first=first, keep_from=first, end=DONE)
            assert fenced == Appended(Kept.FENCED, Standing(epoch=old + 1, fingerprint=ASKED, seq=1))
        assert await contents(harness.store, old + 1) == [b"a"]

    async def test_an_epoch_that_never_was_is_fenced(self, harness: Harness) -> None:
        """Only the newest epoch takes entries, and a later one than that is not made by appending to it."""
        epoch = await start(harness.store)
        assert (await append(harness.store, epoch + 1, b"a")).kept is Kept.FENCED
        assert (await standing(harness.store)).epoch == epoch

    async def test_an_unknown_key_is_gone(self, harness: Harness) -> None:
        """Appending does not make a key."""
        assert await append(harness.store, 1, b"a", end=DONE) == Appended(Kept.GONE, None)
        assert (await claim(harness.store)).result is Claimed.STARTED

    async def test_keys_do_not_mix(self, harness: Harness) -> None:
        """Each key has its own log and its own end."""
        epoch = await start(harness.store, b"a")
        await start(harness.store, b"x", b"y", key="key-00001", end=DONE)
        assert await standing(harness.other) == Standing(epoch=epoch, fingerprint=ASKED, seq=1)
        assert await contents(harness.other, epoch) == [b"a"]


class RestoreContract:
    async def test_a_key_that_is_gone_is_put_back(self, harness: Harness) -> None:
        """Its owner brings its whole log again, and readers go on where they were."""
        assert await harness.store.restore(KEY, epoch=7, fingerprint=ASKED)
        assert await standing(harness.other) == Standing(epoch=7, fingerprint=ASKED)
        assert (await claim(harness.other, asked="another")).result is Claimed.MISMATCH
        reading = asyncio.create_task(read(harness.other, 7, after=2, wait_s=PATIENCE_S))
        await still_waits(reading)
        await append(harness.store, 7, b"a", b"b")
        await still_waits(reading)
        await append(harness.store, 7, b"c", first=3)
        assert (await reading).entries == (b"c",)

    async def test_a_log_that_has_slid_is_put_back(self, harness: Harness) -> None:
        """Its owner brings what it still has, under the old numbers."""
        await harness.store.restore(KEY, epoch=7, fingerprint=ASKED)
        answer = await append(harness.store, 7, b"e", b"f", first=5, keep_from=5)
        assert answer == Appended(Kept.OK, Standing(epoch=7, fingerprint=ASKED, seq=6, first=5))
        assert await contents(harness.other, 7, after=4) == [b"e", b"f"]

    async def test_racing_restores_have_one_winner(self, harness: Harness) -> None:
        """Of two owners that both find the key gone one puts it back, and the other one is fenced."""
        won = await asyncio.gather(
            harness.store.restore(KEY, epoch=7, fingerprint=ASKED),
            harness.other.restore(KEY, epoch=8, fingerprint=ASKED),
        )
        assert sorted(won) == [False, True]
        winner, loser = (7, 8) if won[0] else (8, 7)
        assert (await append(harness.store, winner, b"a")).kept is Kept.OK
        assert (await append(harness.store, loser, b"b")).kept is Kept.FENCED

    async def test_a_restore_can_be_repeated(self, harness: Harness) -> None:
        """One whose answer was lost is still won, and takes nothing away."""
        assert await harness.store.restore(KEY, epoch=7, fingerprint=ASKED)
        await append(harness.store, 7, b"a")
        assert await harness.store.restore(KEY, epoch=7, fingerprint=ASKED)
        assert await contents(harness.other, 7) == [b"a"]

    async def test_a_key_that_is_known_is_not_put_back(self, harness: Harness) -> None:
        """Neither another epoch nor one that is over is brought back to life."""
        epoch = await start(harness.store, b"a", end=DONE)
        for restored in (epoch, epoch + 1):
            assert not await harness.other.restore(KEY, epoch=restored, fingerprint=ASKED)
        assert (await standing(harness.store)).status is Status.DONE

    async def test_a_key_that_was_put_back_is_restarted_like_any(self, harness: Harness) -> None:
        """After a failure the next epoch follows the restored one."""
        await harness.store.restore(KEY, epoch=7, fingerprint=ASKED)
        await append(harness.store, 7, end=FAILED)
        assert await claim(harness.other) == Claim(Claimed.RESTARTED, Standing(epoch=8, fingerprint=ASKED))


class ReadContract:
    async def test_an_unknown_key_has_no_page(self, harness: Harness) -> None:
        """Where there is nothing to wait for, nobody waits."""
        async with asyncio.timeout(PATIENCE_S):
            assert await harness.store.read(KEY, epoch=1, after=0, wait_s=2 * PATIENCE_S) is None

    async def test_a_page_begins_after_what_was_read(self, harness: Harness) -> None:
        """A reader gets what it does not have."""
        epoch = await start(harness.store, b"a", b"b", b"c")
        assert await read(harness.other, epoch, after=1) == Page(
            Standing(epoch=epoch, fingerprint=ASKED, seq=3), 2, (b"b", b"c")
        )

    async def test_a_wait_has_an_end(self, harness: Harness) -> None:
        """A reader to whom nothing comes is told so after the time it gave."""
        epoch = await start(harness.store, b"a")
        page = await read(harness.other, epoch, after=1, wait_s=0.05)
        assert page == Page(Standing(epoch=epoch, fingerprint=ASKED, seq=1), 2)

    async def test_a_waiting_reader_is_woken_by_an_entry(self, harness: Harness) -> None:
        """It gets it when it comes."""
        epoch = await start(harness.store, b"a")
        reading = asyncio.create_task(read(harness.other, epoch, after=1, wait_s=2 * PATIENCE_S))
        await still_waits(reading)
        await append(harness.store, epoch, b"b", first=2)
        assert (await reading).entries == (b"b",)

    async def test_a_waiting_reader_is_woken_by_the_end(self, harness: Harness) -> None:
        """An end without entries ends a wait too."""
        epoch = await start(harness.store)
        reading = asyncio.create_task(read(harness.other, epoch, wait_s=2 * PATIENCE_S))
        await still_waits(reading)
        await append(harness.store, epoch, end=DONE)
        assert await reading == Page(Standing(epoch=epoch, fingerprint=ASKED, status=Status.DONE), 1)

    async def test_a_waiting_reader_is_woken_by_a_stop(self, harness: Harness) -> None:
        """A stop at one replica ends the wait at another."""
        epoch = await start(harness.store)
        reading = asyncio.create_task(read(harness.other, epoch, wait_s=2 * PATIENCE_S))
        await still_waits(reading)
        await harness.store.stop(KEY, reason=STOP_ASKED)
        assert (await reading).standing.status is Status.STOPPED

    async def test_a_waiting_reader_is_woken_where_the_log_slides_past_it(self, harness: Harness) -> None:
        """A reader that waits for an entry which will never be had gets those that follow it."""
        epoch = await start(harness.store)
        reading = asyncio.create_task(read(harness.other, epoch, wait_s=2 * PATIENCE_S))
        await still_waits(reading)
        await append(harness.store, epoch, b"d", first=4, keep_from=4)
        assert await reading == Page(Standing(epoch=epoch, fingerprint=ASKED, seq=4, first=4), 4, (b"d",))

    async def test_nobody_waits_for_what_is_over(self, harness: Harness) -> None:
        """A reader that has everything of an epoch that is over is told at once."""
        epoch = await start(harness.store, b"a", end=DONE)
        page = await read(harness.other, epoch, after=1, wait_s=2 * PATIENCE_S)
        assert page == Page(Standing(epoch=epoch, fingerprint=ASKED, status=Status.DONE, seq=1), 2)

    async def test_nobody_waits_for_another_epoch(self, harness: Harness) -> None:
        """A reader of an epoch that is not the newest is told at once which one is, and gets none of its entries."""
        old = await start(harness.store, b"a", b"b", end=FAILED)
        await claim(harness.store, retry=True)
        await append(harness.store, old + 1, b"x")
        for asked in (old, old + 2):
            page = await read(harness.other, asked, wait_s=2 * PATIENCE_S)
            assert page == Page(Standing(epoch=old + 1, fingerprint=ASKED, seq=1), 1)
        assert await contents(harness.other, old + 1) == [b"x"]

    async def test_nobody_waits_below_what_is_kept(self, harness: Harness) -> None:
        """A reader whose next entry was dropped is told at once where the log begins, and gets what is there of it."""
        epoch = await start(harness.store, b"a", b"b", b"c")
        await append(harness.store, epoch, first=4, keep_from=3)
        page = await read(harness.other, epoch, after=1, wait_s=2 * PATIENCE_S)
        assert page == Page(Standing(epoch=epoch, fingerprint=ASKED, seq=3, first=3), 3, (b"c",))
        await append(harness.store, epoch, first=4, keep_from=4)
        page = await read(harness.other, epoch, after=1, wait_s=2 * PATIENCE_S)
        assert page == Page(Standing(epoch=epoch, fingerprint=ASKED, seq=3, first=4), 4)

    async def test_readers_follow_a_log_to_its_end(self, harness: Harness) -> None:
        """Readers at two replicas get every entry once, in order, while it grows, and no wake-up is lost."""
        epoch = await start(harness.store)
        got: dict[int, list[bytes]] = {0: [], 1: []}
        progress = asyncio.Condition()

        async def follow(reader: int, store: LogStore) -> Status:
            while True:
                page = await read(store, epoch, after=len(got[reader]), wait_s=2 * PATIENCE_S)
                async with progress:
                    got[reader] += page.entries
                    progress.notify_all()
                if page.standing.over and len(got[reader]) == page.standing.seq:
                    return page.standing.status

        following = [asyncio.create_task(follow(i, store)) for i, store in enumerate((harness.store, harness.other))]
        entries = [b"%d" % i for i in range(200)]
        for i, entry in enumerate(entries):
            await append(harness.store, epoch, entry, first=i + 1)
            async with asyncio.timeout(PATIENCE_S), progress:
                while min(len(one) for one in got.values()) <= i:
                    await progress.wait()
        await append(harness.store, epoch, first=201, end=DONE)
        assert await asyncio.gather(*following) == [Status.DONE] * 2
        assert got == {0: entries, 1: entries}

    async def test_many_readers_wait_at_once(self, harness: Harness) -> None:
        """One entry reaches all of fifty waiting readers, at both replicas."""
        epoch = await start(harness.store)
        stores = (harness.store, harness.other)
        reading = [asyncio.create_task(read(stores[i % 2], epoch, wait_s=2 * PATIENCE_S)) for i in range(50)]
        await still_waits(*reading)
        await append(harness.store, epoch, b"a")
        assert [page.entries for page in await asyncio.gather(*reading)] == [(b"a",)] * 50

    async def test_a_reader_that_gives_up_disturbs_no_other(self, harness: Harness) -> None:
        """A cancelled read takes neither an entry nor another reader with it."""
        epoch = await start(harness.store)
        quitter, stayer = (asyncio.create_task(read(harness.store, epoch, wait_s=2 * PATIENCE_S)) for _ in range(2))
        await still_waits(quitter, stayer)
        quitter.cancel()
        await asyncio.wait((quitter,))
        assert quitter.cancelled()
        await append(harness.store, epoch, b"a")
        assert (await stayer).entries == (b"a",)
        assert await contents(harness.store, epoch) == [b"a"]

    async def test_a_long_log_is_read_whole(self, harness: Harness) -> None:
        """However many pages it takes, thousands of entries come back complete and in order."""
        epoch = await start(harness.store)
        entries = [b"%d" % i for i in range(3000)]
        for i in range(0, 3000, 500):
            await append(harness.store, epoch, *entries[i : i + 500], first=i + 1)
        assert await contents(harness.other, epoch) == entries
        assert await contents(harness.other, epoch, after=2990) == entries[2990:]


class StopContract:
    async def test_a_running_epoch_is_stopped(self, harness: Harness) -> None:
        """What was appended stays, the owner is fenced, and its own word for the same end is accepted."""
        epoch = await start(harness.store, b"a")
        stopped = Standing(epoch=epoch, fingerprint=ASKED, status=Status.STOPPED, reason=STOP_ASKED, seq=1)
        assert await harness.other.stop(KEY, reason=STOP_ASKED) == stopped
        assert await append(harness.store, epoch, b"b", first=2) == Appended(Kept.FENCED, stopped)
        same = End(Status.STOPPED, STOP_ASKED)
        assert await append(harness.store, epoch, first=2, end=same) == Appended(Kept.OK, stopped)
        assert await read(harness.store, epoch) == Page(stopped, 1, (b"a",))

    async def test_what_is_over_is_not_stopped(self, harness: Harness) -> None:
        """The first end counts."""
        epoch = await start(harness.store, b"a", end=DONE)
        done = Standing(epoch=epoch, fingerprint=ASKED, status=Status.DONE, seq=1)
        assert await harness.other.stop(KEY, reason=STOP_ASKED) == done
        assert await standing(harness.store) == done

    async def test_a_stop_can_be_repeated(self, harness: Harness) -> None:
        """A second stop gets the answer of the first, whatever its own reason."""
        await start(harness.store)
        first = await harness.store.stop(KEY, reason=STOP_ASKED)
        assert await harness.other.stop(KEY, reason="another") == first

    async def test_an_unknown_key_cannot_be_stopped(self, harness: Harness) -> None:
        """There is nothing to stop, and nothing is left behind."""
        assert await harness.store.stop(KEY, reason=STOP_ASKED) is None
        assert (await claim(harness.store)).result is Claimed.STARTED


class LeaseContract:
    async def test_a_silent_owner_is_found_by_a_read(self, hasty: Harness) -> None:
        """Readers of an owner that was killed get what it appended and are told that it is lost."""
        epoch = await start(hasty.store, b"a")
        await hasty.pass_time(1.25 * hasty.lease_s)
        lost = Standing(epoch=epoch, fingerprint=ASKED, status=Status.FAILED, reason=OWNER_LOST, seq=1, lost=True)
        assert await read(hasty.other, epoch) == Page(lost, 1, (b"a",))
        assert not (await standing(hasty.store)).lost

    async def test_a_silent_owner_is_found_by_a_waiting_read(self, hasty: Harness) -> None:
        """A reader that was waiting already is told at the end of its wait at the latest."""
        epoch = await start(hasty.store)
        reading = asyncio.create_task(read(hasty.other, epoch, wait_s=1.5 * hasty.lease_s))
        await hasty.pass_time(1.25 * hasty.lease_s)
        page = await reading
        assert (page.standing.reason, page.standing.lost) == (OWNER_LOST, True)

    async def test_a_silent_owner_is_found_by_a_stop(self, hasty: Harness) -> None:
        """There is nothing left to stop: the epoch has failed before."""
        epoch = await start(hasty.store)
        await hasty.pass_time(1.25 * hasty.lease_s)
        lost = Standing(epoch=epoch, fingerprint=ASKED, status=Status.FAILED, reason=OWNER_LOST, lost=True)
        assert await hasty.other.stop(KEY, reason=STOP_ASKED) == lost
        assert not (await standing(hasty.store)).lost

    async def test_a_silent_owner_without_entries_is_replaced_by_a_claim(self, hasty: Harness) -> None:
        """Where nobody has read anything, whoever may start takes over at once."""
        epoch = await start(hasty.store)
        await hasty.pass_time(1.25 * hasty.lease_s)
        restarted = Standing(epoch=epoch + 1, fingerprint=ASKED, lost=True)
        assert await claim(hasty.other) == Claim(Claimed.RESTARTED, restarted)
        assert not (await standing(hasty.store)).lost

    @pytest.mark.parametrize(
        ("asked", "entries", "result"),
        [(ASKED, (b"a",), Claimed.REPLAYED), ("", (), Claimed.REPLAYED), ("another", (), Claimed.MISMATCH)],
        ids=["after an entry", "without the right to start", "with another question"],
    )
    async def test_a_silent_owner_is_found_by_a_claim(
        self, hasty: Harness, asked: str, entries: tuple[bytes, ...], result: Claimed
    ) -> None:
        """A claim that starts nothing finds the loss all the same."""
        epoch = await start(hasty.store, *entries)
        await hasty.pass_time(1.25 * hasty.lease_s)
        lost = Standing(
            epoch=epoch, fingerprint=ASKED, status=Status.FAILED, reason=OWNER_LOST, seq=len(entries), lost=True
        )
        assert await claim(hasty.other, asked=asked, may_start=bool(asked)) == Claim(result, lost)
        assert not (await standing(hasty.store)).lost

    async def test_a_loss_is_found_once(self, hasty: Harness) -> None:
        """Of fifty readers and as many claims at once, at both replicas, one is told that it found the owner lost."""
        epoch = await start(hasty.store, b"a")
        await hasty.pass_time(1.25 * hasty.lease_s)
        stores = [(hasty.store, hasty.other)[i % 2] for i in range(50)]
        pages, claims = await asyncio.gather(
            asyncio.gather(*(read(store, epoch, after=1, wait_s=1.0) for store in stores)),
            asyncio.gather(*(claim(store) for store in stores)),
        )
        told = [page.standing for page in pages] + [one.standing for one in claims if one.standing]
        assert {one.status for one in told} == {Status.FAILED}
        assert Counter(one.lost for one in told) == {True: 1, False: 99}

    async def test_a_waiting_reader_of_a_lost_epoch_is_told_of_its_successor(self, hasty: Harness) -> None:
        """A claim that finds the loss and restarts in one step leaves no reader behind in the old epoch."""
        epoch = await start(hasty.store)
        reading = asyncio.create_task(read(hasty.other, epoch, wait_s=1.5 * hasty.lease_s))
        await hasty.pass_time(1.25 * hasty.lease_s)
        await claim(hasty.store)
        page = await reading
        assert page.entries == ()
        assert (page.standing.over, page.standing.epoch) in ((True, epoch), (False, epoch + 1))

    async def test_an_owner_that_appends_nothing_keeps_its_lease(self, hasty: Harness) -> None:
        """A model that thinks for longer than the lease and the keep is no lost owner."""
        epoch = await start(hasty.store, b"a")
        for _ in range(int(2 * (hasty.lease_s + hasty.keep_s) / hasty.lease_s) + 1):
            await hasty.pass_time(0.5 * hasty.lease_s)
            assert (await append(hasty.store, epoch, first=2)).kept is Kept.OK
        assert (await claim(hasty.other)).result is Claimed.ATTACHED
        assert await contents(hasty.other, epoch) == [b"a"]

    async def test_an_owner_that_nobody_has_missed_goes_on(self, hasty: Harness) -> None:
        """A process that stood still for longer than its lease loses its generation only if somebody looked."""
        epoch = await start(hasty.store, b"a")
        await hasty.pass_time(1.25 * hasty.lease_s)
        assert (await append(hasty.store, epoch, b"b", first=2)).kept is Kept.OK
        assert (await claim(hasty.other)).result is Claimed.ATTACHED

    async def test_an_owner_that_was_missed_is_fenced(self, hasty: Harness) -> None:
        """A zombie's entries reach nobody: neither after its loss was found nor after its successor began."""
        epoch = await start(hasty.store)
        await hasty.pass_time(1.25 * hasty.lease_s)
        assert (await claim(hasty.other, may_start=False)).result is Claimed.REPLAYED
        fenced = await append(hasty.store, epoch, b"zombie")
        lost = Standing(epoch=epoch, fingerprint=ASKED, status=Status.FAILED, reason=OWNER_LOST)
        assert fenced == Appended(Kept.FENCED, lost)
        assert (await claim(hasty.other)).result is Claimed.RESTARTED
        assert (await append(hasty.store, epoch, b"zombie", end=DONE)).kept is Kept.FENCED
        assert await contents(hasty.other, epoch + 1) == []


class KeepContract:
    @pytest.mark.parametrize("end", [DONE, FAILED, STOPPED], ids=str)
    async def test_what_is_over_is_kept_for_its_time(self, hasty: Harness, end: End) -> None:
        """It can be replayed until then, and is forgotten afterwards by every call."""
        epoch = await start(hasty.store, b"a", end=end)
        await hasty.pass_time(0.5 * hasty.keep_s)
        assert await contents(hasty.other, epoch) == [b"a"]
        await hasty.pass_time(0.75 * hasty.keep_s)
        assert await hasty.other.read(KEY, epoch=epoch, after=0, wait_s=0) is None
        assert await hasty.other.stop(KEY, reason=STOP_ASKED) is None
        assert await append(hasty.store, epoch, b"a", end=end) == Appended(Kept.GONE, None)
        assert await claim(hasty.other, may_start=False) == Claim(Claimed.ABSENT, None)

    async def test_what_was_stopped_is_kept_for_its_time(self, hasty: Harness) -> None:
        """The time begins with a stop from outside as it does with the owner's own end, not with the last append."""
        await start(hasty.store, b"a")
        await hasty.pass_time(0.75 * hasty.lease_s)
        await hasty.other.stop(KEY, reason=STOP_ASKED)
        await hasty.pass_time(0.5 * hasty.keep_s)
        assert (await claim(hasty.other)).result is Claimed.REPLAYED
        await hasty.pass_time(0.75 * hasty.keep_s)
        assert (await claim(hasty.other, may_start=False)).result is Claimed.ABSENT

    async def test_a_loss_that_nobody_finds_is_forgotten(self, hasty: Harness) -> None:
        """A silent owner's log leaves after the lease and the keep, and its key begins again at another epoch."""
        epoch = await start(hasty.store, b"a")
        await hasty.pass_time(1.25 * (hasty.lease_s + hasty.keep_s))
        assert (await claim(hasty.other, may_start=False)).result is Claimed.ABSENT
        begun = await start(hasty.other)
        assert begun != epoch
        assert (await append(hasty.store, epoch, b"zombie", first=2)).kept is Kept.FENCED
        page = await read(hasty.store, epoch, after=1)
        assert page == Page(Standing(epoch=begun, fingerprint=ASKED), 2)


class AttendContract:
    async def test_the_owner_is_told_how_many_replicas_read_along(self, harness: Harness) -> None:
        """Each replica counts once, however often it says so, until it leaves."""
        epoch = await start(harness.store)
        assert (await append(harness.store, epoch)).readers == 0
        for replica, readers in (("a", 1), ("b", 2), ("a", 2)):
            await harness.other.attend(KEY, replica=replica, for_s=PATIENCE_S)
            assert (await append(harness.store, epoch)).readers == readers
        await harness.other.attend(KEY, replica="a", for_s=0)
        assert (await append(harness.store, epoch)).readers == 1
        await harness.other.attend(KEY, replica="nobody", for_s=0)
        assert (await append(harness.store, epoch, end=DONE)).readers == 1

    async def test_a_replica_that_is_heard_no_more_does_not_count(self, hasty: Harness) -> None:
        """Readers of a replica that was killed count until their time is over; saying so again gives new time."""
        epoch = await start(hasty.store)
        await hasty.other.attend(KEY, replica="a", for_s=0.4 * hasty.lease_s)
        await hasty.other.attend(KEY, replica="b", for_s=0.4 * hasty.lease_s)
        await hasty.other.attend(KEY, replica="b", for_s=60 * hasty.lease_s)
        await hasty.pass_time(0.6 * hasty.lease_s)
        assert (await append(hasty.store, epoch)).readers == 1

    async def test_attending_an_unknown_key_does_nothing(self, harness: Harness) -> None:
        """Readers do not make a key."""
        await harness.store.attend(KEY, replica="a", for_s=PATIENCE_S)
        epoch = await start(harness.store)
        assert (await append(harness.store, epoch)).readers == 0


class StoreContract(
    ClaimContract,
    AppendContract,
    RestoreContract,
    ReadContract,
    StopContract,
    LeaseContract,
    KeepContract,
    AttendContract,
):
    async def test_owners_renew_before_their_lease_is_over(self, hasty: Harness) -> None:
        """What a store tells its owners about time fits its lease."""
        assert 0 <= hasty.store.linger_s <= hasty.store.renew_s < hasty.lease_s

    async def test_what_is_stored_outlives_a_closed_store(self, harness: Harness) -> None:
        """A replica that shuts down, even twice, takes nothing with it."""
        epoch = await start(harness.other, b"a")
        await harness.other.close()
        await harness.other.close()
        assert await contents(harness.store, epoch) == [b"a"]
        assert (await append(harness.store, epoch, b"b", first=2)).kept is Kept.OK
