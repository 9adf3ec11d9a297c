"""Real browsers read relayed answers through real proxies: connections break, tabs close, the relay is full."""

import os
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from e2e.conftest import Stack, until
from e2e.nginx import RELAY_SCHEMES
from e2e.relay_stage import GOLDEN, PIECES, RelayStage, ask, endless, relay_on_stage, shown, url_of
from e2e.resetter import After, Inside, Rule

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

SEED = os.environ.get("E2E_SEED", "3")
"""Where connections break; printed when a test fails."""
CONNECTING, CLOSED = 0, 2
VIAS = ("eventsource", "fetch")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def relay(stack: Stack) -> AsyncIterator[RelayStage]:
    """Run the relay's app in the stack."""
    async with relay_on_stage(stack) as stage:
        yield stage


def cuts(path: str, name: str) -> list[Rule]:
    """Draw where connections break: before the first byte, then anywhere; in clear also inside of chosen events."""
    seed = f"{SEED} {name}"
    print(f"E2E_SEED={SEED}: cuts are drawn by random.Random({seed!r})")  # noqa: T201, pytest shows it
    draw = random.Random(seed)  # noqa: S311, it only has to differ
    # What passes is never less than the text, so that each of these comes before the end.
    rules: list[Rule] = [After(0), *(After(n) for n in sorted(draw.sample(range(len(GOLDEN.encode())), 8)))]
    if path == "relay_clear":
        rules[1:1] = [Inside(b"event: sg-open\n"), Inside(b'data: {"t":')]
        rules.append(Inside(b'data: {"status":"done'))
    return rules


def assert_shown(answer: dict[str, Any], text: str, *, pieces: int) -> None:
    """Hold an answer to the model's text: equal, each event once and in order, never begun anew."""
    assert answer["text"] == text
    epochs, numbers = zip(*((int(part) for part in seen.split(".")) for seen in answer["ids"]), strict=True)
    assert len(set(epochs)) == 1
    assert numbers == tuple(range(1, pieces + 1))
    assert answer["end"]["n"] == pieces
    assert answer["resets"] == 0


def assert_whole(answer: dict[str, Any]) -> None:
    """Hold an answer to the golden text, and to its end."""
    assert_shown(answer, GOLDEN, pieces=len(PIECES))
    assert (answer["end"]["status"], answer["end"]["reason"]) == ("done", "")


def assert_begun(answer: dict[str, Any], reason: str) -> None:
    """Hold an answer to the beginning of the endless text, up to where it was stopped."""
    pieces = len(answer["ids"])
    assert_shown(answer, endless(pieces), pieces=pieces)
    assert (answer["end"]["status"], answer["end"]["reason"]) == ("stopped", reason)


@pytest.mark.parametrize("path", RELAY_SCHEMES)
@pytest.mark.parametrize("via", VIAS)
async def test_the_text_is_whole_whatever_breaks(relay: RelayStage, via: str, path: str) -> None:
    """The answer is equal to the model's text after every cut, each event was seen once, and one call was made."""
    cid = f"whole-{via}-{path}"
    resetter, rules = relay.resetters[path], cuts(path, cid)
    async with relay.person() as person:
        page = await relay.tab(person, path)
        resetter.cut(*rules)
        await ask(page, via, cid)
        answer = await shown(page, cid)
    assert_whole(answer)
    assert len(resetter.cuts) == len(rules)
    # Of a connection that breaks in its TLS handshake Chromium makes another, and the page hears nothing.
    assert len(answer["states"]) > 5
    if path == "relay_clear":
        assert any(cut and not cut.endswith(b"\n\n\r\n") for cut in resetter.cuts)
    assert len(relay.calls(cid)) == 1


async def test_a_page_that_forgets_to_close_is_sent_away_once(relay: RelayStage) -> None:
    """It reconnects after the end one time, is answered 204, and never asks again."""
    cid = "forgets-close"
    async with relay.person() as person:
        page = await relay.tab(person)
        await ask(page, "eventsource", cid, forgetful=True)
        answer = await shown(page, cid, f"answer.states.includes({CLOSED})")
        # By the standard nothing follows CLOSED; this gives what is not standard its time.
        await page.wait_for_timeout(500)
        assert (await shown(page, cid))["states"] == answer["states"]
    assert_whole(answer)
    first, second = relay.requests(cid)
    assert (first["status"], first["last"]) == (200, "")
    assert second["status"] == 204
    assert second["last"].endswith(".end")
    assert len(relay.calls(cid)) == 1


