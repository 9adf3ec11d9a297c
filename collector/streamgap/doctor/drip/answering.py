"""What a drip answers, the same behind both faces."""

import hmac
import secrets
from collections.abc import Iterator
from urllib.parse import parse_qs

from streamgap.core.errors import SettingsError
from streamgap.doctor.drip.limits import Limits
from streamgap.doctor.drip.plan import PlanError, plan_of
from streamgap.doctor.drip.refusals import RefusedError, too_many, wrong_method, wrong_token
from streamgap.doctor.drip.request import Clock, Request
from streamgap.doctor.drip.streaming import Seats, Streaming

_BEARER = "bearer "
_RUN_BYTES = 4


class Answering:
    """Judges requests by method, token, plan and room, in this order: a stranger learns nothing.

    Raises SettingsError for a token that no request could carry.
    """

    def __init__(self, *, token: str | None, limits: Limits | None, clock: Clock) -> None:
        if token is not None and not (token.isascii() and token.isprintable() and token.strip() == token != ""):
            raise SettingsError(
                "drip token: expected printable ASCII, or None for an open endpoint, got something else"
            )
        self.limits = limits or Limits()
        self.clock = clock
        self.seats = Seats(self.limits.max_concurrent)
        self._token = token

    @property
    def patience_s(self) -> float:
        """The time after which a stream is given up, read or not."""
        return self.limits.max_s + self.limits.grace_s

    def grant(self, request: Request) -> Streaming:
        """Return the stream that is asked for; the caller closes it. Raises RefusedError."""
        if request.method not in ("GET", "POST"):
            raise wrong_method(request.method)
        if self._token is not None and not _knows(self._token, request):
            raise wrong_token()
        try:
            plan = plan_of(request.query, limits=self.limits)
        except PlanError as error:
            raise RefusedError(400, str(error)) from error
        run = secrets.token_hex(_RUN_BYTES)
        if not self.seats.take(run):
            raise too_many(self.limits.max_concurrent)
        return Streaming(request, plan, run=run, seats=self.seats, clock=self.clock)


def _knows(token: str, request: Request) -> bool:
    return any(hmac.compare_digest(offered.encode(), token.encode()) for offered in _offered(request))


def _offered(request: Request) -> Iterator[str]:
    for name, value in request.headers:
        if name == "x-drip-token":
            yield value.strip()
        elif name == "authorization" and value[: len(_BEARER)].lower() == _BEARER:
            yield value[len(_BEARER) :].strip()
    try:
        yield from parse_qs(request.query, max_num_fields=100).get("token", ())
    except ValueError:
        return
