"""The ledger of reconnects: each call of the model counts once, each response that called none once, joined or not."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from halves import PAGE, generation_record, server_half
from service.lab import PACE_MS, Caught, Clock, body, samples, value
from streamgap.core.wire import ServerHalf
from streamgap.core.words import (
    GENERATION_ENDS,
    MODEL_CALLS,
    Disconnect,
    GenerationResult,
    Outcome,
    ReconnectCause,
    Verdict,
)
from streamgap.service.joiner import Joiner

MakeJoiner = Callable[..., Joiner]
WRITTEN_MS = [500.0 + 50.0 * i for i in range(40)]
"""What the relay wrote to the first connection, which broke after the 20th event had come through."""
LATER_MS = [5.0 + 50.0 * i for i in range(40)]
"""What it wrote to the next one: the events after the client's place."""
READ_MS = [*(ms + 20.0 for ms in WRITTEN_MS[:20]), *(6000.0 + ms for ms in LATER_MS)]
FIRST = server_half(WRITTEN_MS, result=GenerationResult.STARTED, outcome=Outcome.CLIENT_GONE, how=Disconnect.RST)
NEXT = server_half(LATER_MS, result=GenerationResult.ATTACHED, cause=ReconnectCause.RESUME)
READ = body(READ_MS, via="eventsource", tries=1)


def counted(joiner: Joiner, name: str) -> dict[str, float]:
    """Return the children of one counter that are not 0, by the label beside the route."""
    found = [sample for (sampled, _), sample in samples(joiner).items() if sampled == name and sample.value]
    return {text: sample.value for sample in found for label, text in sample.labels.items() if label != "route"}


@pytest.mark.parametrize("result", [GenerationResult.ATTACHED, GenerationResult.REPLAYED])
def test_responses_that_called_nothing_count_from_their_halves(joiner: Joiner, result: GenerationResult) -> None:
    """An attached or replayed response counts when its half is taken, before any browser has spoken."""
    joiner.offer_server(server_half(PACE_MS, result=result, cause=ReconnectCause.REPEAT))
    assert counted(joiner, "streamgap_generations_total") == {result: 1}
    assert counted(joiner, "streamgap_reconnects_total") == {"repeat": 1}


@pytest.mark.parametrize("result", [*MODEL_CALLS, GenerationResult.REFUSED])
def test_calls_and_refusals_count_from_their_records_alone(joiner: Joiner, result: GenerationResult) -> None:
    """A half that says `started` adds nothing: the generation's own record will, once, whoever read it."""
    joiner.offer_server(server_half(PACE_MS, result=result))
    assert counted(joiner, "streamgap_generations_total") == {}
    status = "refused" if result is GenerationResult.REFUSED else "done"
    joiner.offer_generation(generation_record(result=result, status=status))
    assert counted(joiner, "streamgap_generations_total") == {result: 1}


@pytest.mark.parametrize("status", GENERATION_ENDS)
def test_generations_count_by_how_they_ended(joiner: Joiner, status: str) -> None:
    """Done, failed and stopped generations count as such."""
    joiner.offer_generation(generation_record(status=status))
    assert counted(joiner, "streamgap_generations_ended_total") == {status: 1}


def test_a_refused_request_is_no_generation_that_ended(joiner: Joiner) -> None:
    """A refusal is a result, and nothing ended with it."""
    joiner.offer_generation(generation_record(result="refused", status="refused", reason="busy"))
    assert counted(joiner, "streamgap_generations_ended_total") == {}


def test_tokens_count_by_their_fate(joiner: Joiner) -> None:
    """Delivered and unheard tokens come from the records of generations alone; what is unknown adds nothing."""
    joiner.offer_server(server_half(PACE_MS, result=GenerationResult.STARTED, output_tokens=1000))
    joiner.offer_generation(generation_record(delivered=40, unheard=2))
    joiner.offer_generation(generation_record(delivered=None, unheard=3))
    assert counted(joiner, "streamgap_tokens_total") == {"delivered": 40, "unheard": 5}


def test_heartbeats_and_disconnects_count_of_any_stream(joiner: Joiner) -> None:
    """A stream without a relay tells them, too."""
    joiner.offer_server(server_half(PACE_MS, beats=7, outcome=Outcome.CLIENT_GONE, how=Disconnect.TIMEOUT))
    assert value(joiner, "streamgap_heartbeats_total", route="/chat") == 7
    assert counted(joiner, "streamgap_disconnects_total") == {"timeout": 1}
    assert counted(joiner, "streamgap_generations_total") == {}


def test_every_connection_of_one_stream_counts(joiner: Joiner) -> None:
    """A browser reconnects under the same id: its later halves are duplicates of the join, and count in the ledger."""
    for half in (FIRST, NEXT, NEXT):
        joiner.offer_server(half)
    assert value(joiner, "streamgap_reports_duplicate_total", half="server") == 2
    assert value(joiner, "streamgap_server_streams_total", route="/chat", outcome="client_gone") == 1
    assert counted(joiner, "streamgap_generations_total") == {"attached": 2}
    assert counted(joiner, "streamgap_reconnects_total") == {"resume": 2}
    assert counted(joiner, "streamgap_disconnects_total") == {"rst": 1}


