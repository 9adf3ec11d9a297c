"""Requests that get no answer from the relay, and why."""

from streamgap.core.errors import StreamgapError


class RefusedError(StreamgapError):
    """A request that cannot be served: `status` is the HTTP status of the answer, the message its text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class BusyError(StreamgapError):
    """There is no room, or no store, now: the client shall come back."""


class AbsentError(StreamgapError):
    """Nothing is known of the key, and the request may not start a generation. `epoch` is what the client has read."""

    def __init__(self, epoch: int) -> None:
        super().__init__("relay: nothing is known of this key")
        self.epoch = epoch


class PastEndError(StreamgapError):
    """The client has read everything, the end included: nothing will ever follow."""
