"""The control events of a relayed stream, as they go on the wire. docs/relay.md is their prose."""

from collections.abc import Callable
from dataclasses import dataclass

from streamgap.core.sse import sse_event, sse_prime
from streamgap.core.words import GenerationResult
from streamgap.relay.event_ids import EventId
from streamgap.relay.farewell import Farewell
from streamgap.relay.stalls import StallWatch

VERSION = 1
PING = sse_event({}, event="sg-ping")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How a relay speaks to its clients: the silence it bears, reconnection times, who is watched for stalling."""

    heartbeat_s: float
    retry_ms: Callable[[], int]
    busy_ms: Callable[[], int]
    stalls: StallWatch


def place(at: EventId) -> bytes:
    """Tell the client where it is, so that even a reconnect before the first event is known as one."""
    return sse_prime(str(at))


def opened(*, sid: str, epoch: int, result: GenerationResult) -> bytes:
    """Name the stream and the generation it reads."""
    return sse_event({"v": VERSION, "sid": sid, "epoch": epoch, "result": result}, event="sg-open")


def reset(epoch: int) -> bytes:
    """Tell the client to forget what it has: another answer follows, from its beginning."""
    return sse_event({"epoch": epoch}, event="sg-reset", event_id=str(EventId(epoch, 0)))


def ended(farewell: Farewell, *, epoch: int, events: int, name: str) -> bytes:
    """Say how the answer ended. `name` is the event's type; its id is past the end, unless more may follow."""
    data = {
        "status": farewell.status,
        "reason": farewell.reason,
        "retryable": farewell.retryable,
        "n": events,
    }
    return sse_event(data, event=name, event_id=None if farewell.resumable else str(EventId(epoch, None)))
