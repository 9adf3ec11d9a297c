"""Each judge, on answers made by hand: what rests on time, and what no test server does."""

from dataclasses import replace

import pytest

from conformance.lab import findings
from conformance.made import HEADERS, answer, content, talk
from streamgap.conformance.exchange import Ending, Exchange
from streamgap.conformance.findings import Verdict

HI = content("Hel", "lo")
HOLDS, BROKEN = Verdict.HOLDS, Verdict.BROKEN
OPEN, NOT_HERE = Verdict.INCONCLUSIVE, Verdict.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("first", "verdict"),
    [
        (answer((0.8, HI), head_s=0.02), HOLDS),
        (answer((2.0, HI), head_s=1.99), BROKEN),
        (answer((2.0, ": open\n\n" + HI), head_s=1.99), BROKEN),
        (answer((0.03, ": open\n\n" + HI), head_s=0.02), HOLDS),
        (answer((0.03, ":\n" + HI), head_s=0.02), HOLDS),
        (answer((0.03, HI), head_s=0.02), OPEN),
    ],
)
def test_headers_that_wait_for_the_model_are_told_by_when_they_come(first: Exchange, verdict: Verdict) -> None:
    """Headers well before the content hold; late ones with the content are broken; a fast answer says nothing."""
    assert findings(talk(first))["C02"].verdict is verdict


@pytest.mark.parametrize(
    ("headers", "verdict", "says"),
    [
        ({}, HOLDS, "no-transform"),
        ({"cache-control": "no-store, No-Transform"}, HOLDS, "cache-control"),
        ({"cache-control": ""}, BROKEN, "no-transform; missing Cache-Control: no-cache"),
        ({"content-encoding": "gzip"}, BROKEN, "Content-Encoding: 'gzip'"),
        ({"content-length": "99"}, BROKEN, "Content-Length: '99'"),
        ({"x-accel-buffering": ""}, BROKEN, "missing X-Accel-Buffering: no"),
        ({"x-accel-buffering": "", "server": "nginx/1.29"}, HOLDS, "cache-control"),
        ({"x-accel-buffering": "", "via": "1.1 edge"}, HOLDS, "cache-control"),
    ],
)
def test_each_header_that_is_missing_is_named(headers: dict[str, str], verdict: Verdict, says: str) -> None:
    """The evidence names each header; what nginx takes out of its answers is not asked for behind one."""
    finding = findings(talk(answer((0.1, HI), headers=HEADERS | headers)))["C03"]
    assert (finding.verdict, says in finding.evidence) == (verdict, True), finding


@pytest.mark.parametrize(
    ("tail", "verdict"),
    [
        ("data: [DONE]\n\n", HOLDS),
        ('data: {"done": true}\n\n', HOLDS),
        ("event: message_stop\ndata: {}\n\n", HOLDS),
        ("event: done\ndata: {}\n\n: bye\n\n", HOLDS),
        ("", BROKEN),
        ("event: ping\ndata: {}\n\n", BROKEN),
        ("event: done\ndata: {}\n", BROKEN),
    ],
)
def test_an_end_is_an_event_of_its_own(tail: str, verdict: Verdict) -> None:
    """A closing event or [DONE] says the end; content, a heartbeat or an unfinished event do not."""
    assert findings(talk(answer((0.1, HI + tail))))["C11"].verdict is verdict


def test_an_answer_that_broke_off_has_no_end() -> None:
    """A connection that breaks is not an end, and what broke it is told."""
    finding = findings(talk(answer((0.1, HI), ending=Ending.CUT, failure="ReadError")))["C11"]
    assert (finding.verdict, finding.evidence) == (BROKEN, "the answer broke off: ReadError")


@pytest.mark.parametrize(
    ("again", "verdict"),
    [
        (answer((0.02, HI)), HOLDS),
        (answer((1.1, HI)), OPEN),
        (answer((1.1, 'event: sg-open\ndata: {"result":"attached"}\n\n' + HI)), HOLDS),
        (answer((0.02, 'event: sg-open\ndata: {"result":"started"}\n\n' + HI)), BROKEN),
        (answer((0.02, content("Hel", "p"))), BROKEN),
        (answer((0.02, content("Hel"))), BROKEN),
        (answer((0.02, HI.replace("id: 1", "id: 7"))), BROKEN),
        (answer((0.02, "event: dup\ndata: {}\n\n")), BROKEN),
        (answer(status=409, headers={}), BROKEN),
        (answer((1.1, content("Hel")), ending=Ending.TIMED_OUT), OPEN),
    ],
)
def test_one_generation_is_told_from_two(again: Exchange, verdict: Verdict) -> None:
    """Other text or ids are a second generation; the same text is one if it came too soon or the endpoint says so."""
    first = answer((1.2, HI), (1.3, "event: end\ndata: {}\n\n"))
    found = findings(talk(first, twin=again, replay=again))
    assert (found["C06"].verdict, found["C07"].verdict) == (verdict, verdict), found


def test_an_answer_that_ended_before_the_second_began_blames_nobody() -> None:
    """What the same key gets once the answer has ended says nothing about joining one that runs."""
    twin = answer((0.02, content("other")), began_s=1.25, head_s=0.1)
    assert findings(talk(answer((1.2, HI)), twin=twin))["C06"].verdict is OPEN


