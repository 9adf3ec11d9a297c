"""One replica: what a request finds, and what it gets."""

import math

import pytest

from instrument.lab import fetched, until
from relay.stage import CID, Event, Model, end_of, on_stage, parsed, text_of
from streamgap.core.errors import SettingsError
from streamgap.core.words import GenerationResult
from streamgap.relay import Limits, Relay

TORTURE = "CR\r LF\n CRLF\r\n\n\nevent: done\ndata: x\n\n \u2028\u2029 \0 \U0001f600 \ufeff "


async def test_the_wire_is_what_the_docs_say() -> None:
    """Retry, priming id, sg-open, one event a chunk with its id, and an explicit end."""
    async with on_stage() as stage:
        stage.model.say("Hel", "lo")
        stage.model.finish()
        visit = await stage.answer(sid="stream-id-1")
    assert visit.status == 200
    assert visit.header("x-stream-id") == ["stream-id-1"]
    assert visit.header("x-accel-buffering") == ["no"]
    assert visit.body.startswith(b":stream\n\nretry: ")
    assert parsed(visit.body)[1:] == [
        Event("message", "1.0", None),
        Event("sg-open", None, {"v": 1, "sid": "stream-id-1", "epoch": 1, "result": "started"}),
        Event("message", "1.1", {"t": "Hel"}),
        Event("message", "1.2", {"t": "lo"}),
        Event("sg-end", "1.end", {"status": "done", "reason": "", "retryable": False, "n": 2}),
    ]
    assert visit.ended


async def test_text_that_looks_like_sse_arrives_as_it_was() -> None:
    """No line break, separator or control character in model text reaches the framing."""
    async with on_stage() as stage:
        stage.model.say(*TORTURE, TORTURE)
        stage.model.finish()
        assert text_of((await stage.answer()).body) == TORTURE + TORTURE


async def test_two_readers_share_one_generation() -> None:
    """A second request of a key that runs attaches, gets what was missed, and the model is called once."""
    async with on_stage() as stage, stage.ask() as one:
        stage.model.say("a", "b")
        await one.read_until(b'"b"')
        async with stage.ask() as other:
            await other.read_until(b'"b"')
            stage.model.say("c")
            stage.model.finish()
            assert text_of((await one.read_all()).body) == text_of((await other.read_all()).body) == "abc"
            assert parsed(other.body)[2].data["result"] == "attached"
        assert stage.model.calls == 1


async def test_a_finished_answer_is_replayed() -> None:
    """The same key again, after the end, gets the same events for nothing."""
    async with on_stage() as stage:
        stage.model.say("a", "b")
        stage.model.finish()
        first, again = await stage.answer(), await stage.answer()
        assert text_of(again.body) == text_of(first.body) == "ab"
        assert end_of(again.body)["status"] == "done"
        assert parsed(again.body)[2].data["result"] == "replayed"
        assert stage.model.calls == 1


async def test_a_reconnect_goes_on_where_it_left_off() -> None:
    """With Last-Event-ID the events after it come, and no other; before the end and after it."""
    async with on_stage() as stage, stage.ask() as first:
        stage.model.say("a", "b", "c")
        await first.read_until(b'"c"')
        async with stage.ask(last="1.2") as back:
            await back.read_until(b'"c"')
            assert parsed(back.body)[1] == Event("message", "1.2", None)
            stage.model.say("d")
            stage.model.finish()
            assert text_of((await back.read_all()).body) == "cd"
        await first.read_all()
        assert text_of((await stage.answer(last="1.3")).body) == "d"
        at_tail = await stage.answer(last="1.4")
        assert text_of(at_tail.body) == ""
        assert end_of(at_tail.body)["status"] == "done"
        assert stage.model.calls == 1


async def test_a_reconnect_past_the_end_is_told_to_stop() -> None:
    """204, which an EventSource takes as a no for ever; known key or not."""
    async with on_stage() as stage:
        stage.model.finish()
        await stage.answer()
        assert (await stage.answer(last="1.end")).status == 204
        assert (await stage.answer("another-key", last="1.end")).status == 204
        assert stage.model.calls == 1


