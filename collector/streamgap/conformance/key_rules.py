"""Rules about the idempotency key: one key, one question, one generation."""

from streamgap.conformance.conversation import Conversation
from streamgap.conformance.exchange import Ending, Exchange
from streamgap.conformance.findings import Finding, Verdict, broken, holds, inconclusive, not_applicable
from streamgap.core.showing import shown

SAVED_S = 0.1
STARTS = frozenset({"started", "restarted"})
_REFUSALS = frozenset({400, 409, 422})
_SHEDDING = frozenset({429, 503})


def same_key_attaches(talk: Conversation) -> Finding:
    """Judge what the same key got while the first answer ran."""
    first, twin = talk.first, talk.twin
    if twin is None:
        return inconclusive(
            "the answer had ended before it could be asked for again; try a prompt with a longer answer"
        )
    if not first.complete:
        return inconclusive(f"the first answer {first.ending}")
    finding = _one_generation(first, twin)
    if finding.verdict is Verdict.BROKEN and twin.began_s + twin.head_s > first.began_s + first.end_s:
        return inconclusive("the first answer ended before the second began; try a prompt with a longer answer")
    return finding


def same_key_replays(talk: Conversation) -> Finding:
    """Judge what the same key got after the end."""
    if talk.replay is None:
        return inconclusive(f"not asked: the first answer {talk.first.ending}")
    return _one_generation(talk.first, talk.replay)


def _one_generation(first: Exchange, again: Exchange) -> Finding:
    """Judge whether two answers are the same generation, and say how sure that is.

    The texts of two generations differ as a rule, so other text decides. Same text may come from a model that happens
    to repeat itself: then what the endpoint says, or that the text came much sooner than from the model, decides.
    """
    asked = f"sent {again.asked}"
    if again.ending is Ending.TIMED_OUT:
        return inconclusive(f"{asked}; got {again.summary}; try a longer --timeout")
    if other := _another_generation(first, again):
        return broken(f"{asked}; got {other}")
    if again.said:
        return holds(f"{asked}; got the same text, and the endpoint says {shown(again.said)}")
    pace = f"first content after {again.content[0].at_s:.3f} s instead of {first.content[0].at_s:.3f} s"
    if first.content[0].at_s - again.content[0].at_s > max(SAVED_S, first.content[0].at_s / 2):
        return holds(f"{asked}; got the same text, {pace}: not from the model")
    return inconclusive(
        f"{asked}; got the same text, {pace}: a second generation of a model that repeats itself, or none"
    )


def _another_generation(first: Exchange, again: Exchange) -> str:
    """Say what shows that `again` is not the generation that `first` is; empty where nothing does."""
    if not again.is_stream or not again.content:
        return f"{again.summary}: nothing to show"
    if again.text != first.text:
        return f"{again.summary}: {difference(first, again)}"
    if again.ids != first.ids:
        return f"the same text under other ids, {shown(again.ids[0] or '')} first"
    return f"the same text, but the endpoint says {shown(again.said)}" if again.said in STARTS else ""


def difference(first: Exchange, again: Exchange) -> str:
    """Say where two answers differ."""
    if first.text.startswith(again.text):
        return f"only the beginning, {len(again.content)} of {len(first.content)} content events"
    pairs = zip(first.content, again.content, strict=False)
    for place, (one, other) in enumerate(pairs, start=1):
        if one.event.data != other.event.data:
            was, now = shown(one.event.data or ""), shown(other.event.data or "")
            return f"another text, content event {place} was {was} and is {now}"
    return f"another text, {len(again.content)} content events instead of {len(first.content)}"


def other_question_is_refused(talk: Conversation) -> Finding:
    """Judge what the same key got for another prompt."""
    other = talk.other
    if not talk.replays:
        return inconclusive("not asked: the same key gets another answer as it is, see C07")
    if other is None:
        return not_applicable("which part of the request is the prompt? Name the field or parameter with --vary")
    if other.status in _REFUSALS:
        return holds(f"sent {other.asked}; got {other.status}")
    if not other.content:
        return inconclusive(f"sent {other.asked}; got {other.summary}")
    if talk.first.text.startswith(other.text):
        return broken(f"sent {other.asked}; got the answer to the first one")
    return broken(f"sent {other.asked}; got content: a second generation under one key")


def reconnect_never_starts(talk: Conversation) -> Finding:
    """Judge what a reconnect with an unknown key got."""
    stranger = talk.stranger
    if stranger is None:
        return _without_ids(talk)
    if stranger.content:
        return broken(f"sent {stranger.asked}; got content, {shown(stranger.content[0].event.data or '')} first")
    if stranger.ending is Ending.TIMED_OUT:
        return inconclusive(f"sent {stranger.asked}; got {stranger.summary}")
    return holds(f"sent {stranger.asked}; got {stranger.summary}")


def _without_ids(talk: Conversation) -> Finding:
    if talk.first.has_ids:
        return inconclusive(f"not asked: the first answer {talk.first.ending}")
    return not_applicable("no content event carries an id, so no browser will send a Last-Event-ID")


def flood_is_shed_gently(talk: Conversation, *, method: str) -> Finding:
    """Judge how many requests at once were turned away."""
    if not talk.burst:
        return not_applicable("asked for with --burst N; costs N generations")
    if method != "GET":
        return not_applicable(f"{method} is answered with 429 and Retry-After rightly: an EventSource sends GET only")
    statuses = [exchange.status for exchange in talk.burst]
    counted = ", ".join(f"{statuses.count(one)} × {one or 'no response'}" for one in sorted(set(statuses), key=str))
    evidence = f"sent {len(statuses)} requests at once; got {counted}"
    return broken(evidence) if _SHEDDING.intersection(statuses) else holds(evidence)
