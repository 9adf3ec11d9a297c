"""What the relay promises of model calls, of waiting and of the ledger, as questions to a `World`."""

import math
from collections import Counter
from collections.abc import Iterator

from relay.request import Request
from relay.world import KEEP_S, LEASE_S, LIMITS, RENEW_S, Call, World
from streamgap.core.words import MODEL_CALLS
from streamgap.relay.follower import WAIT_S

ON_ITS_WAY_S = 0.1
"""Longer than anything is under way where nothing is broken."""


def broken_promises(world: World, *, grace_s: float) -> Iterator[str]:
    """Yield what is not as it should be at any time. Call numbers are those of the texts."""
    now_s = world.loop.time()
    for call in world.calls:
        if (why := _why_forbidden(call, world)) is not None:
            yield f"call {call.number} was forbidden: {why}"
        if world.faults:
            continue
        if call.fate == "cancelled" and not _may_be_cancelled(call, world):
            yield f"call {call.number} was cancelled under a listener"
        if call.is_running and now_s > _asked_to_stop_s(call, world, since_s=call.began_s) + RENEW_S + ON_ITS_WAY_S:
            yield f"call {call.number} goes on after it was stopped"
        if call.is_running and now_s > _heard_until_s(call, world) + grace_s + RENEW_S + ON_ITS_WAY_S:
            yield f"call {call.number} goes on for nobody"
    yield from _kept_waiting(world)
    for request in world.open_requests:
        is_late = now_s > request.stuck_s + 1.25 * LIMITS.stall_s + ON_ITS_WAY_S
        if is_late and request.body and not world.faults & {"freeze", "kill", "shutdown"}:
            yield f"a reader of {request.page.cid} takes nothing, and is kept"


def broken_ends(world: World) -> Iterator[str]:
    """Yield what is not as it should be once every generation has ended."""
    for request in world.requests:
        if not request.is_explicit:
            yield f"a request for {request.page.cid} ended without a word: {request.status} {request.body!r}"
    for page in world.pages:
        call = None if page.call is None else world.calls[page.call]
        is_done = page.end is not None and page.end["status"] == "done"
        if is_done and call is not None and (call.fate != "done" or call.said != page.seq):
            yield f"a page has {page.seq} entries of call {call.number}, which said {call.said} and is {call.fate}"
    yield from _ledger(world)


def _why_forbidden(call: Call, world: World) -> str | None:
    """Say why the model must not have been called; None where it might."""
    request = call.request
    if request.last or request.wish.reads_only:
        return f"its request resumes from {request.last!r}"
    if not call.is_granted:
        return "the store has not granted it"
    former = [one for one in world.calls[: call.number] if one.cid == call.cid]
    if world.faults or not former:
        return None
    return _why_not_again(call, former[-1], world)


def _why_not_again(call: Call, before: Call, world: World) -> str | None:
    """Say why the model must not have been called again where nothing was ever broken; None where it might."""
    is_retry = call.request.wish.retry or before.request.wish.retry
    if (
        is_retry
        and _asked_to_stop_s(before, world, since_s=before.began_s - ON_ITS_WAY_S) < call.began_s + ON_ITS_WAY_S
    ):
        return None  # the one that was stopped hears of it a little later
    if before.ended_s > call.began_s:
        return f"call {before.number} was running"
    if call.request.wish.retry and before.fate != "done":
        return None
    is_unheard_failure = before.said == 0 and (before.fate == "failed" or _is_too_old(before))
    # The store may have counted from its stop, of which it heard a little later.
    is_forgotten = call.began_s - before.ended_s > KEEP_S - RENEW_S - ON_ITS_WAY_S
    return None if is_unheard_failure or is_forgotten else f"call {before.number} is {before.fate}"


def _may_be_cancelled(call: Call, world: World) -> bool:
    """Say whether a call might be cancelled when it was: for its age, at somebody's word, or with nobody there."""
    if _is_too_old(call) or _asked_to_stop_s(call, world, since_s=call.began_s - ON_ITS_WAY_S) <= call.ended_s:
        return True
    known_s = call.ended_s - RENEW_S - ON_ITS_WAY_S
    return not any(
        request.status == 200 and request.began_s < known_s and request.over_s > call.ended_s
        for request in _requests(call, world)
    )


def _is_too_old(call: Call) -> bool:
    return call.ended_s - call.began_s > LIMITS.age_s - ON_ITS_WAY_S


def _asked_to_stop_s(call: Call, world: World, *, since_s: float) -> float:
    """Return when somebody first asked to stop a call, which may have been under way before it began."""
    return min((at_s for cid, at_s in world.stops if cid == call.cid and at_s > since_s), default=math.inf)


def _heard_until_s(call: Call, world: World) -> float:
    """Return until when somebody listened, or asked to."""
    return max([call.began_s, *(min(one.over_s, world.loop.time()) for one in _requests(call, world))])


def _requests(call: Call, world: World) -> Iterator[Request]:
    return (request for request in world.requests if request.page.cid == call.cid)


def _kept_waiting(world: World) -> Iterator[str]:
    """Yield the readers who have not heard in time that the owner was killed."""
    if not world.faults <= {"kill"}:
        return
    dead_s = {call.epoch: call.request.over_s for call in world.calls if call.is_lost}
    for request in world.open_requests:
        since_s = dead_s.get(request.page.epoch)
        if since_s is None or request.has_stalled:
            continue
        if world.loop.time() > max(since_s + LEASE_S, request.began_s) + WAIT_S + ON_ITS_WAY_S:
            yield f"a reader of {request.page.cid} was not told that its owner was lost"


def _ledger(world: World) -> Iterator[str]:
    """Yield where the ledger does not say what was called: each call once, and each loss that was found once."""
    entered = Counter(record.id.partition(".")[2] for record in world.records if record.result in MODEL_CALLS)
    survived = [call for call in world.calls if not call.is_lost]
    lost = Counter(str(epoch) for _, epoch in world.network.heard_lost)
    granted = Counter(str(call.epoch) for call in survived if call.epoch is not None)
    if entered.total() != len(survived) + lost.total():
        yield f"{len(survived)} calls and {lost.total()} losses are {entered.total()} entries in the ledger"
    if not granted + lost <= entered:
        yield f"the ledger does not have {granted + lost - entered}"
