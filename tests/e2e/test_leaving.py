"""People leave, and streams that nobody finished still join."""

import asyncio

import pytest

from e2e.conftest import PIECES, Stack, until

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


async def start_and_close(stack: Stack, sid: str, *, via: str, path: str, after_ms: int) -> None:
    """Start a stream in a tab of its own and close the tab `after_ms` later, as a person does."""
    async with stack.page(path) as page:
        await page.evaluate("([via, sid]) => { run(via, sid); }", [via, sid])
        await page.wait_for_timeout(after_ms)
        await page.close(run_before_unload=True)
        await asyncio.sleep(0.3)


@pytest.mark.parametrize("via", ["fetch", "eventsource"])
async def test_a_tab_closed_mid_stream_joins(stack: Stack, via: str) -> None:
    """What the person saw until the tab closed is joined, and a healthy path is not accused."""
    sid = f"leave-mid-{via}"
    gone = 'streamgap_server_streams_total{outcome="client_gone",route="/stream"}'
    before = (await stack.metrics()).get(gone, 0.0)
    await start_and_close(stack, sid, via=via, path="passing", after_ms=1300)
    joined = await stack.joined(sid)
    assert 0 < joined["client"]["count"] < PIECES
    assert joined["verdict"] == "flowing"
    assert (await stack.metrics())[gone] == before + 1


@pytest.mark.parametrize("via", ["fetch", "eventsource"])
async def test_a_tab_closed_before_the_first_byte_joins(stack: Stack, via: str) -> None:
    """A person who leaves while the model still thinks is counted as having abandoned the stream."""
    sid = f"leave-early-{via}"
    await start_and_close(stack, sid, via=via, path="passing", after_ms=150)
    joined = await stack.joined(sid)
    assert joined["client"]["count"] == 0
    assert joined["verdict"] == "abandoned"


async def test_leaving_a_held_stream_blames_the_path(stack: Stack) -> None:
    """A person who leaves before the first byte, while the server has been writing for a second, was held."""
    sid = "leave-held"
    await start_and_close(stack, sid, via="fetch", path="tls", after_ms=2000)
    assert (await stack.joined(sid))["verdict"] == "held"


async def test_leaving_stops_the_model(stack: Stack) -> None:
    """The app's call to the model ends when the tab does: the fake sees its client go, mid-answer."""
    before = len(stack.fake.calls)
    await start_and_close(stack, "leave-stop", via="fetch", path="passing", after_ms=900)

    async def gone() -> bool:
        calls = stack.fake.calls[before:]
        return len(calls) == 1 and calls[0].client_gone_s is not None and calls[0].chunks_written < PIECES

    assert await until(gone, "the fake to see its client leave")


async def test_two_tabs_are_two_streams(stack: Stack) -> None:
    """Two people ask at once: each gets a stream, a join and a verdict of its own."""
    async with stack.page("passing") as one, stack.page("tls") as other:
        results = await asyncio.gather(
            one.evaluate("sid => run('fetch', sid)", "two-tabs-1"),
            other.evaluate("sid => run('fetch', sid)", "two-tabs-2"),
        )
        assert [result["cut"] for result in results] == [None, None]
        assert (await stack.joined("two-tabs-1"))["verdict"] == "flowing"
        assert (await stack.joined("two-tabs-2"))["verdict"] == "held"