def test_a_generation_that_two_replicas_enter_counts_once(joiner: Joiner) -> None:
    """Whoever finds an owner lost enters its generation; the owner, should it live, adds only what it cost."""
    joiner.offer_generation(generation_record(id="lost.1", status="failed", span_id="ab" * 8))
    joiner.offer_generation(generation_record(id="lost.1", status="stopped", delivered=40, span_id="cd" * 8))
    assert value(joiner, "streamgap_generations_total", route="/chat", result="started") == 1
    assert value(joiner, "streamgap_generations_ended_total", route="/chat", status="failed") == 1
    assert value(joiner, "streamgap_generations_ended_total", route="/chat", status="stopped") == 0
    assert value(joiner, "streamgap_tokens_total", route="/chat", fate="delivered") == 40


def test_a_span_that_comes_twice_counts_once(joiner: Joiner) -> None:
    """An exporter repeats what was not answered, and a pipeline may fork: the same span is no second event."""
    context = {"trace_id": "ab" * 16, "span_id": "cd" * 8}
    for _ in range(2):
        joiner.offer_server(msgspec.structs.replace(NEXT, **context))
        joiner.offer_generation(generation_record(delivered=40, trace_id="ab" * 16, span_id="ef" * 8))
    assert counted(joiner, "streamgap_generations_total") == {"attached": 1, "started": 1}
    assert counted(joiner, "streamgap_tokens_total") == {"delivered": 40}


def test_labels_of_records_are_bounded_with_those_of_halves(make_joiner: MakeJoiner) -> None:
    """Routes of records fold into the same set of labels."""
    joiner = make_joiner(max_routes=1)
    joiner.offer_generation(generation_record(route="/a"))
    joiner.offer_server(server_half(PACE_MS, route="/a"))
    joiner.offer_generation(generation_record(route="/b"))
    assert value(joiner, "streamgap_generations_total", route="/a", result="started") == 1
    assert value(joiner, "streamgap_generations_total", route="other", result="started") == 1
    assert value(joiner, "streamgap_label_overflow_total", label="route") == 1


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"result": GenerationResult.ATTACHED}, "expected result started, restarted, bypassed, refused, got attached"),
        ({"status": "lost"}, "lost"),
        ({"delivered": -1}, ">= 0"),
        ({"dur": float("nan")}, "dur"),
        ({"reason": object()}, "expected plain values"),
    ],
    ids=["result", "status", "negative", "nan", "object"],
)
def test_a_bad_record_is_refused_counted_and_remembered(joiner: Joiner, wrong: dict[str, Any], says: str) -> None:
    """It is no half, so it moves none of the halves' counters; the status page shows why it was refused."""
    refusal = joiner.offer_generation(generation_record(**wrong))
    assert refusal is not None
    assert says in str(refusal)
    assert value(joiner, "streamgap_generation_records_rejected_total") == 1
    assert value(joiner, "streamgap_reports_received_total", half="server") == 0
    assert counted(joiner, "streamgap_generations_total") == {}
    assert [(rejection.half, rejection.message) for rejection in joiner.rejections] == [("generation", str(refusal))]


ORDERS: dict[str, tuple[ServerHalf | bytes, ...]] = {
    "in order": (FIRST, NEXT, READ),
    "page before its last half": (FIRST, READ, NEXT),
    "loss noticed late": (NEXT, READ, FIRST),
    "loss noticed before the page spoke": (NEXT, FIRST, READ),
    "lost before the first chunk": (server_half([], outcome=Outcome.CLIENT_GONE), NEXT, READ),
}


@pytest.mark.parametrize("order", ORDERS)
def test_a_stream_that_was_cut_and_resumed_is_cut(make_joiner: MakeJoiner, order: str) -> None:
    """Cut on the path, resumed by the relay, read to its end: one `cut` stream, and no hold that was none."""
    sink = Caught()
    joiner = make_joiner(sinks=[sink])
    for half in ORDERS[order]:
        assert (joiner.offer_client(half) if isinstance(half, bytes) else joiner.offer_server(half)) is None
    (stream,) = sink.streams
    assert (stream.verdict, stream.hold, stream.client.page) == (Verdict.CUT, None, PAGE)
    assert stream.gap is None or stream.gap == pytest.approx(20.0)
    assert value(joiner, "streamgap_reports_duplicate_total", half="server") == 1
    assert value(joiner, "streamgap_client_windows_total", route="/chat", verdict="cut") == 1
    assert counted(joiner, "streamgap_generations_total") == {"attached": 1}


def test_a_first_half_that_waited_too_long_leaves_the_next_to_join(make_joiner: MakeJoiner, clock: Clock) -> None:
    """Where the answer goes on for longer than halves wait, the first expires, and the stream is `cut` all the same."""
    sink = Caught()
    joiner = make_joiner(sinks=[sink])
    joiner.offer_server(FIRST)
    clock.now_s += 61.0
    joiner.tick()
    joiner.offer_server(NEXT)
    joiner.offer_client(READ)
    assert [(stream.verdict, stream.gap, stream.hold) for stream in sink.streams] == [(Verdict.CUT, None, None)]
    assert value(joiner, "streamgap_reports_unmatched_total", half="server", reason="expired") == 1


def test_a_browser_that_asks_once_more_after_the_end_was_not_cut(make_joiner: MakeJoiner) -> None:
    """An `EventSource` that nobody closes comes again after a whole answer, and is told that there is no more."""
    sink = Caught()
    joiner = make_joiner(sinks=[sink])
    joiner.offer_server(server_half(PACE_MS, result=GenerationResult.STARTED))
    joiner.offer_client(body(via="eventsource", tries=1, end="error"))
    assert [stream.verdict for stream in sink.streams] == [Verdict.FLOWING]
