"""A stream that was granted, behind either face."""

from collections.abc import Iterator
from threading import Lock

from streamgap.core.probe import EVENT_STREAM, AppView, Hint
from streamgap.doctor.drip.request import Clock, Headers, Request
from streamgap.doctor.drip.schedule import Plan, Step, steps
from streamgap.doctor.drip.view import app_view

_HINT_HEADERS = {
    Hint.X_ACCEL: ("X-Accel-Buffering", "no"),
    Hint.IDENTITY: ("Content-Encoding", "identity"),
    Hint.INCREMENTAL: ("Incremental", "?1"),
}


class Seats:
    """The runs that stream at once, in whatever threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._taken: set[str] = set()

    @property
    def taken(self) -> int:
        """How many."""
        return len(self._taken)

    def take(self, run: str) -> bool:
        """Take a seat if one is free."""
        with self._lock:
            free = len(self._taken) < self._most
            if free:
                self._taken.add(run)
            return free

    def leave(self, run: str) -> None:
        """Give the seat back, if there is one. Takes no lock, for a garbage collection may call it anywhere."""
        self._taken.discard(run)


class Streaming:
    """The headers of one stream, its writes, and the seat that was taken for it, until `close`.

    A seat that nobody gives back (there are frameworks that never close a body they did not read) is free again with
    the last reference.
    """

    def __init__(self, request: Request, plan: Plan, *, run: str, seats: Seats, clock: Clock) -> None:
        self.headers = headers_of(plan)
        self._plan = plan
        self._request = request
        self._run = run
        self._seats = seats
        self._clock = clock

    def __del__(self) -> None:
        self.close()

    def steps(self) -> Iterator[Step]:
        """Yield its writes."""
        return steps(self._plan, run=self._run, view=self._view)

    def wait_s(self, step: Step) -> float:
        """Return the time until a write is due, 0 where it is late."""
        return max(0.0, self._request.began_s + step.at_ms / 1000 - self._clock())

    def write(self, step: Step) -> bytes:
        """Return the bytes of a write, stamped now."""
        return step.make((self._clock() - self._request.began_s) * 1000)

    def close(self) -> None:
        """Give the seat back."""
        self._seats.leave(self._run)

    def _view(self) -> AppView:
        asked = self._request
        return app_view(
            protocol=asked.protocol, method=asked.method, headers=asked.headers, in_flight=self._seats.taken
        )


def headers_of(plan: Plan) -> Headers:
    """Return the response's headers: what every stream of events has, and the hints that were asked for."""
    transform = ", no-transform" if Hint.NO_TRANSFORM in plan.hints else ""
    hints = (header for hint, header in _HINT_HEADERS.items() if hint in plan.hints)
    return (("Content-Type", EVENT_STREAM), ("Cache-Control", f"no-cache{transform}"), *hints)
