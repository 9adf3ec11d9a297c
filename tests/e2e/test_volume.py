"""Many streams at once: nearly all join, none joins twice, and the books balance."""

import asyncio
import contextlib
from typing import Any

import pytest
from playwright.async_api import Page

from e2e.conftest import TTL_S, Stack, until

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

STREAMS = 200
SERVER_HALVES = 'streamgap_reports_received_total{half="server"}'
PEOPLE = 4


async def test_two_hundred_streams_join_once(stack: Stack) -> None:
    """Of 200 streams at least 99 % join, the joined counters of both sides agree, and the residual stays 0."""
    before = await stack.metrics()
    calls_before = len(stack.fake.calls)
    sids = [f"volume-{nth:04d}" for nth in range(STREAMS)]

    async def person(nth: int, page: Page) -> list[Any]:
        via = ("fetch", "eventsource")[nth % 2]
        got: list[Any] = await page.evaluate("([via, sids]) => runMany(via, sids, 5)", [via, sids[nth::PEOPLE]])
        return got

    async def settled() -> dict[str, float] | None:
        now = await stack.metrics()
        waiting = now['streamgap_pending{half="client"}'] + now['streamgap_pending{half="server"}']
        # Right after the last answer neither of its halves need have come: nothing waits, and yet nothing is settled.
        arrived = now[SERVER_HALVES] - before.get(SERVER_HALVES, 0.0)
        return now if arrived >= STREAMS and not waiting else None

    async with contextlib.AsyncExitStack() as people:
        pages = [await people.enter_async_context(stack.page("passing")) for _ in range(PEOPLE)]
        answers = await asyncio.gather(*(person(nth, page) for nth, page in enumerate(pages)))
        # Before the browser forgets the people, and with them the reports that are still on their way.
        after = await until(settled, "every half to be joined or counted", patience_s=TTL_S * 4)
    assert [result["cut"] for got in answers for result in got] == [None] * STREAMS
    grown = {series: value - before.get(series, 0.0) for series, value in after.items()}
    joined = grown['streamgap_reports_joined_total{half="client"}']
    assert joined == grown['streamgap_reports_joined_total{half="server"}']
    assert 0.99 * STREAMS <= joined <= STREAMS
    assert joined == sum(v for s, v in grown.items() if s.startswith("streamgap_streams_total"))
    assert after['streamgap_residual{half="client"}'] == after['streamgap_residual{half="server"}'] == 0
    assert len(stack.fake.calls) - calls_before == STREAMS
