"""Who may report, how often, and how much: everything that is decided before a report is parsed."""

from collections.abc import Callable, Mapping

from starlette.types import Receive, Scope

from streamgap.core.errors import InvalidReportError
from streamgap.core.wire import MAX_BEACON_BYTES
from streamgap.core.words import Reason
from streamgap.service.clients import ProxyChain, RateLimit, client_key
from streamgap.service.origins import OriginPolicy
from streamgap.service.settings import Settings

STATUS: Mapping[Reason, int] = {
    Reason.SIZE: 413,
    Reason.ENCODING: 415,
    Reason.METHOD: 405,
    Reason.ORIGIN: 403,
    Reason.RATE: 429,
    Reason.DISCONNECT: 408,
    Reason.JSON: 400,
    Reason.SCHEMA: 400,
    Reason.VERSION: 400,
    Reason.INTERNAL: 500,
}


class RefusedError(InvalidReportError):
    """A report refused before it was parsed. `wait_s` is when to come back, 0 where that would change nothing."""

    def __init__(self, message: str, *, reason: Reason, wait_s: float = 0.0) -> None:
        super().__init__(message, reason=reason)
        self.wait_s = wait_s


class Admission:
    """Checks a beacon request by its head alone, so that what is shed costs no reading."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float]) -> None:
        self._origins = OriginPolicy.of(
            settings.allow_origin,
            no_origin=settings.allow_no_origin,
            null_origin=settings.allow_null_origin,
        )
        self._proxies = ProxyChain(settings.trusted_proxies)
        self._rate = RateLimit(rate_per_s=settings.client_rate, burst=settings.client_burst, clock=clock)

    def allowed_origin(self, headers: Mapping[bytes, bytes]) -> bytes | None:
        """Return the origin to answer to, empty where the request named none; None where it may not report."""
        origin = headers.get(b"origin")
        return (origin or b"") if self._origins.allows(origin, headers.get(b"host", b"")) else None

    def check(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        """Raise RefusedError with reason `method`, `rate`, `encoding` or `size`, before any of the body is read."""
        if scope["method"] != "POST":
            raise RefusedError(f"beacon: expected POST, got {scope['method']}", reason=Reason.METHOD)
        peer = (scope.get("client") or ("",))[0]
        wait_s = self._rate.wait_s(client_key(self._proxies.client(peer, scope["headers"])))
        if wait_s:
            raise RefusedError("beacon: expected fewer reports from one address", reason=Reason.RATE, wait_s=wait_s)
        encoding = headers.get(b"content-encoding", b"identity")
        if encoding != b"identity":
            raise RefusedError(f"beacon: expected no content encoding, got {encoding!r}", reason=Reason.ENCODING)
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > MAX_BEACON_BYTES:
            raise _too_large(length.decode())


async def read_body(receive: Receive) -> bytes:
    """Read a beacon's body; raises RefusedError: `size` at the first byte too many, `disconnect` where it broke off."""
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(f"beacon: expected a whole body, got {len(body)} bytes of it", reason=Reason.DISCONNECT)
        chunk = message.get("body", b"")
        # One message is the rule, and then this copies nothing.
        body = body + chunk if body else chunk
        if len(body) > MAX_BEACON_BYTES:
            raise _too_large(f"{len(body)} so far")
        more = message.get("more_body", False)
    return body


def _too_large(got: str) -> RefusedError:
    return RefusedError(f"beacon: expected at most {MAX_BEACON_BYTES} bytes, got {got}", reason=Reason.SIZE)
