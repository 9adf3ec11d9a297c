"""Scenes that the state machine (test_machine.py) found, or that are too rare for it: each once went wrong."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from relay.flaky import Fault
from relay.page import Page
from relay.promises import broken_ends, broken_promises
from relay.request import Wish
from relay.world import KEEP_S, LEASE_S, LIMITS, RENEW_S, World
from streamgap.relay import MemoryStore

CID = "answer-0001"
RETRY = Wish(retry=True)
GRACE_S = 1.0

Stage = Callable[..., World]


@pytest.fixture
def on_stage() -> Iterator[Stage]:
    """Return a maker of worlds, which are held to every promise in the end."""
    worlds = []

    def make(*, replicas: int = 2, **settings: Any) -> World:
        worlds.append(World(replicas=replicas, **{"grace_s": GRACE_S, **settings}))
        return worlds[-1]

    yield make
    for world in worlds:
        try:
            world.mend_store()
            world.go_on()
            world.loop.pass_time(LIMITS.age_s + 2 * LEASE_S)
            assert world.wrongs == []
            assert list(broken_promises(world, grace_s=GRACE_S)) == []
            assert [request.body for request in world.open_requests] == []
            assert list(broken_ends(world)) == []
        finally:
            world.close()


def lose_owner(world: World, *, texts: int = 0) -> Page:
    """Let the replica 0 start an answer, say something, and die; return the page that asked."""
    page = world.open(CID)
    world.loop.settle()
    for _ in range(texts):
        world.running[0].say("text")
    world.loop.pass_time(RENEW_S)
    world.kill(0)
    return page


@pytest.mark.parametrize("turns", range(10))
def test_a_stop_that_comes_with_the_start_ends_the_answer(on_stage: Stage, turns: int) -> None:
    """However few turns of the event loop lie between them, nobody waits for a model call that never was."""
    world = on_stage(replicas=1)
    page = world.open(CID)
    for _ in range(turns):
        world.loop.turn()
    world.stop(CID)
    world.loop.pass_time(GRACE_S / 2)
    stopped = page.end is not None and page.end["status"] == "stopped"
    assert stopped or world.running  # it came before there was anything to stop


def test_a_page_cut_off_before_its_reset_is_not_taken_for_one_that_had_it(on_stage: Stage) -> None:
    """Wherever the greeting of a newer epoch is cut, the page keeps its old place until it was told to forget."""
    world = on_stage(replicas=1)
    page = world.open(CID)
    world.loop.settle()
    world.running[0].say("text")
    world.running[0].say("cut")
    world.loop.settle()
    world.open(CID, RETRY)
    world.loop.settle()
    world.running[0].say("text")
    page.last, old = f"{page.epoch}.1", (page.epoch, page.seq)
    for after_bytes in range(1, 260):
        page.last, (page.epoch, page.seq), page.call = f"{old[0]}.1", old, 0
        page._left.clear()
        world.ask(page)
        world.requests[-1].leave(after_bytes=after_bytes)
        world.loop.settle()
        world.ask(page)
        world.loop.settle()
        assert (page.epoch, page.seq, page.call) == (old[0] + 1, 1, 1)


def test_closing_a_relay_tells_those_who_read_from_another_replica(on_stage: Stage) -> None:
    """They are told that this process ends, may resume elsewhere, and do: the answer itself goes on."""
    world = on_stage()
    world.open(CID)
    world.loop.settle()
    page = world.open(CID, at=1)
    world.loop.settle()
    world.shut_down(1)
    assert page.end is not None
    assert (page.end["reason"], page.last) == ("shutdown", f"{page.epoch}.0")
    world.ask(page, at=0)
    world.running[0].say("text")
    world.running[0].say("end")
    world.loop.settle()
    assert page.end == {"status": "done", "reason": "", "retryable": False, "n": 1}


def test_closing_a_relay_ends_what_is_about_to_begin(on_stage: Stage) -> None:
    """A request whose claim is on its way is told too, and its key is free for the next replica."""
    world = on_stage(latency_s=0.005)
    page = world.open(CID)
    world.loop.settle()
    world.shut_down(0)
    assert page.end is not None
    assert page.end["reason"] == "shutdown"
    world.open(CID, at=1)
    world.loop.pass_time(GRACE_S / 2)
    assert len(world.running) == 1


@pytest.mark.parametrize("finder", ["read", "claim", "restart", "other question", "stop"])
def test_a_lost_owner_is_entered_once_whoever_finds_it(on_stage: Stage, finder: str) -> None:
    """The ledger has the generation whose owner died, as failed, from whichever request finds out first."""
    world = on_stage()
    lose_owner(world, texts=0 if finder == "restart" else 1)
    if finder == "read":
        world.open(CID, Wish(reads_only=True), at=1)
    world.loop.pass_time(2 * LEASE_S)
    if finder == "stop":
        world.stop(CID, at=1)
    elif finder != "read":
        world.open(CID, Wish(prompt="what?" if finder == "other question" else "hi"), at=1)
    world.loop.pass_time(RENEW_S)
    (record,) = (one for one in world.records if one.result != "refused")
    assert record.id.endswith(f".{world.calls[0].epoch}")
    assert (record.result, record.status, record.reason) == ("started", "failed", "owner_lost")


def test_an_owner_that_thaws_does_not_take_a_page_back(on_stage: Stage) -> None:
    """A page that has read of the newer epoch reads on there, also through the replica that has not heard of it."""
    world = on_stage()
    world.open(CID)
    world.loop.settle()
    world.running[0].say("text")
    world.loop.pass_time(RENEW_S)
    world.freeze(0)
    world.loop.pass_time(LEASE_S + 1)
    page = world.open(CID, RETRY, at=1)
    world.loop.settle()
    world.running[1].say("text")
    world.loop.settle()
    place = page.last
    world.go_on()
    world.ask(page, at=0)
    world.loop.settle()
    world.calls[1].say("end")
    world.loop.pass_time(RENEW_S)
    assert page.end == {"status": "done", "reason": "", "retryable": False, "n": 1}
    assert place == f"{page.epoch}.1"


def test_a_page_of_another_epoch_is_served_while_the_store_is_away(on_stage: Stage) -> None:
    """What runs here is read here, if nobody can be asked whether there is anything newer."""
    world = on_stage()
    page = world.open(CID)
    world.loop.settle()
    world.running[0].say("text")
    world.loop.settle()
    world.requests[0].leave()
    world.running[0].say("cut")
    world.loop.settle()
    world.open(CID, RETRY)
    world.loop.settle()
    world.break_store(Fault.REQUESTS)
    world.ask(page)
    world.loop.pass_time(1.0)
    world.running[0].say("text")
    world.loop.settle()
    assert (page.epoch, page.seq, page.call) == (world.calls[1].epoch, 1, 1)


def test_a_stop_reaches_the_newer_epoch_past_an_older_one(on_stage: Stage) -> None:
    """A replica that still serves slow readers of a failed attempt passes the stop on to where the next one runs."""
    world = on_stage()
    world.open(CID)
    world.loop.settle()
    world.requests[0].stall()
    world.running[0].say("text")
    world.running[0].say("cut")
    world.loop.pass_time(RENEW_S)
    world.open(CID, RETRY, at=1)
    world.loop.settle()
    world.stop(CID, at=0)
    world.loop.pass_time(RENEW_S + 0.1)
    assert world.calls[1].fate == "cancelled"


def test_a_reader_elsewhere_outlives_a_short_grace(on_stage: Stage) -> None:
    """A page that reconnects to another replica keeps an answer alive that has said nothing yet."""
    world = on_stage()
    page = world.open(CID)
    world.loop.settle()
    world.ask(page, at=1)
    world.loop.pass_time(5 * GRACE_S)
    assert world.running


def test_an_answer_goes_on_for_nobody_no_longer_than_the_grace(on_stage: Stage) -> None:
    """A reader elsewhere that was told the end of one attempt is not counted as a listener of the next."""
    world = on_stage()
    page = world.open(CID)
    world.loop.settle()
    world.running[0].say("text")
    world.loop.pass_time(0.1)
    world.ask(page, at=1)
    world.loop.settle()
    world.stop(CID)
    world.loop.settle()
    world.open(CID, RETRY)
    world.loop.settle()
    world.requests[-1].leave()
    world.loop.pass_time(GRACE_S + RENEW_S + 0.1)
    assert [call.fate for call in world.calls] == ["cancelled", "cancelled"]


async def _broken(*_: Any, **__: Any) -> None:
    raise RuntimeError("a fault of the store's own")


def test_an_unheard_of_error_of_the_store_ends_its_readers(on_stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are told that the store is lost, and may resume; they do not wait for a task that has died."""
    world = on_stage()
    world.open(CID)
    world.loop.settle()
    with monkeypatch.context() as patched:
        patched.setattr(MemoryStore, "read", _broken)
        page = world.open(CID, at=1)
        world.loop.settle()
    assert page.end is not None
    assert (page.end["reason"], page.last) == ("store", f"{page.epoch}.0")


def test_nothing_is_kept_of_what_is_over(on_stage: Stage) -> None:
    """After its time neither the store nor a relay has anything of an answer left."""
    world = on_stage()
    world.open(CID)
    world.loop.settle()
    world.open(CID, at=1)
    world.running[0].say("end")
    world.loop.pass_time(2 * KEEP_S)
    assert world.store._over == {}
    assert [replica.relay._sources._by_key for replica in world.replicas] == [{}, {}]
