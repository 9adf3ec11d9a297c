"""Rules about one answer: its headers, its framing, its beginning and its end."""

from streamgap.conformance.conversation import Conversation
from streamgap.conformance.exchange import Ending
from streamgap.conformance.findings import Finding, broken, holds, inconclusive
from streamgap.conformance.reading import DONE, is_json, json_of
from streamgap.core.showing import shown

LEAD_S = 0.05
"""Content that comes this long after the headers was not what the headers waited for."""
SLOW_HEAD_S = 1.0
MIN_RETRY_MS = 100
HEARTBEATS = frozenset({"ping", "sg-ping", "heartbeat", "keepalive", "keep-alive"})
_CACHE_WORDS = ("no-cache", "no-store")


def answers_event_stream(talk: Conversation) -> Finding:
    """Judge status and content type."""
    first = talk.first
    if first.is_stream:
        return holds(f"200, {shown(first.headers['content-type'])}")
    location = first.headers.get("location")
    if location is not None:
        where = shown(location, at_most=200)
        return broken(f"{first.status}, Location: {where}: not followed to another host; check that URL itself")
    hint = {
        401: "; pass the credentials with --header",
        403: "; pass the credentials with --header",
        405: "; pass the method with --method",
        422: "; what the endpoint needs goes into the URL, --data or --header",
        429: "; an EventSource that gets this gives up for ever",
        503: "; an EventSource that gets this gives up for ever",
    }.get(first.status or 0, "")
    return broken(f"expected 200 text/event-stream, got {first.summary}{hint}")


def head_leaves_early(talk: Conversation) -> Finding:
    """Judge whether the headers waited for the model."""
    first = talk.first
    content_s = first.content[0].at_s
    measured = f"headers after {first.head_s:.3f} s, first content after {content_s:.3f} s"
    if content_s - first.head_s >= LEAD_S:
        return holds(measured)
    if first.head_s >= SLOW_HEAD_S:
        return broken(f"{measured}: the headers waited for it; send a comment first")
    if first.arrivals[0] is not first.content[0] or first.content[0].event.comments:
        return holds(f"{measured}; the first event is not the first thing sent")
    return inconclusive(f"{measured}, and nothing before it: the answer came too soon to tell")


def asks_not_to_be_buffered(talk: Conversation) -> Finding:
    """Judge the headers that ask hops to pass bytes on at once."""
    headers = talk.first.headers
    cache = {word.strip().lower() for word in headers.get("cache-control", "").split(",")}
    wrong = [f"missing Cache-Control: {word}" for word in ("no-transform",) if word not in cache]
    if not cache.intersection(_CACHE_WORDS):
        wrong.append("missing Cache-Control: no-cache")
    if (encoding := headers.get("content-encoding", "identity").lower()) != "identity":
        wrong.append(f"Content-Encoding: {shown(encoding)} (a compressor waits for more)")
    if "content-length" in headers:
        wrong.append(f"Content-Length: {shown(headers['content-length'])} (the whole answer was waited for)")
    # nginx itself takes X-Accel-Buffering out of what it passes on.
    proxied = "via" in headers or any(name in headers.get("server", "").lower() for name in ("nginx", "openresty"))
    if headers.get("x-accel-buffering", "").lower() != "no" and not proxied:
        wrong.append("missing X-Accel-Buffering: no")
    if wrong:
        return broken("; ".join(wrong))
    names = ("cache-control", "x-accel-buffering", "content-encoding", "incremental")
    return holds(", ".join(f"{name}: {shown(headers[name])}" for name in names if name in headers))


def content_has_ids(talk: Conversation) -> Finding:
    """Judge whether each content event says where it is."""
    ids = talk.first.ids
    without = [place for place, one in enumerate(ids, start=1) if not one]
    if without:
        return broken(
            f"{len(without)} of {len(ids)} content events carry no id, the first of them is number {without[0]}"
        )
    if len(set(ids)) < len(ids):
        return broken(f"{len(ids)} content events carry {len(set(ids))} different ids")
    return holds(f"{len(ids)} content events, ids {shown(ids[0] or '')} to {shown(ids[-1] or '')}")


def end_is_explicit(talk: Conversation) -> Finding:
    """Judge whether a reader can tell the end of the answer from a connection that broke."""
    first = talk.first
    if first.ending is Ending.CUT:
        return broken(f"the answer broke off: {first.failure}")
    if not first.complete:
        return inconclusive(f"the first answer {first.ending}; try a longer --timeout")
    last = next((one.event for one in reversed(first.arrivals) if one.event.data is not None), None)
    if last is None:
        return broken("no event at all before the connection ended")
    said = json_of(last.data or "")
    if last.data == DONE or (isinstance(said, dict) and said.get("done") is True):
        return holds(f"data: {shown(last.data or '')}")
    if last is not first.content[-1].event and last.type not in HEARTBEATS:
        return holds(f"event: {shown(last.type)}")
    return broken(f"the connection ended after {shown(last.type)}, {shown(last.data or '')}; a cut one looks the same")


def retry_is_jittered(talk: Conversation) -> Finding:
    """Judge whether clients that were cut off together come back apart."""
    streams = [exchange for exchange in talk.exchanges if exchange.content]
    sent = [exchange.retry_ms for exchange in streams if exchange.retry_ms is not None]
    if len(sent) < len(streams):
        return broken(f"{len(streams) - len(sent)} of {len(streams)} answers had no retry: field")
    if min(sent) < MIN_RETRY_MS:
        return broken(f"retry: {min(sent)} (ms): a browser that cannot connect hammers")
    if len(sent) == 1:
        return inconclusive(f"one answer only, retry: {sent[0]}")
    if len(set(sent)) == 1:
        return broken(f"retry: {sent[0]} in all of {len(sent)} answers: after a restart everybody is back at once")
    return holds(f"retry: {min(sent)} to {max(sent)} ms in {len(sent)} answers")


def data_survives(talk: Conversation) -> Finding:
    """Judge whether any text the model may write fits into the framing."""
    first = talk.first
    leaked = sum(arrival.event.unknown for arrival in first.arrivals)
    if leaked:
        return broken(
            f"{leaked} lines that are no field: a line break in the text ends its data line, and the rest is lost"
        )
    payloads = [arrival.event.data or "" for arrival in first.content]
    plain = [payload for payload in payloads if not is_json(payload)]
    if not plain:
        return holds(f"{len(payloads)} content events, each one JSON value")
    if len(plain) < len(payloads):
        return broken(f"{len(plain)} of {len(payloads)} content events are not JSON, such as {shown(plain[0])}")
    return inconclusive(f"plain text, such as {shown(plain[0])}; try a prompt whose answer has empty lines")
