"""The rule about silence: while the model says nothing, something must, or an idle timer cuts the stream."""

from itertools import pairwise

from streamgap.conformance.conversation import Conversation
from streamgap.conformance.exchange import Exchange
from streamgap.conformance.findings import Finding, broken, holds, not_applicable

SLACK = 1.5
"""A heartbeat may be this much later than it was asked to be."""


def silence_has_heartbeats(talk: Conversation, *, heartbeat_s: float) -> Finding:
    """Judge whether bytes come while the model says nothing."""
    limit_s = heartbeat_s * SLACK
    silences = [(silence, exchange) for exchange in talk.exchanges for silence in _silences(exchange, limit_s)]
    if not silences:
        return not_applicable(f"no answer was silent for longer than {limit_s:g} s; --heartbeat sets the interval")
    longest_s = max(_longest_s(exchange, *silence) for silence, exchange in silences)
    measured = f"{len(silences)} silences longer than {limit_s:g} s, in them up to {longest_s:.1f} s without a byte"
    return broken(measured) if longest_s > limit_s else holds(measured)


def _silences(exchange: Exchange, limit_s: float) -> list[tuple[float, float]]:
    """Return from when to when, in s, no content came for longer than `limit_s`."""
    if not exchange.is_stream:
        return []
    marks = [0.0, *(arrival.at_s for arrival in exchange.content), exchange.end_s]
    return [(since, until) for since, until in pairwise(marks) if until - since > limit_s]


def _longest_s(exchange: Exchange, since_s: float, until_s: float) -> float:
    marks = [since_s, *(at_s for at_s in (exchange.head_s, *exchange.reads_s) if since_s < at_s < until_s), until_s]
    return max(later - sooner for sooner, later in pairwise(marks))
