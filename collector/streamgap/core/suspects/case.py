"""A finding beside what was tried: what the suspects are weighed against."""

from collections.abc import Sequence

import msgspec

from streamgap.core.mechanism import Finding
from streamgap.core.probe import Probe, Protocol

EARLY_SHARE = 0.5  # headers that came before this share of the wait for the first event did not wait for it


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A finding beside what was tried, which tells "held under all of them" from "nothing else was tried"."""

    finding: Finding
    protocols: frozenset[Protocol]
    methods: frozenset[str]
    codings: frozenset[str]
    request_protocols: frozenset[str]
    head: str


def case_of(finding: Finding, probes: Sequence[Probe]) -> Case:
    """Return the case for a finding; `codings` are the content codings that came back ("" for none)."""
    answered = [probe for probe in probes if probe.status is not None]
    return Case(
        finding=finding,
        protocols=frozenset(probe.asked.protocol for probe in answered),
        methods=frozenset(probe.asked.method for probe in answered),
        codings=frozenset(probe.encoding for probe in answered),
        request_protocols=frozenset(short(probe.seen.protocol) for probe in answered if probe.seen is not None),
        head=_head_of(answered),
    )


def _head_of(probes: Sequence[Probe]) -> str:
    """Return whether the headers came `early` or `late` where the first event came latest, without any hint."""
    timed = [
        (probe.events[0].came_ms, probe.head_ms)
        for probe in probes
        if probe.events and probe.head_ms is not None and not probe.asked.hints
    ]
    if not timed:
        return ""
    first_ms, head_ms = max(timed)
    return "early" if head_ms < EARLY_SHARE * first_ms else "late"


def short(protocol: str) -> str:
    """Return `1.1` for `HTTP/1.1`: servers write it either way."""
    return protocol.upper().removeprefix("HTTP/")
