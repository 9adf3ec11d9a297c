"""The whole relay as a state machine: people, models, replicas, their store and time do anything in any order.

The suite tries the same examples each time. To try others: ``RELAY_EXAMPLES=5000 pytest tests/relay/test_machine.py``,
which keeps what fails in `.hypothesis` and tries it first the next time.
"""

import logging
import math
import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from relay.flaky import Fault
from relay.promises import broken_ends, broken_promises
from relay.request import Request, Wish
from relay.world import KEEP_S, LEASE_S, LIMITS, Call, World

CIDS = st.sampled_from(["answer-0001", "answer-0002"])
SOME = st.integers(0, 5)
RARELY = st.integers(0, 5).map(lambda n: n == 5)
WISHES = st.builds(
    Wish,
    prompt=RARELY.map(lambda other: "what?" if other else "hi"),
    retry=RARELY,
    method=st.sampled_from(["GET", "POST"]),
    reads_only=RARELY,
)
CHUNKS = st.lists(st.sampled_from(["text", "text", "text", "thought"]), min_size=1, max_size=6)
THEN = st.sampled_from(["settle", "settle", "turn", "nothing"])


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Keep what the relay warns of, thousands of times, out of the report."""
    caplog.set_level(logging.CRITICAL, logger="streamgap")


class Anything(RuleBasedStateMachine):
    """Whatever happens, no text is mixed up, no call of the model is one too many, and nobody waits for ever."""

    @initialize(
        replicas=st.integers(1, 3),
        latency_s=st.sampled_from([0.0, 0.005]),
        grace_s=st.sampled_from([1.0, 1.0, 0.0, math.inf]),
        when_store_fails=st.sampled_from(["bypass", "refuse"]),
        is_faulty=st.booleans(),
    )
    def begin(self, *, replicas: int, latency_s: float, grace_s: float, when_store_fails: str, is_faulty: bool) -> None:
        self.grace_s = grace_s
        self.is_faulty = is_faulty
        self.world = World(replicas=replicas, latency_s=latency_s, grace_s=grace_s, when_store_fails=when_store_fails)

    @rule(cid=CIDS, wish=WISHES, at=SOME, then=THEN)
    def somebody_asks(self, *, cid: str, wish: Wish, at: int, then: str) -> None:
        self.world.open(cid, wish, at=at)
        self._then(then)

    @precondition(lambda self: self.world.pages)
    @rule(page=SOME, wish=WISHES, at=SOME, then=THEN)
    def comes_back(self, *, page: int, wish: Wish, at: int, then: str) -> None:
        pages = self.world.pages
        self.world.ask(pages[-1 - page % len(pages)], wish, at=at)
        self._then(then)

    @precondition(lambda self: self.world.open_requests)
    @rule(one=SOME, after_bytes=st.just(0) | st.integers(1, 400), then=THEN)
    def leaves(self, *, one: int, after_bytes: int, then: str) -> None:
        self._request(one).leave(after_bytes=after_bytes)
        self._then(then)

    @precondition(lambda self: self.world.open_requests)
    @rule(one=SOME, does=st.sampled_from([Request.stall, Request.flow]), then=THEN)
    def reads_or_not(self, *, one: int, does: Callable[[Request], None], then: str) -> None:
        does(self._request(one))
        self._then(then)

    @rule(cid=CIDS, at=SOME, then=THEN)
    def stops(self, *, cid: str, at: int, then: str) -> None:
        self.world.stop(cid, at=at)
        self._then(then)

    @precondition(lambda self: self.world.running)
    @rule(call=SOME, chunks=CHUNKS, then=THEN)
    def model_says(self, *, call: int, chunks: list[str], then: str) -> None:
        for chunk in chunks:
            self._call(call).say(chunk)
        self._then(then)

    @precondition(lambda self: self.world.running)
    @rule(call=SOME, last=st.sampled_from(["end", "end", "cut", "error"]), then=THEN)
    def model_ends(self, *, call: int, last: str, then: str) -> None:
        self._call(call).say(last)
        self._then(then)

    @rule(time_s=st.sampled_from([0.03, 0.4, 1.1, 3.2, 6.0]))
    def time_passes(self, *, time_s: float) -> None:
        self.world.loop.pass_time(time_s)

    @precondition(lambda self: self.is_faulty)
    @rule(at=SOME, does=st.sampled_from([World.kill, World.freeze, World.shut_down]), then=THEN)
    def befalls(self, *, at: int, does: Callable[[World, int], None], then: str) -> None:
        does(self.world, at)
        self._then(then)

    @precondition(lambda self: any(replica.process.stands_still for replica in self.world.replicas))
    @rule(then=THEN)
    def goes_on(self, *, then: str) -> None:
        self.world.go_on()
        self._then(then)

    @precondition(lambda self: self.is_faulty and self.world.network.fault is None)
    @rule(fault=st.sampled_from(Fault))
    def store_fails(self, *, fault: Fault) -> None:
        self.world.break_store(fault)

    @precondition(lambda self: self.world.network.fault is not None)
    @rule()
    def store_is_back(self) -> None:
        self.world.mend_store()

    @invariant()
    def promises_hold(self) -> None:
        assert not self.world.wrongs
        assert not list(broken_promises(self.world, grace_s=self.grace_s))

    def teardown(self) -> None:
        try:
            self._come_to_an_end()
        finally:
            self.world.close()

    def _come_to_an_end(self) -> None:
        """Mend everything, and wait: nobody says a word any more, and still every request and every log ends."""
        world = self.world
        world.mend_store()
        world.go_on()
        for request in world.requests:
            request.flow()
        world.loop.pass_time(LIMITS.age_s + 2 * LEASE_S + LIMITS.patience_s)
        self.promises_hold()
        assert not [request.body for request in world.open_requests]
        assert not list(broken_ends(world))
        world.loop.pass_time(2 * KEEP_S + LEASE_S)
        self._nothing_remains()

    def _nothing_remains(self) -> None:
        store = self.world.store
        assert (store._running, store._over, store._payload_bytes) == ({}, {}, 0)
        for replica in self.world.replicas:
            sources = replica.relay._sources
            assert (sources._by_key, sources._owners, sources._opening, sources._retiring) == ({}, set(), {}, set())
            assert replica.relay._manners.stalls._timer is None
            assert replica.process.tasks == set()

    def _then(self, then: str) -> None:
        if then == "settle":
            self.world.loop.settle()
        elif then == "turn":
            self.world.loop.turn()

    def _request(self, number: int) -> Request:
        requests = self.world.open_requests
        return requests[number % len(requests)]

    def _call(self, number: int) -> Call:
        calls = self.world.running
        return calls[number % len(calls)]


EXAMPLES = int(os.environ.get("RELAY_EXAMPLES", "0"))
SETTINGS = settings(
    max_examples=EXAMPLES or 400,
    stateful_step_count=40,
    deadline=None,
    derandomize=not EXAMPLES,
    suppress_health_check=list(HealthCheck),
)


class AnythingForLonger(Anything):
    """The same, in more and longer examples."""


test_anything = Anything.TestCase
test_anything.settings = SETTINGS
test_anything_for_longer = pytest.mark.slow(AnythingForLonger.TestCase)
test_anything_for_longer.settings = settings(SETTINGS, max_examples=EXAMPLES or 1500, stateful_step_count=80)
