"""The joined gap, hold and verdict are what the app's own log and the browser's own log say they are."""

import pytest

from e2e.conftest import PIECES, Stack
from e2e.nginx import SCHEMES

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

# Both logs stamp the same moments beside our stamps, in the same process: what may differ is the scheduling between two
# neighbouring statements, and that the page's log starts before the beacon's clock.
TOLERANCE_MS = 40.0
EXPECTED = {"passing": "flowing", "cured": "flowing", "tls": "held", "gzip": "held"}
HELD_BY = {"tls": "whole_response", "gzip": "compressor"}


@pytest.mark.parametrize("via", ["fetch", "eventsource"])
@pytest.mark.parametrize("path", SCHEMES)
async def test_joined_gap_and_hold_equal_the_truth(stack: Stack, path: str, via: str) -> None:
    """Per stream, gap and hold are within the tolerance of both logs, verdict and mechanism right, the text intact."""
    sids = [f"truth-{path}-{via}-{nth}" for nth in range(3)]
    async with stack.page(path) as page:
        results = await page.evaluate("([via, sids]) => runMany(via, sids, 3)", [via, sids])
        # Before the browser forgets the person, and with them the reports that are still on their way.
        streams = {sid: await stack.joined(sid) for sid in sids}
    for got in results:
        assert got["cut"] is None
        assert got["text"] == "".join(f"piece {i}\n\nevent: done\n" for i in range(PIECES))
        joined = streams[got["sid"]]
        wrote, arrived = stack.writes()[got["sid"]], got["at"]
        assert len(wrote) == len(arrived) == PIECES
        delays = [c - s for s, c in zip(wrote, arrived, strict=True)]
        assert joined["gap_ms"] == pytest.approx(arrived[0] - wrote[0], abs=TOLERANCE_MS)
        assert joined["hold_ms"] == pytest.approx(max(delays) - min(delays), abs=TOLERANCE_MS)
        assert joined["verdict"] == EXPECTED[path]
        assert (joined["mechanism"] or {}).get("name") == HELD_BY.get(path)