@pytest.mark.parametrize("via", VIAS)
async def test_a_reload_after_the_end_replays(relay: RelayStage, via: str) -> None:
    """The same key after a reload shows the same answer, which nobody pays for again."""
    cid = f"reload-{via}"
    async with relay.person() as person:
        page = await relay.tab(person)
        await ask(page, via, cid)
        assert_whole(await shown(page, cid))
        await page.reload()
        await ask(page, via, cid)
        again = await shown(page, cid)
    assert_whole(again)
    assert again["opened"] == ["replayed"]
    assert len(relay.calls(cid)) == 1


@pytest.mark.parametrize("via", VIAS)
async def test_two_tabs_share_one_call(relay: RelayStage, via: str) -> None:
    """Both ask at once, both show the same text as it comes, the model was called for one."""
    cid = f"two-tabs-{via}"
    url = url_of(cid, prompt="endless")
    async with relay.person() as person:
        tabs = [await relay.tab(person), await relay.tab(person)]
        for tab in tabs:
            await ask(tab, via, cid, url=url)
        for tab in tabs:
            await shown(tab, cid, "answer.ids.length > 5")
        await relay.stop(cid)
        one, other = [await shown(tab, cid) for tab in tabs]
    assert sorted(one["opened"] + other["opened"]) == ["attached", "started"]
    assert one["ids"] == other["ids"]
    for answer in (one, other):
        assert_begun(answer, "asked")
    assert len(relay.calls(cid)) == 1


async def test_a_tab_opened_again_goes_on_with_the_same_call(relay: RelayStage) -> None:
    """Closed mid-answer and opened within the grace, it shows the text from its beginning while the model goes on."""
    cid = "reopened"
    url = url_of(cid, prompt="endless")
    async with relay.person() as person:
        page = await relay.tab(person)
        await ask(page, "eventsource", cid, url=url)
        before = await shown(page, cid, "answer.ids.length > 5")
        await page.close()
        page = await relay.tab(person)
        await ask(page, "eventsource", cid, url=url)
        await shown(page, cid, f"answer.ids.length > {len(before['ids']) + 5}")
        await relay.stop(cid)
        answer = await shown(page, cid)
    assert answer["opened"] == ["attached"]
    assert_begun(answer, "asked")
    assert len(relay.calls(cid)) == 1
    await until_gone(relay, cid)


async def test_leaving_for_longer_than_the_grace_ends_the_call(relay: RelayStage) -> None:
    """The upstream socket is closed, and who comes back gets the text up to there and an end that says so."""
    cid = "left-for-good"
    url = url_of(cid, prompt="endless", grace_s="0.2")
    async with relay.person() as person:
        page = await relay.tab(person)
        await ask(page, "eventsource", cid, url=url)
        await shown(page, cid, "answer.ids.length > 5")
        await page.close()
        await until_gone(relay, cid)
        page = await relay.tab(person)
        await ask(page, "eventsource", cid, url=url)
        answer = await shown(page, cid)
    assert_begun(answer, "client_left")
    assert len(relay.calls(cid)) == 1


async def until_gone(relay: RelayStage, cid: str) -> None:
    """Wait until the model has seen its client go."""

    async def gone() -> bool:
        (call,) = relay.calls(cid)
        return call.client_gone_s is not None

    await until(gone, "the fake to see its client leave")


async def test_a_full_relay_is_waited_for(relay: RelayStage) -> None:
    """An EventSource that finds no room comes back by itself, until there is, and never gives up."""
    holder, cid = "has-the-room", "waits-for-room"
    room = url_of(holder, prompt="endless", route="/narrow", grace_s="0")

    async def came_back() -> bool:
        return len(relay.requests(cid)) >= 2

    async with relay.person() as person:
        page = await relay.tab(person)
        async with relay.stack.http.stream("GET", f"{relay.app}{room}") as answer:
            reading = answer.aiter_bytes()  # if nobody held it, the connection would be closed
            await anext(reading)
            await ask(page, "eventsource", cid, url=url_of(cid, route="/narrow"))
            await until(came_back, "the page to come back")
            assert not relay.calls(cid)
        got = await shown(page, cid)
    assert_whole(got)
    assert got["opened"] == ["started"]
    assert set(got["states"]) == {CONNECTING}
    assert {request["status"] for request in relay.requests(cid)} == {200}
    assert len(relay.calls(cid)) == 1


