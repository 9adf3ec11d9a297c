"""Rules about `Last-Event-ID`: a reconnect goes on where the connection was, and comes to an end."""

from streamgap.conformance.conversation import Conversation
from streamgap.conformance.exchange import Ending, Exchange
from streamgap.conformance.findings import Finding, broken, holds, inconclusive, not_applicable
from streamgap.core.showing import shown

_NO_CONTENT = 204
_SERVER_ERROR = 500
_NO_IDS = "no content event carries an id"


def ids_resume(talk: Conversation) -> Finding:
    """Judge what a reconnect in the middle of an answer got."""
    if talk.first.complete and not talk.first.has_ids:
        return broken(f"{_NO_IDS}: a reconnect cannot say where it was, and begins anew")
    dropped, resumed = talk.dropped, talk.resumed
    if dropped is None:
        return inconclusive("the answer had no middle: it was one content event, or did not end")
    if dropped.ending is not Ending.DROPPED:
        return inconclusive(f"sent {dropped.asked}; got {dropped.summary}")
    if resumed is None:
        return broken(f"dropped after {len(dropped.content)} content events, none of which carried an id")
    asked = f"dropped after {len(dropped.content)} content events, sent {resumed.asked}"
    if talk.whole is None:
        return _beside_the_first(dropped, resumed, talk.first, asked=asked)
    return _beside_the_whole(dropped, resumed, talk.whole, asked=asked)


def _wrong(dropped: Exchange, resumed: Exchange) -> str:
    """Say what shows, without knowing the whole answer, that `resumed` does not go on; empty where nothing does."""
    if resumed.status != _NO_CONTENT and not resumed.is_stream:
        return resumed.summary
    if repeated := [one for one in resumed.ids if one and one in dropped.ids]:
        return f"{len(repeated)} events again, {shown(repeated[0])} first"
    return ""


def _beside_the_whole(dropped: Exchange, resumed: Exchange, whole: Exchange, *, asked: str) -> Finding:
    """Compare what came before and after the drop with the same answer, replayed."""
    if wrong := _wrong(dropped, resumed):
        return broken(f"{asked}; got {wrong}")
    if not (whole.is_stream and whole.complete):
        return inconclusive(f"{asked}; got {resumed.summary}; sent {whole.asked}; got {whole.summary}")
    if not resumed.content:
        return broken(f"{asked}; got no more content: the answer ended when its only reader was gone")
    if dropped.text + resumed.text == whole.text:
        return holds(f"{asked}; got the other {len(resumed.content)} of {len(whole.content)}")
    counts = f"{len(dropped.content)} + {len(resumed.content)} content events, {len(whole.content)} without a drop"
    gap = whole.text.startswith(dropped.text) and whole.text.endswith(resumed.text)
    return broken(f"{asked}; got {'a gap' if gap else 'another text'}: {counts}")


def _beside_the_first(dropped: Exchange, resumed: Exchange, first: Exchange, *, asked: str) -> Finding:
    """Compare with the first key's answer, because the same key gets another answer each time."""
    if wrong := _wrong(dropped, resumed):
        return broken(f"{asked}; got {wrong}")
    if dropped.text + resumed.text == first.text:
        return holds(f"{asked}; got the rest of the text that the first key got")
    if resumed.text.startswith(dropped.text):
        return broken(f"{asked}; got the answer from its beginning")
    return inconclusive(f"{asked}; got {resumed.summary}, and nothing to compare with: the same key does not replay")


def past_the_end_is_204(talk: Conversation) -> Finding:
    """Judge what a reconnect after the end got."""
    past = talk.past
    if past is None:
        return _not_asked(talk)
    if past.status == _NO_CONTENT:
        return holds(f"sent {past.asked}; got 204")
    if past.content:
        return broken(f"sent {past.asked}; got content again, {shown(past.content[0].event.data or '')} first")
    return broken(f"sent {past.asked}; got {past.summary}: an EventSource that is not closed comes back for ever")


def garbage_is_harmless(talk: Conversation) -> Finding:
    """Judge what a senseless `Last-Event-ID` got."""
    garbage = talk.garbage
    if garbage is None:
        return _not_asked(talk)
    evidence = f"sent {garbage.asked}; got {garbage.summary}"
    fails = garbage.status is None or garbage.status >= _SERVER_ERROR
    return broken(evidence) if fails or garbage.ending in (Ending.TIMED_OUT, Ending.CUT) else holds(evidence)


def _not_asked(talk: Conversation) -> Finding:
    if not talk.first.complete:
        return inconclusive(f"not asked: the first answer {talk.first.ending}")
    return not_applicable(f"{_NO_IDS}, so no browser will send a Last-Event-ID")