async def test_a_resuming_client_never_calls_the_model() -> None:
    """With Last-Event-ID an unknown key is told that the answer has expired, and the next time 204."""
    async with on_stage() as stage:
        visit = await stage.answer(last="1.7")
        assert visit.status == 200
        assert end_of(visit.body) == {"status": "expired", "reason": "", "retryable": False, "n": 0}
        assert parsed(visit.body)[-1].id == "1.end"
        assert stage.model.calls == 0


@pytest.mark.parametrize(
    ("cid", "last"), [("", ""), ("short", ""), ("no spaces!", ""), (CID, "x"), (CID, "-1.5"), (CID, "1." + "9" * 20)]
)
async def test_what_cannot_be_is_refused(cid: str, last: str) -> None:
    """A missing or impossible key, and a Last-Event-ID that was never sent, get 400 and say what was expected."""
    async with on_stage() as stage:
        visit = await stage.answer(cid.replace(" ", "%20"), last=last)
        assert visit.status == 400
        assert b"expected" in visit.body
        assert stage.model.calls == 0


async def test_one_key_is_one_question() -> None:
    """The same key with another prompt is refused with 422, running or done, and counted."""
    async with on_stage() as stage:
        async with stage.ask() as first:
            stage.model.say("a")
            await first.read_until(b'"a"')
            assert (await stage.answer(prompt="other")).status == 422
            stage.model.finish()
            await first.read_all()
        assert (await stage.answer(prompt="other")).status == 422
        assert stage.model.calls == 1
        assert [r.result for r in stage.records] == ["refused", "started", "refused"]


async def test_the_key_may_come_as_a_header_or_be_the_stream_id() -> None:
    """Idempotency-Key, bare or quoted, `cid` and `sid` name the same answer if they say the same."""
    async with on_stage() as stage:
        stage.model.say("a")
        stage.model.finish()
        await stage.answer()
        ways: dict[str, list[str]] = {
            "/chat": [f"Idempotency-Key: {CID}"],
            "/chat?": [f'Idempotency-Key: "{CID}"'],
            f"/chat?sid={CID}": [],
        }
        for path, headers in ways.items():
            assert text_of((await fetched(stage.port, path, headers=headers)).body) == "a"
        assert stage.model.calls == 1


async def test_nobody_reads_anothers_answer() -> None:
    """Under another principal the same key is another answer."""
    principals = iter(["alice", "bob", "alice"])
    async with on_stage(principal=lambda _scope: next(principals)) as stage:
        stage.model.say("for alice")
        stage.model.finish()
        await stage.answer()
        stage.model.say("for bob")
        stage.model.finish()
        assert text_of((await stage.answer()).body) == "for bob"
        assert text_of((await stage.answer()).body) == "for alice"
        assert stage.model.calls == 2


async def test_a_failure_before_anything_was_said_may_start_again() -> None:
    """The first client is told, retryable; the next request calls the model again, at the next epoch."""
    async with on_stage() as stage:
        stage.model.fail(ConnectionError("model away"))
        end = end_of((await stage.answer()).body)
        assert end == {"status": "failed", "reason": "ConnectionError", "retryable": True, "n": 0}
        stage.model.say("now")
        stage.model.finish()
        again = await stage.answer()
        assert text_of(again.body) == "now"
        assert parsed(again.body)[1].id == "2.0"
        assert parsed(again.body)[2].data["result"] == "restarted"
        assert stage.model.calls == 2


async def test_a_failure_midway_keeps_the_partial_text() -> None:
    """It is replayed with its retryable end, and only an explicit retry calls the model again."""
    async with on_stage() as stage:
        stage.model.say("half")
        stage.model.fail(ConnectionError("cut"))
        await stage.answer()
        partial = await stage.answer()
        assert text_of(partial.body) == "half"
        assert end_of(partial.body)["retryable"]
        assert stage.model.calls == 1
        stage.model.say("whole")
        stage.model.finish()
        assert text_of((await stage.answer(retry="1")).body) == "whole"
        assert stage.model.calls == 2
        behind = await stage.answer(last="1.1")
        assert [event.type for event in parsed(behind.body)][3] == "sg-reset"
        assert text_of(behind.body) == "whole"