async def test_a_key_of_another_question_is_refused_for_good(relay: RelayStage) -> None:
    """422 ends an EventSource, as it should: asking again would not help."""
    cid = "one-question"
    async with relay.person() as person:
        page = await relay.tab(person)
        await ask(page, "eventsource", cid)
        await shown(page, cid)
        await ask(page, "eventsource", cid, url=url_of(cid, prompt="another"))
        refused = await shown(page, cid, "answer.states.length")
    assert (refused["states"], refused["opens"], refused["text"]) == ([CLOSED], 0, "")
    assert [request["status"] for request in relay.requests(cid)] == [200, 422]
    assert len(relay.calls(cid)) == 1


@pytest.mark.parametrize("resumes", [True, False], ids=["resumes", "begins-anew"])
async def test_a_post_sent_again_reads_on(relay: RelayStage, *, resumes: bool) -> None:
    """What fetch-event-source does at every tab switch costs no second call, and the text is whole."""
    cid = f"post-again-{resumes}"
    async with relay.person() as person:
        page = await relay.tab(person)
        await ask(page, "post", cid, url=f"/chat?prompt=endless%20{cid}")
        for more in range(1, 4):
            await shown(page, cid, f"answer.opened.length === {more} && answer.ids.length > {more * 3}")
            await page.evaluate("([cid, resumes]) => answers[cid].switchTab(resumes)", [cid, resumes])
        await shown(page, cid, "answer.opened.length === 4 && answer.ids.length > 12")
        await relay.stop(cid)
        answer = await shown(page, cid)
    assert_begun(answer, "asked")
    assert answer["opened"] == ["started", "attached", "attached", "attached"]
    requests = relay.requests(cid)
    assert [request["method"] for request in requests] == ["POST"] * 4
    assert [bool(request["last"]) for request in requests] == [False, resumes, resumes, resumes]
    assert len(relay.calls(cid)) == 1


async def counted(relay: RelayStage, route: str, **results: float) -> dict[str, float]:
    """Wait until the collector has counted these ways to come by an answer of `route`, and return its metrics."""

    async def check() -> dict[str, float] | None:
        metrics = await relay.stack.metrics()
        series = {name: f'streamgap_generations_total{{result="{name}",route="{route}"}}' for name in results}
        return metrics if {name: metrics.get(series[name]) for name in results} == results else None

    return await until(check, f"the collector to count {results} on {route}")


async def test_a_watched_stream_that_nothing_cut_flows(relay: RelayStage) -> None:
    """With the beacon around it the answer is whole, its stream joins, and its one call is counted."""
    cid = "watched-whole"
    async with relay.person() as person:
        page = await relay.tab(person)
        await ask(page, "eventsource", cid, url=url_of(cid, route="/whole", sid=cid), watched=True)
        assert_whole(await shown(page, cid))
        joined = await relay.stack.joined(cid)
        metrics = await counted(relay, "/whole", started=1, attached=0, replayed=0)
    assert joined["verdict"] == "flowing"
    assert metrics['streamgap_streams_total{route="/whole",verdict="flowing"}'] == 1


async def test_a_watched_stream_that_was_cut_joins_as_cut(relay: RelayStage) -> None:
    """That it was resumed and lost nothing does not acquit the path; the second response is counted as attached."""
    cid = "watched-cut"
    async with relay.person() as person:
        page = await relay.tab(person)
        relay.resetters["relay_clear"].cut(Inside(b'{"t":"piece 10,'))
        url = url_of(cid, prompt="endless", route="/broken", sid=cid)
        await ask(page, "eventsource", cid, url=url, watched=True)
        await shown(page, cid, "answer.ids.length > 15")
        await relay.stop(cid)
        answer = await shown(page, cid)
        joined = await relay.stack.joined(cid)
        metrics = await counted(relay, "/broken", started=1, attached=1, replayed=0)
    assert_begun(answer, "asked")
    assert answer["opened"] == ["started", "attached"]
    assert joined["verdict"] == "cut"
    assert metrics['streamgap_streams_total{route="/broken",verdict="cut"}'] == 1
    assert metrics['streamgap_reconnects_total{cause="resume",route="/broken"}'] == 1
    assert len(relay.calls(cid)) == 1
