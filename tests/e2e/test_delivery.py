"""Halves come in any order, twice, late, while the collector restarts or cannot be reached; every one is counted."""

from typing import Any

import pytest

from e2e.conftest import PIECES, Stack, until
from halves import client_half, server_half
from streamgap.core.wire import SPAN_NAME, ClientHalf, ServerHalf, dump_client, to_attributes

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

ORIGIN = "passing"
COUNTED = ("received", "accepted", "joined", "duplicate", "late")


def otlp_json(half: ServerHalf) -> dict[str, Any]:
    """Return an OTLP/JSON export of one span, as any language's SDK would send it."""

    def value(given: Any) -> dict[str, Any]:
        if isinstance(given, (list, tuple)):
            return {"arrayValue": {"values": [value(item) for item in given]}}
        kind = {str: "stringValue", int: "intValue", float: "doubleValue"}[type(given)]
        return {kind: str(given) if kind == "intValue" else given}

    attributes = [{"key": key, "value": value(given)} for key, given in to_attributes(half).items()]
    ids = {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331"}
    span = {"name": SPAN_NAME, **ids, "startTimeUnixNano": "1", "endTimeUnixNano": "2", "attributes": attributes}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


async def send_server(stack: Stack, half: ServerHalf) -> None:
    """Deliver a server half over OTLP/HTTP."""
    response = await stack.http.post(f"{stack.admin}/v1/traces", json=otlp_json(half))
    assert response.status_code == 200


async def send_client(stack: Stack, half: ClientHalf) -> None:
    """Deliver a client half as a page does."""
    origin = stack.page_url(ORIGIN).split("/page")[0]
    headers = {"origin": origin, "content-type": "text/plain"}
    response = await stack.http.post(stack.beacon, content=dump_client(half), headers=headers)
    assert response.status_code == 204


async def counts(stack: Stack) -> dict[str, float]:
    """Return the counters of the client's halves."""
    metrics = await stack.metrics()
    return {name: metrics[f'streamgap_reports_{name}_total{{half="client"}}'] for name in COUNTED}


async def test_either_half_may_come_first(stack: Stack) -> None:
    """Server first and client first give the same joined stream."""
    for sid, order in (("first-server", (0, 1)), ("first-client", (1, 0))):
        halves = (server_half([100.0, 150.0], sid=sid), client_half([120.0, 170.0], sid=sid))
        for which in order:
            await (send_client(stack, halves[1]) if which else send_server(stack, halves[0]))
        assert (await stack.joined(sid))["gap_ms"] == 20.0


async def test_a_report_that_comes_again_counts_once(stack: Stack) -> None:
    """Repeats of a joined report are duplicates, a later one is late, and the stream stays joined once."""
    sid = "again-and-again"
    before = await counts(stack)
    await send_server(stack, server_half([100.0], sid=sid))
    for _ in range(3):
        await send_client(stack, client_half([120.0], sid=sid))
    await send_client(stack, client_half([125.0], sid=sid, n=2))
    after = await counts(stack)
    grown = {name: after[name] - before[name] for name in COUNTED}
    assert grown == {"received": 4, "accepted": 4, "joined": 1, "duplicate": 2, "late": 1}


async def test_the_app_streams_on_while_the_collector_is_away(stack: Stack) -> None:
    """Neither the stream nor the page notices that beacons and OTLP spans find nobody."""
    async with stack.page("passing") as page, stack.without_collector():
        got = await page.evaluate("sid => run('fetch', sid)", "collector-away")
    assert got["cut"] is None
    assert len(got["at"]) == PIECES


async def test_a_restarted_collector_joins_what_comes_next(stack: Stack) -> None:
    """Between halves the collector ends cleanly and starts again: the next streams join, and the books balance."""
    await send_server(stack, server_half([100.0], sid="before-restart"))
    async with stack.without_collector():
        pass

    async def joins() -> bool:
        async with stack.page("passing") as page:
            await page.evaluate("sid => run('fetch', sid)", "after-restart")
            return bool((await stack.joined("after-restart"))["verdict"] == "flowing")

    assert await until(joins, "a stream to join after the restart")
    metrics = await stack.metrics()
    assert metrics['streamgap_residual{half="client"}'] == metrics['streamgap_residual{half="server"}'] == 0
