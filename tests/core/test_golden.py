"""Both sides of the wire agree on what a content event, an offset and a gap are."""

from typing import Any

import pytest

from golden import vectors
from streamgap.core.sse import ContentScanner
from streamgap.core.timeline import Timeline


@pytest.mark.parametrize("case", vectors("scanner"), ids=lambda case: case["name"])
def test_scanner_counts_content_events(case: dict[str, Any]) -> None:
    """The scanner completes the events, and knows the boundaries, that the vector says."""
    scanner = ContentScanner(case["content_types"])
    seen = [(scanner.feed(chunk.encode()), scanner.at_boundary) for chunk in case["chunks"]]
    assert seen == list(zip(case["expect"], case["boundary"], strict=True))


@pytest.mark.parametrize("case", vectors("timeline"), ids=lambda case: case["name"])
def test_timeline_keeps_offsets_and_gaps(case: dict[str, Any]) -> None:
    """The timeline keeps the offsets, gap bins and extremes that the vector says."""
    timeline = Timeline(case["unit"])
    for items, at_ms in case["arrivals"]:
        timeline.arrive(items, at_ms)
    assert {
        "count": timeline.count,
        "stride": timeline.offsets.stride,
        "at": timeline.offsets.times_ms,
        "last": timeline.last_ms,
        "longest": timeline.longest_gap_ms,
        "gaps": timeline.gaps,
    } == case["expect"]
