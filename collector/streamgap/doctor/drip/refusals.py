"""Requests that get no stream, and why."""

import msgspec

from streamgap.core.errors import StreamgapError
from streamgap.core.showing import shown
from streamgap.doctor.drip.limits import MAX_REQUEST_BODY_BYTES
from streamgap.doctor.drip.request import Headers

_RETRY_AFTER_S = 5


class RefusedError(StreamgapError):
    """A request that cannot be served: `status` is the HTTP status of the answer, `body` the message, as JSON."""

    def __init__(self, status: int, message: str, *, extra: Headers = (), has_body: bool = True) -> None:
        super().__init__(message)
        self.status = status
        self.body = msgspec.json.encode({"error": message}) if has_body else b""
        self._extra = extra

    @property
    def headers(self) -> Headers:
        """The answer's headers."""
        length = ("Content-Length", str(len(self.body)))
        return (("Content-Type", "application/json"), ("Cache-Control", "no-store"), length, *self._extra)


def wrong_method(method: str) -> RefusedError:
    """Answer a method that asks for nothing here."""
    message = f"drip: expected GET or POST, got {shown(method, at_most=20)}; try GET"
    # Waitress sends a body after HEAD too, and the client takes it for the next answer (measured: 3.0).
    return RefusedError(405, message, extra=(("Allow", "GET, POST"),), has_body=method != "HEAD")


def wrong_token() -> RefusedError:
    """Answer a request that does not know the token, without a word about the one it sent."""
    ways = "Authorization: Bearer TOKEN, x-drip-token: TOKEN, or ?token=TOKEN"
    return RefusedError(403, f"drip: expected its token, got none or another; try {ways}")


def too_long() -> RefusedError:
    """Answer a request with a body past the bound."""
    return RefusedError(413, f"drip: expected a body of at most {MAX_REQUEST_BODY_BYTES} bytes, got more; try none")


def too_many(most: int) -> RefusedError:
    """Answer one stream more than may run at once."""
    message = f"drip: expected at most {most} streams at once, got one more; try again in {_RETRY_AFTER_S} s"
    return RefusedError(429, message, extra=(("Retry-After", str(_RETRY_AFTER_S)),))