@pytest.mark.parametrize(
    ("first", "heartbeat_s", "verdict"),
    [
        (answer((1.0, HI), (30.0, content("!"))), 15, BROKEN),
        (answer((1.0, HI), (16.0, ":\n\n"), (30.0, content("!"))), 15, HOLDS),
        (answer((1.0, HI), (3.0, ":\n\n"), (28.0, ":\n\n"), (30.0, content("!"))), 15, BROKEN),
        (answer((1.0, HI), (16.0, content("!"))), 15, NOT_HERE),
        (answer((40.0, HI), head_s=0.1), 15, BROKEN),
    ],
)
def test_silence_is_measured_between_content(first: Exchange, heartbeat_s: float, verdict: Verdict) -> None:
    """A long wait for content, also for the first, needs bytes at least every heartbeat and a half."""
    assert findings(talk(first), heartbeat_s=heartbeat_s)["C15"].verdict is verdict


@pytest.mark.parametrize(
    ("retries", "verdict"),
    [([1500, 4500], HOLDS), ([3000, 3000], BROKEN), ([0, 10], BROKEN), ([3000], OPEN), ([1500, None], BROKEN)],
)
def test_reconnection_times_are_compared(retries: list[int | None], verdict: Verdict) -> None:
    """Every answer asks for a time, none for next to none, and not all for the same."""
    first, *more = [answer((0.1, ("" if ms is None else f"retry: {ms}\n\n") + HI)) for ms in retries]
    assert findings(talk(first, replay=more[0] if more else None))["C12"].verdict is verdict


@pytest.mark.parametrize(
    ("wire", "verdict"),
    [
        (HI, HOLDS),
        ("data: null\n\n", HOLDS),
        ("data: Hello\n\n", OPEN),
        ("data: Hel\nlo\n\n", BROKEN),
        ("data: Hel\rlo\n\n", BROKEN),
        (HI + "data: Hello\n\n", BROKEN),
        (HI + "data: [DONE]\n\n", HOLDS),
    ],
)
def test_text_that_fell_out_of_its_line_is_seen(wire: str, verdict: Verdict) -> None:
    """JSON is safe, a line that is no field has lost text, and plain text that happens to fit says nothing."""
    assert findings(talk(answer((0.1, wire))))["C13"].verdict is verdict


@pytest.mark.parametrize(
    ("garbage", "verdict"),
    [
        (answer(status=400, headers={}), HOLDS),
        (answer((0.1, HI), ending=Ending.DROPPED), HOLDS),
        (answer(status=500, headers={}), BROKEN),
        (answer(status=None, ending=Ending.TIMED_OUT), BROKEN),
        (answer(status=None, ending=Ending.CUT, failure="RemoteProtocolError"), BROKEN),
    ],
)
def test_senseless_ids_may_be_refused_but_not_break_anything(garbage: Exchange, verdict: Verdict) -> None:
    """A refusal or a replay is fine; an error, a hang or a broken connection is not."""
    assert findings(talk(answer((0.1, HI)), garbage=garbage))["C14"].verdict is verdict


@pytest.mark.parametrize(
    ("before", "after", "whole", "verdict"),
    [
        (content("a", "b"), 'id: 3\ndata: "c"\n\n', content("a", "b", "c"), HOLDS),
        (content("a", "b"), 'id: 4\ndata: "d"\n\n', content("a", "b", "c", "d"), BROKEN),
        (content("a", "b"), 'id: 3\ndata: "x"\n\n', content("a", "b", "c"), BROKEN),
        (content("a", "b"), content("a", "b", "c"), content("a", "b", "c"), BROKEN),
        (content("a", "b"), "event: end\ndata: {}\n\n", content("a", "b"), BROKEN),
    ],
)
def test_a_continuation_is_compared_with_the_whole(before: str, after: str, whole: str, verdict: Verdict) -> None:
    """Before and after the drop make up the undisturbed text: no gap, no repeat, nothing else, not just an end."""
    first = answer((0.1, HI))
    dropped = answer((0.1, before), ending=Ending.DROPPED)
    found = findings(
        talk(first, replay=first, dropped=dropped, resumed=answer((0.1, after)), whole=answer((0.1, whole)))
    )
    assert found["C05"].verdict is verdict, found["C05"]


@pytest.mark.parametrize(
    ("after", "verdict"),
    [('id: 3\ndata: "lo"\n\n', HOLDS), ('id: 3\ndata: "x"\n\n', OPEN), ('data: "Hel"\n\n', BROKEN)],
)
def test_without_a_replay_the_first_answer_is_the_measure(after: str, verdict: Verdict) -> None:
    """Where the same key gets another text each time, only the same text or a new beginning decides."""
    dropped = answer((0.1, content("Hel")), ending=Ending.DROPPED)
    found = findings(talk(answer((0.1, HI)), dropped=dropped, resumed=answer((0.1, after))))
    assert found["C05"].verdict is verdict, found["C05"]


def test_two_events_with_one_id_are_no_places() -> None:
    """An id that comes twice cannot tell where a reconnect was."""
    finding = findings(talk(answer((0.1, HI.replace("id: 2", "id: 1")))))["C04"]
    assert (finding.verdict, finding.evidence) == (BROKEN, "2 content events carry 1 different ids")


def test_a_stream_without_content_asks_for_its_event_types() -> None:
    """Where no event is known to carry content, the types that came are named, and how to name one."""
    found = findings(talk(answer((0.1, "event: delta\ndata: x\n\nevent: \x1b[31m\ndata: y\n\n"))))
    assert found["C01"].verdict is HOLDS
    assert "'\\x1b[31m', 'delta'; name events with content with --content-event" in found["C04"].evidence


def test_what_was_not_asked_is_not_judged() -> None:
    """An answer that was given up leaves every rule open that needs its end."""
    found = findings(talk(replace(answer((0.1, HI)), ending=Ending.TIMED_OUT)))
    for code in ("C05", "C06", "C07", "C08", "C09", "C10", "C11", "C14"):
        assert found[code].verdict is OPEN, found[code]
