"""The conservation law, against a model that knows nothing of stores."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from halves import generation_record, server_half
from service.lab import Caught, Clock, body
from streamgap.core.words import GenerationResult, ReconnectCause
from streamgap.service.joiner import Joiner
from streamgap.service.settings import Settings

# In time, held, held as a queue holds, and held until the person left.
ARRIVALS = st.sampled_from([[600.0, 650.0], [3600.0, 3600.0], [9000.0, 9050.0], []])
SIDS = st.sampled_from([f"stream-{i:02d}" for i in range(12)])


class Conservation(RuleBasedStateMachine):
    """Halves of few streams arrive in any order and number, time passes, and no half is lost or emitted twice.

    What a relay tells beside them is in counters of its own, each time it is told.
    """

    @initialize(entries=st.integers(1, 8), size_bytes=st.sampled_from([1_000, 1_000_000]))
    def start(self, entries: int, size_bytes: int) -> None:
        self.clock = Clock()
        self.sink = Caught()
        self.offered = {"server": 0, "client": 0}
        self.refused = 0
        self.attached = self.started = self.malformed = 0
        self.joiner = Joiner(
            Settings(ttl_s=60.0, pending_entries=entries, pending_bytes=size_bytes),
            sinks=[("join", self.sink)],
            clock=self.clock,
            unix_clock=self.clock,
        )

    @rule(sid=SIDS)
    def server_reports(self, sid: str) -> None:
        self.offered["server"] += 1
        assert self.joiner.offer_server(server_half([500.0, 550.0], sid=sid)) is None

    @rule(sid=SIDS)
    def relay_answers_a_reconnect(self, sid: str) -> None:
        self.offered["server"] += 1
        self.attached += 1
        half = server_half([5.0], sid=sid, result=GenerationResult.ATTACHED, cause=ReconnectCause.RESUME)
        assert self.joiner.offer_server(half) is None

    @rule(good=st.booleans())
    def generation_ends(self, good: bool) -> None:  # noqa: FBT001 Hypothesis fills it by name
        self.started += good
        self.malformed += not good
        refusal = self.joiner.offer_generation(generation_record(status="done" if good else "lost"))
        assert (refusal is None) is good

    @rule(sid=SIDS, n=st.integers(1, 4), final=st.booleans(), came_ms=ARRIVALS)
    def client_reports(self, sid: str, n: int, final: bool, came_ms: list[float]) -> None:  # noqa: FBT001 by name
        self.offered["client"] += 1
        assert self.joiner.offer_client(body(came_ms, sid=sid, n=n, final=final)) is None

    @rule(junk=st.sampled_from([b"", b"{", b"[]", b'{"v":2}', b"\xff"]))
    def client_sends_junk(self, junk: bytes) -> None:
        self.offered["client"] += 1
        self.refused += 1
        assert self.joiner.offer_client(junk) is not None

    @rule(step_s=st.sampled_from([1.0, 20.0, 61.0, 400.0]))
    def time_passes(self, step_s: float) -> None:
        self.clock.now_s += step_s
        while self.joiner.tick():
            pass

    @rule()
    def collector_drains(self) -> None:
        self.joiner.drain()
        waiting = self.joiner.waiting()
        assert (waiting.server, waiting.client, waiting.payload_bytes) == (0, 0, 0)

    @invariant()
    def nothing_is_lost(self) -> None:
        found = [sample for family in self.joiner.snapshot().collect() for sample in family.samples]

        def total(name: str, half: str) -> float:
            return sum(s.value for s in found if s.name == f"streamgap_{name}" and s.labels["half"] == half)

        for half, offered in self.offered.items():
            assert total("residual", half) == 0
            assert total("reports_received_total", half) == offered
            fates = ("joined", "duplicate", "superseded", "late", "unmatched", "rejected")
            ended = sum(total(f"reports_{fate}_total", half) for fate in fates)
            assert ended + total("pending", half) == offered
            assert total("reports_joined_total", half) == len(self.sink.streams)
        assert total("reports_rejected_total", "client") == self.refused
        assert self.joiner.meters.internal_errors.total() == 0

    @invariant()
    def the_relays_part_is_counted(self) -> None:
        generations = self.joiner.meters.generations
        assert generations.results.total(result="attached") == generations.reconnects.total() == self.attached
        assert generations.results.total(result="started") == generations.ends.total() == self.started
        assert generations.rejected.total() == self.malformed

    @invariant()
    def each_held_stream_has_one_mechanism(self) -> None:
        measurements = self.joiner.meters.measurements
        held = [stream for stream in self.sink.streams if stream.mechanism is not None]
        assert measurements.held.total() == measurements.streams.total(verdict="held") == len(held)

    @invariant()
    def bounds_hold(self) -> None:
        waiting = self.joiner.waiting()
        assert waiting.server <= 8
        assert waiting.client <= 8
        assert waiting.payload_bytes <= 1_000_000


Conservation.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_conservation = Conservation.TestCase
