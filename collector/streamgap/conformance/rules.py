"""The rules: a code that stays, one sentence, and the function that judges."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from streamgap.conformance import key_rules, resume_rules, silence_rule, wire_rules
from streamgap.conformance.conversation import Conversation
from streamgap.conformance.findings import Finding, inconclusive
from streamgap.core.showing import shown


@dataclass(frozen=True, slots=True)
class Rule:
    """`needs` is how far the first answer must have come: an answer of any kind, a stream, or one with content."""

    code: str
    statement: str
    judge: Callable[[Conversation], Finding]
    needs: str = "content"


def rules_for(*, method: str, heartbeat_s: float) -> tuple[Rule, ...]:
    """Return every rule, for an endpoint that is asked with `method` and should beat every `heartbeat_s` seconds."""
    heartbeats = partial(silence_rule.silence_has_heartbeats, heartbeat_s=heartbeat_s)
    flood = partial(key_rules.flood_is_shed_gently, method=method)
    return (
        Rule("C01", "The answer is 200 text/event-stream.", wire_rules.answers_event_stream, "answer"),
        Rule("C02", "The headers do not wait for the model.", wire_rules.head_leaves_early),
        Rule("C03", "The headers ask every hop not to hold the bytes.", wire_rules.asks_not_to_be_buffered, "stream"),
        Rule("C04", "Every event with content has an id of its own.", wire_rules.content_has_ids),
        Rule("C05", "A reconnect goes on where it was: no gap, no repeat.", resume_rules.ids_resume),
        Rule("C06", "The same key joins the answer that runs; it starts no other.", key_rules.same_key_attaches),
        Rule("C07", "The same key after the end gets the same answer again.", key_rules.same_key_replays),
        Rule("C08", "The same key with another prompt is refused (422).", key_rules.other_question_is_refused),
        Rule("C09", "A reconnect never starts a generation.", key_rules.reconnect_never_starts),
        Rule("C10", "A reconnect past the end gets 204, which stops an EventSource.", resume_rules.past_the_end_is_204),
        Rule("C11", "The end is said: by an event, not by the connection's end.", wire_rules.end_is_explicit),
        Rule("C12", "retry: is sent, and differs from connection to connection.", wire_rules.retry_is_jittered),
        Rule("C13", "Any text survives the framing: one JSON value per event.", wire_rules.data_survives),
        Rule("C14", "A senseless Last-Event-ID is refused or ignored.", resume_rules.garbage_is_harmless),
        Rule("C15", "Silence carries heartbeats.", heartbeats, "stream"),
        Rule("C16", "A flood of GETs gets no 429 or 503.", flood, "answer"),
    )


def judge(rules: tuple[Rule, ...], talk: Conversation) -> list[tuple[Rule, Finding]]:
    """Judge what can be judged."""
    return [(rule, rule.judge(talk) if (lack := _lack(rule, talk)) is None else lack) for rule in rules]


def _lack(rule: Rule, talk: Conversation) -> Finding | None:
    if rule.needs == "answer":
        return None
    if not talk.first.is_stream:
        return inconclusive("there was no stream to judge")
    if rule.needs == "content" and not talk.first.content:
        types = sorted({one.event.type for one in talk.first.arrivals if one.event.data is not None})
        came = ", ".join(shown(one) for one in types[:8]) or "no events"
        return inconclusive(f"no content to judge; came: {came}; name events with content with --content-event")
    return None