async def test_leaving_ends_the_call_after_the_grace_and_not_before() -> None:
    """Whoever comes back within the grace finds the same generation; when nobody does, the call is cancelled."""
    async with on_stage(grace_s=0.5) as stage:
        async with stage.ask() as first:
            stage.model.say("a")
            await first.read_until(b'"a"')
        async with stage.ask(last="1.1") as back:
            stage.model.say("b")
            await back.read_until(b'"b"')
            assert stage.model.cancelled == 0
        await until(lambda: stage.model.cancelled == 1)
        await until(lambda: stage.records)
        assert (stage.records[0].status, stage.records[0].reason) == ("stopped", "client_left")
        assert end_of((await stage.answer()).body)["reason"] == "client_left"
        assert stage.model.calls == 1


async def test_without_grace_leaving_is_stopping() -> None:
    """grace_s=0 cancels the call as soon as the last one has left."""
    async with on_stage(grace_s=0) as stage:
        async with stage.ask() as first:
            stage.model.say("a")
            await first.read_until(b'"a"')
        await until(lambda: stage.model.cancelled == 1)


async def test_with_endless_grace_the_answer_is_finished_for_nobody() -> None:
    """The log is whole when the person comes back, and what nobody heard is counted as unheard."""
    async with on_stage(grace_s=math.inf) as stage:
        async with stage.ask() as first:
            stage.model.say("heard")
            await first.read_until(b'"heard"')
        stage.model.say("while away", "...")
        await until(lambda: next(iter(stage.relay._sources._by_key.values())).readers == set())
        stage.model.say("later")
        stage.model.finish()
        await until(lambda: stage.records)
        assert text_of((await stage.answer()).body) == "heardwhile away...later"
        (record,) = stage.records
        assert record.unheard
        assert record.delivered
        assert record.estimated


async def test_stop_acts_at_once() -> None:
    """The model is cancelled, every reader is told, and the partial text stays."""
    async with on_stage(grace_s=math.inf) as stage, stage.ask() as reader:
        stage.model.say("a")
        await reader.read_until(b'"a"')
        assert await stage.post(f"/streams/{CID}/stop") == 204
        end = end_of((await reader.read_all()).body)
        assert end == {"status": "stopped", "reason": "asked", "retryable": True, "n": 1}
        assert stage.model.cancelled == 1
        assert text_of((await stage.answer()).body) == "a"
        assert await stage.post(f"/streams/{CID}", method="DELETE") == 204
        assert await stage.post("/streams/unknown-key", method="DELETE") == 404


async def test_the_answer_can_be_read_by_its_key_alone() -> None:
    """GET /streams/{cid} reads what is there, and never starts anything."""
    async with on_stage() as stage:
        stage.model.say("a")
        stage.model.finish()
        await stage.answer()
        assert text_of((await stage.answer("", path=f"/streams/{CID}")).body) == "a"
        assert end_of((await stage.answer("", path="/streams/unknown-key")).body)["status"] == "expired"
        assert stage.model.calls == 1


async def test_a_full_relay_asks_to_come_back() -> None:
    """A GET, which may be an EventSource, gets 200, a later retry and the end; a POST 429 with Retry-After."""
    async with on_stage(limits=Limits(generations=1)) as stage, stage.ask() as first:
        stage.model.say("a")
        await first.read_until(b'"a"')
        visit = await stage.answer("another-key")
        assert visit.status == 200
        assert 5_000 <= int(visit.body.removeprefix(b"retry: ").strip()) <= 15_000
        busy = await stage.answer("another-key", method="POST")
        assert busy.status == 429
        assert 5 <= int(busy.header("retry-after")[0]) <= 15
        assert stage.model.calls == 1
        assert {record.result for record in stage.records} == {GenerationResult.REFUSED}


