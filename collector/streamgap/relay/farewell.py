"""The last event of a relayed stream: how it ended, and whether asking again is of use."""

from dataclasses import dataclass

from streamgap.relay.states import End, Status

EXPIRED = "expired"
STORE_LOST = "store"
TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Farewell:
    """What the `sg-end` event says. `resumable`: the stream may go on later, so a reconnect is served."""

    status: str
    reason: str = ""
    resumable: bool = False

    @property
    def retryable(self) -> bool:
        """Whether an explicit retry may start the generation anew."""
        return self.status in (Status.FAILED, Status.STOPPED)


def farewell_of(end: End) -> Farewell:
    """Say how an epoch ended."""
    return Farewell(status=end.status, reason=end.reason)