async def test_too_many_listeners_are_asked_to_come_back() -> None:
    """The cap on listeners of one generation sheds in the same way."""
    async with on_stage(limits=Limits(listeners=1)) as stage, stage.ask():
        assert (await stage.answer()).body.startswith(b"retry: ")


async def test_a_log_past_its_bound_slides_and_goes_on() -> None:
    """Live readers get everything; whoever comes too late for the beginning is told so."""
    async with on_stage(limits=Limits(log_events=8)) as stage, stage.ask() as live:
        for n in range(20):
            stage.model.say(f"{n:02d}")
            await live.read_until(b'"%02d"' % n)
        late = await stage.answer()
        assert end_of(late.body) == {"status": "expired", "reason": "truncated", "retryable": False, "n": 20}
        stage.model.finish()
        assert text_of((await live.read_all()).body) == "".join(f"{n:02d}" for n in range(20))


async def test_a_generation_that_runs_too_long_is_ended() -> None:
    """The bound on age cancels the call and says why."""
    async with on_stage(limits=Limits(age_s=0.3)) as stage:
        stage.model.say("a")
        end = end_of((await stage.answer()).body)
        assert (end["status"], end["reason"]) == ("failed", "age")
        assert stage.model.cancelled == 1


async def test_silence_is_filled_with_pings() -> None:
    """Named events, which a watchdog in the page can see; they carry no id and are no content."""
    async with on_stage(heartbeat_s=0.05) as stage, stage.ask() as reader:
        await reader.read_until(b"event: sg-ping\ndata: {}\n\nevent: sg-ping")
        stage.model.say("a")
        stage.model.finish()
        assert text_of((await reader.read_all()).body) == "a"


async def test_each_connection_draws_its_own_reconnection_time() -> None:
    """Between the bounds, and not the same for all: a fleet does not come back at once."""
    async with on_stage() as stage:
        stage.model.finish()
        times = {(await stage.answer()).body.split(b"retry: ")[1].split(b"\n")[0] for _ in range(12)}
        assert all(1500 <= int(time_ms) <= 4500 for time_ms in times)
        assert len(times) > 1


async def test_closing_the_relay_tells_every_reader() -> None:
    """A generation that runs when the app ends is failed, retryable, and says shutdown."""
    async with on_stage() as stage, stage.ask() as reader:
        stage.model.say("a")
        await reader.read_until(b'"a"')
        await stage.relay.close()
        assert end_of((await reader.read_all()).body)["reason"] == "shutdown"
        assert stage.model.cancelled == 1


async def test_a_chunk_that_cannot_be_shown_ends_the_generation() -> None:
    """An error of `render` is the app's, and reaches the reader as a failed end, not as silence."""
    async with on_stage() as stage:
        stage.model.say(object())  # type: ignore[arg-type] # what the test is about
        assert end_of((await stage.answer()).body)["status"] == "failed"


@pytest.mark.parametrize(
    "settings",
    [
        {"grace_s": -1},
        {"grace_s": math.nan},
        {"retry_ms": (0, 5)},
        {"retry_ms": (5, 4)},
        {"busy_ms": (0, 1)},
        {"when_store_fails": "x"},
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object]) -> None:
    """The relay says what it expected."""
    with pytest.raises(SettingsError, match="expected"):
        Relay(**settings)  # type: ignore[arg-type] # what the test is about


def test_a_route_that_does_not_say_what_it_asks_is_refused() -> None:
    """Without it the request could only read, and would never call the model."""
    with pytest.raises(ValueError, match="asked: expected"):
        Relay().stream(Model().generate, asked=None)


async def test_a_call_that_cannot_be_made_is_entered_under_its_model() -> None:
    """A generation whose `generate` raises has no chunks to tell the model by; the route has said it."""
    async with on_stage() as stage:
        stage.model.generate = lambda: 1 / 0  # type: ignore[assignment,return-value] # what the test is about
        assert end_of((await stage.answer()).body)["reason"] == "ZeroDivisionError"
        await until(lambda: stage.records)
        assert (stage.records[0].model, stage.records[0].status) == ("m", "failed")
